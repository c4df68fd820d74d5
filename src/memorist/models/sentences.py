"""Any embedder of the sentence-transformers library: a folder, or a name from a hub if that was allowed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memorist.errors import BadReply, ModelMissing
from memorist.models.embedder import Identity, Vectors
from memorist.models.weights import sha256_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PREFIX = "sentence-transformers:"
ALLOW = "MEMORIST_ALLOW_DOWNLOAD"
"""Set to 1, a name that is not on this machine is downloaded from the hub."""

BATCH = 32


class Sentences:
    """Vectors of a sentence-transformers model, loaded at the first use and never downloaded unless that is allowed.

    `name` is a folder, or a model that the library has in its cache.
    """

    def __init__(self, name: str) -> None:
        folder = Path(name).expanduser()
        self.source = str(folder.resolve()) if folder.is_dir() else name
        self._loading = threading.Lock()
        self._loaded: SentenceTransformer | None = None

    @cached_property
    def identity(self) -> Identity:
        """The folder's or model's name, its dimension, and a hash of its files, or of its weights when it has none."""
        model = self._model()
        dimension = model.get_embedding_dimension()
        folder = Path(self.source)
        digest = hashlib.sha256()
        if folder.is_dir():
            for file in sorted(one for one in folder.rglob("*") if one.is_file()):
                digest.update(f"{file.relative_to(folder)} {sha256_of(file)}\n".encode())
        else:
            for name, weight in sorted(model.state_dict().items()):
                digest.update(name.encode() + weight.cpu().float().numpy().tobytes())
        return Identity(PREFIX + self.source, int(dimension or 0), digest.hexdigest())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], each row of length 1. Raises ModelError."""
        model = self._model()
        made = model.encode(list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        vectors = np.asarray(made, np.float32).reshape(len(texts), -1)
        if not np.isfinite(vectors).all():
            raise BadReply(f"{PREFIX}{self.source} gave vectors that are not finite", PREFIX + self.source)
        return vectors

    def _model(self) -> SentenceTransformer:
        """The model. Raises ModelMissing."""
        with self._loading:
            if self._loaded is None:
                self._loaded = load(self.source)
            return self._loaded


def load(source: str) -> SentenceTransformer:
    """The model from this machine, or from the hub when that is allowed. No code of its folder is run."""
    name = PREFIX + source
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelMissing(f"{name} needs {error.name}: pip install 'memorist[sentence-transformers]'", name) from None
    allowed = os.environ.get(ALLOW) == "1"
    try:
        return SentenceTransformer(source, local_files_only=not allowed, trust_remote_code=False, device="cpu")
    except (OSError, ValueError, KeyError) as error:
        remedy = "" if allowed else f"; give a folder, or allow a download with {ALLOW}=1"
        raise ModelMissing(f"{name} cannot be loaded from this machine{remedy} ({str(error)[:200]})", name) from error
