"""`memorist bench neighbours`: would pgvector's HNSW find an owner's nearest memories sooner than our index in memory?

One owner's memories in PostgreSQL, and the same vectors beside them in a table with an HNSW index. The questions are
asked of both in turn, within one run. One owner suits an index over all rows best: it need not look past others'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from memorist.bench.synthetic import texts
from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.errors import InputError, StoreError
from memorist.memory import Memory
from memorist.models.embedder import Embedder, Vectors
from memorist.models.known import embedder_named
from memorist.store.opening import is_server
from memorist.store.postgres.connection import driver
from memorist.store.protocol import Rows, Selection
from memorist.store.search import IndexSearcher

if TYPE_CHECKING:
    import psycopg

USER = "neighbours"
NEAREST = 10
ENOUGH = 0.95
"""The share of the true ten nearest that an index has to find to be compared."""

WIDTHS = (40, 80, 160, 320, 640, 1_000)
"""Values of hnsw.ef_search that are tried, the server's default first and its largest last."""

BATCH = 5_000
FEWEST_WORDS = 3
BESIDE = "memorist_neighbours"


@dataclass(frozen=True, slots=True)
class Asked:
    """How much: `size` memories, `queries` questions; texts are the lines of `files`, or made up."""

    size: int = 50_000
    queries: int = 200
    files: tuple[Path, ...] = ()
    embedder: str = "static"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to find the nearest ten. Seconds until it can be asked, MB of its index, milliseconds of a question."""

    name: str
    recall: float
    p50: float
    p95: float
    build_seconds: float
    megabytes: float


Find = Callable[[Vectors], Rows]


def run(url: str, asked: Asked, out: Outputs, console: Console) -> list[Way]:
    """Fill an empty store, measure all ways, print a table, and tell `out`.

    Raises InputError for an address that is not PostgreSQL's, or a store that is not empty, and StoreError where there
    is no pgvector.
    """
    if not is_server(url):
        raise InputError(f"{url!r:.100} is no address of PostgreSQL; give one such as postgresql://localhost/bench")
    embedder = embedder_named(asked.embedder)
    said, questions = drawn(asked)
    console.print(f"{len(said):,} memories …", highlight=False)
    fill(url, embedder, said)
    vectors = embedder.embed(questions)
    begin = time.perf_counter()
    with Memory.open(url, embedder=embedder) as memory, closing(connected(url)) as connection:
        searcher = fresh(memory)
        loading = time.perf_counter() - begin
        with beside(connection, searcher, embedder.identity.dimension) as building:
            ways = measured(memory, url, vectors, loading, building)
    console.print(table(ways, asked.size))
    tell(out, "neighbours", ways, data=asked.files, seed=asked.seed, asked=asdict(asked) | {"files": len(asked.files)})
    return ways


def drawn(asked: Asked) -> tuple[list[str], list[str]]:
    """Texts to remember, and others to ask with."""
    wanted = asked.size + asked.queries
    found = list(dict.fromkeys(lines(asked.files) if asked.files else texts(wanted, asked.seed)))
    if len(found) < wanted:
        raise InputError(f"there are {len(found):,} different texts, and {wanted:,} are needed; give more, or --size")
    order = np.random.default_rng(asked.seed).permutation(len(found))
    chosen = [found[place] for place in order[:wanted]]
    return chosen[: asked.size], chosen[asked.size :]


def lines(files: Sequence[Path]) -> Iterator[str]:
    """Lines of at least a few words, whatever the format."""
    for file in files:
        for line in file.read_text("utf-8", errors="replace").splitlines():
            text = " ".join(line.strip(' \t",[]').split())
            if text.count(" ") >= FEWEST_WORDS - 1:
                yield text


def fill(url: str, embedder: Embedder, said: Sequence[str]) -> None:
    """One owner with these memories. Raises InputError when the store has some already."""
    with Memory.open(url, embedder=embedder) as memory:
        if memory.scopes():
            raise InputError("this store is not empty; give the address of a new database")
        scoped = memory.scope(user=USER)
        for start in range(0, len(said), BATCH):
            scoped.add([Observation(text, source="lines") for text in said[start : start + BATCH]])


def fresh(memory: Memory) -> IndexSearcher:
    """What a search asks: it takes in what has changed since."""
    found = memory._store.search(memory.scope(user=USER).scope, Selection())
    if not isinstance(found, IndexSearcher):
        raise StoreError("this store has no index in memory")
    return found


def connected(url: str) -> psycopg.Connection[Any]:
    """A connection of its own, with pgvector. Raises StoreError where there is none."""
    errors = driver()
    connection: psycopg.Connection[Any] = errors.connect(url, autocommit=True)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except errors.Error as error:
        connection.close()
        raise StoreError(f"pgvector cannot be used there ({str(error).splitlines()[0]}); install it, or ask") from None
    return connection


@contextmanager
def beside(connection: psycopg.Connection[Any], searcher: IndexSearcher, dimension: int) -> Iterator[float]:
    """The same vectors in a table with an HNSW index, for as long as the block; gives the seconds of building it."""
    index = searcher._index
    connection.execute(f"DROP TABLE IF EXISTS {BESIDE}")
    connection.execute(f"CREATE TABLE {BESIDE} (row BIGINT PRIMARY KEY, vector halfvec({dimension}) NOT NULL)")
    try:
        with connection.cursor() as cursor, cursor.copy(f"COPY {BESIDE} FROM STDIN") as copy:
            for row, vector in zip(index.rows[: index.size].tolist(), index.vectors[: index.size]):
                copy.write_row((row, spelled(vector)))
        connection.execute("SET maintenance_work_mem = '512MB'")
        begin = time.perf_counter()
        connection.execute(f"CREATE INDEX {BESIDE}_hnsw ON {BESIDE} USING hnsw (vector halfvec_ip_ops)")
        building = time.perf_counter() - begin
        connection.execute(f"ANALYZE {BESIDE}")
        yield building
    finally:
        connection.execute(f"DROP TABLE {BESIDE}")


def spelled(vector: npt.NDArray[np.floating[Any]]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(map(str, vector.tolist())) + "]"


def measured(memory: Memory, url: str, vectors: Vectors, loading: float, building: float) -> list[Way]:
    """All ways, asked in turn: ours with and without its look at what changed, HNSW as wide as it takes."""
    searcher = fresh(memory)
    truth = [set(searcher.dense(vector, NEAREST, exact=True).tolist()) for vector in vectors]
    with ExitStack() as stack:
        hnsw = hnsw_of(stack, url, vectors, truth)
        ways: dict[str, Find] = {
            "in memory": lambda vector: searcher.dense(vector, NEAREST),
            "in memory, with the look at what changed": lambda vector: fresh(memory).dense(vector, NEAREST),
            "in memory, every vector in full": lambda vector: searcher.dense(vector, NEAREST, exact=True),
            **hnsw,
        }
        seen = in_turn(ways, vectors, truth)
        kept = stack.enter_context(closing(connected(url))).execute(f"SELECT pg_relation_size('{BESIDE}_hnsw')")
        (size,) = kept.fetchone() or (0,)
    index = searcher._index
    held = sum(part.nbytes for part in (index.vectors, index.words, index.rows))
    return [
        Way(
            name,
            float(np.mean(shares)),
            float(np.percentile(spent, 50)),
            float(np.percentile(spent, 95)),
            building if name in hnsw else loading,
            (size if name in hnsw else held) / 1e6,
        )
        for name, (spent, shares) in seen.items()
    ]


def in_turn(
    ways: Mapping[str, Find], vectors: Vectors, truth: Sequence[set[int]]
) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds and shares of the true nearest, by way and question. Each question begins with another way."""
    seen: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    names = list(ways)
    for find in ways.values():
        find(vectors[0])
    for number, (vector, right) in enumerate(zip(vectors, truth)):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begin = time.perf_counter()
            rows = ways[name](vector)
            seen[name][0].append(1_000 * (time.perf_counter() - begin))
            seen[name][1].append(share(rows, right))
    return seen


def hnsw_of(stack: ExitStack, url: str, vectors: Vectors, truth: Sequence[set[int]]) -> dict[str, Find]:
    """HNSW with the server's own width, and with the least that finds enough, or its largest where none does."""
    found: dict[str, Find] = {}
    for width in WIDTHS:
        find = nearest_by(stack.enter_context(closing(connected(url))), width, vectors[0])
        recall = np.mean([share(find(vector), right) for vector, right in zip(vectors, truth)])
        if width == WIDTHS[0] or recall >= ENOUGH or width == WIDTHS[-1]:
            found[f"pgvector's HNSW, ef_search {width}"] = find
        if recall >= ENOUGH:
            break
    return found


def nearest_by(connection: psycopg.Connection[Any], width: int, example: Vectors) -> Find:
    """The nearest by the index, with this width. Raises StoreError when the server would not use its index."""
    sql = f"SELECT row FROM {BESIDE} ORDER BY vector <#> %s::halfvec LIMIT {NEAREST}"
    connection.execute(f"SET hnsw.ef_search = {width}")
    plan = connection.execute(f"EXPLAIN {sql}", (spelled(example),)).fetchall()
    if not any(f"{BESIDE}_hnsw" in line for (line,) in plan):
        raise StoreError("PostgreSQL plans to read all vectors rather than its index; with more memories it will not")
    return lambda vector: np.array(
        connection.execute(sql, (spelled(vector),), prepare=True).fetchall(), np.int64
    ).ravel()


def share(rows: Rows, right: set[int]) -> float:
    """How much of what is right was found."""
    return len(right.intersection(rows.tolist())) / len(right)


def table(ways: Sequence[Way], size: int) -> Table:
    """A line for each way."""
    columns = ("nearest ten", "recall", "p50 ms", "p95 ms", "build s", "MB")
    shown = Table(*columns, title=f"{size:,} memories of one owner")
    for way in ways:
        times = (f"{way.p50:.2f}", f"{way.p95:.2f}", f"{way.build_seconds:.1f}")
        shown.add_row(way.name, f"{way.recall:.3f}", *times, f"{way.megabytes:.0f}")
    return shown
