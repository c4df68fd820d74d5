"""The peers there are. Versions are pinned, so that a number means the same tomorrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memorist.errors import InputError

PREFIX = "peer:"
"""What a peer's name begins with among the systems of a run, so that none is taken for a recipe."""

EVERY = "all"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another memory. `requires` is what pip installs, `alone` what it installs without dependencies; `probe` is a
    line that the Python it runs in must get through; `missing` says why it cannot be run at all (None: it can)."""

    name: str
    about: str
    requires: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    probe: str = ""
    missing: str | None = None

    @property
    def system(self) -> str:
        """Its name among the systems of a run."""
        return PREFIX + self.name

    @property
    def adapter(self) -> str:
        """The module that speaks for it."""
        return self.name.replace("-", "_")


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("bm25s", "BM25 by bm25s, with stop words and stems", ("bm25s==0.3.16", "PyStemmer==3.0.0")),
        Peer("chroma", "Chroma, a vector database in files", ("chromadb==1.5.9",)),
        Peer("mem0", "mem0 without a language model (infer=False), Qdrant in files", ("mem0ai==2.2.1",)),
        Peer(
            "langgraph-memory",
            "LangGraph's InMemoryStore with an index",
            ("langgraph-checkpoint==4.3.2", "numpy>=2.0"),
        ),
        Peer(
            "langgraph-sqlite",
            "LangGraph's SqliteStore with an index by sqlite-vec",
            ("langgraph-checkpoint-sqlite==3.1.2", "numpy>=2.0"),
            probe="import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)",
        ),
        Peer(
            "txtai",
            "txtai, BM25 and vectors, without torch (which only models of its own need)",
            ("faiss-cpu==1.15.1", "numpy>=2.0", "msgpack>=1.1", "pyyaml>=6.0", "regex", "tqdm", "huggingface-hub",
             "safetensors"),
            alone=("txtai==9.14.0",),
        ),
        Peer(
            "hipporag",
            "HippoRAG 2, its authors' code",
            missing="it extracts facts only by a language model behind an endpoint; beside ours, on an extraction that"
            " is already there, it runs in: memorist bench reference",
        ),
    )
}  # fmt: skip


def peers_named(text: str | None) -> list[Peer]:
    """`chroma,mem0` or `all` as peers, each once; none for None. Raises InputError with those there are."""
    if text is None:
        return []
    names: Sequence[str] = list(PEERS) if text == EVERY else [name.strip() for name in text.split(",")]
    return [peer_named(name) for name in dict.fromkeys(names)]


def peer_named(name: str) -> Peer:
    """The peer, or InputError with those there are."""
    if name not in PEERS:
        raise InputError(f"there is no peer {name!r:.60}; choose one of {', '.join(PEERS)}")
    return PEERS[name]
