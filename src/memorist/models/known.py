"""The embedders that come with the package, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from memorist.errors import InputError
from memorist.models.embedder import Embedder, Identity
from memorist.models.minilm import MiniLM
from memorist.models.static import Static

EMBEDDERS: Mapping[str, Callable[[], Embedder]] = {"minilm": MiniLM, "static": Static}
DEFAULT = "minilm"


def embedder_named(name: str) -> Embedder:
    """The embedder, or InputError with those there are."""
    if name not in EMBEDDERS:
        raise InputError(f"there is no embedder {name!r:.50}; choose one of {', '.join(EMBEDDERS)}, or pass an object")
    return EMBEDDERS[name]()


def embedder_of(identity: Identity | None) -> Embedder:
    """The embedder that made a store's vectors, when it is one of ours; the default otherwise."""
    for make in EMBEDDERS.values():
        embedder = make()
        if embedder.identity == identity:
            return embedder
    return EMBEDDERS[DEFAULT]()
