"""What a user may ask of facts and decide about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from memorist.cube import Cube, Scope, utc
from memorist.errors import StoreBusy
from memorist.models.embedder import Embedder
from memorist.organise.facts import FACTS, FactsView, Ledger, group_of
from memorist.results import FactConflict
from memorist.store.protocol import Store
from memorist.store.views import Views

TRIES = 5


def reopen(
    store: Store, views: Views, scope: Scope, id: str, embedder: Embedder, clock: Callable[[], datetime]
) -> None:
    """Have a superseded fact stand beside the one that superseded it. Raises StateError when none did."""
    for _ in range(TRIES):
        seen = store.unorganised(scope, FACTS, 0)
        ledger = Ledger(views.of(scope, FACTS, FactsView))
        ledger.reopen(id)
        if store.organise(scope, FACTS, seen, ledger.organised(embedder), utc(clock())):
            return
    raise StoreBusy("others keep changing these facts; try again")


def conflicts_of(store: Store, views: Views, scope: Scope) -> list[FactConflict]:
    """Open facts that name each other as conflicts, by subject and relation."""
    view = views.of(scope, FACTS, FactsView)
    groups = sorted({group_of(cube) for cube in view.kept.values() if cube.meta.get("conflicts")})
    found: list[FactConflict] = []
    for group in groups:
        held = [cube for cube in view.at(group) if cube.active and cube.meta.get("conflicts")]
        cubes: list[Cube] = list(store.cubes(scope, [cube.row for cube in held]).values())
        mine = [cube for cube in cubes if within(cube.scope, scope)]
        if len(mine) > 1:
            found.append(FactConflict(*group, tuple(mine)))
    return found


def within(narrow: Scope, wide: Scope) -> bool:
    """Whether a cube of the owner is of an agent and a session that a scope asks for."""
    return wide.agent in ("", narrow.agent) and wide.session in ("", narrow.session)
