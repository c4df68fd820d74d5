"""`memorist data reader`: training examples for a reader, from a file of questions with annotated passages."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from memorist.answer.sentences import sentences
from memorist.bench.metrics.texts import states
from memorist.bench.retrievers import passages_of, ranked
from memorist.learning.readerdata import Asked, Making, Split, examples, write
from memorist.recipes import recipe_named


def make(
    data: Path, out: Path, retrievers: Sequence[str], count: int, limit: int | None, seed: int
) -> dict[Split, int]:
    """Write the examples; returns how many there are of each split. Raises InputError before anything is written."""
    names = [recipe_named(name).name for name in retrievers]
    passages = passages_of(data, limit, seed)
    with tempfile.TemporaryDirectory(prefix="memorist-data-") as folder:
        lists = ranked(passages, names, count + 1, Path(folder))
    asked = [
        Asked(one.question, one.answers, one.gold, {name: found[number] for name, found in lists.items()})
        for number, one in enumerate(passages.asked)
    ]
    texts = [(title, text) for title, _, text in (passage.partition("\n") for passage in passages.texts)]
    making = Making(count, seed, sentences, lambda text, answer: bool(states(text, answer)))
    return write(out, examples(texts, asked, making))
