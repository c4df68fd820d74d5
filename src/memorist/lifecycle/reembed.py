"""Changing a store's embedder while it is in use: new vectors beside the old ones, then one switch.

What is done stays done when the process ends: calling it again goes on. Whoever adds meanwhile adds vectors of the old
embedder; they are caught up with before the switch. Two processes may do it at once, which only wastes work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from memorist.cube import utc
from memorist.models.embedder import Embedder
from memorist.store.protocol import Passage, Store
from memorist.text import indexed

BATCH = 256

Progress = Callable[[int, int], None]
"""Told how many vectors are there, and of how many."""


def reembed(
    store: Store,
    embedder: Embedder,
    anew: Sequence[str],
    clock: Callable[[], datetime],
    progress: Progress = lambda done, total: None,
) -> int:
    """Make all vectors anew and switch; returns how many were made by this call.

    Raises StateError when it is cancelled meanwhile, or another one is going on. What the embedder raises ends it, too;
    then calling it again goes on.
    """
    identity = embedder.identity
    store.begin_reembedding(identity, utc(clock()))
    going = store.reembedding()
    done, total = (going.done, going.total) if going else (0, 0)
    progress(done, total)
    made = after = 0
    while True:
        passages = store.passages(after, BATCH)
        if passages:
            after = passages[-1].row
            vectors = embedder.embed([text_of(passage) for passage in passages])
            store.embed_beside(identity, dict(zip(passages, vectors, strict=True)))
            made += len(passages)
            progress(done + made, max(total, done + made))
        elif after:  # from the beginning: what was added or changed behind us
            after = 0
        elif store.finish_reembedding(identity, anew):
            return made


def text_of(passage: Passage) -> str:
    """What its vector is made of."""
    return indexed(passage.speaker, passage.text, passage.at) if passage.episode else passage.text
