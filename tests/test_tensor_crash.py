"""kill -9 while tensors are made and erased: nothing is half there, lost after it was told, or there after an erase."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memorist.errors import NotFound
from tensor_worker import make_and_erase
from tiny import tiny_model
from worker import Workers, open_memory

LONGEST_WORK = 0.5
MEMORIES = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, model: str) -> Iterator[Workers]:
    program = (str(Path(__file__).with_name("tensor_worker.py")), model)
    warm = Workers(tmp_path_factory.mktemp("acks"), program)
    yield warm
    warm.close()


@pytest.mark.parametrize("rounds", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_at_any_moment(tmp_path: Path, workers: Workers, model: str, rounds: int) -> None:
    draw = random.Random(rounds)
    path = tmp_path / "m.db"
    told: list[str] = []
    texts: dict[str, str] = {}
    done = 0
    for number in range(rounds):
        with open_memory(path) as memory:
            scope = memory.scope(user="ana")
            alive = [cube.id for cube in scope.list(limit=100)]
            fresh = [f"canary {number}.{n} of the key {draw.getrandbits(60):x}" for n in range(MEMORIES - len(alive))]
            texts |= {scope.add(text).ids[0]: text for text in fresh}
            ids = [cube.id for cube in scope.list(limit=100)]
            assert set(ids) >= set(alive)
        child = workers.start(make_and_erase, path, model, ids, number).ready()
        time.sleep(draw.uniform(0, LONGEST_WORK))
        child.kill()
        told += [f"{number} {ack}" for ack in child.acks()]
        done += sum(ack[0] == "made" for ack in child.acks())
        sound(path, child.acks(), model)
        erased = [texts[ack[1]] for ack in child.acks() if ack[0] == "erased" and ack[1] in texts]
        left = b"".join(file.read_bytes() for file in tmp_path.glob("m.db*")) if erased else b""
        assert not any(text.encode() in left for text in erased)
    assert done >= rounds // 4, told


def sound(path: Path, acks: list[list[str]], model: str) -> None:
    """Assert what must hold after a crash, and that what waits can be done."""
    with open_memory(path) as memory:
        scope = memory.scope(user="ana")
        assert memory.verify().problems == ()
        gone = {ack[1] for ack in acks if ack[0] == "erased"}
        begun = {ack[2] for ack in acks if ack[:2] == ["will", "erase"]}
        for ack in acks:
            if ack[0] == "made" and ack[1] not in gone:
                try:
                    cube = scope.get(ack[1])
                except NotFound:  # with a memory, or by itself
                    assert begun
                    continue
                use = scope.tensors.prefix if cube.kind == "activation" else scope.tensors.adapted
                assert use(cube.id, model=model).answer("the key", most=1)
        for id in gone:
            with pytest.raises(NotFound):
                scope.get(id)
        scope.tensors.resume()
        assert scope.jobs() == []
        assert memory.verify().problems == ()
