"""The seam for rerankers: a question and texts in, scores out; and cross-encoders, which read them together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from memorist.errors import InputError, ModelMissing

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder as Loaded

PREFIX = "cross-encoder:"
BATCH = 16


class Reranker(Protocol):
    """Scores how well texts answer a question; only their order counts."""

    @property
    def name(self) -> str:
        """Who it is."""
        ...

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts)], higher is better. May raise any error: recall then keeps the order it had."""
        ...


class CrossEncoder:
    """A cross-encoder of the sentence-transformers library in a folder; loaded at the first use, never downloaded."""

    def __init__(self, folder: str) -> None:
        path = Path(folder).expanduser()
        if not (path / "config.json").is_file():
            raise InputError(f"{folder!r:.200} is not the folder of a cross-encoder: it has no config.json")
        self.name = PREFIX + str(path.resolve())
        self._folder = str(path.resolve())
        self._loading = threading.Lock()
        self._loaded: Loaded | None = None

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts)]. Raises ModelMissing without the library."""
        made = self._model().predict([(query, text) for text in texts], batch_size=BATCH, show_progress_bar=False)
        return np.asarray(made, np.float32).reshape(len(texts), -1)[:, -1]

    def _model(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                try:
                    from sentence_transformers import CrossEncoder as Loaded
                except ImportError:
                    told = "cross-encoders need a library; install it: pip install 'memorist[sentence-transformers]'"
                    raise ModelMissing(told, self.name) from None
                self._loaded = Loaded(self._folder, device="cpu", local_files_only=True)
            return self._loaded


def reranker_named(name: str) -> Reranker:
    """The reranker `cross-encoder:FOLDER`. Raises InputError."""
    if not name.startswith(PREFIX):
        raise InputError(f"there is no reranker {name!r:.100}; name a folder as {PREFIX}FOLDER, or pass an object")
    return CrossEncoder(name.removeprefix(PREFIX))
