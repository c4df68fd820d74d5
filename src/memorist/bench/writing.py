"""`memorist bench writing`: what a model writes into memory, on a small conversation of ours with known facts.

It asks whether replies can be used at all, how many of the known facts are written, whether a changed one is closed,
and how much of what is written says nothing that was said.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from memorist.bench.told import Outputs, tell
from memorist.cube import Cube
from memorist.lifecycle.writing import Options
from memorist.memory import Memory, ScopedMemory
from memorist.models.chat import ChatModel

SECONDS = 600.0
"""For one call: small models on a busy machine are slow."""

SESSIONS = (
    (
        "2025-03-03",
        (
            ("Ana", "Hi! I finally moved to Lisbon last week. The flat is tiny but it has a balcony."),
            ("Bo", "Congratulations! Do you still work for Globex?"),
            ("Ana", "Yes, still at Globex, as a data engineer. And I adopted a cat, her name is Miso."),
            ("Bo", "Lovely. I am allergic to cats, so I will bring figs and stay on the balcony."),
            ("Ana", "Ha! Come on 14 March, it is my birthday."),
        ),
    ),
    (
        "2025-06-10",
        (
            ("Ana", "News: I left Globex. Since June I work for Initech."),
            ("Bo", "Wow. I got news too: my sister Clara had twins."),
            ("Ana", "Congratulations, uncle Bo! By the way, I am learning Portuguese on Tuesdays."),
            ("Bo", "I start a pottery course in September."),
        ),
    ),
)
KNOWN = (
    ("lisbon",),
    ("initech",),
    ("miso",),
    ("allergic", "cat"),
    ("birthday",),
    ("clara",),
    ("portuguese",),
    ("pottery",),
)
"""Words of a fact that was said: a written text that has all of them tells it."""

ENDED = "globex"
"""What no fact that holds may name as Ana's employer."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a recipe's writer made of the conversation. `told` of the KNOWN; `unsaid` are written texts without any."""

    recipe: str
    model: str
    calls: int
    failed: int
    seconds: float
    tokens: int
    written: int
    told: int
    known: int
    unsaid: int
    stale: int
    texts: tuple[str, ...]


def run(model: ChatModel, recipes: Sequence[str], out: Outputs, console: Console) -> list[Row]:
    """One row for each recipe, with what was written."""
    rows = []
    for recipe in recipes:
        row = measure(model, recipe)
        rows.append(row)
        console.print(
            f"{row.recipe}: {row.calls} calls, {row.failed} jobs failed, {row.seconds:.0f} s, {row.tokens} tokens;"
            f" {row.written} written, {row.told} of {row.known} facts told, {row.unsaid} tell none of them,"
            f" {row.stale} stale"
        )
        for text in row.texts:
            console.print(f"  - {text}", soft_wrap=True)
    tell(out, "writing", rows)
    return rows


def measure(model: ChatModel, recipe: str) -> Row:
    """Add the conversation, let the model write, and look at what came of it."""
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        Memory.open(Path(folder) / "writing.db", recipe=recipe) as memory,
    ):
        scope = memory.scope(user="ana")
        add(scope)
        begin = time.perf_counter()
        done = scope.organise(Options(seconds=SECONDS, parallel=1), model)
        took = time.perf_counter() - begin
        cubes = scope.list(origin=ORIGINS[recipe], limit=1_000)
    texts = [written_of(cube) for cube in cubes if cube.trust == "model"]
    return Row(
        recipe=recipe,
        model=model.name,
        calls=done.usage.calls,
        failed=done.failed,
        seconds=round(took, 1),
        tokens=done.usage.prompt_tokens + done.usage.reply_tokens,
        written=len(texts),
        told=sum(any(tells(text, words) for text in texts) for words in KNOWN),
        known=len(KNOWN),
        unsaid=sum(not any(tells(text, words) for words in KNOWN) for text in texts),
        stale=sum(ENDED in text.lower() and "left" not in text.lower() for text in texts),
        texts=tuple(texts),
    )


ORIGINS = {"facts": "facts", "a-mem": "notes", "mem-alpha": "mem-alpha"}


def add(scope: ScopedMemory) -> None:
    """The conversation, with its days."""
    for day, turns in SESSIONS:
        scope.add(
            [
                {"role": "user", "name": speaker, "content": text, "timestamp": f"{day}T09:{minute:02}:00"}
                for minute, (speaker, text) in enumerate(turns)
            ]
        )


def written_of(cube: Cube) -> str:
    """What the model wrote of a cube; a note's content is what was said."""
    if cube.origin == "notes":
        return f"{cube.meta['context']} | {', '.join(cube.meta['keywords'])} | {', '.join(cube.meta['tags'])}"
    return cube.text


def tells(text: str, words: Sequence[str]) -> bool:
    """Whether a text has all the words."""
    low = text.lower()
    return all(word in low for word in words)
