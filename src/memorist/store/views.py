"""What methods keep in memory of an owner's derived cubes: built when first asked for, then told only what changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from memorist.cube import Scope
from memorist.store.protocol import Kept, Store

MOST = 64
"""Views used last that stay in memory."""


class View(Protocol):
    """A structure over the derived cubes of one owner and origin: a cache, never the truth."""

    def take(self, kept: Sequence[Kept]) -> View:
        """The view with these changes, by rising row; some may not be active any more.

        Readers may still hold the old one: what they have read of it must stay right.
        """
        ...


V = TypeVar("V", bound=View)


class Viewing(Protocol):
    """How stages and organisers come to views: `view(origin, make)` is what `make` begins, current."""

    def __call__(self, origin: str, make: Callable[[], V]) -> V:
        """The owner's derived cubes of the origin as a view."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A view, and what it has seen of the store."""

    view: View
    revision: int
    epoch: int


class Views:
    """The views of one store. Rows that vanish have a view built anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: OrderedDict[tuple[Any, ...], Held] = OrderedDict()
        self._lock = threading.RLock()

    def of(self, scope: Scope, origin: str, make: Callable[[], V]) -> V:
        """The view that `make` begins, over all of the owner's cubes of the origin, whatever agent and session."""
        key = (scope.tenant, scope.user, origin, make)
        with self._lock:
            held = self._held.pop(key, None)
            changes = self._store.derived(scope, origin, held.revision if held else 0)
            if held and held.epoch != changes.epoch:
                held = None
                changes = self._store.derived(scope, origin, 0)
            view = held.view if held else make()
            view = view.take(changes.kept) if changes.kept else view
            self._held[key] = Held(view, changes.revision, changes.epoch)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
            return cast(V, view)
