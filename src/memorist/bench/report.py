"""A run told: tables on the terminal, and JSON with every row and every question."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memorist import __version__
from memorist.bench.judges import judge_named
from memorist.bench.peers.environment import version_of
from memorist.bench.peers.known import PREFIX, peer_named
from memorist.bench.rows import ALL, FAILED, Row
from memorist.bench.run import Measured, Plan, code

if TYPE_CHECKING:
    from memorist.bench.streams import Learned

COSTS = (
    "tokens", "search_ms_p50", "search_ms_p95", "read_ms_p50", "read_calls", "read_tokens", "read_cost",
    "judge_calls", "judge_tokens", "judge_seconds",
    "add_seconds", "add_embedding_seconds", "add_calls", "add_tokens", "add_cost", "store_bytes",
)  # fmt: skip
"""What is not quality: it varies from run to run, or is better when it is less."""


def qualities(rows: Iterable[Row]) -> list[str]:
    """The metrics of quality, in the order in which they came."""
    return list(dict.fromkeys(row.metric for row in rows if row.metric not in (*COSTS, "invalid", FAILED)))


def show(measured: Sequence[Measured], console: Console, lacking: Mapping[str, str] = MappingProxyType({})) -> None:
    """Of each suite its quality, its headline metric by category, and its cost; and why others are `lacking`."""
    for one in measured:
        about = ", ".join((f"{len(one.dataset.tasks):,} questions", *one.dataset.notes))
        console.print(overall(one, qualities(one.rows), f"{one.suite.about}: {about}"))
        detail = by_category(one)
        if detail is not None:
            console.print(detail)
        console.print(overall(one, [name for name in COSTS if spent(one, name)], "cost"))
        for system, reason in invalid_reasons(one).items():
            told(f"{system} is invalid", reason, console)
        for system, reason in one.failed.items():
            told(f"{system} did not run", reason, console)
    for name, reason in lacking.items():
        told(f"{name} cannot be run", reason, console)


def told(what: str, reason: str, console: Console) -> None:
    """What went wrong, with its reason."""
    console.print(Text.assemble((f"{what}:", "red"), f" {reason}"))


def spent(one: Measured, metric: str) -> bool:
    """Whether a cost is one."""
    return any(row.metric == metric and row.value for row in one.rows)


def overall(one: Measured, names: Sequence[str], title: str) -> Table:
    """Metrics over all questions; a line for each system and budget."""
    table = Table(title=title)
    budgeted = any(row.budget for row in one.rows)
    for column in ("recipe", *(("budget",) if budgeted else ()), *(name.replace("_", " ") for name in names)):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    values = {(row.recipe, row.budget, row.metric): row.value for row in one.rows if row.category == ALL}
    for system, budget in settings_of(one.rows):
        if not any((system, budget, name) in values for name in (*names, "invalid", FAILED)):
            continue  # a reference costs nothing
        cells = [shown(name, values.get((system, budget, name), values.get((system, 0, name)))) for name in names]
        for wrong, said in (("invalid", "invalid"), (FAILED, "did not run")):
            if (system, budget, wrong) in values:
                cells = [said, *("" for _ in names[1:])]
        table.add_row(system, *((f"{budget:,}",) if budgeted else ()), *cells)
    return table


def settings_of(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Systems and budgets under which questions were asked, in order."""
    return list(dict.fromkeys((row.recipe, row.budget) for row in rows if row.metric not in COSTS))


def by_category(one: Measured) -> Table | None:
    """The headline metric for each category; None when there is but one."""
    rows = [row for row in one.rows if row.metric == one.suite.headline]
    names = sorted({row.category for row in rows} - {ALL})
    if len(names) < 2:
        return None
    counts = {row.category: row.n for row in rows}
    table = Table(title=f"{one.suite.headline.replace('_', ' ')} by category")
    budgeted = any(row.budget for row in rows)
    for column in ("recipe", *(("budget",) if budgeted else ())):
        table.add_column(column)
    for name in names:
        table.add_column(f"{one.suite.categories.get(name, name)} ({counts[name]})", justify="right")
    values = {(row.recipe, row.budget, row.category): row.value for row in rows}
    for system, budget in dict.fromkeys((row.recipe, row.budget) for row in rows):
        cells = (shown("", values.get((system, budget, name))) for name in names)
        table.add_row(system, *((f"{budget:,}",) if budgeted else ()), *cells)
    return table


def invalid_reasons(one: Measured) -> Mapping[str, str]:
    """For each system that broke a rule the first reason, and how often."""
    found: dict[str, list[str]] = {}
    for record in one.records:
        if record.invalid:
            found.setdefault(record.system, []).append(record.invalid)
    return {system: f"{len(reasons)} of its answers, such as: {reasons[0]}" for system, reasons in found.items()}


def shown(metric: str, value: float | None) -> str:
    """A number as a table has it."""
    if value is None:
        return ""
    if metric.endswith("_bytes"):
        return f"{value / 1e6:,.1f} MB"
    if metric == "read_cost" or metric == "add_cost":
        return f"${value:,.4f}"
    if metric in COSTS or metric.endswith("_second"):
        return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
    if "_ms" in metric or "_ratio" in metric:
        return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
    return f"{value:.3f}"


def document(measured: Sequence[Measured], plan: Plan, command: str | None = None) -> dict[str, object]:
    """The run as one JSON document; `suite` and `data` are those of the first, as when there is one."""
    sources = [source for _, source in plan.suites]
    return {
        "suite": measured[0].suite.name,
        "suites": {
            one.suite.name: {
                "about": one.suite.about,
                "data": one.dataset.digest,
                "files": [file.name for file in source.files],
                "questions": len(one.dataset.tasks),
                "items": one.dataset.items,
                "notes": one.dataset.notes,
                "headline": one.suite.headline,
                "categories": one.suite.categories,
                "invalid": invalid_reasons(one),
                "failed": one.failed,
            }
            for one, source in zip(measured, sources)
        },
        "lacking": plan.lacking,
        "data": [str(file) for source in sources for file in source.files],
        "command": command,
        "seed": sources[0].seed,
        "embedder": plan.embedder,
        "peers": versions(plan.systems),
        "reader": plan.reader or sorted({one.suite.reader for one in measured}),
        "judge": judge.about if (judge := judge_named(plan.judge)) else None,
        "version": __version__,
        "code": code(),
        "machine": machine(),
        "rows": [asdict(row) for one in measured for row in one.rows],
        "records": [asdict(record) for one in measured for record in one.records],
    }


def stream_document(learned: Sequence[Learned], plan: Plan, command: str | None = None) -> dict[str, object]:
    """Streams as one JSON document: measures as rows, the matrix of each system, and why one has none."""
    sources = [source for _, source in plan.suites]
    failed: dict[str, dict[str, str]] = {}
    for one in learned:
        if one.failed is not None:
            failed.setdefault(one.suite.name, {})[one.system] = one.failed
    return {
        "suite": f"{learned[0].suite.name} stream",
        "data": [str(file) for source in sources for file in source.files],
        "command": command,
        "seed": sources[0].seed,
        "embedder": plan.embedder,
        "version": __version__,
        "code": code(),
        "machine": machine(),
        "lacking": plan.lacking,
        "failed": failed,
        "rows": [asdict(row) for one in learned for row in one.rows],
        "matrices": [
            {
                "suite": one.suite.name,
                "about": one.suite.about,
                "metric": one.suite.headline,
                "recipe": one.system,
                "matrix": one.matrix,
                "before": one.before,
                "alone": one.alone,
                "beside": {"first": one.first, "last": one.last},
            }
            for one in learned
            if one.failed is None
        ],
    }


def versions(systems: Iterable[str]) -> dict[str, str | None]:
    """The peers among systems, and which version of each is installed."""
    return {name: version_of(peer_named(name.removeprefix(PREFIX))) for name in systems if name.startswith(PREFIX)}


def machine() -> dict[str, object]:
    """The class of machine, not its name."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}


def write_json(found: Mapping[str, object], out: Path) -> None:
    """The document, a row or a record a line."""
    parts = []
    for name, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in value)
            parts.append(f"{json.dumps(name)}: [\n  {lines}\n ]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    out.write_text("{\n " + ",\n ".join(parts) + "\n}\n", encoding="utf-8")
