"""`memorist bench graph`: what the fact graph costs as it grows, and a walk on it beside straightforward ones.

Texts are lists of made-up facts over phrases of which half are new and half come again, the older the more often; so
neither an extractor nor an embedder is in the times, unless they say so.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from memorist.bench.peers.adapters.serve import peak
from memorist.bench.synthetic import VOCABULARY, WordSum, vocabulary
from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.memory import Memory
from memorist.models.embedder import Embedder, Vectors
from memorist.models.minilm import MiniLM
from memorist.organise.extract.extraction import Fact, sound
from memorist.organise.fact_cube import ORIGIN
from memorist.organise.graph import FactOrganiser
from memorist.organise.synonyms import NEAR
from memorist.recall.fact_graph import FactGraph
from memorist.recall.pagerank import FOLLOW, Nodes, Reals, pagerank
from memorist.recipes import RECIPES

QUERIES = 40
STEP = 500
"""Passages at a time; the time for each of the last few steps before a size is what it costs at that size."""

LAST = 4
TOP = 20
SCIPY_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of what, at which number of passages."""

    metric: str
    size: int
    value: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How many facts a passage has, and the share of phrases that are new."""

    facts: int
    new: float


GROWING = Shape(5, 0.5)
"""As passages of an encyclopaedia are, with fewer facts."""

DENSE = Shape(20, 0.122)
"""Of 17,000 passages it makes a graph of 100,000 nodes and 1,000,000 edges, to two in a hundred."""

DENSE_PASSAGES = 17_000


class WrittenFacts:
    """An extractor of texts that are facts already: `subject | relation | object`, one a line."""

    name = "written/1"

    def extract(self, texts: Sequence[str]) -> list[list[Fact]]:
        """The facts of each text."""
        return [list(sound(line.split(" | ") for line in text.splitlines()).facts) for text in texts]


def passages(shape: Shape, seed: int) -> Iterator[Observation]:
    """Passages without end."""
    rng = np.random.default_rng(seed)
    known = np.array(vocabulary())
    count = 1
    while True:
        lines = []
        for _ in range(shape.facts):
            ends = []
            for _ in range(2):
                if rng.random() < shape.new:
                    number, count = count, count + 1
                else:
                    number = int(count * rng.random() ** 2)
                ends.append(phrase(number, known))
            lines.append(f"{ends[0]} | {known[int(rng.integers(200))]} | {ends[1]}")
        yield Observation("\n".join(lines), role="document", source=f"synthetic {seed}", key=str(count))


def phrase(number: int, known: npt.NDArray[np.str_]) -> str:
    """A name of two words; every twentieth is that of the one before with a word more, so the two are synonyms."""
    base, more = (number - 1, " city") if number % 20 == 0 and number else (number, "")
    return f"{known[base % VOCABULARY]} {known[(base * 7919 + base // VOCABULARY) % VOCABULARY]}{more}"


def run(sizes: Sequence[int], igraph: Path | None, out: Outputs, console: Console) -> list[Row]:
    """Measure, print a table, and tell `out`. `igraph` is a Python that has that library."""
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
        console.print("a graph of 100,000 nodes and 1,000,000 edges …", highlight=False)
        rows = dense(Path(folder), igraph)
        console.print(f"growing to {max(sizes):,} passages …", highlight=False)
        rows += growing(Path(folder), sizes, console)
    show(rows, console)
    tell(out, "graph", rows)
    return rows


class WithDefault(WordSum):
    """Made-up vectors; while `asked`, the default embedder embeds the same texts, and is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = False
        self._default = MiniLM()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, 384], unit rows."""
        if self.asked:
            self._default.embed(texts)
        return super().embed(texts)


def both(metric: str, size: int, milliseconds: tuple[float, float]) -> list[Row]:
    """A row for the clock, which other work on the machine moves, and one for the processor."""
    return [Row(metric.format(kind), size, value) for kind, value in zip(("", "cpu_"), milliseconds)]


def opened(path: Path, embedder: Embedder) -> Memory:
    """A store with the recipe over written facts."""
    recipe = replace(RECIPES["hipporag2"], organisers=(partial(FactOrganiser, WrittenFacts()),))
    memory = Memory.open(path, embedder=embedder, recipe="dense")
    memory._recipe, memory._recipe_organisers = recipe, tuple(make() for make in recipe.organisers)
    return memory


def growing(folder: Path, sizes: Sequence[int], console: Console) -> list[Row]:
    """Milliseconds to add a passage at each size, facts, synonyms and index included; then what opening costs."""
    path, embedder = folder / "growing.db", WordSum()
    rows: list[Row] = []
    spent: list[list[float]] = []
    stream, done = passages(GROWING, 1), 0
    with opened(path, embedder) as memory:
        scoped = memory.scope(user="bench")
        while done < max(sizes):
            batch = list(islice(stream, STEP))
            began = time.perf_counter(), time.process_time()
            receipt = scoped.add(batch)
            ended = time.perf_counter(), time.process_time()
            spent.append([1000 * (end - start) / STEP for start, end in zip(began, ended)])
            if receipt.problem:
                raise RuntimeError(receipt.problem)
            done += STEP
            if done in sizes:
                clock, processor = np.median(spent[-LAST:], axis=0).tolist()
                rows += both("add_{}ms_a_passage", done, (clock, processor))
                console.print(f"{done:,}: {clock:.2f} ms a passage", highlight=False)
    return rows + reopened(path, max(sizes), embedder)


def reopened(path: Path, size: int, embedder: Embedder) -> list[Row]:
    """What the first search and the first addition after opening take, and searches then; size and memory."""
    rows: list[Row] = []
    with opened(path, embedder) as memory:
        scoped = memory.scope(user="bench")
        begin = time.perf_counter(), time.process_time()
        scoped.search("warm up", k=1)
        rows.append(Row("first_search_seconds", size, time.perf_counter() - begin[0]))
        rows.append(Row("first_search_cpu_seconds", size, time.process_time() - begin[1]))
        asked = questions(GROWING, 2)
        rows += both("search_{}ms_p50", size, median_ms(partial(scoped.search, k=10), asked))
        (one,) = islice(passages(GROWING, 3), 1)
        begin = time.perf_counter(), time.process_time()
        scoped.add(one)
        rows.append(Row("first_add_seconds", size, time.perf_counter() - begin[0]))
        rows.append(Row("first_add_cpu_seconds", size, time.process_time() - begin[1]))
        graph = memory._views.of(scoped.scope, ORIGIN, FactGraph)
        rows += shape_rows(graph, size)
    rows.append(Row("file_gb", size, path.stat().st_size / 1e9))
    rows.append(Row("resident_gb_peak", size, peak() / 1e9))
    return rows


def dense(folder: Path, igraph: Path | None) -> list[Row]:
    """The walk alone, beside others, and whole searches, in which the default embedder embeds the question, too."""
    embedder = WithDefault()
    path = folder / "dense.db"
    with opened(path, embedder) as memory:
        scoped = memory.scope(user="bench")
        for batch in batches(passages(DENSE, 4), DENSE_PASSAGES):
            scoped.add(batch)
        scoped.search("warm up", k=1)
        graph = memory._views.of(scoped.scope, ORIGIN, FactGraph)
        rows = shape_rows(graph, DENSE_PASSAGES)
        asked = questions(DENSE, 5)
        rows += both("search_{}ms_p50", DENSE_PASSAGES, median_ms(partial(scoped.search, k=10), asked))
        embedder.asked = True
        rows += both("search_with_embedding_{}ms_p50", DENSE_PASSAGES, median_ms(partial(scoped.search, k=10), asked))
        rows += walks(folder, graph, igraph)
    return rows


def batches(stream: Iterator[Observation], count: int) -> Iterator[list[Observation]]:
    """Lists of STEP, `count` in all."""
    for _ in range(count // STEP):
        yield list(islice(stream, STEP))


def questions(shape: Shape, seed: int) -> list[str]:
    """Some facts as questions."""
    return [one.text.splitlines()[0].replace(" | ", " ") for one in islice(passages(shape, seed), QUERIES)]


def shape_rows(graph: FactGraph, size: int) -> list[Row]:
    """How large a graph is; an edge is one for both directions."""
    edges = sum(len(part.targets) for part in (*graph.said, *graph.alike)) / 2
    return [
        Row("nodes", size, float(len(graph.mentions))),
        Row("edges", size, edges),
        Row("facts", size, float(graph.alive.sum())),
    ]


def seeds_of(graph: FactGraph, seed: int) -> list[tuple[Nodes, Reals]]:
    """Seeds as a question makes them: five phrases, and a hundred passages with little weight."""
    rng = np.random.default_rng(seed)
    phrases = np.flatnonzero((graph.ledger.episodes[: len(graph.mentions)] < 0) & (graph.mentions > 0))
    places = np.flatnonzero(graph.ledger.episodes[: len(graph.mentions)] >= 0)
    found = []
    for _ in range(QUERIES):
        chosen = rng.choice(phrases, 5, replace=False)
        mass = rng.uniform(0.7, 1.0, 5) / graph.mentions[chosen]
        found.append(
            (
                np.concatenate([chosen, rng.choice(places, 128, replace=False)]).astype(np.int64),
                np.concatenate([mass, 0.05 * rng.random(128)]),
            )
        )
    return found


def walks(folder: Path, graph: FactGraph, igraph: Path | None) -> list[Row]:
    """Milliseconds of a walk: ours, scipy's power iteration, and igraph's where it is; and how far ours agrees."""
    from scipy.sparse import csr_matrix

    parts, degree = (*graph.said, *graph.alike), graph.said_degree + graph.alike_degree
    count = len(degree)
    source, target, weight = (np.concatenate(column) for column in zip(*(part.all() for part in parts)))
    step = csr_matrix((weight / degree[source], (target, source)), shape=(count, count))
    asked = seeds_of(graph, 6)
    ours, theirs, agreement = [], [], []
    for seeds, mass in asked:
        begin = time.perf_counter()
        walk = pagerank(parts, degree, seeds, mass)
        middle = time.perf_counter()
        reset = np.zeros(count)
        reset[seeds] = mass / mass.sum()
        exact = reset.copy()
        for _ in range(SCIPY_ROUNDS):
            exact = (1 - FOLLOW) * reset + FOLLOW * (step @ exact)
        end = time.perf_counter()
        ours.append(1000 * (middle - begin))
        theirs.append(1000 * (end - middle))
        places, rank = graph.ledger.episodes[:count] >= 0, walk.at(np.arange(count))
        best = [set(np.argsort(-np.where(places, one, -1), kind="stable")[:TOP].tolist()) for one in (rank, exact)]
        agreement.append(len(best[0] & best[1]) / TOP)
    rows = [
        Row("walk_ms_p50", DENSE_PASSAGES, float(np.median(ours))),
        Row("walk_ms_p95", DENSE_PASSAGES, float(np.percentile(ours, 95))),
        Row("walk_scipy_ms_p50", DENSE_PASSAGES, float(np.median(theirs))),
        Row("walk_top_20_agreement", DENSE_PASSAGES, float(np.mean(agreement))),
    ]
    if igraph is not None:
        rows.append(Row("walk_igraph_ms_p50", DENSE_PASSAGES, igraph_ms(folder, igraph, source, target, weight, asked)))
    rows.append(Row("synonym_recall", DENSE_PASSAGES, synonym_recall()))
    return rows


IGRAPH = """
import sys, time, numpy as np, igraph
data = np.load(sys.argv[1])
graph = igraph.Graph(n=int(data["count"]), edges=np.stack([data["source"], data["target"]], 1).tolist())
weights, spent = data["weight"].tolist(), []
for seeds, mass in zip(data["seeds"], data["mass"]):
    reset = np.zeros(int(data["count"])); reset[seeds] = mass
    begin = time.perf_counter()
    graph.personalized_pagerank(damping=0.5, directed=False, weights=weights, reset=reset, implementation="prpack")
    spent.append(1000 * (time.perf_counter() - begin))
print(float(np.median(spent)))
"""


def igraph_ms(
    folder: Path, python: Path, source: Nodes, target: Nodes, weight: Reals, asked: Sequence[tuple[Nodes, Reals]]
) -> float:
    """Milliseconds of igraph's walk, in a process of its own: its licence is not ours."""
    once = source < target
    seeds, mass = (np.stack(column) for column in zip(*asked[:10]))
    file = folder / "edges.npz"
    count = np.array(int(max(source.max(), target.max())) + 1)
    edges = source[once], target[once], weight[once]
    np.savez(file, count=count, seeds=seeds, mass=mass, source=edges[0], target=edges[1], weight=edges[2])
    found = subprocess.run([str(python), "-c", IGRAPH, str(file)], capture_output=True, text=True, check=True)
    return float(found.stdout)


def synonym_recall(count: int = 4_000, seed: int = 7) -> float:
    """The share of pairs at cosines of 0.8 to 0.95 that the hash codes find."""
    from memorist.organise.synonyms import codes_of

    rng = np.random.default_rng(seed)
    one = rng.standard_normal((count, 384))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    aside = rng.standard_normal((count, 384))
    aside -= (aside * one).sum(1, keepdims=True) * one
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine = rng.uniform(NEAR, 0.95, (count, 1))
    other = cosine * one + np.sqrt(1 - cosine**2) * aside
    names = ["name"] * count
    codes = [codes_of(names, vectors.astype(np.float16)) for vectors in (one, other)]
    return float((codes[0] == codes[1]).any(1).mean())


def median_ms(call: Callable[[str], object], asked: Sequence[str]) -> tuple[float, float]:
    """Median milliseconds of a call, after a warm-up: on the clock, and of the processor."""
    call(asked[0])
    spent = []
    for text in asked:
        begin = time.perf_counter(), time.process_time()
        call(text)
        spent.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    clock, processor = (1000 * np.median(spent, axis=0)).tolist()
    return clock, processor


def show(rows: Sequence[Row], console: Console) -> None:
    """A line for each number."""
    table = Table(title="the fact graph")
    for heading in ("metric", "passages", "value"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for row in rows:
        table.add_row(row.metric, f"{row.size:,}", f"{row.value:,.4g}")
    console.print(table)
