"""`memorist bench answers`: does the answer without a language model quote the evidence, and does it know when not to?

Each conversation is asked its own questions, and as many questions of other conversations, which it cannot answer.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from memorist.answer.confidence import WEIGHTS, evidence_of
from memorist.answer.extractive import METHOD, rank
from memorist.bench.rows import Row
from memorist.bench.suite import Dataset, Source, Task
from memorist.bench.suites.locomo import LOCOMO
from memorist.bench.system import RecipeSystem
from memorist.bench.told import Outputs, tell
from memorist.results import Answer

RECIPE = "default"

FOREIGN = 120
"""Questions of other conversations for each."""

STEPS = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what was answered, and whether it could be."""

    task: Task
    answer: Answer
    kind: str
    evidence: dict[str, float]


def run(source: Source, out: Outputs, console: Console) -> list[Row]:
    """Ask everything, print a table with the weights that these data would give, and tell `out`."""
    dataset = LOCOMO.load(source)
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        closing(RecipeSystem(RECIPE, Path(folder))) as system,
    ):
        system.add(list(dataset.corpora.values()), lambda done: None)
        asked = list(ask_all(system, dataset, source.seed, console))
    rows = summed(asked)
    weights = fitted(asked)
    show(rows, weights, console)
    tell(out, "answers", rows, data=source.files, seed=source.seed, weights=weights)
    return rows


def ask_all(system: RecipeSystem, dataset: Dataset, seed: int, console: Console) -> Iterator[Asked]:
    """Own and foreign questions of every conversation."""
    rng = random.Random(seed)
    for name in track(dataset.corpora, "asking", console=console, transient=True):
        scoped = system.scope(name)
        own = [
            (task, "unanswerable" if task.refusal else "answerable") for task in dataset.tasks if task.corpus == name
        ]
        foreign = [task for task in dataset.tasks if task.corpus != name and not task.refusal]
        chosen = rng.sample(foreign, min(FOREIGN, len(foreign)))
        for task, kind in [*own, *((one, "foreign") for one in chosen)]:
            answer = scoped.ask(task.question)
            (vector,) = system.embedder.embed([task.question])
            ranked = rank(task.question, vector, answer.hits, system.embedder)
            yield Asked(task, answer, kind, evidence_of(answer.hits, ranked[0].cosine if ranked else 0.0))


def summed(asked: Sequence[Asked]) -> list[Row]:
    """Shares by kind: answerable, unanswerable (annotated so), foreign."""

    def row(metric: str, kind: str, right: Sequence[bool]) -> Row:
        return Row("answers", RECIPE, metric, 0, kind, float(np.mean(right)), len(right))

    rows: list[Row] = []
    for kind in ("answerable", "unanswerable", "foreign"):
        these = [one for one in asked if one.kind == kind]
        if these:
            rows.append(row("answered", kind, [one.answer.known for one in these]))
        if these and kind == "answerable":
            given = [one for one in these if one.answer.known]
            rows.append(row("answers_citing_evidence", kind, [cites(one) for one in given]))
            rows.append(row("cited_evidence", kind, [one.answer.known and cites(one) for one in these]))
    return rows


def cites(one: Asked) -> bool:
    """Whether a citation stands in an annotated evidence turn."""
    turn_of = {hit.id: str(hit.meta["item"]) for hit in one.answer.hits}
    return any(turn_of[citation.id] in one.task.evidence for citation in one.answer.citations)


def fitted(asked: Sequence[Asked]) -> dict[str, float]:
    """Weights of the confidence by logistic regression (Newton's method), answerable against foreign, both counting
    the same in sum."""
    these = [one for one in asked if one.kind != "unanswerable"]
    names = list(WEIGHTS)
    x = np.array([[1.0, *(one.evidence[name] for name in names)] for one in these])
    y = np.array([one.kind == "answerable" for one in these], float)
    if not 0 < y.sum() < len(y):
        return {}
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    solution = newton(x, y, weight)
    return {name: round(float(value), 2) for name, value in zip(["intercept", *names], solution)}


def newton(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Coefficients of a weighted logistic regression with a slight ridge."""
    ridge = 0.01 * np.eye(x.shape[1])
    solution = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ solution, -50, 50)))
        gradient = x.T @ (weight * (p - y)) + ridge @ solution
        solution = solution - np.linalg.solve((x * (weight * p * (1 - p))[:, None]).T @ x + ridge, gradient)
    return solution


def show(rows: Sequence[Row], weights: dict[str, float], console: Console) -> None:
    """The table."""
    table = Table(title=f"{METHOD} answers")
    for name in ("questions", "metric", "value", "n"):
        table.add_column(name, justify="right" if name in ("value", "n") else "left")
    for row in rows:
        table.add_row(row.category, row.metric, f"{row.value:.3f}", str(row.n))
    console.print(table)
    console.print(f"weights fitted on these data: {weights}", highlight=False)
