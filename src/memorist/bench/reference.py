"""`memorist bench reference`: HippoRAG's own implementation and ours, on the same passages, triples and vectors.

Theirs runs in an environment of its own (`reference_peer.py`). Neither an embedder nor a language model is in the
times.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench import reference_peer
from memorist.bench.metrics.ranking import recall_at
from memorist.bench.suite import Item, Source, Task
from memorist.bench.suites.passages import CORPUS, MUSIQUE, RETURNED
from memorist.bench.system import RecipeSystem, observation
from memorist.bench.told import Outputs, tell
from memorist.bench.vectors import Remembering
from memorist.errors import InputError
from memorist.models.embedder import Embedder, Identity, Vectors
from memorist.models.minilm import MiniLM
from memorist.organise.extract.openie import partings, read, triples_of
from memorist.recall.pool import Limits

OURS = ("hipporag2", "hipporag2:no-words", "dense")
REFERENCE = "reference"
PATIENCE = 600
"""Seconds until the reference must have connected."""


class Timed:
    """An embedder that counts the seconds spent in it, which no system's times hold."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.seconds = 0.0

    @property
    def identity(self) -> Identity:
        """The embedder's."""
        return self._embedder.identity

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [texts, dimension]."""
        begin = time.perf_counter()
        vectors = self._embedder.embed(texts)
        self.seconds += time.perf_counter() - begin
        return vectors


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a system, at which number of passages."""

    system: str
    metric: str
    passages: int
    value: float


@dataclass(frozen=True, slots=True)
class Given:
    """What both are given: passages in parts, the triples of each by its text, and questions."""

    parts: Sequence[Sequence[Item]]
    triples: Mapping[str, Sequence[Any]]
    tasks: Sequence[Task]

    @property
    def sizes(self) -> list[int]:
        """How many passages there are after each part."""
        return [int(size) for size in np.cumsum([len(part) for part in self.parts])]


def run(data: Path, openie: Path, python: Path, parts: int, out: Outputs, console: Console) -> list[Row]:
    """Measure both, print a table, and tell `out`."""
    given = given_by(data, openie, parts)
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        closing(Remembering(MiniLM())) as remembering,
    ):
        embedder = Timed(remembering)
        console.print("ours …", highlight=False)
        rows = ours(given, embedder, Path(folder))
        console.print("the reference …", highlight=False)
        rows += theirs(given, embedder, python, Path(folder))
    show(rows, console)
    tell(out, "reference", rows, data=[data, openie])
    return rows


def given_by(data: Path, openie: Path, parts: int) -> Given:
    """Questions of MuSiQue and their pooled passages, with a ready-made extraction. Raises InputError."""
    dataset = MUSIQUE.load(Source((data,)))
    items = dataset.corpora[CORPUS].items
    triples: dict[str, Sequence[Any]] = {}
    for doc in read(openie)[1]:
        triples |= {text: triples_of(doc) for (text, *rest) in partings(doc) if not rest}
    if not any(item.text in triples for item in items):
        raise InputError(f"{openie} has the triples of none of the passages of {data}")
    edges = np.linspace(0, len(items), parts + 1).astype(int)
    return Given([items[a:b] for a, b in pairwise(edges)], triples, dataset.tasks)


def ours(given: Given, embedder: Timed, folder: Path) -> list[Row]:
    """A recipe with its graph, part by part; then it and others over the same store."""
    rows = []
    with closing(RecipeSystem(OURS[0], folder, embedder)) as system:
        for part, size in zip(given.parts, given.sizes):
            file = folder / "part.json"
            docs = [{"passage": item.text, "extracted_triples": given.triples.get(item.text, [])} for item in part]
            file.write_text(json.dumps({"docs": docs}), encoding="utf-8")
            spent, begin = embedder.seconds, time.perf_counter()
            system.add_extracted(CORPUS, [observation(item) for item in part], file)
            seconds = time.perf_counter() - begin - (embedder.seconds - spent)
            rows.append(Row(OURS[0], "add_ms_a_passage", size, 1000 * seconds / len(part)))
    for name in OURS:
        with closing(RecipeSystem(name, folder, embedder)) as system:
            found, searching = [], []
            system.search(CORPUS, "warm up", Limits(1, None), None)
            for task in given.tasks:
                spent = embedder.seconds
                result = system.search(CORPUS, task.question, Limits(RETURNED, None), None)
                searching.append(result.seconds - (embedder.seconds - spent))
                found.append(tuple(dict.fromkeys(key for one in result.returned for key in one.keys)))
        rows += searched(name, given, found, searching)
    return rows


def theirs(given: Given, embedder: Timed, python: Path, folder: Path) -> list[Row]:
    """The reference implementation, in a process that asks ours for vectors."""
    file, key = folder / "data.json", secrets.token_bytes(16)
    texts = [[item.text for item in part] for part in given.parts]
    questions = [task.question for task in given.tasks]
    file.write_text(json.dumps({"parts": texts, "triples": given.triples, "questions": questions}), encoding="utf-8")
    with Listener(str(folder / "peer"), "AF_UNIX", authkey=key) as listener:
        command = [str(python), reference_peer.__file__, str(folder / "peer"), "AF_UNIX", str(file)]
        environment = {**os.environ, "MEMORIST_PEER_KEY": key.hex(), "PYTHONPATH": ""}
        log = folder / "peer.log"
        with log.open("wb") as told, subprocess.Popen(command, env=environment, stdout=told, stderr=told) as peer:
            try:
                result = answered(listener, peer, embedder)
            except EOFError:
                peer.wait()  # until it has said why
                last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
                raise InputError(f"the reference failed; has {python} hipporag installed? It said:\n{last}") from None
            finally:
                peer.kill()
    keys = {item.text: item.key for part in given.parts for item in part}
    rows = [
        Row(REFERENCE, "add_ms_a_passage", size, 1000 * seconds / len(part))
        for size, seconds, part in zip(given.sizes, result["adding"], given.parts)
    ]
    found = [tuple(keys[text] for text in texts) for texts in result["found"]]
    return rows + searched(REFERENCE, given, found, result["searching"])


def answered(listener: Listener, peer: subprocess.Popen[bytes], embedder: Timed) -> dict[str, Any]:
    """Give vectors until there is a result. Raises EOFError when the peer ended before."""
    listener._listener._socket.settimeout(1.0)  # type: ignore[attr-defined]
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection = listener.accept()
            break
        except TimeoutError:
            if peer.poll() is not None or time.monotonic() > deadline:
                raise EOFError from None
    with connection:
        while True:
            what, content = connection.recv()
            if what == "result":
                return dict(content)
            vectors = np.asarray(embedder.embed(content), np.float32)
            connection.send((vectors.shape, vectors.tobytes()))


def searched(system: str, given: Given, found: Sequence[tuple[str, ...]], seconds: Sequence[float]) -> list[Row]:
    """Recall, and the time of a search."""
    size = given.sizes[-1]
    return [
        *(
            Row(
                system,
                f"recall@{k}",
                size,
                float(np.mean([recall_at(keys, task.evidence, k) for keys, task in zip(found, given.tasks)])),
            )
            for k in (2, 5)
        ),
        Row(system, "search_ms_p50", size, 1000 * float(np.median(seconds))),
        Row(system, "search_ms_p95", size, 1000 * float(np.percentile(seconds, 95))),
    ]


def show(rows: Sequence[Row], console: Console) -> None:
    """A table with a column for each system."""
    systems = list(dict.fromkeys(row.system for row in rows))
    table = Table()
    for column in ("", "passages", *systems):
        table.add_column(column, justify="left" if not column else "right")
    values = {(row.metric, row.passages, row.system): row.value for row in rows}
    for metric, size in sorted(dict.fromkeys((row.metric, row.passages) for row in rows)):
        cells = (values.get((metric, size, system)) for system in systems)
        told = (
            "" if cell is None else f"{cell:.3f}" if metric.startswith("recall") else f"{cell:.1f}" for cell in cells
        )
        table.add_row(metric, f"{size:,}", *told)
    console.print(table)
