"""What a writer shows of memories, with handles that cannot be forged, and what it takes from a reply."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from memorist.store.protocol import Turn

SILENCE = timedelta(hours=12)
MOST_TURNS = 32
"""Of a piece of a conversation that nothing else ends."""

ONE_IN = 6
"""A message in so many begins a new piece, whatever came before: pieces do not depend on the batches they came in."""

LONGEST_SHOWN = 2_000
"""Characters that are shown of a message."""

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
SPACES = re.compile(r"\s+")


def pieces(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """A session's turns in pieces. A piece ends at a silence, where trust changes (so that what a web page says cannot
    be taken for a user's words), before every turn whose id says so, and after MOST_TURNS."""
    piece: list[Turn] = []
    for turn in turns:
        if piece and (begins(piece[-1], turn) or len(piece) >= MOST_TURNS):
            yield piece
            piece = []
        piece.append(turn)
    if piece:
        yield piece


def begins(before: Turn, turn: Turn) -> bool:
    """Whether a turn begins a piece."""
    apart = turn.at - before.at > SILENCE or not turn.session
    mixed = (turn.trust in ("user", "agent")) != (before.trust in ("user", "agent"))
    return apart or mixed or sum(turn.id.encode()) % ONE_IN == 0


def quoted(turns: Sequence[Turn]) -> tuple[str, Mapping[str, Turn]]:
    """A line for each turn, `t1 [2025-05-10] Ana: "…"`, and the turns by handle.

    The words are a JSON string on the line of their handle, so that no message can look like another one.
    """
    handles = {f"t{number}": turn for number, turn in enumerate(turns, 1)}
    lines = [
        f"{handle} [{turn.at:%Y-%m-%d}] {clean(turn.speaker or turn.role, 60)}: {in_quotes(turn.text)}"
        for handle, turn in handles.items()
    ]
    return "\n".join(lines), handles


def in_quotes(text: str) -> str:
    """A text on one line, as JSON."""
    short = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + " …"
    return json.dumps(clean(short, LONGEST_SHOWN + 2), ensure_ascii=False)


def clean(text: str, longest: int) -> str:
    """Words on one line, without characters that command terminals or hide, and not too long."""
    whole = text[: 4 * longest].encode("utf-8", "replace").decode()
    return SPACES.sub(" ", CONTROLS.sub(" ", whole)).strip()[:longest].rstrip()
