"""Concepts: abstraction from solved problems, revision, selection, and a solver that no test output reaches."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from memorist import Memory, Observation
from memorist.bench.arc.puzzles import own_puzzles
from memorist.bench.arc.run import CONDITIONS, run, streamed, traced
from memorist.bench.arc.search import Search, plain_moves, score
from memorist.bench.told import Outputs
from memorist.errors import InputError
from memorist.organise.concepts import anti_unified
from memorist.testing import HashEmbedder


def solved(problem, program, cues="same size"):
    return Observation(
        f"solved {problem}", key=problem, meta={"problem": problem, "program": json.dumps(program), "cues": cues}
    )


ONE = [["turn"], ["recolour", 1, 3]]
TWO = [["turn"], ["recolour", 2, 5]]
LONG = [["crop"], ["turn"], ["recolour", 4, 4]]


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe="arcmemo") as opened:
        yield opened


def patterns(scoped):
    return {one.pattern: one.used for one in scoped.learned().concepts.values()}


def test_what_differs_in_the_same_way_is_the_same_hole():
    assert anti_unified([(("a", 1, 2), ("b", 1)), (("a", 3, 4), ("b", 3))]) == (("a", "?1", "?2"), ("b", "?1"))


def test_concepts_are_revised_with_history_and_lineage(memory):
    solver = memory.scope(user="s")
    (first,) = solver.add([solved("p1", ONE)]).ids
    both = (("turn",), ("recolour", "?1", "?2"))
    assert patterns(solver)[both] == 1
    assert (("crop",), ("turn",)) not in patterns(solver)
    solver.add([solved("p2", LONG)])
    assert patterns(solver)[both] == 2
    assert (("crop",), ("turn",)) not in patterns(solver)
    (concept,) = (one for one in solver.learned().concepts.values() if one.pattern == both)
    assert len(solver.history(concept.id)) > 1
    solver.erase(first)
    assert patterns(solver)[(("turn",),)] == 1
    assert both not in patterns(solver)
    assert patterns(memory.scope(user="other")) == {} and memory.verify().ok


def test_the_same_problem_twice_counts_once(memory):
    solver = memory.scope(user="s")
    solver.add([solved("p1", ONE), replace(solved("p1", TWO), key="again")])
    assert set(patterns(solver).values()) == {1}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_gives_the_same_concepts(tmp_path, seed):
    records = [solved(f"p{n}", program) for n, program in enumerate((ONE, TWO, LONG, [["crop"]], [["crop"], ["turn"]]))]
    mixed = random.Random(seed).sample(records, len(records))
    made = []
    for name, batches in (("a", [records]), ("b", [mixed[:1], mixed[1:4], mixed[4:]])):
        with Memory.open(tmp_path / f"{name}.db", embedder=HashEmbedder(), recipe="arcmemo") as memory:
            for batch in batches:
                memory.scope(user="s").add(batch)
            made.append(patterns(memory.scope(user="s")))
    assert made[0] == made[1]


def test_selection_goes_by_cues(memory):
    solver = memory.scope(user="s")
    solver.add([solved("p1", [["crop"]], "smaller"), solved("p2", [["double"]], "larger")])
    assert solver.concepts(["larger"], k=1)[0].pattern == (("double",),)
    assert solver.concepts(["smaller"], k=1)[0].pattern == (("crop",),)
    with pytest.raises(InputError, match="cues"):
        solver.concepts("larger")


@pytest.mark.parametrize("program", ["no", "[]", '[["a", "?1"]]', "[1]", '[["a", [1]]]', "[" * 5000, '[[1, "a"]]'])
def test_what_is_no_program_is_no_trace(memory, program):
    solver = memory.scope(user="s")
    receipt = solver.add([Observation("odd", meta={"problem": "p", "program": program})])
    assert receipt.problem is None and patterns(solver) == {}


def test_no_asked_output_reaches_the_solver_or_the_memory():
    puzzles = own_puzzles(1, 4, 0)
    blind = [replace(one, asked=[(given, np.zeros((1, 1), np.int8)) for given, _ in one.asked]) for one in puzzles]
    quiet = Console(quiet=True)
    for condition in CONDITIONS:
        open_eyed, shut = streamed(condition, 1, 800, puzzles, quiet), streamed(condition, 1, 800, blind, quiet)
        assert (open_eyed.shown, open_eyed.expansions) == (shut.shown, shut.expansions)
        assert shut.solved == 0
    assert traced(puzzles[0], (("turn",),), 0) == traced(blind[0], (("turn",),), 0)


def test_the_budget_holds():
    (puzzle, *_) = own_puzzles(2, 1, 0)
    search = Search(puzzle, 50)
    assert search.over(plain_moves(puzzle), 50) is None
    assert search.spent <= 50
    assert not score((("turn",), ("turn_back",)), puzzle)


def test_the_bench_writes_its_numbers(tmp_path):
    rows = run(None, 300, [1], 4, Outputs(tmp_path / "arc.json"), Console(quiet=True))
    assert [row.condition for row in rows] == list(CONDITIONS)
    assert len(json.loads((tmp_path / "arc.json").read_text())["rows"]) == 3


def test_wordings_are_merged_by_a_threshold_rightly_and_wrongly():
    import numpy as np

    from memorist.bench.arc.wordings import WORDINGS, measured

    cosine = np.array([[1, 0.92, 0.1, 0.82], [0.92, 1, 0.1, 0.1], [0.1, 0.1, 1, 0.6], [0.82, 0.1, 0.6, 1]])
    found = measured(["a", "a", "b", "b"], cosine, "none")
    levels = {one.threshold: (one.same, one.different, one.right) for one in found.levels}
    assert (levels[0.5], levels[0.8], levels[0.9]) == ((2, 1, 0), (1, 1, 0), (1, 0, 1))
    assert found.nearest[0] == ("b", "a", 0.82)
    assert found.own_first == 3
    assert len({text for both in WORDINGS.values() for text in both}) == 2 * len(WORDINGS)
