"""Documents under keys in someone's memory: what every adapter keeps, looks up and finds by meaning.

An item is an episode: its text is what is found by, its metadata hold the key and the whole value as JSON. So items
have a history, answer as of a time, and are erased like any memory. Putting an item again updates it; dropping one
hides it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memorist.cube import Observation
from memorist.ids import digest
from memorist.scoped import ScopedMemory

EVERY = 1_000_000
"""More than a memory holds."""

LONGEST_TEXT = 4_000
"""Characters of a text that recall goes by; the value is kept whole."""

KEYS_AT_ONCE = 500
NO_WORDS = "(no words)"


@dataclass(frozen=True, slots=True)
class Item:
    """Something to keep: its key, the text that it is found by, its value, and flat metadata to filter on."""

    key: str
    text: str
    value: Any
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """An item as it is kept; `score` is set when it was found by a query."""

    id: str
    key: str
    value: Any
    created_at: datetime
    updated_at: datetime
    score: float | None = None


class Items:
    """The items of one source in a memory. Several processes may use them at once."""

    def __init__(self, memory: ScopedMemory, source: str) -> None:
        self.memory = memory
        self.source = source

    def put(self, items: Sequence[Item]) -> None:
        """Keep items; of several under one key the last. New ones are added in one batch."""
        last = {item.key: item for item in items}
        known = self.get(list(last))
        now = self.memory._memory.now()
        new = []
        for key, item in last.items():
            text = item.text.strip()[:LONGEST_TEXT] or NO_WORDS
            meta = {**item.meta, "key": key, "value": json.dumps(item.value, ensure_ascii=False)}
            if key in known:
                self.memory.update(known[key].id, text=text, meta=meta)
                continue
            session = f"{self.source}-{digest(key)}"  # alone in it: items are no conversation
            new.append(Observation(text, at=now, session=session, source=self.source, role="document", meta=meta))
        if new:
            self.memory.add(new)

    def get(self, keys: Sequence[str]) -> dict[str, Kept]:
        """The items under these keys that there are."""
        found: dict[str, Kept] = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = list(keys[start : start + KEYS_AT_ONCE])
            found |= {one.key: one for one in self.all({"meta.key": part})}
        return found

    def all(self, where: Mapping[str, Any] | None = None) -> list[Kept]:
        """All items that match, oldest first."""
        cubes = self.memory.list(limit=EVERY, where=self._where(where))
        kept = [Kept(cube.id, *opened(cube.meta), cube.at, cube.recorded_at) for cube in cubes]
        return sorted(kept, key=lambda one: (one.created_at, one.key))

    def drop(self, keys: Iterable[str]) -> None:
        """Hide the items under these keys."""
        ids = [one.id for one in self.get(list(keys)).values()]
        if ids:
            self.memory.forget(ids)

    def found(self, query: str, k: int, where: Mapping[str, Any] | None = None) -> list[Kept]:
        """At most `k` items that speak to a query, best first."""
        hits = self.memory.search(query, k=k, where=self._where(where))
        return [Kept(hit.id, *opened(hit.meta), hit.at, hit.at, hit.score) for hit in hits]

    def _where(self, where: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"source": self.source, **(where or {})}


def opened(meta: Mapping[str, Any]) -> tuple[str, Any]:
    """Key and value of an item."""
    return str(meta["key"]), json.loads(str(meta["value"]))


def labels(metadata: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Another library's metadata under names that cannot be mistaken for ours. What is nested is only in the value."""
    plain = {name: value for name, value in metadata.items() if before or isinstance(value, (str, int, float, bool))}
    return {f"{before}of_{name}": value for name, value in plain.items()}
