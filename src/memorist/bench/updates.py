"""`memorist bench updates`: what is true changes; is the present value found, the stale one not, and the old one as of
its date?

200 people, each with one attribute that changes three times, said in ever other words. `plain` wordings are those that
the rule can read; `free` ones it cannot, so they need a model. The model here is a script that reads every wording
rightly: it shows what the system makes of right replies, not what a model replies.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.memory import Memory
from memorist.models.chat import Request
from memorist.models.embedder import Embedder
from memorist.testing import ScriptedModel

PEOPLE, VALUES = 200, 4
TOP = 3
START, STEP = datetime(2021, 1, 1, tzinfo=timezone.utc), timedelta(days=200)
HEARD = datetime(2025, 1, 1, tzinfo=timezone.utc)

GIVEN = (
    "Mara Tobin Ilse Ravi Noor Petra Hugo Wanda Emeka Sofia Lars Yuki Dario Anouk Felix Greta Omar Linnea Bruno Tessa"
)
FAMILY = "Quill Hartog Vance Moreau Okafor Lindqvist Sato Brandt Castell Ferro"

PLAIN = {
    "home": ("{s} lives in {v}.", "{s} moved to {v}.", "{s} is now based in {v}.", "{s} has settled in {v}."),
    "employer": ("{s} works at {v}.", "{s} got a job at {v}.", "{s} now works for {v}.", "{s} is employed by {v}."),
    "colour": (
        "{s}'s favourite colour is {v}.",
        "{s}'s favourite colour is now {v}.",
        "{s}'s new favourite colour is {v}.",
        "{s}'s current favourite colour is {v}.",
    ),
    "doctor": (
        "{s}'s doctor is {v}.",
        "{s}'s new doctor is {v}.",
        "{s}'s doctor is now {v}.",
        "{s}'s doctor is called {v}.",
    ),
}
FREE = {
    "home": ("{v} is home for {s} now.", "The boxes are unpacked: {s} has a flat in {v}.",
             "You will find {s} in {v} these days.", "{s} traded the old place for a house in {v}."),
    "employer": ("{v} hired {s}.", "{s} signed a contract with {v}.", "{s} draws a salary from {v}.",
                 "At {v} they are glad to have {s} on the team."),
    "colour": ("No colour pleases {s} like {v}.", "{s} is all about {v} now, as colours go.",
               "Of all colours, {s} likes {v} best.", "{s} paints everything {v}, the colour above all others."),
    "doctor": ("{s} goes to {v} for check-ups.", "{v} looks after {s} when ill.", "{s} switched to {v}, a doctor.",
               "The doctor whom {s} sees is {v}."),
}  # fmt: skip
WORDINGS = {"plain": PLAIN, "free": FREE}
RELATIONS = {
    "home": ("lives in", "has a home in", "resides in", "house is in"),
    "employer": ("works at", "is employed by", "has a contract with", "employer"),
    "colour": ("favourite colour", "likes best", "best liked colour", "preferred colour"),
    "doctor": ("doctor", "sees for check-ups", "physician", "is a patient of"),
}
ASKED = {
    "home": "Where does {s} live?",
    "employer": "Which company does {s} work for?",
    "colour": "What is {s}'s favourite colour?",
    "doctor": "Who is {s}'s doctor?",
}
POOLS = {
    "home": "Oslo Porto Kyoto Bergen Turin Quito Hanoi Leeds Ghent Malmo Tunis Perth Lima Cork Graz Nice",
    "employer": "Globex Initech Hooli Umbrella Vandelay Stark Wonka Acme Soylent Tyrell Cyberdyne Oscorp Massive"
    " Aperture Zorin Dunder",
    "colour": "green blue red yellow purple orange teal maroon silver violet crimson beige indigo turquoise scarlet"
    " olive",
    "doctor": "Hill Adeyemi Novak Laurent Bianchi Kowalski Tanaka Silva Haddad Jensen Murphy Rossi Weber Costa Dubois"
    " Petrov",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, and what it means."""

    text: str
    subject: str
    attribute: str
    value: str
    place: int

    @property
    def at(self) -> datetime:
        """Since when it is so."""
        return START + self.place * STEP


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of the people: `stale` with an old value among the first TOP, `present` with the present one first,
    `as_of` with the old value among the first TOP when asked as of its date, and `as_of_first` with it first."""

    wording: str
    handling: str
    people: int
    stale: float
    present: float
    as_of: float
    as_of_first: float
    calls: int


def sayings(wording: str, people: int = PEOPLE) -> list[list[Said]]:
    """What is said of each person, in the order of time."""
    names = [f"{given} {family}" for family, given in product(FAMILY.split(), GIVEN.split())][:people]
    made = []
    for number, name in enumerate(names):
        attribute = list(PLAIN)[number % len(PLAIN)]
        pool = POOLS[attribute].split()
        values = [pool[(number // len(PLAIN) + 5 * place) % len(pool)] for place in range(VALUES)]
        if attribute == "doctor":
            values = [f"Dr {value}" for value in values]
        forms = WORDINGS[wording][attribute]
        made.append(
            [
                Said(forms[(number + place) % len(forms)].format(s=name, v=value), name, attribute, value, place)
                for place, value in enumerate(values)
            ]
        )
    return made


def scripted(said: Sequence[Said]) -> ScriptedModel:
    """A model that reads these sentences rightly, in relations that are never worded alike, and judges rightly."""
    meant = {one.text: one for one in said}

    def reply(request: Request) -> str:
        shown = request.messages[-1].content
        if request.prompt.startswith("facts-judge"):
            return json.dumps({"verdicts": list(verdicts(shown, meant))})
        return json.dumps({"facts": list(facts(shown, meant))})

    return ScriptedModel(reply)


def facts(shown: str, meant: dict[str, Said]) -> Iterator[dict[str, object]]:
    """What the sentences of a prompt say."""
    for handle, text in re.findall(r'^(t\d+) \[[^]]*\] [^:]*: (".*")$', shown, re.MULTILINE):
        one = meant[json.loads(text)]
        yield {
            "text": one.text,
            "subject": one.subject,
            "relation": RELATIONS[one.attribute][one.place],
            "value": one.value,
            "single": True,
            "ends": False,
            "since": f"{one.at:%Y-%m-%d}",
            "until": "",
            "messages": [handle],
        }


def verdicts(shown: str, meant: dict[str, Said]) -> Iterator[dict[str, str]]:
    """What the facts of a prompt have to do with each other."""
    lines = re.findall(r"^([fs]\d+) \[[^]]*\] (.*)$", shown, re.MULTILINE)
    known, fresh = ({handle: meaning(text, meant) for handle, text in lines if handle[0] == kind} for kind in "fs")
    for (old, before), (new, now) in product(known.items(), fresh.items()):
        if (before.subject, before.attribute) == (now.subject, now.attribute):
            verdict = "same" if before.value == now.value else "replaces"
            yield {"reason": "the same attribute", "new": new, "known": old, "verdict": verdict}


def meaning(text: str, meant: dict[str, Said]) -> Said:
    """The sentence that a fact was made of; the rule words it in its own way."""
    return meant[text] if text in meant else next(one for one in meant.values() if tells(text, one))


def measure(wording: str, handling: str, embedder: Embedder | None, people: int = PEOPLE) -> Row:
    """One row: `handling` is none (the default recipe), rule, or scripted model."""
    said = sayings(wording, people)
    everything = sorted((one for own in said for one in own), key=lambda one: one.place)
    recipe = "default" if handling == "none" else "facts"
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
        path = Path(folder) / "updates.db"
        with Memory.open(path, embedder=embedder, recipe=recipe, clock=lambda: HEARD) as memory:
            scope = memory.scope(user="ana")
            scope.add([Observation(one.text, speaker="Sam", at=one.at) for one in everything])
            calls = 0
            if handling == "scripted model":
                run = scope.organise(model=scripted(everything))
                assert not run.problems, run.problems
                calls = run.usage.calls
            found = [asked(scope.search, own) for own in said]
    stale, present, as_of, first = (sum(column) / len(said) for column in zip(*found))
    return Row(wording, handling, len(said), stale, present, as_of, first, calls)


def asked(search: object, own: Sequence[Said]) -> tuple[bool, bool, bool, bool]:
    """Whether a stale value is among the first, the present one is first, and an old one is found as of its date."""
    assert callable(search)
    question = ASKED[own[0].attribute].format(s=own[0].subject)
    now = [hit.text for hit in search(question, k=TOP)]
    then = [hit.text for hit in search(question, k=TOP, as_of=own[1].at + STEP / 2)]
    return (
        any(tells(text, old) for text in now for old in own[:-1]),
        bool(now) and tells(now[0], own[-1]),
        any(tells(text, own[1]) for text in then),
        bool(then) and tells(then[0], own[1]),
    )


def tells(text: str, said: Said) -> bool:
    """Whether a text speaks of this person and this value."""
    return said.subject in text and re.search(rf"\b{re.escape(said.value)}\b", text) is not None


def run(out: Outputs, console: Console, embedder: Embedder | None = None, people: int = PEOPLE) -> list[Row]:
    """Measure, print a table, and tell `out`."""
    cases = [(wording, handling) for wording in WORDINGS for handling in ("none", "rule", "scripted model")]
    rows = [measure(wording, handling, embedder, people) for wording, handling in cases]
    table = Table(box=None, pad_edge=False, title=f"{people} people, {VALUES - 1} changes each")
    for heading in (
        "wording",
        "conflicts",
        "stale in top 3",
        "present first",
        "as of in top 3",
        "as of first",
        "calls",
    ):
        table.add_column(heading, justify="left" if heading in ("wording", "conflicts") else "right")
    for row in rows:
        shares = (f"{share:.1%}" for share in (row.stale, row.present, row.as_of, row.as_of_first))
        table.add_row(row.wording, row.handling, *shares, str(row.calls))
    console.print(table)
    tell(out, "updates", rows)
    return rows
