"""`memorist bench locomo`: how much of the annotated evidence stands inside a token budget.

Each conversation is a user of one store. A turn counts as found when all of it stands in the prompt; the prompt is
counted as a whole, frame and dates included, and must not exceed the budget.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from memorist.bench.conversations import ANSWERABLE, CATEGORIES, Conversation, Question, conversations
from memorist.errors import StoreError
from memorist.memory import Memory
from memorist.models.wordpiece import count_tokens
from memorist.recipes import recipe_named
from memorist.results import Hits

METRIC = "evidence_recall"


@dataclass(frozen=True, slots=True)
class Row:
    """One number. `budget` is in tokens (0: does not apply), `category` "1" … "4" or "all" (1-4), `n` its questions."""

    recipe: str
    metric: str
    budget: int
    category: str
    value: float
    n: int


def run(
    data: Sequence[str | Path],
    recipes: Sequence[str],
    budgets: Sequence[int],
    out: Path | None,
    console: Console,
    embedder: str | None = None,
) -> list[Row]:
    """Measure the recipes, print a table, and write the rows as JSON to `out`."""
    for recipe in recipes:
        recipe_named(recipe)
    found = conversations(data)
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
        path = Path(folder) / "bench.db"
        rows = [*add_all(path, found, console, embedder)]
        for recipe in recipes:
            rows += measure(path, found, recipe, budgets, console)
    show(rows, recipes, budgets, console)
    if out is not None:
        report = {"suite": "locomo", "data": [str(one) for one in data], "rows": [asdict(row) for row in rows]}
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return rows


def add_all(path: Path, found: Iterable[Conversation], console: Console, embedder: str | None = None) -> Iterable[Row]:
    """Add every conversation through the product's own loader."""
    begin, turns = time.perf_counter(), 0
    with Memory.open(path, embedder=embedder) as memory:
        for conversation in found:
            file = path.with_name("sample.json")
            file.write_text(json.dumps(conversation.sample), encoding="utf-8")
            turns += memory.scope(user=conversation.name).add(file).added
    seconds = time.perf_counter() - begin
    console.print(f"added {turns} turns in {seconds:.1f} s ({turns / seconds:.0f} a second)", highlight=False)
    yield Row("any", "add_turns_per_second", 0, "all", turns / seconds, turns)


def measure(
    path: Path, found: Sequence[Conversation], recipe: str, budgets: Sequence[int], console: Console
) -> list[Row]:
    """One recipe at every budget."""
    rows: list[Row] = []
    milliseconds: list[float] = []
    asked = sum(len(conversation.questions) for conversation in found) * len(budgets)
    with Memory.open(path, recipe=recipe) as memory, Progress(console=console, transient=True) as progress:
        task = progress.add_task(recipe, total=asked)
        for budget in budgets:
            recalls: dict[str, list[float]] = defaultdict(list)
            for conversation in found:
                scoped = memory.scope(user=conversation.name)
                scoped.search("warm up", k=1)
                for question in conversation.questions:
                    progress.advance(task)
                    if question.category not in ANSWERABLE:
                        continue
                    begin = time.perf_counter()
                    hits = scoped.search(question.text, budget=budget)
                    milliseconds.append(1000 * (time.perf_counter() - begin))
                    recalls[question.category].append(recall(question, hits, budget))
            rows += summed(recipe, budget, recalls)
    for metric, share in (("search_ms_p50", 50), ("search_ms_p95", 95)):
        rows.append(Row(recipe, metric, 0, "all", float(np.percentile(milliseconds, share)), len(milliseconds)))
    return rows


def recall(question: Question, hits: Hits, budget: int) -> float:
    """The share of the question's evidence turns that stand in the prompt whole."""
    (tokens,) = count_tokens([hits.prompt()])
    if tokens > budget:
        raise StoreError(f"the prompt for {question.text!r} has {tokens} tokens, over the budget of {budget}")
    parts: dict[str, int] = defaultdict(int)
    for hit in hits:
        parts[str(hit.meta["dia_id"])] += 1
    whole = {str(hit.meta["dia_id"]) for hit in hits if parts[str(hit.meta["dia_id"])] == hit.meta.get("parts", 1)}
    return len(question.evidence & whole) / len(question.evidence)


def summed(recipe: str, budget: int, recalls: dict[str, list[float]]) -> list[Row]:
    """Means by category, and over all questions of categories 1-4."""
    rows = [
        Row(recipe, METRIC, budget, category, float(np.mean(values)), len(values))
        for category, values in sorted(recalls.items())
    ]
    every = [value for values in recalls.values() for value in values]
    return [*rows, Row(recipe, METRIC, budget, "all", float(np.mean(every)) if every else 0.0, len(every))]


def show(rows: Sequence[Row], recipes: Sequence[str], budgets: Sequence[int], console: Console) -> None:
    """The table: a line for each recipe and category."""
    table = Table(title="evidence recall, by token budget")
    table.add_column("recipe")
    table.add_column("questions")
    for budget in budgets:
        table.add_column(f"{budget:,}", justify="right")
    values = {(row.recipe, row.category, row.budget): row for row in rows if row.metric == METRIC}
    for recipe in recipes:
        for category in ("all", *ANSWERABLE):
            cells = [values[recipe, category, budget] for budget in budgets if (recipe, category, budget) in values]
            if cells:
                name = f"{CATEGORIES.get(category, 'all')} ({cells[0].n})"
                table.add_row(recipe if category == "all" else "", name, *(f"{cell.value:.3f}" for cell in cells))
    console.print(table)
    for row in rows:
        if row.metric.startswith("search_ms"):
            console.print(f"{row.recipe}: {row.metric} {row.value:.1f}", highlight=False)
