"""Windows: each turn with the two that follow it, so that a question can match what was said across turns.

A short turn ("Yes, last week!") means little alone. A window is read together with its neighbours, within one session
and without crossing a silence. Its vector is the sum of its turns' vectors, so it costs no call of the embedder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from memorist.cube import Trust
from memorist.ids import derived_id
from memorist.store.index import WINDOW
from memorist.store.protocol import Derived, Organised, Stretch, Turn

SILENCE = timedelta(hours=12)
"""Turns further apart than this are not neighbours, even within one session."""

TRUST_ORDER: tuple[Trust, ...] = ("web", "tool", "model", "agent", "user")
"""From least to most trusted: what mixes sources is trusted as its least trusted part."""


class Windows:
    """The organiser of windows; a window is known by its first turn."""

    name = "windows"
    reach = WINDOW - 1

    def organise(self, stretches: Sequence[Stretch]) -> Organised:
        """A window for each turn that has a successor; turns that have none any more lose theirs."""
        cubes: list[Derived] = []
        withdrawn: list[str] = []
        for stretch in stretches:
            for place in range(stretch.stop):
                window = list(neighbours(stretch.turns, place))
                if len(window) > 1:
                    cubes.append(window_of(window))
                else:
                    withdrawn.append(window_id(window[0]))
        return Organised(tuple(cubes), tuple(withdrawn))


def neighbours(turns: Sequence[Turn], place: int) -> Iterator[Turn]:
    """The turn at `place` and those that follow it without a silence, WINDOW in all at most."""
    yield turns[place]
    for before, after in zip(turns[place : place + WINDOW - 1], turns[place + 1 : place + WINDOW]):
        if not before.session or after.at - before.at > SILENCE:
            return
        yield after


def window_of(turns: Sequence[Turn]) -> Derived:
    """The cube of these turns: their lines, the time of the first, and the length of their summed vectors."""
    first = turns[0]
    vectors = [turn.vector for turn in turns if turn.vector is not None]
    return Derived(
        id=window_id(first),
        origin=Windows.name,
        text="\n".join(f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text for turn in turns),
        members=tuple(turn.row for turn in turns),
        trust=min((turn.trust for turn in turns), key=TRUST_ORDER.index),
        agent=first.agent,
        session=first.session,
        at=first.at,
        valid_from=min(turn.valid_from for turn in turns),
        norm=float(np.linalg.norm(np.sum(vectors, axis=0))) if vectors else 0.0,
    )


def window_id(first: Turn) -> str:
    """The id of the window that begins with this turn."""
    return derived_id(Windows.name, first.id)
