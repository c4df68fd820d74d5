"""HippoRAG's own implementation under test: run by a Python that has `hipporag`, never imported by ours.

    PYTHON reference_peer.py ADDRESS FAMILY DATA

It is told over a connection what every text's vector is, and takes its triples from DATA, so neither an embedder nor a
language model of its own runs; the time that it waits for vectors is not counted. All facts that it looks at are kept,
as no model filters them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np

RETURNED = 10
ONLY_FOR_MODELS = ("vllm", "gritlm", "litellm", "boto3", "botocore", "cohere")
"""What it imports for models that are replaced here; a name that is not installed is stood in for."""


class GivenVectors:
    """Their embedder's two methods, answered from the other end of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.embedding_dim = 0
        self.waited = 0.0

    def batch_encode(self, texts: str | Sequence[str], **_: Any) -> np.ndarray[Any, Any]:
        """float32 [texts, dimension]."""
        begin = time.perf_counter()
        self._connection.send(("embed", [texts] if isinstance(texts, str) else list(texts)))
        shape, data = self._connection.recv()
        self.waited += time.perf_counter() - begin
        return np.asarray(np.frombuffer(data, np.float32).reshape(shape))

    encode = batch_encode


class GivenTriples:
    """Their extraction, read from a mapping of passages to triples."""

    def __init__(self, triples: Mapping[str, Sequence[Any]]) -> None:
        self._triples = triples

    def batch_openie(self, chunks: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Entities and triples of each chunk; what they call invalid is left out by their own rule."""
        kinds = importlib.import_module("hipporag.utils.misc_utils")
        sound = importlib.import_module("hipporag.utils.llm_utils").filter_invalid_triples
        names, facts = {}, {}
        for key, chunk in chunks.items():
            names[key] = kinds.NerRawOutput(chunk_id=key, response="", unique_entities=[], metadata={})
            triples = sound(triples=list(self._triples.get(chunk["content"], ())))
            facts[key] = kinds.TripleRawOutput(chunk_id=key, response="", triples=triples, metadata={})
        return names, facts


class StandIns(MetaPathFinder, Loader):
    """Empty modules in the place of those that are not installed and not needed."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """Asked last, for what nobody else has found."""
        known = name.partition(".")[0] in ONLY_FOR_MODELS
        return ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that has whatever is asked of it."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


class StandIn(ModuleType):
    """A module in which every name is a class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def opened(folder: str, vectors: GivenVectors, triples: Mapping[str, Sequence[Any]]) -> Any:
    """Their object, its models replaced."""
    sys.meta_path.append(StandIns())
    module: Any = importlib.import_module("hipporag.HippoRAG")
    config = importlib.import_module("hipporag.utils.config_utils").BaseConfig()
    config.save_dir, config.llm_name, config.embedding_model_name = folder, "none", "given"
    module._get_llm_class = lambda config: MagicMock()
    module._get_embedding_model_class = lambda **_: lambda **_: vectors
    made = module.HippoRAG(global_config=config)
    made.openie = GivenTriples(triples)
    made.rerank_filter = keep_all
    return made


def keep_all(
    query: str, candidates: Sequence[Any], places: Sequence[int], len_after_rerank: int | None = None
) -> tuple[Sequence[int], Sequence[Any], dict[str, Any]]:
    """Their filter, which keeps everything."""
    return places[:len_after_rerank], candidates[:len_after_rerank], {}


def measured(vectors: GivenVectors, work: Any) -> tuple[Any, float]:
    """What a piece of work returns, and its seconds without the wait for vectors."""
    waited, begin = vectors.waited, time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin - (vectors.waited - waited)


def run(connection: Connection, data: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Index part by part, then ask every question; seconds of both, and the passages found."""
    vectors = GivenVectors(connection)
    reference = opened(folder, vectors, data["triples"])
    adding = [measured(vectors, lambda part=part: reference.index(part))[1] for part in data["parts"]]
    _, first = measured(vectors, lambda: reference.retrieve(["warm up"], num_to_retrieve=RETURNED))
    found, searching = [], []
    for question in data["questions"]:
        (result,), seconds = measured(
            vectors, lambda question=question: reference.retrieve([question], num_to_retrieve=RETURNED)
        )
        searching.append(seconds)
        found.append(list(result.docs))
    return {"adding": adding, "first": first, "searching": searching, "found": found}


def main(arguments: Iterable[str]) -> None:
    """Connect, run, send the result."""
    address, family, file = arguments
    with (
        Client(address, family, bytes.fromhex(os.environ["MEMORIST_PEER_KEY"])) as connection,
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
    ):
        data = json.loads(Path(file).read_text(encoding="utf-8"))
        connection.send(("result", run(connection, data, folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
