"""How often organisers ask a model: no more than their papers say, side by side up to a limit, and never twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memorist import Memory
from memorist.cube import Observation, parse_moment
from memorist.lifecycle.writing import Options
from memorist.organise.agent_writer import AgentWriter
from memorist.organise.quoting import pieces
from memorist.testing import HashEmbedder, ScriptedModel
from replying import reply

RECIPES = ("facts", "a-mem", "mem-alpha", "arcmemo")
ORIGINS = {
    "facts": ("facts",),
    "a-mem": ("notes",),
    "mem-alpha": ("mem-alpha",),
    "arcmemo": ("lessons", "typed-concepts"),
}


@pytest.fixture
def opened(tmp_path):
    memories = []

    def make(recipe, model, name="a"):
        memories.append(Memory.open(tmp_path / f"{name}.db", embedder=HashEmbedder(), recipe=recipe, model=model))
        return memories[-1]

    yield make
    for memory in memories:
        assert memory.verify().ok
        memory.close()


def episodes(number, start=0):
    """Messages of two conversations that take turns; every one is a solved problem, too."""
    for place in range(start, start + number):
        meta = {"problem": f"p{place}", "solved": place % 4 != 3}
        at = f"2025-01-01T{place // 60:02}:{place % 60:02}:00"
        yield Observation(f"word{place} again", at=parse_moment(at, "at"), session=f"s{place // 3 % 2}", meta=meta)


def most(recipe, memory):
    """The calls that the specification allows: two for a piece that facts read, one for a note, one for a piece that
    mem-alpha reads (a job of so many messages ends one), two for a solved problem."""
    store, scope = memory._store, memory.scope(user="ana").scope
    turns = store.turns(scope, range(1, 1_000))
    batch = AgentWriter.batch if recipe == "mem-alpha" else len(turns)
    sessions = {}
    for place, turn in enumerate(turns):
        sessions.setdefault((place // batch, turn.session), []).append(turn)
    cut = sum(len(list(pieces(one))) for one in sessions.values())
    solved = sum(turn.meta["solved"] for turn in turns)
    return {"facts": 2 * cut, "a-mem": len(turns), "mem-alpha": cut, "arcmemo": 2 * solved}[recipe]


def written(scope, recipe):
    cubes = [cube for origin in ORIGINS[recipe] for cube in scope.list(origin=origin, limit=999)]
    return sorted((cube.text, cube.episodes) for cube in cubes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_more_calls_than_the_specification_gives_and_none_without_news(opened, recipe):
    model = ScriptedModel(reply)
    memory = opened(recipe, model)
    ana = memory.scope(user="ana")
    ana.add(list(episodes(60)))
    assert ana.organise().failed == 0
    limit = most(recipe, memory)
    assert 0 < len(model.requests) <= limit
    assert limit <= 120
    assert recipe not in ("facts", "mem-alpha") or limit < 60
    asked = len(model.requests)
    ana.organise()
    assert len(model.requests) == asked


@pytest.mark.parametrize("recipe", ["facts", "arcmemo"])
def test_what_does_not_depend_on_each_other_runs_side_by_side_up_to_the_limit(opened, recipe):
    running, peak, lock = 0, 0, threading.Lock()

    def slowly(request):
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return reply(request)

    ana = opened(recipe, ScriptedModel(slowly)).scope(user="ana")
    ana.add(list(episodes(24)))
    ana.organise(Options(parallel=3))
    assert peak == 3


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_memory_that_grew_message_by_message_is_rebuilt_without_a_call(opened, tmp_path, recipe):
    model = ScriptedModel(reply)
    live = opened(recipe, model)
    ana = live.scope(user="ana")
    for place, one in enumerate(episodes(40)):
        ana.add([one])
        if place % 3 == 1 or place > 30:
            ana.organise()
    ana.organise()
    asked = len(model.requests)
    live.export(tmp_path / "all.jsonl")
    copy = opened(recipe, model, "copy")
    copy.restore(tmp_path / "all.jsonl")
    run = copy.scope(user="ana").organise()
    again = [request.prompt for request in model.requests[asked:]]
    if recipe == "facts":  # what a new fact is judged against is what was known then: another order, another question
        assert all(prompt.startswith("facts-judge/") for prompt in again)
        assert len(again) < 10
    else:
        assert again == []
    assert run.failed == 0
    assert written(copy.scope(user="ana"), recipe) == written(ana, recipe)


KILLED = """
import os, signal, sys
from memorist import Memory
from memorist.lifecycle.writing import Options
from memorist.testing import HashEmbedder, ScriptedModel
from replying import reply

def dying(request):
    with open(sys.argv[3], "a") as file:
        file.write("x")
    if os.path.getsize(sys.argv[3]) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply(request)

memory = Memory.open(sys.argv[1], embedder=HashEmbedder(), recipe=sys.argv[2], model=ScriptedModel(dying))
memory.scope(user="ana").organise(Options(parallel=1))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_killed_run_goes_on_without_a_second_call_for_a_logged_reply(opened, tmp_path, recipe):
    calls = tmp_path / "calls"
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=HashEmbedder(), recipe=recipe) as memory:
        memory.scope(user="ana").add(list(episodes(12)))
    command = [sys.executable, "-c", KILLED, str(path), recipe, str(calls)]
    ended = subprocess.run(command, check=False, cwd=Path(__file__).parent)
    assert ended.returncode == -signal.SIGKILL
    assert calls.read_text() == "xxxx"  # three replies are logged, the fourth was cut off
    whole = ScriptedModel(reply)
    other = opened(recipe, whole, "whole").scope(user="ana")
    other.add(list(episodes(12)))
    other.organise(Options(parallel=1))
    model = ScriptedModel(reply)
    ana = opened(recipe, model).scope(user="ana")
    ana.organise(Options(parallel=1))
    assert len(model.requests) == len(whole.requests) - 3
    assert written(ana, recipe) == written(other, recipe)
