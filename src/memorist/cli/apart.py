"""Commands that measure what is no question with a right answer, or look inside a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.bench import Told, numbers, recipes_of
from memorist.cli.render import console
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.bench.suite import Source

Data = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())]


def answers(*, data: Data, limit: int | None = None, seed: int = 0, told: Told = Told()) -> int:
    """Measure how often ask answers rightly, wrongly, and not at all.

    For example:

        memorist bench answers --data dev_colleagues --json answers.json

    Parameters
    ----------
    data
        Files in LoCoMo's format, or dev_colleagues and dev_assistant, which are ours.
    limit
        At most so many questions, drawn by the seed.
    seed
        For what is drawn, and the order of what is asked (default: 0).
    """
    from memorist.bench.answers import run

    run(source_of(data, limit, seed), told.outputs(), console())
    return OK


def changes(
    *,
    recipes: Annotated[str, Parameter(name="--recipe")] = "default",
    seed: int = 0,
    told: Told = Told(),
) -> int:
    """Measure what becomes of facts that change, are contradicted, or are taken back.

    For example:

        memorist bench changes --recipe default,dense

    Parameters
    ----------
    recipes
        The recipes to compare, such as default,lexical; or all (default: default).
    seed
        For the facts, which are generated.
    """
    from memorist.bench.changes import run

    run(recipes_of(recipes), seed, told.outputs(), console())
    return OK


def sessions(*, data: Data, limit: int | None = None, seed: int = 0, told: Told = Told()) -> int:
    """Measure MemGAS and its parts by the sessions that hold the evidence.

    For example:

        memorist bench sessions --data dev_colleagues

    Parameters
    ----------
    data
        Files in LoCoMo's format, or dev_colleagues and dev_assistant, which are ours.
    limit
        At most so many questions, drawn by the seed.
    seed
        For what is drawn, and the order of what is asked (default: 0).
    """
    from memorist.bench.sessions import run

    run(source_of(data, limit, seed), told.outputs(), console())
    return OK


def order(
    *,
    data: Path,
    limit: int | None = None,
    seed: int = 0,
    model: str | None = None,
    model_limit: int = 20,
    told: Told = Told(),
) -> int:
    """Measure hard negatives, what they do to a reader, and the order of passages.

    For example:

        memorist bench order --data nq-open-oracle.jsonl --limit 400

    Parameters
    ----------
    data
        A file of questions with annotated passages, in the format of nq-open-oracle.
    limit
        At most so many questions, drawn by the seed.
    seed
        For what is drawn.
    model
        A language model that reads, too, such as local:smollm2-135m.
    model_limit
        Questions that it is asked (default: 20).
    """
    from memorist.bench.data import located
    from memorist.bench.order import run

    run(located(data), limit, seed, model, model_limit, told.outputs(), console())
    return OK


def scale(*, sizes: str = "10000,100000", told: Told = Told()) -> int:
    """Measure where a search's time goes in stores of these sizes, and our indexes against others.

    For example:

        memorist bench scale --sizes 1000,10000

    Parameters
    ----------
    sizes
        How many memories (default: 10000,100000).
    """
    counts = numbers(sizes, "--sizes")
    from memorist.bench.scale import run

    run(counts, told.outputs(), console())
    return OK


def reference(*, data: Path, openie: Path, python: Path, parts: int = 5, told: Told = Told()) -> int:
    """Measure HippoRAG's own implementation beside ours: adding, searching, recall.

    For example:

        memorist bench reference --data musique.json --openie openie.json --python hipporag/bin/python

    Parameters
    ----------
    data
        Questions in MuSiQue's format.
    openie
        The triples of their passages, in the OpenIE form.
    python
        A Python that has hipporag: pip install hipporag, in an environment of its own. Its models are not needed.
    parts
        Passages come in so many parts, each measured (default: 5).
    """
    if parts < 1:
        raise InputError(f"--parts {parts} is not a whole number of at least 1")
    for name, path in (("--data", data), ("--openie", openie), ("--python", python)):
        if not path.is_file():
            raise InputError(f"{name} {path} does not exist")
    from memorist.bench.reference import run

    run(data, openie, python, parts, told.outputs(), console())
    return OK


def load(
    *,
    store: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    seconds: float = 20.0,
    servers: int = 4,
    workers: int = 2,
    clients: int = 8,
    told: Told = Told(),
) -> int:
    """Measure a service of several processes under a mixed load: four searches to an addition, over HTTP.

    For example:

        memorist bench load --seconds 30

    Parameters
    ----------
    store
        Empty stores to measure, files or addresses (default: a file that is deleted afterwards).
    seconds
        How long the clients ask (default: 20).
    servers
        Processes that answer (default: 4).
    workers
        Processes that do jobs (default: 2).
    clients
        How many ask at the same time (default: 8).
    """
    if seconds <= 0 or servers < 1 or workers < 0 or clients < 1:
        raise InputError("--seconds, --servers and --clients are numbers above 0, --workers is not below it")
    from tempfile import TemporaryDirectory

    from memorist.bench.load import Load, run
    from memorist.store.postgres.connection import place_of

    with TemporaryDirectory() as folder:
        places = store or (str(Path(folder) / "memory.db"),)
        run(
            [(place_of(place), place) for place in places],
            Load(seconds, servers, workers, clients),
            told.outputs(),
            console(),
        )
    return OK


def graph(*, sizes: str = "1000,10000,100000", igraph: Path | None = None, told: Told = Told()) -> int:
    """Measure what the fact graph costs as it grows, and its walk beside scipy's and igraph's.

    For example:

        memorist bench graph --sizes 1000,10000

    Parameters
    ----------
    sizes
        How many passages (default: 1000,10000,100000).
    igraph
        A Python that has igraph, to compare with; it runs in a process of its own.
    """
    counts = numbers(sizes, "--sizes")
    from memorist.bench.graph import run

    run(counts, igraph, told.outputs(), console())
    return OK


def updates(*, people: int = 200, told: Told = Told()) -> int:
    """Measure whether what changed is found, and what it changed from is not.

    For example:

        memorist bench updates --people 40

    Parameters
    ----------
    people
        How many people change three times (default: 200, which is the most).
    """
    if not 1 <= people <= 200:
        raise InputError(f"--people {people} is not between 1 and 200")
    from memorist.bench.updates import run

    run(told.outputs(), console(), people=people)
    return OK


def notes(*, data: Data, told: Told = Told()) -> int:
    """Measure whether what notes say about turns helps to find these.

    The notes' contexts are the file's own observations, replayed.

    For example:

        memorist bench notes --data locomo.json

    Parameters
    ----------
    data
        Files in LoCoMo's format with observations.
    """
    from memorist.bench.notes import run

    run(data, told.outputs(), console())
    return OK


def scheduler(*, data: Data, limit: int | None = None, seed: int = 0, told: Told = Told()) -> int:
    """Measure whether the working set holds what the next question needs.

    It is compared with LRU and FIFO of the same size, on questions that stay with
    a topic for a while.

    For example:

        memorist bench scheduler --data locomo.json

    Parameters
    ----------
    data
        Files in LoCoMo's format.
    limit
        At most so many questions, drawn by the seed.
    seed
        For what is drawn, and the order of what is asked (default: 0).
    """
    from memorist.bench.scheduler import run

    run(source_of(data, limit, seed), told.outputs(), console())
    return OK


def weights(*, models: Annotated[str, Parameter(name="--model")] = "smollm2-135m", told: Told = Told()) -> int:
    """Measure how far a model in torch is from the same model in llama.cpp.

    For example:

        memorist bench weights --model smollm2-135m,gemma-3-270m

    Parameters
    ----------
    models
        The packaged models to compare (default: smollm2-135m).
    """
    from memorist.bench.weights import run

    run([name.strip() for name in models.split(",")], told.outputs(), console())
    return OK


def cubes(*, model: str = "smollm2-135m", seed: int = 0, steps: int = 40, told: Told = Told()) -> int:
    """Measure memories as a model's keys and values and as adapters: exactness, time, bytes, perplexity.

    For example:

        memorist bench cubes --json cubes.json

    Parameters
    ----------
    model
        A packaged model in torch, or the folder of one (default: smollm2-135m).
    seed
        Of the adapter's training (default: 0).
    steps
        At most so many steps of it (default: 40).
    """
    if steps < 1:
        raise InputError(f"--steps {steps} is not at least 1")
    from memorist.bench.cubes import Plan, run

    run(Plan(model, seed, steps), told.outputs(), console())
    return OK


def recommend(
    *,
    data: Path,
    limit: int | None = None,
    part: Literal["test", "validation"] = "test",
    embedder: str = "static",
    model: str | None = None,
    told: Told = Told(),
) -> int:
    """Measure what recommend ranks first against popularity and plain similarity.

    For example:

        memorist bench recommend --data ml-latest-small --limit 50

    Parameters
    ----------
    data
        A MovieLens folder, with movies.csv and ratings.csv.
    limit
        At most so many users, drawn by a seed.
    part
        test (default), or validation, which splits what is remembered and leaves the test alone.
    embedder
        static (default), or minilm.
    model
        A language model that describes what would fit; then candidates are sampled ones only.
    """
    from memorist.arguments import model_named
    from memorist.bench.movielens import Options, run

    run(data, Options(part, limit, embedder=embedder, model=model_named(model)), told.outputs(), console())
    return OK


def concepts(
    *,
    data: Path | None = None,
    budget: int = 6000,
    orders: str = "1,2,3",
    limit: int | None = None,
    wordings: bool = False,
    told: Told = Told(),
) -> int:
    """Measure whether concepts from solved puzzles raise how many are solved.

    For example:

        memorist bench concepts --budget 6000 --orders 1

    Parameters
    ----------
    data
        A file of ARC puzzles (default: puzzles of our own).
    budget
        Expansions of the search for each puzzle (default: 6000).
    orders
        Seeds of the orders in which puzzles come (default: 1,2,3).
    limit
        At most so many puzzles of each order.
    wordings
        Measure instead whether concepts in other words could be merged by their vectors.
    """
    if wordings:
        from memorist.bench.arc import wordings as measured
        from memorist.models.known import embedder_named

        measured.run(embedder_named("minilm"), told.outputs(), console())
        return OK
    from memorist.bench.arc.run import run

    run(data, budget, numbers(orders, "--orders"), limit, told.outputs(), console())
    return OK


def source_of(data: Sequence[Path], limit: int | None, seed: int) -> Source:
    """Files in LoCoMo's format, or ours by name. Raises InputError."""
    from memorist.bench.data import located
    from memorist.bench.suite import Source

    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit} is not a whole number of at least 1")
    return Source(tuple(located(one) for one in data), limit=limit, seed=seed)


COMMANDS = (
    answers,
    changes,
    sessions,
    order,
    scale,
    reference,
    load,
    graph,
    updates,
    notes,
    scheduler,
    weights,
    cubes,
    recommend,
    concepts,
)
