"""The English words of time, the regular expressions made from them, and the sentence they stand in.

All patterns are matched against lower-cased text, which lets `re` skip quickly; `Scene.written` gives the case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple

from memorist.times.patterns import regex
from memorist.times.periods import HOLIDAYS, SEASONS, Period, third_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAY_NUMBERS = {name: number for number, name in enumerate(WEEKDAYS)}
WEEKDAY_NUMBERS |= {name[:3]: number for name, number in WEEKDAY_NUMBERS.items()} | {"tues": 1, "thur": 3, "thurs": 3}
MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MONTHS = {name: number for number, name in enumerate(MONTH_NAMES, 1)}
MONTHS |= {name[:3]: number for name, number in MONTHS.items()} | {"sept": 9}
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth", "twenty-fifth", "twenty-sixth",
    "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip
NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
COUNTS = {name: (number, number) for number, name in enumerate(NUMBERS, 1)}
COUNTS |= {"thirty": (30, 30), "forty": (40, 40), "fifty": (50, 50), "a": (1, 1), "an": (1, 1), "dozen": (12, 12)}
COUNTS |= {"couple": (2, 2), "few": (2, 4), "several": (3, 7)}
"""Counts as (least, most): vague ones widen the interval instead of pretending to a day."""

START = r"(?<![\w/@#=$])(?<!\w[-.])(?<!\d,)"
END = r"(?![\w@/%])(?!-\w)(?![.:]\d)"


def any_of(words: Iterable[str]) -> str:
    """A pattern for one of the words, the longest first."""
    return "|".join(sorted(words, key=len, reverse=True))


WEEKDAY = any_of(WEEKDAYS)
ANY_WEEKDAY = any_of(WEEKDAY_NUMBERS)
MONTH = rf"(?P<month>{any_of(MONTHS)})(?![a-z])(?:(?<!\w{{4}})\.|(?<=sept)\.)?"
SEASON = any_of(SEASONS)
NUMBER = any_of({*COUNTS} - {"a", "an", "couple", "few", "several", "dozen"})
COUNT = rf"(?:\d{{1,7}}|(?:a\s+)?couple(?:\s+of)?|(?:a\s+)?few|several|a\s+dozen|{NUMBER}|an?)"
DAYPART = r"(?:\s+(?:morning|afternoon|evening|night))?"
WHICH = r"(?P<which>this\s+(?:past|last|coming|next)|this|last|next|past|coming|upcoming)"
ORDINAL = any_of(ORDINALS)
YEAR = r"(?P<year>[12]\d{3})(?!\d)"
OF_YEAR = rf"(?:\s*,?\s*(?:of\s+|in\s+)?(?:{YEAR}|'(?P<short>\d\d)|(?P<relative>last|this|next)\s+year))"
PART = (
    r"(?:(?P<part>early|mid|late)(?:-|\s+(?:in\s+)?(?:the\s+)?)"
    r"|(?:the\s+)?(?:very\s+)?(?P<edge>beginning|start|middle|end)\s+of\s+(?:the\s+)?)"
)
HOLIDAY = (
    r"(?P<holiday>christmas\s+eve|christmas(?:\s+day)?|xmas|boxing\s+day|new\s+year'?s(?:\s+eve|\s+day)?"
    r"|(?:st\.?|saint)\s+patrick'?s(?:\s+day)?|valentine'?s(?:\s+day)?|good\s+friday|easter\s+monday"
    r"|easter(?:\s+sunday)?|mother'?s\s+day|father'?s\s+day|memorial\s+day|labou?r\s+day|juneteenth"
    r"|independence\s+day|halloween|veteran'?s'?\s+day|thanksgiving(?:\s+day)?|black\s+friday)"
)

_FIRM_FUTURE = (
    r"\b(?:will|won't|shall|gonna|(?<!was )(?<!were )going to|about to|let's|plan(?:s|ning)? (?:to|on|for)|see you"
    r"|hop(?:e|es|ing) to|wants? to|needs? to|ha(?:ve|s) to|looking forward|can't wait|next|coming|upcoming|due"
    r"|deadline|scheduled)\b|'ll\b"
)
_LOOSE_FUTURE = (
    r"\b(?:(?:am|is|are)|(?:i'm|we're|they're|you're|he's|she's|it's))\s+(?:\w+\s+)?(?!dur)\w+ing\b"
    r"|\b(?:can|should|must|might|free|available)\b"
)
_TERM = r"\b(?:by|until|till)\s+$"
_PAST = (
    r"\b(?:was|were|did|didn't|had|went|got|came|saw|took|made|met|bought|began|found|left|lost|won|told|said|gave"
    r"|felt|ran|held|ate|drove|flew|spent|thought|taught|wrote|read|became|broke|sang|swam|kept|put|set"
    r"|\w{2,}(?<!ne)(?<!exc)ed)\b"
)


class Scene(NamedTuple):
    """A text and the day it was said; `lowered` has the same length, so that positions hold in both.

    In a question a bare month is always taken from the past.
    """

    text: str
    lowered: str
    day: date
    question: bool

    def written(self, match: re.Match[str], group: str) -> str:
        """The group as the writer wrote it."""
        return self.text[match.start(group) : match.end(group)]

    def before(self, match: re.Match[str]) -> str:
        """What stands before the match in its sentence, at most 120 characters, in lower case."""
        head = self.lowered[max(match.start() - 120, 0) : match.start()]
        return re.split(r"[.!?;\n]", head)[-1]

    def after(self, match: re.Match[str]) -> str:
        """What stands after the match in its sentence, at most 120 characters, in lower case."""
        return re.split(r"[.!?;\n]", self.lowered[match.end() : match.end() + 120], maxsplit=1)[0]

    def opens(self, match: re.Match[str]) -> bool:
        """True when nothing but a preposition stands before the match in its sentence."""
        return len(self.before(match).split()) <= 2

    def ahead(self, match: re.Match[str]) -> bool:
        """True when the time is to come: the words around say so, or it is a term (by Friday) and nothing is past."""
        before = self.before(match)
        return self.foretold(match) or (regex(_TERM).search(before) is not None and not regex(_PAST).search(before))

    def foretold(self, match: re.Match[str]) -> bool:
        """True when a verb or another word of the future stands around.

        A firm marker before the match decides; a loose one (a progressive, "can") only when no past verb follows it.
        """
        before = self.before(match)
        if regex(_FIRM_FUTURE).search(before):
            return True
        loose = [found.end() for found in regex(_LOOSE_FUTURE).finditer(before)]
        if loose:
            return regex(_PAST).search(before, loose[-1]) is None
        if not self.opens(match):
            return False
        after = self.after(match)
        future = regex(_FIRM_FUTURE).search(after) or regex(_LOOSE_FUTURE).search(after)
        return future is not None and regex(_PAST).search(after, 0, future.start()) is None

    def behind(self, match: re.Match[str]) -> bool:
        """True when a past verb stands in the sentence and nothing says that the time is to come."""
        if self.ahead(match):
            return False
        around = self.before(match) + (self.after(match) if self.opens(match) else "")
        return regex(_PAST).search(around) is not None


class Rule(NamedTuple):
    """A shape of expression: tried only on texts with a word of its kind, and resolved to a period.

    `resolve` gives None for what only looks like a time; those words are then closed to other rules. It may raise
    ValueError or OverflowError for what no calendar holds.
    """

    kind: str
    pattern: str
    resolve: Callable[[Scene, re.Match[str]], Period | None]


def count_of(words: str) -> tuple[int, int]:
    """The least and the most that a matched COUNT can mean."""
    last = words.split()[-2 if words.endswith(" of") else -1]
    return COUNTS[last] if last in COUNTS else (int(last), int(last))


def holiday_of(words: str) -> Callable[[int], date]:
    """The feast that a matched HOLIDAY names, as a function of the year."""
    name = " ".join(words.replace("'", "").replace(".", "").replace("labour", "labor").split())
    if name.startswith("st "):
        name = "saint" + name[2:]
    return HOLIDAYS[name if name in HOLIDAYS else name.removesuffix(" day").removesuffix(" sunday")]


def part_of(period: Period | None, match: re.Match[str]) -> Period | None:
    """The third of the period that a matched PART names; all of it when the pattern had none."""
    found = match.groupdict()
    edges = {None: None, "beginning": "early", "start": "early", "middle": "mid", "end": "late"}
    part = found.get("part") or edges[found.get("edge")]
    return third_of(period, part) if period and part else period


def measures_another(scene: Scene, match: re.Match[str]) -> bool:
    """True before "of": the last week of camp and the last Friday of the term are not counted from today."""
    return scene.lowered.startswith(" of ", match.end())


PEOPLE_OR_VERBS = {"march", "april", "may", "june", "august"}
"""Months that are words or names too; they need their capital, or a day or year beside them."""


def is_capital(scene: Scene, match: re.Match[str]) -> bool:
    """True when the matched month may be taken for one without further evidence in its spelling."""
    return match["month"] not in PEOPLE_OR_VERBS | {"mar"} or scene.written(match, "month")[0].isupper()
