"""Snapshots of someone's memory and going back to them. `ScopedMemory.snapshot` and `rollback` are these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from memorist.cube import LONGEST_NAME, Scope, is_unicode, utc
from memorist.errors import InputError, brief
from memorist.store.protocol import INDEX, RolledBack, Snapshot, Store


@dataclass(frozen=True, slots=True)
class TimeMachine:
    """The snapshots of one owner. `settle` finishes what waits, so that a snapshot is of indexed memories."""

    store: Store
    scope: Scope
    clock: Callable[[], datetime]
    settle: Callable[[], object]

    def take(self, name: str) -> Snapshot:
        """Keep this memory as it is. Raises InputError, or StateError for a name that is taken."""
        self._whole()
        checked(name)
        self.settle()
        return self.store.snapshot(self.scope, name, utc(self.clock()))

    def list(self) -> list[Snapshot]:
        """All snapshots, oldest first."""
        self._whole()
        return self.store.snapshots(self.scope)

    def drop(self, name: str) -> None:
        """Delete a snapshot. Raises NotFound."""
        self._whole()
        self.store.drop_snapshot(self.scope, checked(name))

    def rollback(self, name: str) -> RolledBack:
        """Make this memory what it was. Raises NotFound or StateError; then nothing is changed."""
        self._whole()
        checked(name)
        self.settle()
        done = self.store.rollback(self.scope, name, utc(self.clock()), (INDEX,))
        self.settle()
        return done

    def _whole(self) -> None:
        """Raises InputError for a part of a memory: what rests on several sessions could not go back with one."""
        if self.scope.agent or self.scope.session:
            raise InputError("a snapshot is of all of a user's memory; use a scope without agent and session")


def checked(name: object) -> str:
    """The name of a snapshot. Raises InputError."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or "\x00" in name:
        raise InputError(f"name={brief(name)} is not the name of a snapshot; use a text such as before-import")
    if not is_unicode(name):
        raise InputError("the name of a snapshot must be valid characters")
    return name
