"""The memories that are likely to be needed next, by what was recalled last: MemOS's working memory.

A conversation stays with a topic for a while. What the next question needs is seldom what the last one found, which any
cache would keep, but what was said around it. So a turn's importance is its own place in the last recalls, and the
share that its sitting (its session between silences) has in them, the last recall counting most:

    importance = own / best own + 2 · sitting / best sitting + 0.3 · min(words, 40) / 40

where own = Σ 0.4^age / (10 + rank) over the ten best hits of the last three recalls, and sitting is the sum of own over
its turns. The weights were chosen on one conversation of LoCoMo; docs/results/scheduler.md has the comparison with the
rule of the specification, LRU and FIFO.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence

from memorist.cube import Scope
from memorist.organise.windows import SILENCE
from memorist.store.protocol import Store, Turn

RECALLS, AGEING = 3, 0.4
BEST, SHARPNESS = 10, 10
SITTING, LENGTH, LONG = 2.0, 0.3, 40
SITTINGS = 3
"""How many of the sittings with most in the last recalls are looked at."""

REACH = 60
"""Turns of a sitting that are looked at, before and after its first hit."""

SCOPES = 1_000
"""Scopes whose last recalls are kept in memory."""


class Recent:
    """The last recalls of each scope, in this process. Safe to call from several threads."""

    def __init__(self) -> None:
        self._recalls: OrderedDict[Scope, deque[tuple[int, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, scope: Scope, rows: Sequence[int]) -> None:
        """Remember what a recall found, best first."""
        with self._lock:
            recalls = self._recalls.pop(scope, None) or deque(maxlen=RECALLS)
            recalls.append(tuple(rows[:BEST]))
            self._recalls[scope] = recalls
            while len(self._recalls) > SCOPES:
                self._recalls.popitem(last=False)

    def of(self, scope: Scope) -> list[tuple[int, ...]]:
        """The last recalls of a scope, the last one first."""
        with self._lock:
            return list(reversed(self._recalls.get(scope, ())))


def working_set(store: Store, scope: Scope, recalls: Sequence[Sequence[int]], size: int) -> list[int]:
    """Rows of the `size` most important memories after these recalls (the last one first), most important first."""
    own = owned(recalls)
    if not own:
        return []
    present = {turn.row: turn for turn in store.turns(scope, list(own))}
    own = {row: value for row, value in own.items() if row in present} or own
    around = sittings(store, scope, own, present)
    mass: dict[int, float] = {}
    for row, value in own.items():
        if row in around:
            mass[around[row][0]] = mass.get(around[row][0], 0.0) + value
    kept = set(sorted(mass, key=lambda sitting: -mass[sitting])[:SITTINGS])
    candidates = {row: found for row, found in around.items() if found[0] in kept or row in own}
    best, most = max(own.values()), max(mass.values(), default=1.0)

    def importance(row: int) -> float:
        sitting, turn = candidates[row]
        length = min(len(turn.text.split()), LONG) / LONG
        return own.get(row, 0.0) / best + SITTING * mass.get(sitting, 0.0) / most + LENGTH * length

    alone = [row for row in own if row not in candidates]  # derived: of no sitting
    return [*sorted(candidates, key=lambda row: (-importance(row), row)), *alone][:size]


def owned(recalls: Sequence[Sequence[int]]) -> dict[int, float]:
    """What each row has of the last recalls, the last one first."""
    own: dict[int, float] = {}
    for age, rows in enumerate(recalls[:RECALLS]):
        for rank, row in enumerate(rows[:BEST]):
            own[row] = own.get(row, 0.0) + AGEING**age / (SHARPNESS + rank)
    return own


def sittings(
    store: Store, scope: Scope, own: Mapping[int, float], present: Mapping[int, Turn]
) -> dict[int, tuple[int, Turn]]:
    """For each turn around the rows: its sitting, known by its first turn's row, and the turn."""
    found: dict[int, tuple[int, Turn]] = {}
    for row in sorted(own, key=lambda row: -own[row]):
        if row in found or row not in present:
            continue
        for stretch in store.sequences(scope, [row], REACH):
            first = None
            for before, turn in zip((None, *stretch.turns), stretch.turns):
                if first is None or before is None or turn.at - before.at > SILENCE:
                    first = turn.row
                found.setdefault(turn.row, (first, turn))
    return found
