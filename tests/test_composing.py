"""Fusing, bundling and splitting cubes: what stands in whose place, undone, forgotten, erased, in every recipe."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memorist import Memory
from memorist.errors import InputError, NotFound, StateError
from memorist.recipes import RECIPES
from memorist.states import LIVING
from memorist.store.rawfile import holds
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder(), clock=lambda: START) as memory:
        yield memory
        assert memory.verify().problems == ()


def added(ana, *texts):
    said = [
        {"role": "user", "name": "Ana", "content": text, "timestamp": (START + timedelta(hours=i)).isoformat()}
        for i, text in enumerate(texts)
    ]
    return list(ana.add(said).ids)


def found(ana, question, **limits):
    return {hit.text for hit in ana.search(question, **(limits or {"budget": 2_000}))}


def test_a_fusion_says_all_once_and_is_undone(memory):
    ana = memory.scope(user="ana")
    ids = added(ana, "The kayak is blue.", "the  kayak is BLUE.", "It lies at the lake house.", "Taxes are due in May.")
    ana.cubes.describe(ids[0], priority=3, sensitivity=["home"], semantic_type="fact", expires_at="2030-01-01")
    before = [(hit.id, hit.score) for hit in ana.search("blue kayak lake house taxes", budget=2_000)]
    fused = ana.cubes.fuse(ids[:3])
    assert fused.text == "The kayak is blue.\nIt lies at the lake house."
    assert (fused.episodes, fused.origin, fused.trust, fused.speaker) == (tuple(ids[:3]), "composed", "user", "Ana")
    assert (fused.priority, fused.sensitivity, fused.semantic_type) == (3, ("home",), "")
    assert fused.expires_at == datetime(2030, 1, 1, tzinfo=timezone.utc)
    assert fused.meta == {"made": "fused", "of": ids[:3]}
    assert [ana.get(id).state for id in ids] == ["merged", "merged", "merged", "activated"]
    assert found(ana, "blue kayak lake house taxes") == {fused.text, "Taxes are due in May."}
    assert ana.search("blue kayak", k=1)[0].episodes == tuple(ids[:3])
    for verb in (ana.update, ana.cubes.archive, ana.cubes.freeze):
        with pytest.raises((StateError, TypeError)):
            verb(ids[0], text="x") if verb == ana.update else verb(ids[0])
    assert ana.undo(fused.id).state == "archived"
    assert [(hit.id, hit.score) for hit in ana.search("blue kayak lake house taxes", budget=2_000)] == before
    with pytest.raises(StateError, match="not there for recall"):
        ana.cubes.activate(fused.id)
    again = ana.cubes.fuse(ids[:3])
    assert (again.id, again.state) == (fused.id, "activated")
    assert [change.what for change in ana.history(ids[0])] == ["added", "described", "merged", "unmerged", "merged"]


def test_what_cannot_be_one_is_refused_and_nothing_changes(memory):
    ana = memory.scope(user="ana")
    ids = added(ana, "The rent is 900 euros.", "The rent is 950 euros.", "The flat is bright.", "I like the flat.")
    with pytest.raises(StateError, match="contradict"):
        ana.cubes.fuse(ids[:2])
    with pytest.raises(InputError, match="at least two"):
        ana.cubes.fuse(ids[:1])
    with pytest.raises(InputError):
        ana.cubes.fuse(ids[:2], text="  ")
    with pytest.raises(NotFound):
        memory.scope(user="bob").cubes.fuse(ids[:2])
    ana.cubes.freeze(ids[3])
    with pytest.raises(StateError, match="frozen"):
        ana.cubes.fuse(ids[2:])
    ana.cubes.thaw(ids[3])
    newer = ana.update(ids[2], text="The flat is dark.", at=START + timedelta(days=3)).ids[0]
    with pytest.raises(StateError, match="superseded"):
        ana.cubes.fuse([ids[2], ids[3]], text="x")
    with pytest.raises(StateError, match="never true at the same time"):
        ana.cubes.fuse([ids[2], newer], text="x")
    (window, *_) = ana.list(origin="windows")
    with pytest.raises(StateError, match="made of the other"):
        ana.cubes.fuse([window.id, ids[3]], text="x")
    assert {cube.state for cube in ana.list(limit=99)} == {"activated"}
    fused = ana.cubes.fuse(ids[:2], text="The rent was 900 euros and is 950 now.")
    assert fused.text in found(ana, "rent")


def test_a_split_puts_parts_in_its_place(memory):
    ana = memory.scope(user="ana")
    (long, other) = added(ana, "The kayak is blue. The spare key is with Rui.", "Taxes are due.")
    with pytest.raises(InputError, match="two parts"):
        ana.cubes.split(other)
    parts = ana.cubes.split(long)
    assert [part.text for part in parts] == ["The kayak is blue.", "The spare key is with Rui."]
    assert (ana.get(long).state, parts[0].episodes) == ("archived", (long,))
    assert found(ana, "kayak spare key", k=2) == {part.text for part in parts}
    ana.cubes.archive(parts[0].id)
    ana.cubes.activate(parts[0].id)
    fused = ana.cubes.fuse([part.id for part in parts])
    ana.undo(fused.id)
    ana.undo(parts[1].id)
    assert [ana.get(part.id).state for part in parts] == ["archived", "archived"]
    assert ana.get(long).state == "activated"
    assert [part.text for part in ana.cubes.split(long, texts=["Blue kayak.", "Rui has the key."])] == [
        "Blue kayak.",
        "Rui has the key.",
    ]


def test_a_bundle_leaves_its_parts_and_goes_with_them(memory):
    ana = memory.scope(user="ana")
    ids = added(ana, "The kayak is blue.", "The lake house is open.")
    made = ana.cubes.compose(ids, text="Holidays: blue kayak, lake house.")
    assert {made.text, "The kayak is blue."} <= found(ana, "blue kayak")
    ana.forget(ids[0])
    assert made.text not in found(ana, "blue kayak")
    ana.restore(ids[0])
    assert made.text not in found(ana, "blue kayak"), "a composition is over when a part is"


@pytest.mark.parametrize("how", ["forget", "archive fused", "erase", "update", "expire"])
def test_when_a_part_goes_the_others_come_back(memory, tmp_path, how):
    ana = memory.scope(user="ana")
    canary, kept = added(ana, "The canary Zebulon sings.", "The kayak is blue.")
    fused = ana.cubes.fuse([canary, kept])
    if how == "archive fused":
        ana.cubes.archive(fused.id)
        assert found(ana, "kayak canary") == set()
        ana.cubes.activate(fused.id)
        assert found(ana, "kayak canary") == {fused.text}
        return
    if how == "update":
        with pytest.raises(StateError):
            ana.update(canary, text="x")
        return
    if how == "expire":
        ana.cubes.describe(fused.id, ttl=timedelta(0))
        assert (ana.get(fused.id).state, found(ana, "kayak canary")) == ("expired", set())
        return
    if how == "forget":
        ana.forget(canary)
    else:
        assert ana.erase(canary).remnants == 0
        assert not any(holds(file, b"Zebulon") for file in tmp_path.iterdir())
    assert found(ana, "kayak canary") == {"The kayak is blue."}
    assert ana.get(kept).state == "activated"


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "hipporag2"])
def test_every_recipe_finds_what_was_composed(tmp_path, recipe):
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder(), recipe=recipe, clock=lambda: START) as memory:
        ana, bob = memory.scope(user="ana"), memory.scope(user="bob")
        ids = added(ana, "The kayak is blue.", "It lies at the lake house.", "Taxes are due in May.", "I live in Oslo.")
        fused = ana.cubes.fuse(ids[:2])
        assert ana.search("Where is the blue kayak?", k=1)[0].text == fused.text
        assert ana.search("Taxes due in May", k=1)[0].text == "Taxes are due in May."
        assert "The kayak is blue." not in found(ana, "blue kayak")
        bob.add("Green kayak.")
        assert found(bob, "blue kayak lake house") == {"Green kayak."}
        assert found(ana, "blue kayak", budget=2_000, where={"origin": "composed"}) <= {fused.text}


WORDS = ("anchor", "basil", "copper", "dahlia", "ember")
STEPS = st.lists(st.tuples(st.sampled_from(("fuse", "split", "compose", "undo", "forget", "restore", "erase", "roll")),
                           st.integers(0, 99), st.integers(0, 99)), max_size=10)  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_no_word_is_lost_or_said_twice(tmp_path_factory, steps):
    """Whatever is fused, split, undone, forgotten and erased: each word that stands is found, fused or alone."""
    with Memory.open(tmp_path_factory.mktemp("c") / "m.db", embedder=HashEmbedder(), clock=lambda: START) as memory:
        ana = memory.scope(user="ana")
        said = [f"Here is {word}. There is {word}too." for word in WORDS]
        texts = dict(zip(added(ana, *said), said))
        ana.snapshot("start")
        gone: set[str] = set()
        for what, first, second in steps:
            known = [cube.id for origin in ("source", "composed") for cube in ana.list(origin=origin, limit=99)]
            if not known:
                break
            one, other = known[first % len(known)], known[second % len(known)]
            try:
                if what in ("fuse", "compose"):
                    getattr(ana.cubes, what)([one, other])
                elif what == "split":
                    ana.cubes.split(one)
                elif what == "undo":
                    ana.undo(one)
                elif what == "roll":
                    ana.rollback("start")
                elif what == "restore":
                    ana.restore(list(texts)[first % len(WORDS)])
                else:
                    id = list(texts)[first % len(WORDS)]
                    getattr(ana, what)(id)
                    gone |= {id} if what == "erase" else set()
            except (StateError, InputError, NotFound):
                pass
            shown = [hit.text for hit in ana.search(" ".join(WORDS), budget=10_000)]
            for id, text in texts.items():
                word = text.split()[2].strip(".")
                if id in gone:
                    assert not any(word in one for one in shown)
                elif ana.get(id).state == "deleted":
                    assert not any(f"{word}." in one for one in shown)
                else:
                    assert any(f"Here is {word}." in one for one in shown), (what, word, shown)
                    alone = ana.get(id).state in LIVING
                    assert (text in shown) == alone
        assert memory.verify().problems == ()
