"""Organisers of a recipe: they catch up, in any order, and their failure harms nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from memorist import Memory
from memorist.ids import derived_id
from memorist.organise.protocol import Around
from memorist.recipes import RECIPES
from memorist.store.protocol import Derived, Organised, Stretch
from memorist.testing import HashEmbedder


class Loud:
    """Each episode in capitals."""

    name = "loud"
    reach = 0
    batch = 2
    calls = 0

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        Loud.calls += 1
        turns = [turn for stretch in stretches for turn in stretch.turns]
        if any("bomb" in turn.text for turn in turns):
            raise ValueError("no")
        vectors = around.embedder.embed([turn.text for turn in turns]) if turns else []
        return Organised(
            tuple(
                Derived(
                    derived_id(self.name, turn.id), self.name, turn.text.upper(), (turn.row,), turn.trust, turn.agent,
                    turn.session, turn.at, turn.valid_from, vector=vector,
                )
                for turn, vector in zip(turns, vectors)
            )
        )  # fmt: skip


@pytest.fixture
def loud(monkeypatch):
    monkeypatch.setitem(RECIPES, "loud", replace(RECIPES["dense"], name="loud", organisers=(Loud,)))
    Loud.calls = 0


def shouted(memory, user="ana"):
    return sorted(cube.text for cube in memory.scope(user=user).list(origin="loud", limit=100))


def test_a_store_filled_under_another_recipe_is_caught_up(tmp_path, loud):
    texts = ["one", "two", "three", "four", "five"]
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder()) as plain:
        for text in texts[:3]:
            plain.scope(user="ana").add(text)
        assert shouted(plain) == []
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe="loud") as memory:
        ana = memory.scope(user="ana")
        assert len(ana.search("one")) == 3
        assert shouted(memory) == ["ONE", "THREE", "TWO"]
        calls = Loud.calls
        ana.search("two")
        assert Loud.calls == calls
        ana.add(texts[3])
        (id,) = ana.add(texts[4]).ids
        assert shouted(memory) == ["FIVE", "FOUR", "ONE", "THREE", "TWO"]
        ana.forget(id)
        assert "FIVE" not in shouted(memory)
        ana.restore(id)
        assert "FIVE" in shouted(memory)
        ana.erase(id)
        assert "FIVE" not in shouted(memory)
        assert memory.verify().ok


def test_an_organiser_that_fails_says_why_and_recall_goes_on(tmp_path, loud):
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe="loud") as memory:
        ana = memory.scope(user="ana")
        receipt = ana.add([{"role": "user", "content": text} for text in ("calm", "bomb")])
        assert receipt.state == "stored"
        assert receipt.problem == "loud: ValueError: no"
        assert len(ana.search("calm")) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_changes_does_not_matter(tmp_path, loud, seed):
    random.seed(seed)
    texts = [f"text {number}" for number in range(9)]
    random.shuffle(texts)
    gone = set(random.sample(texts, 3))
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder(), recipe="loud") as memory:
        ana = memory.scope(user="ana")
        ids = dict(zip(texts, ana.add([{"role": "user", "content": text} for text in texts]).ids))
        for text in gone:
            random.choice([ana.forget, ana.erase])(ids[text])
        assert shouted(memory) == sorted(text.upper() for text in set(texts) - gone)
        assert shouted(memory, "bob") == []
        assert memory.verify().ok
