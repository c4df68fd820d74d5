"""Four granularities of every sitting (MemGAS): as a whole, as its turns, as a summary and as keywords.

A sitting is a session, or the part of one between two silences. Each granularity is a cube with a vector; what joins
the sittings with one another is in `association.py`, and which granularity a question trusts in `recall/route.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memorist.ids import derived_id
from memorist.models.embedder import Embedder, Vectors
from memorist.models.wordpiece import count_tokens
from memorist.organise.association import GRANULARITIES, KEYWORDS, ORIGIN, SESSION, SUMMARY, TURNS, Sittings
from memorist.organise.digest import Digest, digest_of
from memorist.organise.protocol import Around
from memorist.organise.windows import SILENCE, TRUST_ORDER
from memorist.store.protocol import Derived, Organised, Stretch, Turn
from memorist.text import indexed, shown

MOST_TURNS = 64
"""A longer sitting is taken as several, each of so many turns: a vector can say only so much."""

WHOLE = 2**31
"""As `reach`: all turns of a session."""

PIECE_TOKENS = 240
"""A sitting is embedded in pieces of whole turns of about so many tokens, as embedders cut what is long."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """Turns that belong together, in their order, and their digest."""

    turns: tuple[Turn, ...]
    digest: Digest

    @property
    def first(self) -> Turn:
        """The turn that a sitting is known by."""
        return self.turns[0]


class Granularity:
    """The organiser of granularities. It makes no call of a language model."""

    name = ORIGIN
    reach = WHOLE
    batch = 512
    own_vectors: Literal[True] = True

    def organise(self, stretches: Sequence[Stretch], changed: frozenset[int], around: Around) -> Organised:
        """Four cubes for each sitting of the sessions that changed; what is no sitting any more is withdrawn."""
        known = {unit.id: unit.members.tolist() for unit in around.view(ORIGIN, Sittings).units}
        found = [turns for stretch in stretches for turns in parted(stretch.turns)]
        begun = {turns[0].id for turns in found}
        sittings = [
            Sitting(turns, digest_of(turns))
            for turns in found
            if known.get(turns[0].id) != [turn.row for turn in turns]  # a long session has many that stay as they were
            or not changed.isdisjoint(turn.row for turn in turns)
        ]
        withdrawn = tuple(
            cube_id(granularity, turn.id)
            for stretch in stretches
            for turn in stretch.turns
            if turn.id not in begun
            for granularity in GRANULARITIES
        )
        return Organised(tuple(cubes_of(sittings, around.embedder)), withdrawn)


def parted(turns: Sequence[Turn]) -> Iterator[tuple[Turn, ...]]:
    """The sittings of a session: turns without a silence between them, MOST_TURNS at most. Lone notes are none."""
    sitting: list[Turn] = []
    for turn in turns:
        if sitting and (turn.at - sitting[-1].at > SILENCE or len(sitting) == MOST_TURNS):
            yield tuple(sitting)
            sitting = []
        if turn.session:
            sitting.append(turn)
    if sitting:
        yield tuple(sitting)


def cube_id(granularity: str, first: str) -> str:
    """The id of a granularity of the sitting that begins with the turn `first`."""
    return derived_id(ORIGIN, granularity, first)


def cubes_of(sittings: Sequence[Sitting], embedder: Embedder) -> Iterator[Derived]:
    """The cubes of sittings; all that needs the embedder is one call."""
    pieces = [list(pieces_of(sitting.turns)) for sitting in sittings]
    digests = [dated(sitting, text) for sitting in sittings for text in texts_of(sitting.digest)]
    flat = [piece for of_one in pieces for piece in of_one]
    vectors = embedder.embed([*flat, *digests]) if sittings else np.empty((0, 0), np.float32)
    start, after = 0, len(flat)
    for sitting, of_one in zip(sittings, pieces):
        whole = unit(vectors[start : start + len(of_one)].mean(0))
        start += len(of_one)
        told = [turn.vector for turn in sitting.turns if turn.vector is not None]
        turns = unit(np.mean(told, axis=0)) if told else whole
        summary, keywords = vectors[after : after + 2]
        after += 2
        heading = heading_of(sitting)
        yield cube_of(SESSION, sitting, heading, whole)
        yield cube_of(TURNS, sitting, heading, turns)
        yield from digest_cubes(sitting, summary, keywords)


def digest_cubes(sitting: Sitting, summary: Vectors, keywords: Vectors) -> Iterator[Derived]:
    """The cubes of a digest."""
    for granularity, text, vector in zip((SUMMARY, KEYWORDS), texts_of(sitting.digest), (summary, keywords)):
        yield cube_of(granularity, sitting, text, vector)


def cube_of(granularity: str, sitting: Sitting, text: str, vector: Vectors) -> Derived:
    """One granularity of a sitting."""
    first = sitting.first
    return Derived(
        id=cube_id(granularity, first.id),
        origin=ORIGIN,
        text=text,
        members=tuple(turn.row for turn in sitting.turns),
        trust=min((turn.trust for turn in sitting.turns), key=TRUST_ORDER.index),
        agent=first.agent,
        session=first.session,
        at=first.at,
        valid_from=min(turn.valid_from for turn in sitting.turns),
        tokens=count_tokens([text])[0],
        meta={"granularity": granularity, "sitting": first.id},
        vector=vector,
    )


def texts_of(digest: Digest) -> tuple[str, str]:
    """Summary and keywords as text."""
    return digest.summary, "; ".join(digest.keywords)


def dated(sitting: Sitting, text: str) -> str:
    """A digest as it is embedded, with the day like everything that is."""
    return indexed(None, text, sitting.first.at)


def heading_of(sitting: Sitting) -> str:
    """`18 turns of Caroline, Melanie`: a cube of all turns need not repeat them."""
    speakers = dict.fromkeys(turn.speaker or turn.role for turn in sitting.turns)
    return f"{len(sitting.turns)} turns of {', '.join(speakers)}"


def pieces_of(turns: Sequence[Turn]) -> Iterator[str]:
    """The turns' lines, joined into dated pieces of about PIECE_TOKENS."""
    lines = [shown(turn.speaker, turn.text) for turn in turns]
    piece: list[str] = []
    length = 0
    for line, tokens in zip(lines, count_tokens(lines)):
        if piece and length + tokens > PIECE_TOKENS:
            yield indexed(None, "\n".join(piece), turns[0].at)
            piece, length = [], 0
        piece.append(line)
        length += tokens
    yield indexed(None, "\n".join(piece), turns[0].at)


def unit(vector: Vectors) -> Vectors:
    """A vector scaled to length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
