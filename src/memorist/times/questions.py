"""What a question wants to know of time: which interval, before or after what, the latest or the first, or when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from memorist.cube import TimeSpan, utc
from memorist.times.expressions import find, lowered, span_of
from memorist.times.patterns import regex

if TYPE_CHECKING:
    from memorist.times.grammar import Found

Order = Literal["latest", "earliest"]
Relation = Literal["before", "after", "during"]


@dataclass(frozen=True, slots=True)
class TimeIntent:
    """How a question bounds, orders or asks for time.

    `relation` says where the answer lies: within the spans ("during"), or before or after them or, when `anchor` is
    given, before, after or during the event that the anchor's words name. `order` asks for the newest or the oldest
    of what is found. `asks_when` is true when the answer itself is a time.
    """

    spans: tuple[TimeSpan, ...]
    order: Order | None
    relation: Relation | None
    anchor: str | None
    asks_when: bool


def _not_after(*words: str) -> str:
    """A pattern for a place that none of the words precedes."""
    return "".join(f"(?<!\\b{word} )" for word in words)


_UNITS = r"second|minute|hour|day|night|week|weekend|month|year|decade|century|spring|summer|fall|autumn|winter"
_ORDER = (
    rf"\b(?:(?P<latest>(?:{_not_after('electric', 'electrical', 'ocean')}current(?:ly)?|latest|newest"
    r"|(?:most\s+)?recent(?:ly)?|nowadays|these\s+days|presently|at\s+(?:the\s+moment|present)|(?:do|does|is|are)\s+(?:\w+\s+){1,4}?still(?=\s+(?!life)\w)"
    rf"|{_not_after('until', 'till', 'before', 'by', 'from')}now(?!\s+(?:that|and\s+then))"
    r"|(?:the|her|his|my|their|your|our|its|'s)\s+(?:very\s+)?last"
    rf"(?!\s+(?:names?|minute|resort|straw|words?|supper|chance|{_UNITS})\b)"
    r"|(?:did|has|have|had|was|were)\s+(?:\w+\s+){1,4}?last(?=\s+(?!for|until|till|name|minute|long)\w))\b)"
    r"|(?P<earliest>(?:originally|initially|at\s+first|in\s+the\s+beginning|earliest"
    rf"|{_not_after('get', 'gets', 'got', 'gotten', 'getting', 'become', 'is', 'are', 'was', 'were', 'be', 'been')}"
    rf"used\s+to|{_not_after('safety')}first(?!-|,|\s+(?:names?|aid|lady|ladies|class|grade(?:r|rs)?|floor|person|prize"
    r"|degree|hand|cousins?|responders?|place|base|street|avenue|nations?|language|world|thing\s+in)\b))\b))"
)
_AUXILIARY = "did|do|does|is|are|was|were|will|would|has|have|had|can|could|should"
_WHEN = (
    r"^\W*(?:(?:and|so|but|ok|okay|hey|then|also)\W+)?(?:(?:around|about|until|till|since|by|from|exactly)\s+)?"
    rf"when(?:'s\b|,?\s+(?:exactly,?\s+)?(?:{_AUXILIARY})\b|(?![^?]*(?:,|\b(?:what|who|where|which|how|why)\b)))"
    r"|\b(?:what|which)\s+(?:exact\s+|specific\s+)?(?:date|day|month|year|week|weekend|time)s?\b(?!-|\s+(?:job|care|trip)\b)"
    r"|\bwhat(?:'s|\s+is|\s+was|\s+were|\s+are)\s+the\s+(?:exact\s+)?(?:date|day|month|year)s?\b"
    r"|\bhow\s+(?:long|many\s+(?:days|weeks|months|years))\s+ago\b|\bsince\s+when\b"
    r"|\bhow\s+long\s+(?:has\s+it\s+been|is\s+it)\s+since\b"
    r"|\b(?:know|tell|remember|recall|remind|find\s+out|figure\s+out|wonder(?:ing)?|sure|idea|clue)"
    r"\s+(?:me\s+|us\s+|of\s+)?(?:exactly\s+)?when\b"
)
_RELATION = (
    r"\b(?:(?P<before>before|prior\s+to|until|till|by(?=\s+(?:the\s+)?\x00)|earlier\s+than|up\s+to(?=\s+\x00))"
    r"|(?P<after>after|following|later\s+than|since)"
    r"|(?P<during>during|while|throughout|when|in\s+the\s+course\s+of))\b(?!-)"
)
_NO_RELATION = {
    "before": frozenset({"ever", "never"}),
    "after": frozenset(
        {
            "look",
            "looks",
            "looked",
            "looking",
            "name",
            "named",
            "names",
            "take",
            "takes",
            "took",
            "taken",
            "run",
            "runs",
        }
        | {"ran", "running", "go", "goes", "went", "chase", "ask", "asks", "asked", "day", "time", "week", "year"}
    ),
    "during": frozenset({"a", "little", "worth", "since"}),
}
"""Words after which a word of relation is something else: named after, look after, a while, since when."""

_NO_ANCHOR = r"(?:(?:all|that|then|long|hours|this|it|now|care|dark|school)\s*(?:$|[?.!,])|(?:and|all|when)\b)"
_ASKING = "what|which|who|whom|whose|where|when|how|why"
_CLAUSE_END = rf"[?!;\n]|\.(?:\s|$)|,\s+(?:{_ASKING}|{_AUXILIARY})\b"
_LENGTH_CLAUSE_END = rf"{_CLAUSE_END}|\s(?:{_AUXILIARY})\s"
_OPENING = r"\s+(?:(?:the|early|around|about|in|on|of|sometime)\s+)*"
_SIDES: dict[str, Relation] = {"before": "before", "after": "after", "during": "during"}
_BLANK = "\x00"


def intent(question: str, now: datetime) -> TimeIntent:
    """What an English question says about time, resolved against `now`, when it is asked.

    A bare month is the latest one begun by `now`. "Since 2019" means the time from then up to now. Raises on no text.
    """
    day = utc(now).date()
    found = find(question, day, question=True)
    low = lowered(question)
    masked = _masked(low, found)
    asks_when = regex(_WHEN).search(low) is not None
    relation, anchor, since = _relation(question, masked, found, asks_when)
    if since and since.period.start <= day:
        tomorrow = day + timedelta(days=1) if day < date.max else day
        reached = since._replace(period=since.period._replace(end=max(since.period.end, tomorrow)))
        relation, found = "during", [reached if item is since else item for item in found]
    ordered = regex(_ORDER).search(masked)
    order: Order | None = None
    if ordered:
        order = "latest" if ordered["latest"] else "earliest"
    spans = tuple(span_of(question, item) for item in found)
    return TimeIntent(spans, order, relation, anchor, asks_when)


def _masked(low: str, found: Sequence[Found]) -> str:
    """The text with its times blanked out, so that "last week" is not an order."""
    letters = list(low)
    for start, end, _ in found:
        letters[start:end] = _BLANK * (end - start)
    return "".join(letters)


def _relation(
    question: str, masked: str, found: Sequence[Found], asks_when: bool
) -> tuple[Relation | None, str | None, Found | None]:
    """The relation and the words of its anchor, and the time that "since" opens, if one does."""
    for match in regex(_RELATION).finditer(masked):
        side = _SIDES[match.lastgroup or "during"]
        if masked[: match.start()].split()[-1:] and masked[: match.start()].split()[-1] in _NO_RELATION[side]:
            continue
        if match[0] == "when" and asks_when:
            continue
        begin = match.end()
        time = next((item for item in found if regex(_OPENING).fullmatch(masked, begin, max(item.start, begin))), None)
        if time and not masked.startswith("'s", time.end):
            return side, None, time if match[0] == "since" else None
        length = masked.startswith(("how long", "how soon", "how many", "how much"))
        end = regex(_LENGTH_CLAUSE_END if length else _CLAUSE_END).search(masked, begin)
        words = question[begin : end.start() if end else len(question)].strip(" \t,.'\"")
        if words and not regex(_NO_ANCHOR).match(words.lower()):
            return side, words, None
    return ("during" if found else None), None, None
