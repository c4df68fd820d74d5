"""Embedders by name: those that come with the package, folders of sentence-transformers, and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from memorist.errors import InputError
from memorist.models.embedder import Embedder, Identity
from memorist.models.endpoint import PREFIX as OPENAI
from memorist.models.endpoint import EndpointEmbedder
from memorist.models.minilm import MiniLM
from memorist.models.sentences import PREFIX as SENTENCES
from memorist.models.sentences import Sentences
from memorist.models.static import Static

EMBEDDERS: Mapping[str, Callable[[], Embedder]] = {"minilm": MiniLM, "static": Static}
DEFAULT = "minilm"
ENDPOINTS = (OPENAI, "http://", "https://")


def embedder_named(name: str, dimension: int = 0) -> Embedder:
    """The embedder, or InputError with those there are. `dimension`, where known, spares an endpoint a question."""
    if name in EMBEDDERS:
        return EMBEDDERS[name]()
    if name.startswith(SENTENCES) and name != SENTENCES:
        return Sentences(name[len(SENTENCES) :])
    if name.startswith(ENDPOINTS):
        return EndpointEmbedder(name, dimension)
    raise InputError(
        f"there is no embedder {name!r:.50}; choose one of {', '.join(EMBEDDERS)}, {SENTENCES}FOLDER, {OPENAI}NAME,"
        " http://host/v1#NAME, or pass an object"
    )


def embedder_of(identity: Identity | None) -> Embedder:
    """The embedder that made a store's vectors, when it is one of ours; the default otherwise."""
    for make in EMBEDDERS.values():
        embedder = make()
        if embedder.identity == identity:
            return embedder
    if identity is not None and identity.name.startswith((SENTENCES, *ENDPOINTS)):
        return embedder_named(identity.name, identity.dimension)
    return EMBEDDERS[DEFAULT]()
