"""`memorist bench scale`: where a search's time goes as a memory grows, and what our own indexes are worth.

The stages of the default recipe, a small scope in a large file, the scan of sign bits against exact search, and our
lexical index against SQLite's. What a system costs as a whole is measured by `memorist bench speed`.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from memorist.bench.fts5 import LIMIT, FullText
from memorist.bench.synthetic import WordSum, texts, turns
from memorist.bench.told import Outputs, tell
from memorist.memory import Memory
from memorist.models.embedder import Embedder
from memorist.recall.pool import Limits, Pool, Query, Stage
from memorist.recipes import RECIPES
from memorist.store.protocol import Searcher, Selection
from memorist.store.terms import query_terms

QUERIES = 60
NEIGHBOURS = 10
EXACT_QUERIES = 20
SMALL_SCOPE = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of what, at which number of turns (0: does not apply)."""

    metric: str
    size: int
    value: float


def run(sizes: Sequence[int], out: Outputs, console: Console) -> list[Row]:
    """Measure every size in a process of its own, print a table, and tell `out`."""
    rows: list[Row] = []
    for size in sizes:
        console.print(f"{size:,} turns …", highlight=False)
        with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
            path = Path(folder) / "scale.db"
            fill(path, size)
            rows += child(measure, path, size)
            rows += child(compare_lexical, path, size)
    show(rows, sizes, console)
    tell(out, "scale", rows)
    return rows


def child(work: Callable[[Path, int], list[Row]], path: Path, size: int) -> list[Row]:
    """Run in a fresh process, so that memory is counted from nothing."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (path, size))


def fill(path: Path, size: int) -> None:
    """A store with one large scope and a small one."""
    with Memory.open(path, embedder=WordSum()) as memory:
        memory.scope(user="small").add(list(turns(SMALL_SCOPE, 1)))
        stream = turns(size, 2)
        while batch := list(islice(stream, 20_000)):
            memory.scope(user="large").add(batch)


def measure(path: Path, size: int) -> list[Row]:
    """Searches beyond embedding the question in both scopes, each stage, and agreement with exact search."""
    embedder = WordSum()
    questions = [" ".join(text.split()[:8]) for text in texts(QUERIES, 3)]
    embed = median_ms(lambda text: embedder.embed([text]), questions)
    with Memory.open(path, embedder=embedder) as memory:
        rows = [
            Row(f"{name}_scope_over_embed_ms_p50", size, median_ms(memory.scope(user=name).search, questions) - embed)
            for name in ("large", "small")
        ]
        rows += profile(memory, questions, size)
        rows.append(Row("dense_recall_at_10", size, agreement(memory, embedder, questions[:EXACT_QUERIES])))
    return rows


def compare_lexical(path: Path, size: int) -> list[Row]:
    """Our lexical candidates against SQLite's full-text index, in the large scope and in the small one beside it."""
    questions = [" ".join(text.split()[:8]) for text in texts(QUERIES, 3)]
    rows: list[Row] = []
    with Memory.open(path, embedder=WordSum()) as memory:
        for name in ("large", "small"):
            searcher = memory._store.search(memory.scope(user=name).scope, Selection())
            ours = median_ms(partial(lexical, searcher), questions)
            rows.append(Row(f"lexical_{name}_scope_ms_p50", size, ours))
    table = FullText(path.with_name("fts5.db"), SMALL_SCOPE, size)
    for name, owner in (("large", 2), ("small", 1)):
        theirs = median_ms(partial(table.search, owner), questions)
        rows.append(Row(f"fts5_{name}_scope_ms_p50", size, theirs))
    table.close()
    return rows


def lexical(searcher: Searcher, question: str) -> object:
    """Lexical candidates."""
    return searcher.lexical(query_terms(question), LIMIT)


def median_ms(call: Callable[[str], object], questions: Sequence[str]) -> float:
    """Median milliseconds of a call, after a warm-up."""
    call(questions[0])
    spent = []
    for question in questions:
        begin = time.perf_counter()
        call(question)
        spent.append(1000 * (time.perf_counter() - begin))
    return float(np.median(spent))


def profile(memory: Memory, questions: Sequence[str], size: int) -> list[Row]:
    """Where a search's time goes: median milliseconds of each stage."""
    scoped = memory.scope(user="large")
    spent: dict[str, list[float]] = {}
    for text in questions:
        query = query_of(memory, text)
        searcher = memory._store.search(scoped.scope, Selection())
        _ = query.vector, query.terms
        pool = Pool(np.empty(0, np.int64))
        for stage in RECIPES["default"].stages:
            begin = time.perf_counter()
            pool = stage(query, pool, searcher)
            spent.setdefault(name_of(stage), []).append(1000 * (time.perf_counter() - begin))
    return [Row(f"stage_{name}_ms_p50", size, float(np.median(values))) for name, values in spent.items()]


def name_of(stage: Stage) -> str:
    """A stage's name."""
    return str(getattr(stage, "__name__", type(stage).__name__))


def query_of(memory: Memory, text: str) -> Query:
    """A query as `search` makes it."""
    scope = memory.scope(user="large").scope
    return Query(
        text,
        embed=memory._embedder.embed,
        load=lambda rows: memory._store.cubes(scope, rows),
        view=partial(memory._views.of, scope),
        visible=lambda origin: None,
        now=memory._clock(),
        limits=Limits(None, 1_500),
    )


def agreement(memory: Memory, embedder: Embedder, questions: Sequence[str]) -> float:
    """The share of the exact ten nearest that the scan of sign bits finds."""
    searcher = memory._store.search(memory.scope(user="large").scope, Selection())
    shares = []
    for question in questions:
        (vector,) = embedder.embed([question])
        exact = set(searcher.dense(vector, NEIGHBOURS, exact=True).tolist())
        found = set(searcher.dense(vector, NEIGHBOURS).tolist())
        shares.append(len(exact & found) / len(exact))
    return float(np.mean(shares))


def show(rows: Sequence[Row], sizes: Sequence[int], console: Console) -> None:
    """A table: a line for each metric."""
    table = Table(title="milliseconds by number of turns in the scope")
    table.add_column("metric")
    for size in sizes:
        table.add_column(f"{size:,}", justify="right")
    for metric in dict.fromkeys(row.metric for row in rows if row.size):
        values = {row.size: row.value for row in rows if row.metric == metric}
        table.add_row(metric, *(f"{values[size]:.3g}" for size in sizes))
    console.print(table)
