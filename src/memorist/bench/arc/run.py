"""`memorist bench concepts`: do concepts from earlier puzzles raise how many are solved under the same search budget?

Puzzles come as a stream, in an order drawn by a seed. A puzzle counts when a program that was verified on its shown
pairs alone also gives the outputs that were not shown; what is remembered depends on the shown pairs alone.

    none        plain search
    instances   the solutions of the puzzles that look most alike are tried again as they were, then plain search
    concepts    half of the budget searches over routines that Memorist selects by what the puzzle looks like, their
                holes filled with its colours; the other half is plain search, which memory can never starve
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memorist.bench.arc.language import Program
from memorist.bench.arc.puzzles import Puzzle, cues_of, own_puzzles, read_puzzles
from memorist.bench.arc.search import Search, instances, plain_moves, score
from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.memory import Memory
from memorist.organise.concepts import rendered
from memorist.scoped import ScopedMemory
from memorist.testing import HashEmbedder

CONDITIONS = ("none", "instances", "concepts")

SELECTED = 12
"""Concepts, or earlier solutions, that a puzzle is tried with."""

FILLED = 24
"""Ways to fill a concept's holes at most."""

START = datetime(2025, 1, 1, tzinfo=timezone.utc)

OWN = (16, 12)
"""Puzzles of our own of one routine, and of two."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one condition solved of a stream in one order: `shown` passed their shown pairs, `solved` the asked ones,
    `late` are those of the second half of the stream. `expansions` is the mean that a puzzle took."""

    condition: str
    seed: int
    budget: int
    puzzles: int
    shown: int
    solved: int
    late: int
    expansions: float
    ids: tuple[str, ...]


def run(
    data: Path | None, budget: int, seeds: Sequence[int], limit: int | None, out: Outputs, console: Console
) -> list[Row]:
    """Every condition in every order; without data on puzzles of our own, other ones for each seed."""
    rows: list[Row] = []
    for seed in seeds:
        puzzles = own_puzzles(seed, *OWN) if data is None else read_puzzles(data)
        if data is not None:
            random.Random(seed).shuffle(puzzles)
        puzzles = puzzles[:limit]
        rows += [streamed(condition, seed, budget, puzzles, console) for condition in CONDITIONS]
    show(rows, console)
    tell(out, "concepts", rows, data=[data] if data else ())
    return rows


def streamed(condition: str, seed: int, budget: int, puzzles: Sequence[Puzzle], console: Console) -> Row:
    """One stream through one condition, with a memory that begins empty."""
    solved: list[int] = []
    shown, spent = 0, 0
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        Memory.open(Path(folder) / "arc.db", embedder=HashEmbedder(), recipe="arcmemo") as memory,
    ):
        scoped = memory.scope(user="solver")
        for place, puzzle in enumerate(track(puzzles, f"{condition}, order {seed}", console=console, transient=True)):
            search = Search(puzzle, budget)
            program = solve(condition, search, scoped)
            spent += search.spent
            if program is None:
                continue
            shown += 1
            if score(program, puzzle):
                solved.append(place)
            if condition != "none":
                scoped.add(traced(puzzle, program, place))
    late = sum(place >= len(puzzles) / 2 for place in solved)
    ids = tuple(puzzles[place].id for place in solved)
    return Row(condition, seed, budget, len(puzzles), shown, len(solved), late, spent / max(len(puzzles), 1), ids)


def solve(condition: str, search: Search, scoped: ScopedMemory) -> Program | None:
    """A program that passes the shown pairs, within the budget."""
    cues = cues_of(search.puzzle)
    found = None
    if condition == "instances":
        found = search.tried([one.program for one in scoped.learned().nearest(cues, SELECTED)])
    elif condition == "concepts":
        patterns = [one.pattern for one in scoped.concepts(cues, k=SELECTED)]
        moves = [made for pattern in patterns for made in instances(pattern, search.puzzle, FILLED)]
        found = search.over(moves, search.budget // 2) if moves else None
    return found or search.over(plain_moves(search.puzzle), search.budget)


def traced(puzzle: Puzzle, program: Program, place: int) -> Observation:
    """A solved puzzle as an episode; nothing of its asked pairs is in it."""
    cues = cues_of(puzzle)
    meta = {"problem": puzzle.id, "program": json.dumps(program), "cues": "|".join(cues)}
    text = f"Solved {puzzle.id}: {rendered(program)}. Seen: {', '.join(cues)}."
    return Observation(text, role="tool", at=START + timedelta(minutes=place), key=puzzle.id, meta=meta)


def show(rows: Sequence[Row], console: Console) -> None:
    """Means over the orders, and the paired gains over plain search."""
    table = Table(title=f"Puzzles solved, {rows[0].puzzles} in a stream, {rows[0].budget:,} expansions each")
    for name in ("condition", "solved", "in the second half", "over none", "each order", "expansions"):
        table.add_column(name, justify="left" if name == "condition" else "right")
    base = {row.seed: row.solved for row in rows if row.condition == "none"}
    for condition in CONDITIONS:
        own = [row for row in rows if row.condition == condition]
        table.add_row(
            condition,
            f"{np.mean([row.solved for row in own]):.1f}",
            f"{np.mean([row.late for row in own]):.1f}",
            f"{np.mean([row.solved - base[row.seed] for row in own]):+.1f}",
            " ".join(str(row.solved) for row in own),
            f"{np.mean([row.expansions for row in own]):,.0f}",
        )
    console.print(table)
