"""A model that has read something, or absorbed it, and can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memorist.errors import InputError
from memorist.neural.continuation import Continuation, continued
from memorist.neural.kv import KeyValues
from memorist.neural.turns import asked, tokens

if TYPE_CHECKING:
    from memorist.neural.weights import TorchModel


@dataclass(frozen=True, slots=True)
class Primed:
    """A model with what it has read (`known`), or with adapters. `cubes` are the ids of what it knows.

    Any number of questions may be asked; none changes what is known for the next.
    """

    model: TorchModel
    known: KeyValues | None
    cubes: tuple[str, ...]

    @property
    def positions(self) -> int:
        """Tokens that need not be read again."""
        return self.known.stop if self.known is not None else 0

    def answer(self, question: str, *, most: int = 64) -> Continuation:
        """What the model says, the likeliest token each time, at most `most`. Raises InputError."""
        if most < 1 or not question.strip():
            raise InputError("ask a question, and allow at least one token")
        return continued(self.model, tokens(self.model, asked(self.model, question)), self.known, most)
