"""`memorist bench sessions`: MemGAS and its parts, by how often they find the sessions that hold the evidence.

Two settings. "words": TF-IDF vectors fitted to each conversation, and the summaries that come with the data where there
are any. "memory": what the recipe `memgas` sees, the store's embedder together with words. The methods are the same
functions in both. `any@3` is the share of questions with an evidence session among the first three, `all@3` with all.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memorist.bench.suite import Source, Task, records_of
from memorist.bench.suites.locomo import LOCOMO, name_of
from memorist.bench.system import WHEN, RecipeSystem
from memorist.bench.told import Outputs, tell
from memorist.organise.association import EACH, GRANULARITIES, ORIGIN, TURNS, Places, Sittings, associated, both_ways
from memorist.organise.digest import Digest, digest_of
from memorist.organise.granularity import pieces_of, texts_of, unit
from memorist.recall.candidates import dense_seeds, lexical_seeds, neighbours
from memorist.recall.pool import Limits, Query
from memorist.recall.pool import run as run_stages
from memorist.recall.route import (
    FOLLOWED,
    SEEDS,
    Doubles,
    Members,
    calibrated,
    entropies,
    propagated,
    router,
    similarities,
    together,
)
from memorist.recall.score import by_window, fused
from memorist.scoped import ScopedMemory
from memorist.store.products import times
from memorist.store.protocol import Selection, Turn
from memorist.store.terms import STOP_WORDS
from memorist.text import shown

WORD = re.compile(r"[a-z0-9]+")
NEAREST = 5
"""Edges of a node where the nearest take the place of the mixture."""

DEPTHS = (3, 10)


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a method in a setting, over `n` questions."""

    setting: str
    method: str
    metric: str
    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: similarities [sittings, EACH], what else may rank the sittings, the edges, and the right sittings."""

    similar: Doubles
    other: Mapping[str, np.ndarray]
    edges: Mapping[str, tuple[Places, Places]]
    right: frozenset[int]


Method = Callable[[Asked], Doubles]


def full(
    asked: Asked,
    *,
    temperature: float | None = None,
    weigh: str = "router",
    followed: float = FOLLOWED,
    edges: str = "mixture",
) -> Doubles:
    """MemGAS: the sum of what a sitting's nodes have after routing, seeding and propagation."""
    weights = WEIGHTS[weigh](asked.similar, temperature)
    scores = np.maximum(asked.similar * weights, 0).ravel()
    seeds = np.zeros_like(scores)
    best = np.argsort(-scores, kind="stable")[:SEEDS]
    seeds[best] = scores[best]
    value = propagated(seeds, *asked.edges[edges], followed) if followed else seeds
    return np.asarray(value.reshape(-1, EACH).sum(1))


def uniform(similar: Doubles, temperature: float | None) -> Doubles:
    """The same weight for all granularities."""
    return np.full(EACH, 1 / EACH)


def inverted(similar: Doubles, temperature: float | None) -> Doubles:
    """One minus the entropy in nats, not 1/H: beyond one nat the most uncertain granularity gets most."""
    weight = 1 - entropies(similar, temperature or calibrated(similar))
    return np.asarray(weight / weight.sum())


WEIGHTS: Mapping[str, Callable[[Doubles, float | None], Doubles]] = {
    "router": router,
    "uniform": uniform,
    "inverted": inverted,
}

METHODS: Mapping[str, Method] = {
    **{name: partial(lambda place, asked: asked.similar[:, place], place) for place, name in enumerate(GRANULARITIES)},
    "all turns, averaged": lambda asked: asked.other["mean"],
    "best turn": lambda asked: asked.other["best"],
    "summary, keywords and session as one text": lambda asked: asked.other["joined"],
    "MemGAS": full,
    "MemGAS, equal weights": partial(full, weigh="uniform"),
    "MemGAS, no propagation": partial(full, followed=0.0),
    "MemGAS, temperature 0.2": partial(full, temperature=0.2),
    "MemGAS, temperature 0.05": partial(full, temperature=0.05),
    "MemGAS, 1 - H for 1 / H": partial(full, weigh="inverted", temperature=0.2),
    "MemGAS, five nearest for the mixture": partial(full, edges="nearest"),
    "MemGAS, 0.3 follows edges": partial(full, followed=0.3),
    "MemGAS, 0.5 follows edges": partial(full, followed=0.5),
    "MemGAS, 0.85 follows edges": partial(full, followed=0.85),
}


def run(source: Source, out: Outputs, console: Console) -> list[Row]:
    """Measure all methods in both settings, print a table, and tell `out`."""
    dataset = LOCOMO.load(source)
    told = {name: summaries for path in source.files for name, summaries in summaries_of(path)}
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        closing(RecipeSystem("memgas", Path(folder))) as system,
    ):
        system.add(list(dataset.corpora.values()), lambda done: None)
        for setting, prepare in (("words", by_vectors), ("memory", by_memory)):
            asked: list[Asked] = []
            for name in track(dataset.corpora, setting, console=console, transient=True):
                # What an unanswerable question turns around was said somewhere, too.
                tasks = [task for task in dataset.tasks if task.corpus == name and task.evidence]
                asked += prepare(system.scope(name), tasks, told[name])
            rows += measured(setting, asked)
    show(rows, console)
    tell(out, "sessions", rows, data=source.files, seed=source.seed)
    return rows


def measured(setting: str, asked: Sequence[Asked]) -> Iterator[Row]:
    """All methods' numbers."""
    for name, method in METHODS.items():
        ranked = [np.argsort(-method(one), kind="stable").tolist() for one in asked]
        for depth in DEPTHS:
            first = [set(one[:depth]) for one in ranked]
            hits = [bool(found & one.right) for found, one in zip(first, asked)]
            whole = [one.right <= found for found, one in zip(first, asked)]
            yield Row(setting, name, f"any@{depth}", float(np.mean(hits)), len(asked))
            yield Row(setting, name, f"all@{depth}", float(np.mean(whole)), len(asked))


def summaries_of(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The summaries of sessions that come with each sample, by the name of its corpus."""
    for number, record in enumerate(records_of(path), 1):
        yield f"{path.stem}/{name_of(number, record)}", record.get("session_summary", {})


def sittings_of(scoped: ScopedMemory) -> tuple[Sittings, list[list[Turn]]]:
    """The view of the owner's sittings, and the turns of each."""
    scoped.search("warm up", k=1)
    memory = scoped._memory
    view = memory._views.of(scoped.scope, ORIGIN, Sittings)
    return view, [memory._store.turns(scoped.scope, one.members.tolist()) for one in view.units]


def right_of(task: Task, scoped: ScopedMemory, turns: Sequence[Sequence[Turn]]) -> frozenset[int]:
    """The sittings with evidence for a question."""
    cubes = scoped._memory._store.cubes(scoped.scope, [turn.row for of_one in turns for turn in of_one])
    spoken = [{str(cubes[turn.row].meta["item"]) for turn in of_one} for of_one in turns]
    return frozenset(place for place, ids in enumerate(spoken) if ids & task.evidence)


def digests_of(turns: Sequence[Sequence[Turn]], told: Mapping[str, str]) -> list[Digest]:
    """Digests of our own making, with the data's summary where it has one for the session."""
    made = []
    for of_one in turns:
        digest = digest_of(of_one)
        name = of_one[0].session.rpartition("/")[2]
        made.append(Digest(str(told.get(f"{name}_summary") or digest.summary), digest.keywords))
    return made


def by_vectors(scoped: ScopedMemory, tasks: Sequence[Task], told: Mapping[str, str]) -> Iterator[Asked]:
    """The setting "words": turns are pairs of messages, a sitting's turns their mean."""
    _, turns = sittings_of(scoped)
    digests = digests_of(turns, told)
    pairs = [[text_of(of_one[start : start + 2]) for start in range(0, len(of_one), 2)] for of_one in turns]
    fitted = TfIdf([*(pair for of_one in pairs for pair in of_one), *(digest.summary for digest in digests)])
    paired = [np.array([fitted.vector(pair) for pair in of_one]) for of_one in pairs]
    nodes, joined = [], []
    for of_one, digest, found in zip(turns, digests, paired):
        whole, (summary, _) = text_of(of_one), texts_of(digest)
        keywords = " ".join(fitted.keywords(whole, len(digest.keywords)))
        nodes += [fitted.vector(whole), found.mean(0), fitted.vector(summary), fitted.vector(keywords)]
        joined.append(fitted.vector(f"{summary} {keywords} {whole}"))
    vectors = np.array(nodes, np.float32)
    edges = edges_of(vectors)
    for task in tasks:
        query = fitted.vector(task.question)
        similar = (vectors @ query).reshape(-1, EACH)
        other = {
            "mean": similar[:, GRANULARITIES.index(TURNS)],
            "best": np.array([(found @ query).max() for found in paired]),
            "joined": np.array(joined) @ query,
        }
        yield Asked(similar, other, edges, right_of(task, scoped, turns))


def by_memory(scoped: ScopedMemory, tasks: Sequence[Task], told: Mapping[str, str]) -> Iterator[Asked]:
    """The setting "memory": the similarities that the recipe works with."""
    view, turns = sittings_of(scoped)
    memory = scoped._memory
    embedder = memory._embedder
    searcher = memory._store.search(scoped.scope, Selection())
    members = Members.of(view, searcher)
    edges = {"mixture": view.edges, "nearest": nearest_edges(view.vectors)}
    joined = []
    for of_one in turns:
        digest = digest_of(of_one)
        head = replace(of_one[0], speaker=None, text="\n".join(texts_of(digest)))
        joined.append(unit(embedder.embed(list(pieces_of([head, *of_one]))).mean(0)))
    for task in tasks:
        query = Query(
            task.question,
            embed=embedder.embed,
            load=partial(memory._store.cubes, scoped.scope),
            view=partial(memory._views.of, scoped.scope),
            visible=lambda origin: None,
            now=WHEN,
            limits=Limits(100, None),
        )
        pool = run_stages((lexical_seeds, dense_seeds, neighbours, by_window), query, searcher)
        similar = similarities(query, pool, searcher, view, members)
        cosine = times(view.vectors, query.vector).reshape(-1, EACH)
        features = searcher.features(members.rows, query.terms, None)
        covering = together(features, members, len(turns))
        place = GRANULARITIES.index(TURNS)
        other: dict[str, np.ndarray] = {
            "mean": cosine[:, place],
            "best": similar[:, place],
            "joined": fused(times(np.array(joined), query.vector), covering),
        }
        yield Asked(similar, other, edges, right_of(task, scoped, turns))


class TfIdf:
    """Unit vectors of words: (1 + ln tf) · (ln((1 + n) / (1 + df)) + 1), with df from the texts it is fitted to."""

    def __init__(self, texts: Sequence[str]) -> None:
        seen = Counter(word for text in texts for word in set(content_words(text)))
        self._places = {word: place for place, word in enumerate(seen)}
        self._idf = np.array([math.log((1 + len(texts)) / (1 + seen[word])) + 1 for word in seen])

    def vector(self, text: str) -> Doubles:
        """The vector of a text; zero when it holds no known word."""
        vector = np.zeros(len(self._idf))
        for word, count in Counter(content_words(text)).items():
            if word in self._places:
                vector[self._places[word]] = 1 + math.log(count)
        vector *= self._idf
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def keywords(self, text: str, most: int) -> list[str]:
        """The words of most weight in a text."""
        names = list(self._places)
        return [names[place] for place in np.argsort(-self.vector(text), kind="stable")[:most].tolist()]


def content_words(text: str) -> list[str]:
    """Lowered words without stop words."""
    return [word for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


def text_of(turns: Sequence[Turn]) -> str:
    """The lines of turns."""
    return "\n".join(shown(turn.speaker, turn.text) for turn in turns)


def edges_of(vectors: np.ndarray) -> Mapping[str, tuple[Places, Places]]:
    """The edges of the mixture, and those to the nearest."""
    return {"mixture": both_ways(list(associated(vectors, 0))), "nearest": nearest_edges(vectors)}


def nearest_edges(vectors: np.ndarray) -> tuple[Places, Places]:
    """Edges from each node to its NEAREST of earlier sittings."""
    chosen = []
    for node in range(len(vectors)):
        earlier = vectors[: EACH * (node // EACH)]
        chosen.append(np.argsort(-(earlier @ vectors[node]), kind="stable")[:NEAREST])
    return both_ways(chosen)


def show(rows: Sequence[Row], console: Console) -> None:
    """A line for each method, with both settings."""
    table = Table(title="sessions with the evidence among the first k")
    table.add_column("method")
    columns = list(dict.fromkeys((row.setting, row.metric) for row in rows))
    for setting, metric in columns:
        table.add_column(f"{setting} {metric}", justify="right")
    values = {(row.method, row.setting, row.metric): row.value for row in rows}
    for method in METHODS:
        table.add_row(method, *(f"{values[method, setting, metric]:.3f}" for setting, metric in columns))
    console.print(table)
    console.print(f"{rows[0].n} questions", highlight=False)
