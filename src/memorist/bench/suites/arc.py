"""ARC-AGI: are puzzles solved more often when a memory returns the solutions of earlier ones that look alike?

Half of the puzzles came earlier. Those of them (EARLIER at most) that plain search solved are remembered, by what can
be seen of them, with their programs; the others are asked. The reader tries the programs that were returned, and plain
search with what is left of the same budget. `(plain search)` is the reference: all of the budget, no memory. Only pairs
that a puzzle shows decide what is remembered and found; the outputs asked for are for the score.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

from memorist.bench.arc.puzzles import Puzzle, cues_of, read_puzzles
from memorist.bench.arc.reader import BUDGET, answer, solved
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Reference, Source, Suite, Task, drawn
from memorist.organise.concepts import rendered
from memorist.recall.pool import Limits

CORPUS = "solved puzzles"
EARLIER = 100
RETURNED = 10


def load(source: Source) -> Dataset:
    """Earlier puzzles with their solutions, and later ones."""
    puzzles = [puzzle for path in source.files for puzzle in read_puzzles(path)]
    random.Random(source.seed).shuffle(puzzles)
    half = len(puzzles) // 2
    earlier = puzzles[:half][:EARLIER]
    items = tuple(item for puzzle in earlier if (item := remembered(puzzle)) is not None)
    tasks = tuple(task_of(puzzle) for puzzle in drawn(puzzles[half:], source))
    notes = (f"{len(items)} of {len(earlier)} earlier puzzles solved", f"{BUDGET:,} expansions each")
    return Dataset({CORPUS: Corpus(CORPUS, items)}, tasks, notes)


def remembered(puzzle: Puzzle) -> Item | None:
    """A solved puzzle; None when plain search does not solve it."""
    program = solved(puzzle, [])
    if program is None:
        return None
    text = f"Solved {puzzle.id}: {rendered(program)}. Seen: {seen(puzzle)}."
    return Item(puzzle.id, text, role="tool", label=json.dumps(program))


def seen(puzzle: Puzzle) -> str:
    """What can be seen of a puzzle's shown pairs."""
    return ", ".join(cues_of(puzzle)) or "nothing"


def task_of(puzzle: Puzzle) -> Task:
    """A puzzle to solve: memory is searched with what is seen, and the reader has the pairs."""
    shown = [{"input": given.tolist(), "output": wanted.tolist()} for given, wanted in puzzle.shown]
    asked = [given.tolist() for given, _ in puzzle.asked]
    return Task(
        puzzle.id,
        CORPUS,
        f"A puzzle of which is seen: {seen(puzzle)}. Which operations solved puzzles like it?",
        (json.dumps([wanted.tolist() for _, wanted in puzzle.asked]),),
        kind="puzzle",
        prompt=json.dumps({"train": shown, "test": asked}),
        meta={"puzzle": puzzle},
    )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Whether every asked output is right, cell by cell."""
    if outcome.answer is None:
        return {}
    return {"solved": float(outcome.answer in task.answers), "attempted": float(outcome.known)}


def plain(dataset: Dataset) -> Mapping[str, Reference]:
    """The same search with nothing remembered."""

    def outcome(task: Task) -> Outcome:
        found = answer(task.meta["puzzle"], [])
        return Outcome((), frozenset(), found or "", found is not None)

    return {"(plain search)": outcome}


ARC = Suite(
    name="arc",
    about="ARC-AGI, with earlier solutions",
    file="arc_agi/training.json",
    load=load,
    score=score,
    limits=(Limits(RETURNED, None),),
    headline="solved",
    references=plain,
)
