"""Having a recipe's organisers catch up with what changed, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby

from memorist.cube import Scope, utc
from memorist.organise.protocol import Around, Mending, RecipeOrganiser
from memorist.store.protocol import Store, Stretch, Turn

Progress = Callable[[str, int], None]
"""Told the organiser's name and how many more changed episodes it has seen."""


def catch_up(
    store: Store,
    organisers: Sequence[RecipeOrganiser],
    around: Around,
    clock: Callable[[], datetime],
    progress: Progress = lambda name, done: None,
) -> str | None:
    """Organise what changed since each organiser's mark. Returns why one could not; it goes on there the next time."""
    for organiser in organisers:
        try:
            while (seen := store.unorganised(around.scope, organiser.name, organiser.batch)).rows:
                stretches = stretches_of(store, around.scope, seen.rows, organiser.reach)
                organised = organiser.organise(stretches, frozenset(seen.rows), around)
                if store.organise(around.scope, organiser.name, seen, organised, utc(clock())):
                    progress(organiser.name, len(seen.rows))
            if isinstance(organiser, Mending):
                mend(store, organiser, organiser.name, around, clock)
        except Exception as error:  # the episodes are safe, and recall goes on without what it would have derived
            return f"{organiser.name}: {type(error).__name__}: {error}"
    return None


def mend(store: Store, organiser: Mending, name: str, around: Around, clock: Callable[[], datetime]) -> None:
    """Set right what names a cube that is gone; when others are quicker, theirs is right, too."""
    seen = store.unorganised(around.scope, name, 0)
    mended = organiser.mend(around)
    if mended.cubes or mended.withdrawn:
        store.organise(around.scope, name, seen, mended, utc(clock()))


def stretches_of(store: Store, scope: Scope, rows: Sequence[int], reach: int) -> list[Stretch]:
    """The changed turns that are current, by session, with `reach` turns around them."""
    if reach:
        return store.sequences(scope, rows, reach)
    found = sorted(store.turns(scope, rows), key=place_of)
    grouped = (tuple(turns) for _, turns in groupby(found, key=lambda turn: (turn.session, turn.agent)))
    return [Stretch(turns, len(turns)) for turns in grouped]


def place_of(turn: Turn) -> tuple[str, str, datetime, int]:
    """A turn's place in its session's order."""
    return turn.session, turn.agent, turn.at, turn.row
