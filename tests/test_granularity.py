"""Four granularities of sittings: the same however they came, joined by a mixture, trusted by their entropy."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from memorist import Memory
from memorist.errors import InputError, ModelUnreachable
from memorist.models.embedder import Identity
from memorist.models.wordpiece import count_tokens
from memorist.organise.association import EACH, FIRST, GRANULARITIES, Sittings, upper_group
from memorist.organise.digest import SUMMARY_TOKENS, digest_of
from memorist.organise.granularity import MOST_TURNS
from memorist.recall.route import calibrated, entropies, propagated, router
from memorist.recall.sift import sift
from memorist.store.protocol import Turn
from memorist.testing import HashEmbedder
from memorist.testing.chat import ScriptedModel

START = datetime(2025, 5, 1, 9, tzinfo=timezone.utc)
TOPICS = ("the bakery on Rua do Sol", "a red kayak", "choir practice", "the boiler", "chess on Thursdays", "my sister")
QUESTIONS = ("Who sells bread at the bakery?", "kayak", "When is choir practice?", "nothing of this")


def said(session, number, text=None):
    topic = TOPICS[(session + number // 4) % len(TOPICS)]
    return {
        "role": "user",
        "name": ("Ana", "Bo")[number % 2],
        "content": text or f"We spoke about {topic}, for the {number}th time. It rained on day {session}.",
        "timestamp": (START + timedelta(days=session, minutes=number)).isoformat(),
        "session": f"session {session}",
        "id": f"{session}-{number}",
    }


SESSIONS = {session: [said(session, number) for number in range(3 + session % 3)] for session in range(9)}


def opened(path, recipe="memgas"):
    return Memory.open(path, embedder=HashEmbedder(), recipe=recipe, clock=lambda: START + timedelta(days=99))


def remembered(memory, user="ana"):
    """What must be the same: the cubes, the edges between them, and what a search makes of them."""
    ana = memory.scope(user=user)
    hits = {
        question: {hit.id: (hit.score, dict(hit.why)) for hit in ana.search(question, k=100)} for question in QUESTIONS
    }
    cubes = {cube.id: (cube.text, cube.episodes, cube.at) for cube in ana.list(origin="granularity", limit=1_000)}
    view = memory._views.of(ana.scope, "granularity", Sittings)
    names = [cube.id for unit in view.units for cube in unit.cubes]
    edges = {(names[node], names[other]) for node, chosen in enumerate(view.chosen) for other in chosen}
    assert memory.verify().ok
    return cubes, edges, hits


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("granularity") / "once.db") as memory:
        memory.scope(user="ana").add([message for session in SESSIONS.values() for message in session])
        return remembered(memory)


def test_every_sitting_has_four_granularities_and_later_ones_are_joined_to_earlier(once):
    cubes, edges, _ = once
    assert len(cubes) == len(GRANULARITIES) * len(SESSIONS)
    day = {id: (at - START).days for id, (_, _, at) in cubes.items()}
    assert edges
    assert all(day[later] > day[earlier] and day[later] >= FIRST for later, earlier in edges)


@pytest.mark.parametrize("seed", range(12))
def test_batches_order_deletion_and_rebuilding_leave_the_same_memory(tmp_path, once, seed):
    rng = random.Random(seed)
    path = tmp_path / "m.db"
    extra = [said(session, number, "Gone soon.") for session in (2, 40) for number in range(50, 52)]
    messages = [*(one for session in SESSIONS.values() for one in session), *extra]
    rng.shuffle(messages)
    looks = rng.random() < 0.5
    # Begun under another recipe, so that this one has to catch up; looked at in between, so that views are told of it.
    with opened(path, rng.choice(["memgas", "dense"])) as memory:
        ana = memory.scope(user="ana")
        while messages:
            size = rng.randint(1, len(messages))
            ana.add(messages[:size])
            messages = messages[size:]
            if looks:
                ana.search("kayak")
    with opened(path) as memory:
        ana = memory.scope(user="ana")
        if looks:
            ana.search("kayak")
        gone = [cube.id for cube in ana.list(limit=1_000) if cube.text == "Gone soon."]
        if rng.random() < 0.5:
            ana.forget(gone)  # what is forgotten still counts in how rare words are
            assert remembered(memory)[:2] == once[:2]
        ana.erase(gone)
        assert_same(remembered(memory), once)


def assert_same(one, other):
    assert one[0] == other[0]
    assert one[1] == other[1]
    for question, hits in one[2].items():
        expected = other[2][question]
        assert hits.keys() == expected.keys(), question
        for id, (score, why) in hits.items():
            assert score == pytest.approx(expected[id][0], abs=1e-5)
            assert why == {
                name: pytest.approx(value, abs=2e-4) if isinstance(value, float) else value
                for name, value in expected[id][1].items()
            }


def test_a_forgotten_turn_comes_back_with_its_sitting(tmp_path, once):
    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([message for session in SESSIONS.values() for message in session]).ids
        ana.forget(ids[4])
        assert remembered(memory)[0] != once[0]
        ana.restore(ids[4])
        assert_same(remembered(memory), once)


def test_what_is_erased_is_in_no_summary(tmp_path):
    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ids = ana.add([said(0, 0), said(0, 1, "The password of the vault is Zanzibar."), said(0, 2)]).ids
        assert any("Zanzibar" in cube.text for cube in ana.list(origin="granularity"))
        assert ana.erase(ids[1]).remnants == 0
        assert not any("anzibar" in cube.text for cube in ana.list(origin="granularity"))
        assert len(ana.list(origin="granularity")) == len(GRANULARITIES)


def test_lone_notes_are_no_sitting_and_silences_and_length_part_a_session(tmp_path):
    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ana.add("A note on the kayak.")
        assert ana.list(origin="granularity") == []
        assert ana.search("kayak")[0].text == "A note on the kayak."
        night = [
            {**said(0, number), "timestamp": (START + timedelta(hours=14 * number)).isoformat()} for number in (0, 1)
        ]
        ana.add([*night, *(said(1, number) for number in range(MOST_TURNS + 1))])
        wholes = [cube for cube in ana.list(origin="granularity", limit=99) if cube.meta["granularity"] == "session"]
        assert sorted(len(cube.episodes) for cube in wholes) == [1, 1, 1, MOST_TURNS]


def test_two_sittings_become_one_when_the_silence_between_them_is_filled(tmp_path):
    def at(hours, number):
        return {**said(0, number), "timestamp": (START + timedelta(hours=hours)).isoformat()}

    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([at(0, 0), at(16, 1)])
        assert len(ana.list(origin="granularity")) == 2 * len(GRANULARITIES)
        ana.add([at(8, 2)])
        assert [len(cube.episodes) for cube in ana.list(origin="granularity")] == [3] * len(GRANULARITIES)


def test_hits_are_episodes_that_say_why(tmp_path):
    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ana.add([message for session in SESSIONS.values() for message in session])
        hits = ana.search("Who sells bread at the bakery?")
        assert all(hit.id.startswith("ep-") for hit in hits)
        why = hits[0].why
        assert {*GRANULARITIES, "granularity", "cosine", "route"} <= set(why)
        weights = [float(part.split()[1]) for part in str(why["route"]).split(", ")]
        assert sum(weights) == pytest.approx(1, abs=0.03)
        led = [str(hit.why["associated"]) for hit in hits if "associated" in hit.why]
        assert led
        assert all(" of session " in text and "May 2025" in text for text in led)


def test_another_agents_sittings_and_filtered_turns_count_for_nothing(tmp_path):
    with opened(tmp_path / "both.db") as both, opened(tmp_path / "one.db") as one:
        mine, other = both.scope(user="ana", agent="a"), both.scope(user="ana", agent="b")
        mine.add(SESSIONS[1])
        other.add([message for session in SESSIONS.values() for message in session])
        alone = one.scope(user="ana", agent="a")
        alone.add(SESSIONS[1])
        seen = [(hit.text, round(float(hit.why["granularity"]), 3)) for hit in mine.search("a red kayak")]
        # idf is the owner's, so only what is found is compared; the sittings that may be seen are the same
        assert {text for text, _ in seen} == {hit.text for hit in alone.search("a red kayak")}
        assert {hit.why["route"] for hit in mine.search("a red kayak")} == {
            "session 0.25, turns 0.25, summary 0.25, keywords 0.25"
        }
        none = both.scope(user="ana").search("kayak", where={"speaker": "Nobody"})
        assert list(none) == []


def turn(text, number=0):
    return Turn(number, f"ep-{number}", text, "Ana", "user", "user", "s", "", START, START, None, START)


def test_a_digest_tells_what_is_rare_and_skips_questions():
    turns = [
        turn("Hi! How are you doing today?"),
        turn("I am well, thanks. My sister Vera moved to Reykjavik to study volcanology.", 1),
        turn("Wow, that is great. What will she do there?", 2),
        turn("She wants to measure the volcano Hekla. It is nice.", 3),
    ]
    digest = digest_of(turns)
    assert "Reykjavik" in digest.summary
    assert "?" not in digest.summary
    assert count_tokens([digest.summary])[0] <= SUMMARY_TOKENS
    assert {"volcanology", "reykjavik"} <= set(digest.keywords)
    assert "thanks" not in digest.keywords[:5]
    long = digest_of([turn(f"Sentence {number} is about topic {number * 7919}.", number) for number in range(60)])
    assert count_tokens([long.summary])[0] <= SUMMARY_TOKENS


@pytest.mark.parametrize("text", ["我搬到了里斯本。我的猫叫味噌。", "Я переехал в Лиссабон.", "👍", "?!", "   "])
def test_a_digest_takes_any_script(text):
    digest = digest_of([turn(text)])
    assert isinstance(digest.summary, str)
    assert all(digest.keywords)


def test_the_mixture_takes_exactly_the_upper_group():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0.2, 0.03, 25), rng.normal(0.7, 0.03, 5)
    values = np.concatenate([low, high])[None]
    given = np.ones_like(values, bool)
    assert upper_group(values, given)[0].nonzero()[0].tolist() == list(range(25, 30))


def test_the_mixture_is_guarded():
    same = np.full((1, 30), 0.4)
    assert not upper_group(same, np.ones_like(same, bool)).any()
    few = np.array([[0.1, 0.9, 0.8, 0.0]])
    assert not upper_group(few, np.array([[True, True, True, False]])).any()
    assert upper_group(np.empty((0, 30)), np.empty((0, 30), bool)).shape == (0, 30)
    hidden = np.array([[0.1, 0.12, 0.11, 0.9, -np.inf]])
    assert upper_group(hidden, np.isfinite(hidden))[0].tolist() == [False, False, False, True, False]
    rng = np.random.default_rng(1)
    for _ in range(200):  # a tight low group and a wide high one: the low tail must not be taken for high
        values = np.concatenate([rng.normal(0.3, 0.01, 20), rng.normal(0.5, 0.2, 10)])[None]
        taken = upper_group(values, np.ones_like(values, bool))[0]
        assert np.isfinite(values[0, taken]).all()
        if taken.any():
            assert values[0, taken].min() > 0.25


def test_the_router_trusts_the_granularity_that_tells_sittings_apart():
    rng = np.random.default_rng(0)
    similar = 0.5 + rng.uniform(-0.01, 0.01, (40, EACH))
    similar[:, 2] = 0.1
    similar[7, 2] = 0.9
    for temperature, expected in ((0.05, 1.0), (0.1, 0.913), (0.2, 0.358), (0.5, 0.254)):
        weights = router(similar, temperature)
        assert weights.argmax() == 2
        assert weights[2] == pytest.approx(expected, abs=0.02)
        assert weights.sum() == pytest.approx(1)
    assert router(similar).argmax() == 2
    mean = entropies(similar * 0.01, calibrated(similar * 0.01)).mean() / np.log(40)
    assert mean == pytest.approx(entropies(similar, calibrated(similar)).mean() / np.log(40), abs=0.02), "any scale"
    assert router(np.full((9, EACH), 0.3)) == pytest.approx(np.full(EACH, 1 / EACH))
    assert router(np.array([[0.9, 0.1, 0.2, 0.3]])) == pytest.approx(np.full(EACH, 1 / EACH))


def test_propagation_keeps_the_sum_and_lets_little_go():
    seeds = np.array([3.0, 0, 0, 1.0])
    source, target = np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1])
    value = propagated(seeds, source, target)
    assert value.sum() == pytest.approx(4)
    assert value[0] > 2.6
    assert 0 < value[2] < value[1] < 0.4
    far = propagated(seeds, source, target, 0.85)
    assert far[0] < value[0]
    assert propagated(seeds, source[:0], target[:0]).tolist() == seeds.tolist()
    exact = np.linalg.solve(np.eye(4) - walk(4, source, target, seeds, 0.1), 0.9 * seeds / 4) * 4
    assert value == pytest.approx(exact, abs=1e-8)


def walk(size, source, target, seeds, followed):
    """The slow form: followed · Pᵀ, where a node without edges returns its mass to the seeds."""
    step = np.zeros((size, size))
    for one, other in zip(source, target):
        step[other, one] += 1 / (source == one).sum()
    for node in set(range(size)) - set(source.tolist()):
        step[:, node] = seeds / seeds.sum()
    return followed * step


def test_a_long_session_is_not_made_anew_for_each_message(tmp_path):
    class Counting(HashEmbedder):
        texts = 0

        def embed(self, texts):
            self.texts += len(texts)
            return super().embed(texts)

    embedder = Counting()
    with Memory.open(tmp_path / "m.db", embedder=embedder, recipe="memgas") as memory:
        ana = memory.scope(user="ana")
        ana.add([said(1, number) for number in range(5 * MOST_TURNS)])
        before = embedder.texts
        ana.add([said(1, 5 * MOST_TURNS)])
        assert embedder.texts - before <= 4, "the message, and a sitting of one"


def test_a_language_model_writes_digests_when_asked_and_only_of_what_changed(tmp_path):
    reply = '{"summary": "Ana likes boats.", "keywords": ["boats", "boats", ""]}'
    model = ScriptedModel(reply)
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder(), recipe="memgas", model=model) as memory:
        ana = memory.scope(user="ana")
        ana.add([message for session in (0, 1) for message in SESSIONS[session]])
        ana.search("kayak")
        assert model.requests == [], "neither add nor search waits for a model"
        assert ana.summarise() is None
        assert len(model.requests) == 2
        texts = {cube.meta["granularity"]: cube.text for cube in ana.list(origin="granularity")}
        assert (texts["summary"], texts["keywords"]) == ("Ana likes boats.", "boats")
        assert ana.summarise() is None
        assert len(model.requests) == 2
        ana.add([said(1, 30)])
        summaries = [cube.text for cube in ana.list(origin="granularity") if cube.meta["granularity"] == "summary"]
        assert sorted(summaries)[0] == "Ana likes boats."
        assert len(set(summaries)) == 2, "of what changed the lexical one stands until the model has written again"
        assert ana.summarise() is None
        assert len(model.requests) == 3
        assert ana.search("boats")[0].why["summary"] > 0
        assert memory.verify().ok


def test_digests_are_written_again_without_asking_the_model_again(tmp_path):
    class Other(HashEmbedder):
        identity = Identity("other", HashEmbedder().identity.dimension, "1" * 64)

    def digests(ana):
        cubes = [cube for cube in ana.list(origin="granularity") if cube.meta["granularity"] in ("summary", "keywords")]
        return sorted(cube.text for cube in cubes)

    model = ScriptedModel(*(f'{{"summary": "Sitting {n}.", "keywords": ["word {n}"]}}' for n in range(9)))
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder(), recipe="memgas", model=model) as memory:
        ana = memory.scope(user="ana")
        ana.add([message for session in (0, 1, 2) for message in SESSIONS[session]])
        assert ana.summarise() is None
        asked, written = len(model.requests), digests(ana)
        assert asked == 3
        assert [one.purpose for one in ana.costs()] == ["summaries"]
        memory.reembed(Other())
        ana.search("kayak")
        assert digests(ana) != written, "the lexical ones stand until the model's are put back"
        assert ana.summarise() is None
        assert digests(ana) == written
        assert len(model.requests) == asked
        first = ana.list(limit=1)[0]
        ana.erase(first.id)
        assert ana.summarise() is None
        assert len(model.requests) == asked + 1, "of what was erased from, the reply is gone, too"


def test_a_model_that_fails_leaves_the_lexical_digests(tmp_path):
    model = ScriptedModel("no JSON")
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder(), recipe="memgas", model=model) as memory:
        ana = memory.scope(user="ana")
        ana.add(SESSIONS[1])
        before = [cube.text for cube in ana.list(origin="granularity")]
        assert "BadReply" in ana.summarise()
        assert [cube.text for cube in ana.list(origin="granularity")] == before
        model.script = ['{"summary": "Now.", "keywords": []}']
        assert ana.summarise() is None
        assert "Now." in [cube.text for cube in ana.list(origin="granularity")]


def test_summaries_need_a_model_and_the_recipe(tmp_path):
    for recipe, model in (("memgas", None), ("default", ScriptedModel("x"))):
        path = tmp_path / f"{recipe}.db"
        with (
            Memory.open(path, embedder=HashEmbedder(), recipe=recipe, model=model) as memory,
            pytest.raises(InputError, match="memgas"),
        ):
            memory.scope().summarise()


def test_a_model_sifts_hits_by_number_and_rewrites_none(tmp_path):
    with opened(tmp_path / "m.db") as memory:
        ana = memory.scope(user="ana")
        ana.add(SESSIONS[1])
        hits = ana.search("kayak")
        model = ScriptedModel('{"keep": [2, 99, 1]}')
        assert list(sift(hits, model)) == list(hits[:2])
        assert "[2] [2 May 2025]" in model.requests[0].messages[-1].content
        for reply in ('{"keep": []}', '{"keep": [77]}', "nothing", '{"keep": "1"}', ModelUnreachable("down", "m")):
            assert list(sift(hits, ScriptedModel(reply))) == list(hits)
        nothing = ana.search("kayak", where={"speaker": "Nobody"})
        assert sift(nothing, ScriptedModel("never asked")) is nothing
