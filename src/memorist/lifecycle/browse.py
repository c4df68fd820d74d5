"""Looking through someone's memory: its days, its parts, and what is tied to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memorist.cube import SOURCE, Cube, Scope
from memorist.store.browsing import Day, Relation, Share
from memorist.store.protocol import Selection, Store

MOST_RELATIONS = 40
"""Of one cube, of each kind and direction."""


@dataclass(frozen=True, slots=True)
class Related:
    """Cubes around some, and the relations between them. `more` says that there were more than asked for."""

    cubes: tuple[Cube, ...]
    relations: tuple[Relation, ...]
    more: bool


class Browse:
    """A scope's memory for somebody who looks through it; nothing changes by looking. Made by `ScopedMemory.browse`."""

    def __init__(self, store: Store, scope: Scope) -> None:
        self._store = store
        self._scope = scope

    def days(self, *, origin: str = SOURCE, where: Mapping[str, Any] | None = None) -> list[Day]:
        """The days that hold what `list` lists, newest first. Raises InputError for a wrong `where`."""
        return self._store.days(self._scope, Selection(where=where or {}), origin)

    def parts(self) -> list[Share]:
        """Everything that is kept, by origin, kind and state."""
        return self._store.census(self._scope)

    def ids(self, origin: str = SOURCE) -> list[str]:
        """All ids of an origin, oldest first, hidden and closed cubes too."""
        return self._store.ids(self._scope, origin)

    def forgotten(self, *, skip: int = 0, limit: int = 50) -> tuple[list[Cube], int]:
        """Episodes that were forgotten and can be restored, the newest first after the first `skip`; and how many
        there are in all."""
        ids = self._store.ids(self._scope, SOURCE, "deleted")[::-1]
        return self._store.get(self._scope, ids[skip : skip + limit]), len(ids)

    def related(self, ids: Sequence[str], *, depth: int = 1, limit: int = 100) -> Related:
        """Up to `limit` cubes within `depth` steps of some, nearest first. Raises NotFound for an unknown id."""
        cubes = {cube.id: cube for cube in self._store.get(self._scope, list(dict.fromkeys(ids))[:limit])}
        edge, more, drawn = list(cubes), len(set(ids)) > limit, dict[Relation, None]()
        for _ in range(depth):
            found = self._store.relations(self._scope, edge, MOST_RELATIONS)
            drawn |= dict.fromkeys(found)
            new = list(dict.fromkeys(id for one in found for id in (one.source, one.target) if id not in cubes))
            room = limit - len(cubes)
            more = more or len(new) > room
            edge = new[:room]
            if not edge:
                break
            cubes |= {cube.id: cube for cube in self._store.get(self._scope, edge)}
        kept = tuple(one for one in drawn if one.source in cubes and one.target in cubes)
        return Related(tuple(cubes.values()), kept, more)
