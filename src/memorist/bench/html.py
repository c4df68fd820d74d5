"""The report of a run as one HTML file that asks nothing of the network: tables, and plots of quality against tokens,
time and category. It is made from the JSON document, so that a report can be drawn again from what was published:

    python -m memorist.bench.html report.html benchmarks.json stream.json changes.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from memorist.bench.metrics.continual import average_accuracy
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
nav { font-size: 13px; }
.made { border-top: 2px solid #ddd; padding-top: .7em; margin-top: 2em; color: #555; }
.invalid { color: #b00020; }
"""

COUNTED = (
    "Tokens are counted by the default embedder's word pieces. Times include embedding that a cache spared. Names in "
    "(brackets) are references that use no memory."
)

Row = Mapping[str, Any]


def page(*documents: Mapping[str, Any]) -> str:
    """The whole page of the documents of runs, streams, and commands of their own."""
    parts = ["<h1>Memorist benchmarks</h1>", contents(documents)]
    for document in documents:
        parts += [heading(document), *body(document)]
    title = escape(f"Memorist: {', '.join(str(document['suite']) for document in documents)}")
    head = (
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
    )
    return f'<!doctype html>\n<html lang="en">{head}\n<body>\n{chr(10).join(parts)}\n</body></html>\n'


def contents(documents: Sequence[Mapping[str, Any]]) -> str:
    """Links to the suites, when there are several."""
    named = [(name, about["about"]) for document in documents for name, about in document.get("suites", {}).items()]
    if len(named) < 2:
        return ""
    links = (f'<a href="#{escape(name)}">{escape(about)}</a>' for name, about in named)
    return f"<nav>{' · '.join(links)}</nav>"


def heading(document: Mapping[str, Any]) -> str:
    """What was run, where, and how to run it again."""
    machine = document.get("machine")
    said = [f"Made by <code>{escape(str(document['command']))}</code>"]
    said += [f"{name} {escape(str(document[name]))}" for name in ("seed", "embedder") if document.get(name) is not None]
    if "version" in document:
        said.append(f"version {document['version']} (code {document['code']})")
    if machine:
        said.append(f"{machine['cores']} cores, {machine['system']} {machine['processor']}")
    if document.get("judge"):
        said.append(f"judge: {escape(str(document['judge']))}")
    return f'<p class="made">{", ".join(said)}.</p>'


def body(document: Mapping[str, Any]) -> Iterator[str]:
    """Its suites with what could not be run, its streams, or the rows of a command of its own."""
    rows = document["rows"]
    if "suites" in document:
        yield f"<p>{COUNTED}</p>"
    for name, about in document.get("suites", {}).items():
        yield from section(name, about, [row for row in rows if row["suite"] == name])
    if document.get("lacking"):
        yield "<h2>What could not be run</h2>"
        yield listed("cannot be run", document["lacking"])
    matrices, failed = document.get("matrices", ()), document.get("failed", {})
    for suite in dict.fromkeys((*(one["suite"] for one in matrices), *failed)):
        these = [one for one in matrices if one["suite"] == suite]
        yield from stream(suite, these, [row for row in rows if row["suite"] == f"{suite} stream"])
        yield listed("did not run", failed.get(suite, {}))
    if "suites" not in document and "matrices" not in document:
        yield f"<h2>{escape(str(document['suite']))}</h2><p>{escape(str(document.get('about', '')))}</p>"
        whole = any(row.get("category") == ALL and "metric" in row for row in rows)
        yield table(rows, metrics(rows)) if whole else plain(rows)
        yield listed("did not run", failed.get(document["suite"], {}))


def listed(what: str, reasons: Mapping[str, str]) -> str:
    """Names, each with its reason."""
    return "".join(
        f'<p class="invalid">{escape(name)} {what}: {escape(reason)}</p>' for name, reason in reasons.items()
    )


def plain(rows: Sequence[Row]) -> str:
    """Rows of another shape as they are, a column for each field."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    told = [line([one.replace("_", " ") for one in names], "th")]
    return f"<table>{''.join([*told, *(line([cell(row.get(one)) for one in names], 'td') for row in rows)])}</table>"


def cell(value: object) -> str:
    """A field in words."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(cell, value))
    return "" if value is None else str(value)


def section(name: str, about: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """A suite: quality, plots, cost."""
    headline = about["headline"]
    notes = ", ".join((f"{about['questions']:,} questions", f"{about['items']:,} items", *about["notes"]))
    found = [f'<h2 id="{escape(name)}">{escape(about["about"])}</h2><p>{escape(notes)}</p>']
    found.append(listed("is invalid", about["invalid"]))
    found.append(listed("did not run", about.get("failed", {})))
    found.append(table(rows, [one for one in metrics(rows) if one not in (*COSTS, FAILED)]))
    shown_as = headline.replace("_", " ")
    found.append(lines(f"{shown_as} by tokens", "tokens", against(rows, headline, "tokens")))
    found.append(lines(f"{shown_as} by time", "ms a search (p50)", against(rows, headline, "search_ms_p50")))
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
    budgeted = any(budget for _, budget in settings)
    lines_ = [line(["recipe", *(["budget"] if budgeted else []), *(name.replace("_", " ") for name in names)], "th")]
    for system, budget in settings:
        cells = [shown(name, values.get((system, budget, name), values.get((system, 0, name)))) for name in names]
        if any(cells):
            lines_.append(line([system, *([f"{budget:,}" if budget else ""] if budgeted else []), *cells], "td"))
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
    return bars(f"{headline.replace('_', ' ')} by category", [named.get(one, one) for one in categories], series)


def systems(rows: Iterable[Row]) -> list[str]:
    """All systems, in their order."""
    return list(dict.fromkeys(row["recipe"] for row in rows))


def stream(suite: str, matrices: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[str]:
    """A stream: its measures, and a heat map of each system's matrix."""
    if not matrices:
        return [f"<h2>{escape(suite)} stream</h2>"]
    first = matrices[0]
    found = [f"<h2>{escape(first['about'])} in {len(first['matrix'])} parts: {escape(first['metric'])}</h2>"]
    found.append(table(rows, [name for name in metrics(rows) if name != FAILED]))
    found.append(lines("average accuracy after each part", "parts", averages(matrices)))
    for one in matrices:
        after = {f"after {n}": scores for n, scores in enumerate(one["matrix"], 1)}
        found.append(heat(one["recipe"], {"nothing": one["before"], **after, "it alone": one["alone"]}))
    return found


def averages(matrices: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Of each system the mean score over the parts told so far, after each part."""
    return {
        one["recipe"]: [(step + 1.0, average_accuracy(one["matrix"], step)) for step in range(len(one["matrix"]))]
        for one in matrices
    }


def main(out: str, *files: str) -> None:
    """One page of several published results."""
    Path(out).write_text(page(*(json.loads(Path(file).read_text("utf-8")) for file in files)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
