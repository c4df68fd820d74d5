"""The schedule and the working set: what is done by itself, when, at what cost, and what may be needed next."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from memorist import Memory
from memorist.bench.scheduler import Visit, by_rule, cached, held
from memorist.errors import InputError
from memorist.lifecycle.movers import Cost, Held
from memorist.lifecycle.writing import ATTEMPTS
from memorist.testing import HashEmbedder

START = datetime(2025, 3, 1, 9, tzinfo=timezone.utc)


class Clock:
    """A clock that tests turn."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(tmp_path, clock):
    with Memory.open(tmp_path / "memory.db", embedder=HashEmbedder(), clock=clock) as memory:
        yield memory
        assert memory.verify().problems == ()


def entry(ana, name):
    return next(one for one in ana.schedule.entries() if one.name == name)


def test_a_user_reads_and_changes_it(memory):
    ana = memory.scope(user="ana")
    assert [one.name for one in ana.schedule.entries()] == ["expiry", "decay", "sleep", "migration"]
    assert not entry(ana, "decay").enabled
    ana.schedule.set("decay", enabled=True, options={"half_life_days": 30})
    ana.schedule.set("decay", every=timedelta(hours=6))
    decay = entry(ana, "decay")
    assert (decay.enabled, decay.every, decay.options) == (
        True, timedelta(hours=6), {"half_life_days": 30, "least": 0.1},
    )  # fmt: skip
    assert not entry(memory.scope(user="bob"), "decay").enabled
    for wrong in ({"options": {"speed": 1}}, {"every": timedelta(0)}, {"options": {"least": -1}},
                  {"options": {"least": True}}, {"options": {"half_life_days": 0}}):  # fmt: skip
        with pytest.raises(InputError):
            ana.schedule.set("decay", **wrong)
    with pytest.raises(InputError, match="it has expiry, decay"):
        ana.schedule.set("lunch", enabled=True)
    assert entry(ana, "decay") == decay


def test_entries_run_when_they_are_due(memory, clock):
    ana = memory.scope(user="ana")
    ana.add("The kayak is blue.")
    assert [one.name for one in ana.schedule.run()] == ["expiry", "sleep", "migration"]
    assert ana.schedule.run() == []
    clock.now += timedelta(hours=1)
    assert [one.name for one in ana.schedule.run()] == ["expiry", "migration"]
    assert entry(ana, "expiry").ran_at == clock.now
    assert entry(ana, "expiry").told == "0 expired"
    assert [one.name for one in ana.schedule.run(["decay"])] == ["decay"]
    assert ana.jobs() == []


def test_what_is_cold_is_archived_and_what_is_used_stays(memory, clock):
    ana = memory.scope(user="ana")
    texts = ("Cold tea.", "Warm kayak.", "Important taxes.", "Frozen contract.", "Part of it.", "More of it.")
    ids = ana.add([{"role": "user", "content": text} for text in texts]).ids
    ana.cubes.describe(ids[2], priority=1)
    ana.cubes.freeze(ids[3])
    bundle = ana.cubes.compose(ids[4:], text="All of it.")
    for _ in range(9):
        ana.search("Warm kayak", k=1)
    ana.schedule.set("decay", enabled=True)
    clock.now += timedelta(days=320)
    ana.search("Part of it all", where={"origin": "composed"}, k=1)
    assert [one.told for one in ana.schedule.run(["decay"])] == ["1 archived"]
    states = [ana.get(id).state for id in ids]
    assert states == ["archived", "activated", "activated", "frozen", "activated", "activated"]
    assert ana.get(bundle.id).state == "activated"
    clock.now += timedelta(days=300)
    ana.schedule.run(["decay"])
    assert ana.get(ids[1]).state == "archived", "ten recalls last three half-lives longer"
    ana.cubes.activate(ids[0])
    assert "Cold tea." in [hit.text for hit in ana.search("tea")]


def test_sleep_fuses_what_says_the_same(memory):
    ana = memory.scope(user="ana")
    said = [{"role": "user", "name": who, "content": text, "timestamp": (START + timedelta(hours=i)).isoformat()}
            for i, (who, text) in enumerate([("Ana", "The kayak is blue."), ("Ana", "the kayak is  blue."),
                                             ("Bo", "The kayak is blue."), ("Ana", "Taxes are due.")])]  # fmt: skip
    ids = ana.add(said).ids
    ana.schedule.run(["sleep"])
    assert ana.list(origin="composed") == []
    ana.schedule.set("sleep", options={"duplicates": 1})
    (ran,) = ana.schedule.run(["sleep"])
    assert (ran.told, ran.problem) == ("organised, 2 fused", None)
    (fused,) = ana.list(origin="composed")
    assert (fused.text, fused.episodes) == ("The kayak is blue.", tuple(ids[:2]))
    assert [hit.text for hit in ana.search("kayak", k=2)] == ["The kayak is blue."] * 2
    assert ana.schedule.run(["sleep"])[0].told == "organised, 0 fused"


class Caches:
    """A mover that makes something of texts, at a cost that a test chooses."""

    name = "caches"

    def __init__(self, memory, seconds=1.0, saved=0.5, size=1_000_000):
        self.memory, self.seconds, self.saved, self.size = memory, seconds, saved, size
        self.made, self.broken = {}, None

    def candidates(self, scope):
        cubes = self.memory.scope(user=scope.user).list(limit=100)
        return [cube for cube in cubes if cube.id not in self.made]

    def held(self, scope):
        ana = self.memory.scope(user=scope.user)
        return [Held(made, ana.get(id)) for id, made in self.made.items()]

    def cost(self, cube):
        return Cost(self.seconds, self.size, self.saved)

    def promote(self, scope, ids):
        if self.broken:
            raise self.broken
        self.made |= {id: f"kv-{id}" for id in ids}

    def demote(self, scope, ids):
        self.made = {id: made for id, made in self.made.items() if made not in ids}


def test_forms_change_by_what_they_cost_and_save(memory, clock):
    ana = memory.scope(user="ana")
    often, seldom = ana.add([{"role": "user", "content": text} for text in ("Blue kayak.", "Old taxes.")]).ids
    mover = Caches(memory)
    memory.movers.append(mover)
    clock.now += timedelta(days=1)
    for _ in range(3):
        ana.search("Blue kayak", k=1)
    assert [one.told for one in ana.schedule.run(["migration"])] == ["caches: 1 made, 0 dropped"]
    assert list(mover.made) == [often]
    mover.seconds = 100.0
    clock.now += timedelta(days=30)
    assert [one.told for one in ana.schedule.run(["migration"])] == ["caches: 0 made, 1 dropped"]
    mover.seconds, mover.saved = 0.1, 50.0
    ana.schedule.set("migration", options={"megabytes": 1})
    for text in ("Blue kayak", "Old taxes"):
        for _ in range(5):
            ana.search(text, k=1)
    ana.schedule.run(["migration"])
    assert list(mover.made) == [often], "there is room for one, and this one is used more"
    assert seldom not in mover.made


def test_a_fault_is_tried_again_later_and_then_given_up(memory, clock):
    ana = memory.scope(user="ana")
    ana.add("Blue kayak.")
    mover = Caches(memory, seconds=0.0)
    mover.broken = RuntimeError("no room on the device")
    memory.movers.append(mover)
    ana.search("kayak")
    waits = []
    for attempt in range(ATTEMPTS):
        (ran,) = ana.schedule.run(["migration"])
        assert ran.problem == "RuntimeError: no room on the device"
        (job,) = ana.jobs()
        waits.append(job.not_before - clock.now)
        assert job.dead == (attempt == ATTEMPTS - 1)
        assert ana.schedule.run(["migration"]) == [], "not before its time"
        clock.now = job.not_before
    assert waits == [timedelta(seconds=30 * 2**n) for n in range(ATTEMPTS)]
    assert [one.name for one in ana.schedule.run()] == ["expiry", "sleep"], "other entries go on"
    mover.broken = None
    ana.retry(job.number)
    assert [one.told for one in ana.schedule.run(["migration"])] == ["caches: 1 made, 0 dropped"]
    assert ana.jobs() == []


WORDS = """
kayak taxes garden wedding boiler anchor basil copper dahlia ember fjord gravel hazel ivory jasmine kernel lantern
marble nutmeg orchid pebble quartz raisin saddle timber umbra velvet walnut xylem yarrow zephyr acorn birch cedar dune
elm fern grove heath islet jetty knoll ledge marsh nook oasis prairie quarry reef slope
""".split()  # noqa: SIM905
SITTINGS = [WORDS[first::5] for first in range(5)]


def test_the_working_set_holds_what_comes_next_better_than_a_cache(memory):
    """A stream of our own: what is said in a sitting has no words in common, questions stay with one for a while."""
    ana = memory.scope(user="ana")
    said = [
        {"role": "user", "session": f"s{day}", "id": word, "content": f"The {word} is over there.",
         "timestamp": (START + timedelta(days=day, minutes=minute)).isoformat()}
        for day, sitting in enumerate(SITTINGS) for minute, word in enumerate(sitting)
    ]  # fmt: skip
    keys = dict(zip(ana.add(said).ids, (one["id"] for one in said)))
    assert ana.working_set() == []
    visits = []
    chance = random.Random(1)
    asked = [chance.sample(sitting, len(sitting)) for sitting in SITTINGS]
    for first in (0, 5):
        for sitting in asked:
            for word in sitting[first : first + 5]:
                hits = tuple(keys[hit.id] for hit in ana.search(f"Where is the {word}?", k=10))
                working = frozenset(keys[cube.id] for cube in ana.working_set(10))
                visits.append(Visit(word, frozenset((word,)), hits, working))
    ours = held(visits, [visit.working for visit in visits])
    texts = {one["id"]: frozenset(one["content"].lower().split()) for one in said}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memorist.bench.scheduler.PLACES", 10)
        others = {
            f"{name} {count}": held(visits, cached(visits, count, touched))
            for name, touched in (("LRU", True), ("FIFO", False))
            for count in (1, 3, 5, 10)
        }
        others["rule"] = held(visits, by_rule(visits, texts))
    assert ours > max(others.values()) + 0.1, (ours, others)
    assert memory.scope(user="bob").working_set() == []
    gone = ana.working_set(3)[0].id
    ana.forget(gone)
    assert gone not in [cube.id for cube in ana.working_set(40)]
