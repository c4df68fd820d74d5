"""`memorist bench recommend`: does `recommend` rank what people will like next above popularity and plain similarity?

The split is by time, for each user: the first four fifths of their ratings are remembered through the front door, the
rest is the future. What is known in general is counted from ratings, of anyone, before the first future rating of any
user of a block of `BLOCK` users that stand together in time: never from the future of any of them. Right are the films
of the future that were rated 4 or more; candidates are all films that are not remembered ("full"), or the right ones
among 100 that are drawn by a seed ("sampled"), which is much easier and says less.
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memorist.bench.recorder import Recorder, replies_beside
from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.errors import InputError
from memorist.memory import Memory
from memorist.models.chat import ChatModel
from memorist.models.embedder import Vectors
from memorist.models.known import embedder_named
from memorist.organise.general import General
from memorist.organise.preferences import LIKED, Interaction
from memorist.recall.recommend import described
from memorist.results import Candidate, Recommendations
from memorist.scoped import ScopedMemory

Part = Literal["test", "validation"]

TENANT = "movielens"
REMEMBERED = 0.8
BLOCK = 25
DRAWN = 100
DEPTH = 10
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Rating:
    """A row of ratings.csv; `at` is in seconds since 1970."""

    user: str
    item: str
    rating: float
    at: int


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure. `limit` takes the first users that a seed draws, `seeds` are those of the sampled protocol.

    `part` "validation" splits the remembered ratings once more and leaves the test alone: to choose weights on.
    """

    part: Part = "test"
    limit: int | None = None
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    embedder: str = "static"
    model: ChatModel | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A user: what is remembered, what came later and was liked, and what is known in general before that."""

    user: str
    past: Sequence[Rating]
    right: frozenset[str]
    general: General
    popular: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """NDCG@10 of a system under a protocol, with the bounds of 95 % of resamples over the `n` users.

    `over_popular` and `over_similar` are the mean paired differences and their bounds.
    """

    protocol: str
    system: str
    ndcg: float
    low: float
    high: float
    over_popular: tuple[float, float, float]
    over_similar: tuple[float, float, float]
    n: int


Ranker = Callable[[ScopedMemory, Case, Sequence[Candidate]], list[str]]


@dataclass
class Described:
    """What came of a model's descriptions: how often one was `used`, why else the measured order stayed, and what the
    model adds to `recommend` (mean paired difference in NDCG@10, with its bounds)."""

    used: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    over_measured: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def document(self) -> dict[str, object]:
        """As JSON data."""
        return {"used": self.used, "refused": dict(self.refused), "over_measured": self.over_measured}

    def take(self, made: Recommendations) -> None:
        """Count a recommendation."""
        if made.profile is not None:
            self.used += 1
        else:
            self.refused[(made.problem or "no reply").split(":")[0]] += 1


def run(data: Path, options: Options, out: Outputs, console: Console) -> list[Row]:
    """Measure, print a table, and tell `out`. Raises InputError for a folder without the two files."""
    films, ratings = films_of(data / "movies.csv"), ratings_of(data / "ratings.csv")
    cases = cases_of(ratings, options)
    model = Recorder(options.model, replies_beside(out.json)) if options.model else None
    outcome = Described()
    embedder = embedder_named(options.embedder)
    items = {one.id: row for row, one in enumerate(films)}
    similar = Similar(items, embedder.embed([described(one) for one in films]))
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        Memory.open(Path(folder) / "movielens.db", embedder=embedder, recipe="mr-rec") as memory,
    ):
        for case in track(cases, "remembering", console=console, transient=True):
            past = [observed(films[items[one.item]], one) for one in case.past]
            memory.scope(tenant=TENANT, user=case.user).add(past)
        systems = systems_of(similar, model, outcome)
        rows = list(measured(memory, films, cases, systems, options, console, outcome))
    show(rows, options, console)
    described: dict[str, Any] = {}
    if model is not None:
        show_described(outcome, model, console)
        described = {"model": model.name, "described": outcome.document(), "used": asdict(model.usage)}
    asked = {"part": options.part, "users": len(cases), "embedder": options.embedder, "seeds": options.seeds}
    tell(out, "recommend", rows, data=[data], asked=asked, **described)
    return rows


def films_of(path: Path) -> list[Candidate]:
    """The catalogue."""
    return [
        Candidate(row["Id"], row["title"], tuple(one for one in row["genres"].split("|") if not one.startswith("(")))
        for row in records(path, ("Id", "title", "genres"))
    ]


def ratings_of(path: Path) -> list[Rating]:
    """All ratings in the order of time."""
    found = records(path, ("userId", "Id", "rating", "timestamp"))
    made = (Rating(row["userId"], row["Id"], float(row["rating"]), int(row["timestamp"])) for row in found)
    return sorted(made, key=lambda one: (one.at, one.user, one.item))


def records(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV; MovieLens's own `movieId` is taken for `Id`. Raises InputError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = ["Id" if name == "movieId" else name for name in reader.fieldnames or ()]
            if missing := set(columns) - set(reader.fieldnames):
                raise InputError(f"{path} has no column {', '.join(sorted(missing))}; give a MovieLens folder")
            yield from reader
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give a folder with movies.csv and ratings.csv"
        ) from error


def cases_of(ratings: Sequence[Rating], options: Options) -> list[Case]:
    """The users who like something in their future, by the time at which it begins."""
    by_user: dict[str, list[Rating]] = defaultdict(list)
    for one in ratings:
        by_user[one.user].append(one)
    parts = [split(own, options.part) for own in by_user.values()]
    found = [(past, future) for past, future in parts if past and any(one.rating >= LIKED for one in future)]
    if options.limit is not None and options.limit < len(found):
        found = random.Random(0).sample(found, options.limit)
    found.sort(key=lambda one: (one[1][0].at, one[1][0].user))
    cases: list[Case] = []
    for start in range(0, len(found), BLOCK):
        block = found[start : start + BLOCK]
        general, popular = known_before(ratings, block[0][1][0].at)
        for past, future in block:
            right = frozenset(one.item for one in future if one.rating >= LIKED)
            cases.append(Case(past[0].user, past, right, general, popular))
    return cases


def split(own: Sequence[Rating], part: Part) -> tuple[Sequence[Rating], Sequence[Rating]]:
    """What is remembered of a user's ratings, and what comes after."""
    end = int(len(own) * REMEMBERED)
    if part == "test":
        return own[:end], own[end:]
    begin = int(end * REMEMBERED)
    return own[:begin], own[begin:end]


def known_before(ratings: Sequence[Rating], at: int) -> tuple[General, Mapping[str, int]]:
    """What is known in general from the ratings before a time, and how many like each film."""
    before = [one for one in ratings if one.at < at]
    popular: dict[str, int] = defaultdict(int)
    for one in before:
        popular[one.item] += one.rating >= LIKED
    return General.of(Interaction(one.item, when(one.at), one.rating, person=one.user) for one in before), popular


def observed(film: Candidate, one: Rating) -> Observation:
    """A rating as an interaction."""
    meta = {"item": film.id, "rating": one.rating, "category": "|".join(film.categories), "title": film.text}
    return Observation(described(film), role="tool", at=when(one.at), session="ratings", key=film.id, meta=meta)


def when(at: int) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(at, timezone.utc)


@dataclass(frozen=True)
class Similar:
    """Plain similarity: the mean vector of what was liked, nearest first."""

    items: Mapping[str, int]
    vectors: Vectors

    def __call__(self, scoped: ScopedMemory, case: Case, candidates: Sequence[Candidate]) -> list[str]:
        """The nearest films."""
        liked = [self.items[one.item] for one in case.past if one.rating >= LIKED]
        mean = self.vectors[liked].sum(0) if liked else np.zeros(self.vectors.shape[1], np.float32)
        near = self.vectors[[self.items[one.id] for one in candidates]] @ mean
        return [candidates[place].id for place in np.argsort(-near, kind="stable")[:DEPTH]]


def by_popularity(scoped: ScopedMemory, case: Case, candidates: Sequence[Candidate]) -> list[str]:
    """What most people like."""
    return [one.id for one in sorted(candidates, key=lambda one: -case.popular.get(one.id, 0))[:DEPTH]]


def recommended(
    *,
    own: bool = True,
    general: bool = True,
    model: ChatModel | None = None,
    tell: Callable[[Recommendations], None] = lambda made: None,
) -> Ranker:
    """`recommend` with the user's own memory, or a newcomer's; with what is known in general, or without. `tell` hears
    of every recommendation."""

    def rank(scoped: ScopedMemory, case: Case, candidates: Sequence[Candidate]) -> list[str]:
        asked = scoped if own else scoped._memory.scope(tenant=TENANT, user="newcomer")
        made = asked.recommend("", candidates, k=DEPTH, general=case.general if general else None, model=model)
        tell(made)
        return [one.id for one in made]

    return rank


MEASURED, DESCRIBED = "recommend", "recommend with the model"


def systems_of(similar: Ranker, model: ChatModel | None, outcome: Described) -> dict[str, Ranker]:
    """What is compared; with a model it comes last."""
    systems: dict[str, Ranker] = {
        "popularity": by_popularity,
        "similarity": similar,
        MEASURED: recommended(),
        "recommend, own memory alone": recommended(general=False),
        "recommend, general alone": recommended(own=False),
    }
    return systems if model is None else {**systems, DESCRIBED: recommended(model=model, tell=outcome.take)}


def measured(
    memory: Memory,
    films: Sequence[Candidate],
    cases: Sequence[Case],
    systems: Mapping[str, Ranker],
    options: Options,
    console: Console,
    outcome: Described,
) -> Iterator[Row]:
    """A row for each protocol and system."""
    protocols = [("full", (0,))] if options.model is None else []
    for protocol, seeds in (*protocols, ("sampled", options.seeds)):
        gains: dict[str, list[float]] = {name: [] for name in systems}
        for case in track(cases, f"ranking, {protocol}", console=console, transient=True):
            scoped = memory.scope(tenant=TENANT, user=case.user)
            drawn = [candidates_for(films, case, None if protocol == "full" else seed) for seed in seeds]
            for name, rank in systems.items():
                each = [ndcg(rank(scoped, case, candidates), case.right) for candidates in drawn]
                gains[name].append(float(np.mean(each)))
        if DESCRIBED in gains:
            outcome.over_measured = bounded(np.array(gains[DESCRIBED]) - np.array(gains[MEASURED]))
        for name, values in gains.items():
            yield row_of(protocol, name, values, gains["popularity"], gains["similarity"])


def candidates_for(films: Sequence[Candidate], case: Case, seed: int | None) -> list[Candidate]:
    """All films that are not remembered, or the right ones among DRAWN others, in an order that tells nothing."""
    seen = {one.item for one in case.past}
    unseen = [one for one in films if one.id not in seen]
    if seed is None:
        return unseen
    rng = random.Random(f"{seed} {case.user}")
    others = rng.sample([one for one in unseen if one.id not in case.right], DRAWN)
    mixed = [*others, *(one for one in unseen if one.id in case.right)]
    rng.shuffle(mixed)
    return mixed


def ndcg(ranked: Sequence[str], right: frozenset[str]) -> float:
    """The discounted gain of the first DEPTH over the best there could be."""
    gained = sum(1 / np.log2(place + 2) for place, item in enumerate(ranked[:DEPTH]) if item in right)
    return float(gained / sum(1 / np.log2(place + 2) for place in range(min(DEPTH, len(right)))))


def row_of(
    protocol: str, system: str, values: Sequence[float], popular: Sequence[float], similar: Sequence[float]
) -> Row:
    """A system's mean with its bounds, and its paired differences."""
    own = np.array(values)
    mean, low, high = bounded(own)
    return Row(
        protocol, system, mean, low, high, bounded(own - np.array(popular)), bounded(own - np.array(similar)), len(own)
    )


def bounded(values: np.ndarray) -> tuple[float, float, float]:
    """The mean, and where 95 % of the means of resamples lie."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def show(rows: Sequence[Row], options: Options, console: Console) -> None:
    """The table."""
    table = Table(title=f"MovieLens, {options.part} part: NDCG@{DEPTH} with 95 % bounds over users")
    for name in ("candidates", "system", "NDCG@10", "over popularity", "over similarity", "users"):
        table.add_column(name, justify="left" if name in ("candidates", "system") else "right")
    for row in rows:
        value = f"{row.ndcg:.4f} [{row.low:.4f}, {row.high:.4f}]"
        over = (f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]" for mean, low, high in (row.over_popular, row.over_similar))
        table.add_row(row.protocol, row.system, value, *over, str(row.n))
    console.print(table)


def show_described(outcome: Described, model: Recorder, console: Console) -> None:
    """What the model did, in two lines."""
    mean, low, high = outcome.over_measured
    refused = ", ".join(f"{number} {why}" for why, number in outcome.refused.most_common()) or "none"
    used = model.usage
    console.print(f"{model.name}: {outcome.used} descriptions used, refused: {refused}; over recommend {mean:+.4f}"
                  f" [{low:+.4f}, {high:+.4f}]")  # fmt: skip
    console.print(f"{used.calls} calls, {used.prompt_tokens} + {used.reply_tokens} tokens, {used.seconds:.0f} s")
