"""The fast choice: a vector for each word piece, made once from the default model, so that a text costs a lookup.

Each piece of the vocabulary is read by MiniLM alone; the vectors are reduced by principal components, and a piece
weighs the less the more frequent it is (the recipe of model2vec, Tulkens & van Dongen 2024; weights as in SIF, Arora et
al. 2017). Making them takes about a quarter of a minute on two cores, once for each machine; they are kept in the cache
folder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memorist.models.embedder import Identity, Vectors
from memorist.models.minilm import WEIGHTS_SHA256, MiniLM
from memorist.models.wordpiece import pieces, vocabulary, words

DIMENSION = 256
LONGEST = 512
SIF = 1e-4
BATCH = 1_024
VERSION = 1


class Static:
    """Vectors of 256 dimensions, tens of thousands of texts a second. It knows words, not sentences: with the default
    recipe little is lost where questions use the words of their evidence, much where they paraphrase
    (docs/results/recall.md).

    `tell` hears how far the making is, from 0 to 1, when it has to be done.
    """

    identity = Identity(f"static-all-MiniLM-L6-v2-v{VERSION}", DIMENSION, WEIGHTS_SHA256)

    def __init__(self, tell: Callable[[float], None] = lambda done: None) -> None:
        self._tell = tell
        self._table: Vectors | None = None
        self._loading = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, 256], unit rows."""
        table = self._loaded()
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        for place, text in enumerate(texts):
            ids = [id for word in words(text) for id in pieces(word)][:LONGEST]
            vectors[place] = table[ids].sum(0) if ids else 0
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[norms[:, 0] == 0, 0] = 1  # nothing that we know: a direction all the same
        return np.asarray(vectors / np.where(norms == 0, 1, norms), np.float32)

    def _loaded(self) -> Vectors:
        with self._loading:
            if self._table is None:
                path = cache_path()
                if not path.exists():
                    keep(path, distil(MiniLM(), self._tell))
                self._table = np.load(path).astype(np.float32)
            return self._table


def cache_path() -> Path:
    """Where the vectors are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("memorist") / f"static-{WEIGHTS_SHA256[:12]}-v{VERSION}.npy"


def keep(path: Path, table: Vectors) -> None:
    """Write the vectors so that they appear whole, whoever else is making them too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}-{threading.get_ident()}.partial.npy")
    np.save(partial, table.astype(np.float16))
    partial.replace(path)


def distil(model: MiniLM, tell: Callable[[float], None]) -> Vectors:
    """float32 [vocabulary, 256]."""
    known = len(vocabulary())
    begin, end = vocabulary()["[CLS]"], vocabulary()["[SEP]"]
    read = np.empty((known, model.identity.dimension), np.float32)
    for start in range(0, known, BATCH):
        stop = min(start + BATCH, known)
        read[start:stop] = model.embed_ids([[begin, id, end] for id in range(start, stop)])
        tell(stop / known)
    return reduced(read) * rarity(known)[:, None]


def reduced(read: Vectors) -> Vectors:
    """The first principal components, with signs fixed so that every machine agrees."""
    centred = read - read.mean(0)
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    chosen = directions[:, np.argsort(-values)[:DIMENSION]]
    chosen *= np.sign(chosen[np.abs(chosen).argmax(0), np.arange(DIMENSION)])
    return np.asarray(centred @ chosen, np.float32)


def rarity(known: int) -> npt.NDArray[np.float32]:
    """a / (a + p), p by Zipf's law from the rank: the vocabulary stands in order of frequency."""
    share = 1 / np.arange(2, known + 2)
    share /= share.sum()
    return np.asarray(SIF / (SIF + share), np.float32)
