"""The report of a run as one HTML file that asks nothing of the network: tables, and plots of quality against tokens,
time and category. It is made from the JSON document, so that a report can be drawn again from what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from memorist.bench.plots import bars, heat, lines
from memorist.bench.report import COSTS, shown
from memorist.bench.rows import ALL, FAILED

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: .5em 0 1em; font-size: 13px; display: block; overflow-x: auto; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { font: 11px system-ui, sans-serif; fill: #444; max-width: 100%; margin: 0 1em 1em 0; vertical-align: top; }
svg .title { font-weight: 600; font-size: 12px; }
code { background: #f4f4f4; padding: .1em .3em; overflow-wrap: anywhere; }
.invalid { color: #b00020; }
"""

Row = Mapping[str, Any]


def page(document: Mapping[str, Any]) -> str:
    """The whole page of a run's or a stream's document."""
    parts = [heading(document)]
    for name, about in document.get("suites", {}).items():
        parts += section(name, about, [row for row in document["rows"] if row["suite"] == name])
    for suite in dict.fromkeys(one["suite"] for one in document.get("matrices", ())):
        matrices = [one for one in document["matrices"] if one["suite"] == suite]
        parts += stream(suite, matrices, [row for row in document["rows"] if row["suite"] == f"{suite} stream"])
    title = escape(f"Memorist: {document['suite']}")
    head = f'<head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en">{head}\n<body>\n{body}\n</body></html>\n'


def heading(document: Mapping[str, Any]) -> str:
    """What was run, where, and how to run it again."""
    machine = document["machine"]
    where = f"{machine['cores']} cores, {machine['system']} {machine['processor']}"
    return (
        "<h1>Memorist benchmarks</h1>"
        f"<p>Made by <code>{escape(str(document['command']))}</code>, seed {document['seed']}, "
        f"embedder {escape(document['embedder'])}, version {document['version']} (code {document['code']}), {where}. "
        "Tokens are counted by the default embedder's word pieces. Times include embedding that a cache spared.</p>"
    )


def section(name: str, about: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """A suite: quality, plots, cost."""
    headline = about["headline"]
    notes = ", ".join((f"{about['questions']:,} questions", f"{about['items']:,} items", *about["notes"]))
    found = [f'<h2 id="{escape(name)}">{escape(about["about"])}</h2><p>{escape(notes)}</p>']
    found += [
        f'<p class="invalid">{escape(system)} is invalid: {escape(reason)}</p>'
        for system, reason in about["invalid"].items()
    ]
    found += [
        f'<p class="invalid">{escape(system)} did not run: {escape(reason)}</p>'
        for system, reason in about.get("failed", {}).items()
    ]
    found.append(table(rows, [one for one in metrics(rows) if one not in (*COSTS, FAILED)]))
    found.append(lines(f"{headline} by tokens", "tokens", against(rows, headline, "tokens")))
    found.append(lines(f"{headline} by time", "ms a search (p50)", against(rows, headline, "search_ms_p50")))
    found.append(by_category(rows, headline, about["categories"]))
    found.append(table(rows, [one for one in COSTS if any(row["metric"] == one and row["value"] for row in rows)]))
    return [part for part in found if part]


def metrics(rows: Iterable[Row]) -> list[str]:
    """All metrics, in their order."""
    return list(dict.fromkeys(row["metric"] for row in rows))


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Metrics over all questions; a line for each system and budget."""
    values = {(row["recipe"], row["budget"], row["metric"]): row["value"] for row in rows if row["category"] == ALL}
    settings = list(dict.fromkeys((row["recipe"], row["budget"]) for row in rows if row["metric"] not in COSTS))
    lines_ = [line(["recipe", "budget", *(name.replace("_", " ") for name in names)], "th")]
    for system, budget in settings:
        cells = [shown(name, values.get((system, budget, name), values.get((system, 0, name)))) for name in names]
        if any(cells):
            lines_.append(line([system, f"{budget:,}" if budget else "", *cells], "td"))
    return f"<table>{''.join(lines_)}</table>" if names else ""


def line(cells: Iterable[str], tag: str) -> str:
    """A row of a table."""
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def against(rows: Sequence[Row], headline: str, cost: str) -> dict[str, list[tuple[float, float]]]:
    """Of each system the headline metric at each cost."""
    values = {(row["recipe"], row["budget"], row["metric"]): row["value"] for row in rows if row["category"] == ALL}
    found: dict[str, list[tuple[float, float]]] = {}
    for (system, budget, metric), value in values.items():
        if metric == headline and (system, budget, cost) in values:
            found.setdefault(system, []).append((values[system, budget, cost], value))
    return found


def by_category(rows: Sequence[Row], headline: str, named: Mapping[str, str]) -> str:
    """Bars of the headline metric, at the largest budget of each system."""
    these = [row for row in rows if row["metric"] == headline]
    categories = sorted({row["category"] for row in these} - {ALL})
    if len(categories) < 2:
        return ""
    most = {system: max(row["budget"] for row in these if row["recipe"] == system) for system in systems(these)}
    values = {(row["recipe"], row["category"]): row["value"] for row in these if row["budget"] == most[row["recipe"]]}
    series = {system: [values.get((system, category)) for category in categories] for system in most}
    return bars(f"{headline} by category", [named.get(one, one) for one in categories], series)


def systems(rows: Iterable[Row]) -> list[str]:
    """All systems, in their order."""
    return list(dict.fromkeys(row["recipe"] for row in rows))


def stream(suite: str, matrices: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[str]:
    """A stream: its measures, and a heat map of each system's matrix."""
    first = matrices[0]
    found = [f"<h2>{escape(first['about'])} in {len(first['matrix'])} parts: {escape(first['metric'])}</h2>"]
    found.append(table(rows, metrics(rows)))
    for one in matrices:
        after = {f"after {n}": scores for n, scores in enumerate(one["matrix"], 1)}
        found.append(heat(one["recipe"], {"nothing": one["before"], **after, "it alone": one["alone"]}))
    return found
