"""What a text says about time: the intervals it speaks of, and what a question wants to know of them."""

from memorist.times.expressions import spans
from memorist.times.questions import TimeIntent, intent

__all__ = ["TimeIntent", "intent", "spans"]
