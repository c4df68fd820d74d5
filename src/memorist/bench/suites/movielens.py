"""MovieLens: which film someone who liked these will like next, from the films' titles and genres.

`--data` is the folder with `movies.csv` and `ratings.csv` (any MovieLens release with these columns). Of everyone with
at least LEAST liked films (four stars and more) the last one liked is held out; the question names the RECENT liked
before it. The references know what a text memory does not: how often films were liked, and by whom together; both are
counted without what was held out. Films the person has rated before are taken out of every ranking.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from memorist.bench.metrics.ranking import ndcg_at, recall_at
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Reference, Source, Suite, Task, drawn
from memorist.bench.suites.labels import rows
from memorist.errors import InputError
from memorist.recall.pool import Limits

LIKED, LEAST, RECENT, RETURNED = 4.0, 20, 5, 100
CORPUS = "films"
AT = 10


@dataclass(frozen=True, slots=True)
class Rating:
    """One rating."""

    user: str
    film: str
    stars: float
    at: int


def load(source: Source) -> Dataset:
    """One corpus of films; a question for each person."""
    for path in source.files:
        for name in ("movies.csv", "ratings.csv"):
            if not (path / name).exists():
                raise InputError(f"{path / name} does not exist; --data is a folder of MovieLens")
    films: dict[str, tuple[str, str]] = {}
    ratings: list[Rating] = []
    try:
        for path in source.files:
            films |= {film_id(row): (row["title"], row["genres"]) for row in rows(path / "movies.csv")}
            ratings += [
                Rating(row["userId"], film_id(row), float(row["rating"]), int(row["timestamp"]))
                for row in rows(path / "ratings.csv")
            ]
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is not in MovieLens's format ({type(error).__name__}: {error})") from error
    rated = {rating.film for rating in ratings}
    items = tuple(
        Item(film, f"{title}. {genres.replace('|', ', ')}.", role="document")
        for film, (title, genres) in films.items()
        if film in rated
    )
    by_user: dict[str, list[Rating]] = defaultdict(list)
    for rating in sorted(ratings, key=lambda one: (one.at, one.film)):
        by_user[rating.user].append(rating)
    tasks = [task for user, theirs in by_user.items() if (task := task_of(user, theirs, films)) is not None]
    return Dataset({CORPUS: Corpus(CORPUS, items)}, tuple(drawn(tasks, source)), (f"{len(items):,} films",))


def film_id(row: Mapping[str, str]) -> str:
    """The film's number, under either name that releases use."""
    return row["movieId"] if "movieId" in row else row["Id"]


def task_of(user: str, theirs: Sequence[Rating], films: Mapping[str, tuple[str, str]]) -> Task | None:
    """What someone will like next; None when too little is known of them."""
    liked = [rating for rating in theirs if rating.stars >= LIKED and rating.film in films]
    if len(liked) < LEAST:
        return None
    *before, last = liked
    seen = frozenset(rating.film for rating in theirs if rating is not last)
    named = "; ".join(
        f"{title} ({genres.replace('|', ', ')})" for title, genres in (films[one.film] for one in before[-RECENT:])
    )
    return Task(
        user,
        CORPUS,
        f"Films like these: {named}",
        evidence=frozenset((last.film,)),
        kind="rank",
        meta={"seen": seen, "liked": tuple(one.film for one in before)},
    )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Whether the film held out is among the first ten that were not seen before, and where."""
    ranked = [film for film in outcome.ranked if film not in task.meta["seen"]]
    return {f"hit@{AT}": recall_at(ranked, task.evidence, AT), f"ndcg@{AT}": ndcg_at(ranked, task.evidence, AT)}


def recommenders(dataset: Dataset) -> Mapping[str, Reference]:
    """By how many liked a film, and by how many of those who liked it liked what this one liked (cosine)."""
    liked = {task.id: task.meta["liked"] for task in dataset.tasks}
    counts = Counter(film for films in liked.values() for film in films)
    fans: dict[str, set[str]] = defaultdict(set)
    for user, films in liked.items():
        for film in films:
            fans[film].add(user)
    popular = [film for film, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    return {
        "(popularity)": partial(ranked_by, lambda task: popular),
        "(liked together)": partial(ranked_by, lambda task: together(task, fans)),
    }


def ranked_by(rank: Callable[[Task], Sequence[str]], task: Task) -> Outcome:
    """The first films of a ranking that were not seen."""
    found = [film for film in rank(task) if film not in task.meta["seen"]][:RETURNED]
    return Outcome(tuple(found), frozenset(found), None, True)


def together(task: Task, fans: Mapping[str, set[str]]) -> list[str]:
    """Films by the sum of their cosines, over those who liked both, to the recent ones."""
    recent = task.meta["liked"][-RECENT:]
    scores: dict[str, float] = {}
    for film, liked_by in fans.items():
        shared = sum(
            (len(liked_by & fans[one]) - (task.id in liked_by)) / (len(liked_by) * len(fans[one])) ** 0.5
            for one in recent
        )
        if shared > 0:
            scores[film] = shared
    return sorted(scores, key=lambda film: (-scores[film], film))


MOVIELENS = Suite(
    name="movielens",
    about="MovieLens, the next film liked",
    file="movielens",
    load=load,
    score=score,
    limits=(Limits(RETURNED, None),),
    headline=f"ndcg@{AT}",
    reader="none",
    references=recommenders,
)
