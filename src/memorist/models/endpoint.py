"""Embedders behind an endpoint that speaks OpenAI's protocol: `openai:NAME`, or `http://host/v1#NAME`."""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from memorist.errors import BadReply, InputError, ModelBusy, ModelError, ModelMissing, ModelRefused, ModelUnreachable
from memorist.models.embedder import Identity, Vectors

if TYPE_CHECKING:
    import httpx2

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Of models whose dimension is known without asking; another's is learned from its first vector."""

BATCH = 128
SECONDS = 60.0
"""How long a batch may take, with its retries."""

ATTEMPTS, FIRST_WAIT = 4, 0.5
LARGEST = 64_000_000
"""Bytes of a reply: more than any batch of vectors takes."""


class EndpointEmbedder:
    """Vectors from an endpoint, checked and scaled to length 1.

    Its identity is name, dimension and endpoint; what weights are behind it cannot be known. `dimension`, when given
    (a store remembers it) or known, spares the call that would learn it. The key is $OPENAI_API_KEY; it is sent to
    OpenAI and to https endpoints, and is in no name and no error.
    """

    def __init__(self, name: str, dimension: int = 0) -> None:
        self.name = name
        self._url, self._model = place_of(name)
        self._dimension = dimension or DIMENSIONS.get(self._model, 0) * (self._url == OPENAI)

    @cached_property
    def identity(self) -> Identity:
        """Asks the endpoint only when the dimension is not known. Raises ModelError."""
        if not self._dimension:
            self._dimension = self._batch(["dimension"]).shape[1]
        return Identity(self.name, self._dimension, "")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], each row of length 1. Raises ModelError."""
        parts = [self._batch(list(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.identity.dimension), np.float32)

    def __repr__(self) -> str:
        return f"EndpointEmbedder({self.name!r})"

    def _batch(self, texts: list[str]) -> Vectors:
        deadline = time.monotonic() + SECONDS
        for attempt in range(ATTEMPTS):
            try:
                return self._vectors(self._post({"model": self._model, "input": texts}, deadline), len(texts))
            except (ModelBusy, ModelUnreachable) as error:
                asked = error.retry_after if isinstance(error, ModelBusy) else None
                wait = FIRST_WAIT * 2**attempt if asked is None else asked
                if attempt + 1 == ATTEMPTS or time.monotonic() + wait >= deadline:
                    raise
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _post(self, body: dict[str, Any], deadline: float) -> bytes:
        """The bytes of a successful reply."""
        client, place = self._client, f"{self._url}/embeddings"
        import httpx2

        left = max(0.01, deadline - time.monotonic())
        headers = {"Accept-Encoding": "identity", **self._rights()}
        try:
            with client.stream("POST", place, json=body, headers=headers, timeout=left) as response:
                content = bytearray()
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > LARGEST:
                        raise BadReply(f"{self.name} sent more than {LARGEST:,} bytes", self.name)
                    if time.monotonic() > deadline:
                        raise ModelUnreachable(f"{self.name} did not answer within {SECONDS:g} s", self.name)
                if not response.is_success:
                    raise self._problem(response.status_code, response.headers.get("retry-after", ""))
                return bytes(content)
        except httpx2.HTTPError as error:
            raise ModelUnreachable(f"{self.name} cannot be reached ({type(error).__name__})", self.name) from None

    @cached_property
    def _client(self) -> httpx2.Client:
        """Connections that are kept: making them anew takes longer than a vector does. Raises ModelMissing."""
        try:
            import httpx2
        except ImportError:
            raise ModelMissing(f"{self.name} needs httpx2: pip install 'memorist[remote]'", self.name) from None
        client = httpx2.Client(follow_redirects=False)
        weakref.finalize(self, client.close)
        return client

    def _rights(self) -> dict[str, str]:
        """The header with the key, where it may go."""
        key = os.environ.get(KEY, "")
        if self._url == OPENAI and not key:
            raise ModelMissing(f"{self.name} needs a key; set {KEY}", self.name)
        return {"Authorization": f"Bearer {key}"} if key and self._url.startswith("https://") else {}

    def _problem(self, status: int, retry_after: str) -> ModelError:
        """What an error status means; what the endpoint said is not repeated, it may quote the key."""
        said = f"{self.name} answered with status {status}"
        if status == 429 or status == 503:
            return ModelBusy(said, self.name, float(retry_after) if retry_after.isdecimal() else None)
        if status >= 500 or status == 408:
            return ModelUnreachable(said, self.name)
        return ModelRefused(f"{said}; check the key, the model's name and the address", self.name)

    def _vectors(self, content: bytes, wanted: int) -> Vectors:
        """The reply as unit rows, in the order of the texts. Raises BadReply."""
        try:
            listed = sorted(json.loads(content)["data"], key=lambda one: one["index"])
            vectors = np.array([one["embedding"] for one in listed], np.float32)
            order = [one["index"] for one in listed]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"a reply that is no list of vectors ({type(error).__name__})"
            raise BadReply(
                f"{self.name} gave {problem}", self.name, content[:2000].decode("utf-8", "replace")
            ) from None
        dimension = self._dimension or (vectors.shape[1] if vectors.ndim == 2 else 0)
        if order != list(range(wanted)) or vectors.shape != (wanted, dimension) or not dimension:
            expected = f"{wanted} vectors of {dimension or 'some'} numbers"
            raise BadReply(f"{self.name} gave {list(vectors.shape)} numbers, expected {expected}", self.name)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise BadReply(f"{self.name} gave a vector without a direction", self.name)
        return np.asarray(vectors / lengths, np.float32)


def place_of(name: str) -> tuple[str, str]:
    """Endpoint and model of a name. Raises InputError."""
    if name.startswith(PREFIX):
        url, model = OPENAI, name[len(PREFIX) :]
    else:
        url, _, model = name.partition("#")
    parts = urlsplit(url)
    if not model or not parts.hostname:
        raise InputError(f"{name!r:.100} names no model at an endpoint; write http://host/v1#NAME or openai:NAME")
    if parts.username or parts.password or parts.query:
        raise InputError("the address of an embedder must hold no password or query; set the key as $OPENAI_API_KEY")
    return url.rstrip("/"), model
