"""What is done to someone's memory by itself, and when: a short list that its user can read and change.

A run of an entry is a job: leased, so that two workers do not do it twice; after a fault tried again later and later,
and after four of them left for `retry` or `cancel`. Each run does its work in small transactions of its own, so one
that is killed has done a part, and the next one does the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from memorist.cube import Cube, Scope, utc
from memorist.errors import InputError, StateError, StoreError, brief
from memorist.lifecycle.cubes import Cubes
from memorist.lifecycle.movers import DAY, Mover, planned
from memorist.lifecycle.writing import ATTEMPTS, FIRST_WAIT, LONGEST_WAIT
from memorist.states import CHANGEABLE
from memorist.store.protocol import INDEX, Idle, Job, Scheduled, Store
from memorist.store.schedule import PREFIX

BATCH = 200
"""Memories of a transaction."""

LEAST_EVERY = timedelta(seconds=1)

ENTRIES: Mapping[str, tuple[str, Scheduled]] = {
    "expiry": (
        "moves what has come to its end out of recall (every search does, too)",
        Scheduled("expiry", timedelta(hours=1), True, {}),
    ),
    "decay": (
        "archives what is cold: (1 + recalls) · 0.5^(idle days / half_life_days) under `least`, unless its priority is"
        " above 0",
        Scheduled("decay", timedelta(days=1), False, {"half_life_days": 90, "least": 0.1}),
    ),
    "sleep": (
        "consolidates: organises what is new, with up to `calls` calls of the model if there is one, and fuses memories"
        " that say the same word for word (`duplicates` 1)",
        Scheduled("sleep", timedelta(days=1), True, {"calls": 100, "duplicates": 0}),
    ),
    "migration": (
        "makes and drops other forms of often used memories, within `megabytes`, by what they cost and save in"
        " `horizon_days`",
        Scheduled("migration", timedelta(hours=1), True, {"horizon_days": 7, "half_life_days": 7, "megabytes": 500}),
    ),
}
"""Each entry as it comes, and what it does."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of an entry did, or why it could not."""

    name: str
    told: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of one owner. Made by `ScopedMemory.schedule`.

    `consolidate` organises with at most so many calls, and says what it did. `flush` writes down recalls first.
    """

    store: Store
    scope: Scope
    clock: Callable[[], datetime]
    cubes: Cubes
    consolidate: Callable[[int], str]
    flush: Callable[[], None]
    movers: Sequence[Mover] = field(default=())

    def entries(self) -> list[Scheduled]:
        """All entries, as they are for this user."""
        known = {entry.name: entry for entry in self.store.scheduled(self.scope)}
        return [
            replace(known[name], options={**plain.options, **known[name].options}) if name in known else plain
            for name, (_, plain) in ENTRIES.items()
        ]

    def entry(self, name: str) -> Scheduled:
        """An entry. Raises InputError."""
        for one in self.entries():
            if one.name == name:
                return one
        raise InputError(f"the schedule has no entry {brief(name)}; it has {', '.join(ENTRIES)}")

    def set(
        self,
        name: str,
        *,
        every: timedelta | None = None,
        enabled: bool | None = None,
        options: Mapping[str, float] | None = None,
    ) -> Scheduled:
        """Change an entry; what is not named stays. Raises InputError."""
        now = self.entry(name)
        if every is not None and not LEAST_EVERY <= every <= timedelta(days=36_500):
            raise InputError(f"every={every} is not a span of a second to a hundred years")
        given = dict(options or {})
        for option, value in given.items():
            if option not in now.options:
                raise InputError(f"{name} has no option {brief(option)}; it has {', '.join(now.options) or 'none'}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
                raise InputError(f"{option}={brief(value)} is not a number of at least 0")
        if given.get("half_life_days", 1) == 0:
            raise InputError("half_life_days must be above 0")
        changed = replace(
            now,
            every=now.every if every is None else every,
            enabled=now.enabled if enabled is None else enabled,
            options={**now.options, **given},
        )
        self.store.schedule(self.scope, changed)
        return changed

    def run(self, names: Sequence[str] = ()) -> list[Ran]:
        """Do what is due, or the entries named whether due or not. A fault is told, and the entry tried again later."""
        self.flush()
        chosen = [self.entry(name) for name in names] or [one for one in self.entries() if self._due(one)]
        for entry in chosen:
            self.store.begin_scheduled(self.scope, entry.name)
        return [ran for entry in self.entries() if (ran := self._run(entry)) is not None]

    def _due(self, entry: Scheduled) -> bool:
        return entry.enabled and (entry.ran_at is None or entry.ran_at + entry.every <= utc(self.clock()))

    def _run(self, entry: Scheduled) -> Ran | None:
        """Do the job of an entry, if there is one that is free."""
        job = self.store.claim(self.scope, utc(self.clock()), kind=PREFIX + entry.name)
        if job is None:
            return None
        try:
            told = self._work(entry)
        except BaseException as error:  # a job ends here: its reason is kept
            with suppress(StoreError):
                self._failed(job, error)
            if not isinstance(error, Exception):
                raise
            return Ran(entry.name, "", f"{type(error).__name__}: {error}")
        self.store.finish_scheduled(entry, job, utc(self.clock()), told)
        return Ran(entry.name, told)

    def _failed(self, job: Job, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}"
        if not isinstance(error, Exception):  # interrupted: no fault
            self.store.fail(job, "interrupted", failures=job.failures)
            return
        failures = job.failures + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 16))
        later = utc(self.clock()) + wait
        self.store.fail(job, reason, failures=failures, not_before=later, dead=failures >= ATTEMPTS)

    def _work(self, entry: Scheduled) -> str:
        now = utc(self.clock())
        if entry.name == "expiry":
            return f"{self.store.expire(self.scope, now, (INDEX,))} expired"
        if entry.name == "decay":
            return f"{self._decay(now, entry.options)} archived"
        if entry.name == "sleep":
            told = self.consolidate(int(entry.options["calls"]))
            return f"{told}, {self._fuse_duplicates()} fused" if entry.options["duplicates"] else told
        return self._migrate(now, entry.options)

    def _decay(self, now: datetime, options: Mapping[str, float]) -> int:
        """Archive what is cold; what cannot be, since something rests on it, stays."""
        count, after = 0, 0
        while idle := self.store.idle(self.scope, now, BATCH, after):
            after = idle[-1].row
            cold = [one.id for one in idle if strength(one, now, options["half_life_days"]) < options["least"]]
            for id in self._free(cold):
                with suppress(StateError):  # frozen above it, or changed meanwhile
                    self.store.move(self.scope, [id], "archive", now, (INDEX,))
                    count += 1
        self.cubes.settle()
        return count

    def _free(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that no composition rests on: it would go with them."""
        bundles = self.store.composed_of(self.scope, ids)
        return [id for id in ids if id not in bundles]

    def _fuse_duplicates(self) -> int:
        """Fuse episodes of the same speaker that say the same; returns how many became one."""
        count = 0
        for same in self._same():
            with suppress(StateError):  # changed meanwhile, or never true at the same time
                self.cubes.fuse([cube.id for cube in same])
                count += len(same)
        return count

    def _same(self) -> Iterator[list[Cube]]:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, text in self.store.texts(self.scope):
            rows[" ".join(text.casefold().split())].append(row)
        for several in [found for found in rows.values() if len(found) > 1]:
            by_speaker: dict[tuple[str | None, str, str], list[Cube]] = defaultdict(list)
            for cube in self.store.cubes(self.scope, several).values():
                if cube.state in CHANGEABLE:
                    by_speaker[cube.speaker, cube.scope.agent, cube.trust].append(cube)
            yield from (cubes for cubes in by_speaker.values() if len(cubes) > 1)

    def _migrate(self, now: datetime, options: Mapping[str, float]) -> str:
        told = []
        for mover in self.movers:
            plan = planned(mover, self.scope, now, options)
            if plan.demote:
                mover.demote(self.scope, plan.demote)
            if plan.promote:
                mover.promote(self.scope, plan.promote)
            told.append(f"{mover.name}: {len(plan.promote)} made, {len(plan.demote)} dropped")
        return "; ".join(told) or "nothing that makes other forms is installed"


def strength(one: Idle, now: datetime, half_life: float) -> float:
    """How alive a memory is: its recalls, halved for each half-life of idleness."""
    days = max((now - one.since).total_seconds() / DAY, 0.0)
    return float((1 + one.recalls) * 0.5 ** (days / half_life))
