"""Tables in the documentation, made from published results: a number in a page is always one that was measured.

A page holds marks; what stands between them is replaced:

    <!-- by budget: recall-locomo.json locomo evidence_recall default,dense -->
    <!-- by metric: report.json trec accuracy all -->
    <!-- by category: recall-locomo.json locomo evidence_recall default -->
    <!-- by reason: speed.json speed-100000 failed all -->
    <!-- by reason: benchmarks.json lacking suites all -->
    <!-- by command: speed.json speed load all -->
    <!-- end -->

Those by reason say why systems, and suites, are missing; that by command how the results were made.

`python -m memorist.bench.tables FILE…` rewrites pages (results are looked for in the page's folder or `docs/results`);
of a report in JSON it drops the questions and the folders of paths, so that it can be published.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memorist.bench.report import shown, write_json
from memorist.bench.rows import ALL, FAILED
from memorist.errors import InputError

MARK = re.compile(
    r"(?P<mark><!-- by (?P<kind>budget|metric|category|reason|command): (?P<file>\S+) (?P<suite>\S+(?: stream)?) "
    r"(?P<metrics>\S+) (?P<recipes>[^>]+?)"
    r" -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
RESULTS = Path("docs") / "results"

FOLDER = re.compile(r"(?<=\s)/\S*/(\w+)")
"""The path of a folder, and its name."""


def rewritten(page: Path) -> str:
    """The page with every marked table made anew. Raises InputError for results that are not there."""
    return MARK.sub(lambda mark: f"{mark['mark']}{table(mark, results(page, mark['file']))}{mark['end']}", read(page))


def read(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def results(page: Path, name: str) -> Mapping[str, Any]:
    """Published results by name."""
    for folder in (page.parent, page.parent / RESULTS):
        if (folder / name).is_file():
            found: Mapping[str, Any] = json.loads(read(folder / name))
            return found
    raise InputError(f"{page} names {name}, which is neither beside it nor in {RESULTS}")


def table(mark: re.Match[str], document: Mapping[str, Any]) -> str:
    """The table that a mark asks for."""
    if mark["kind"] == "command":
        return f"```console\n$ {document['command']}\n```\n\n{loaded(document)}"
    if mark["kind"] == "reason":
        reasons = reasons_of(mark["suite"], document)
        return drawn(
            mark, ["", "why it is missing"], [[name, told.replace("|", "\\|")] for name, told in reasons.items()]
        )
    rows = [row for row in document["rows"] if row["suite"] == mark["suite"]]
    listed = list(dict.fromkeys(row["recipe"] for row in rows if row["metric"] != FAILED))
    recipes = listed if mark["recipes"] == ALL else [name.strip() for name in mark["recipes"].split(",")]
    metrics = mark["metrics"].split(",")
    if mark["kind"] == "metric":
        over = {(row["recipe"], row["metric"]): row["value"] for row in rows if row["category"] == ALL}
        lines = [[name, *(shown(metric, over.get((name, metric))) for metric in metrics)] for name in recipes]
        return drawn(mark, ["recipe", *(metric.replace("_", " ") for metric in metrics)], lines)
    rows = [row for row in rows if row["metric"] == metrics[0]]
    budgets = sorted({row["budget"] for row in rows})
    heads = [f"{budget:,} tokens" if budget else metrics[0].replace("_", " ") for budget in budgets]
    if mark["kind"] == "budget":
        values = {(row["recipe"], row["budget"]): row["value"] for row in rows if row["category"] == ALL}
        lines = [[name, *(shown("", values.get((name, budget))) for budget in budgets)] for name in recipes]
        return drawn(mark, ["recipe", *heads], lines)
    named = document.get("suites", {}).get(mark["suite"], {}).get("categories", {})
    rows = [row for row in rows if row["recipe"] == recipes[0]]
    counts = {row["category"]: row["n"] for row in rows}
    values = {(row["category"], row["budget"]): row["value"] for row in rows}
    lines = [
        [f"{named.get(name, name)} ({counts[name]})", *(shown("", values.get((name, budget))) for budget in budgets)]
        for name in sorted(counts, key=lambda name: (name != ALL, name))
    ]
    return drawn(mark, ["questions", *heads], lines)


def loaded(document: Mapping[str, Any]) -> str:
    """How busy the machine was, where the results say so."""
    machine = document.get("machine", {})
    load = machine.get("load")
    return "" if load is None else f"Load of its {machine['cores']} cores before and after: {load[0]} and {load[1]}.\n"


def reasons_of(suite: str, document: Mapping[str, Any]) -> Mapping[str, str]:
    """Why systems of a suite did not run, or why suites did not."""
    if suite == "lacking":
        return dict(document.get("lacking", {}))
    own = document.get("suites", {}).get(suite, {}).get("failed", {})
    return {**own, **document.get("failed", {}).get(suite, {})}


def drawn(mark: re.Match[str], heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The table in Markdown; one without lines says so. Raises InputError for a line without a number."""
    for name, *cells in lines:
        if not any(cells):
            raise InputError(f"{mark['file']} has no {mark['metrics']} of {name!r} on {mark['suite']}")
    lines = lines or [["nothing in this run", *("" for _ in heads[1:])]]
    ruled = ["---", *("---" if mark["kind"] == "reason" else "---:" for _ in heads[1:])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ruled, *lines))


def published(document: Mapping[str, Any]) -> dict[str, object]:
    """A report without its questions and without the folders of whoever made it."""
    paths = sorted({str(Path(path).parent) for path in document["data"]} - {"."}, key=len, reverse=True)
    command = str(document["command"])
    for folder in paths:
        command = command.replace(f"{folder}/", "")
    kept = {name: value for name, value in document.items() if name != "records"}
    if "lacking" in kept:
        kept["lacking"] = {name: FOLDER.sub(r"\1", told) for name, told in document["lacking"].items()}
    words = [Path(word).name if word.startswith("/") else word for word in command.split()]
    return {**kept, "command": " ".join(words), "data": [Path(path).name for path in document["data"]]}


def main(files: Sequence[str]) -> None:
    """Rewrite pages and reports."""
    for file in map(Path, files):
        if file.suffix == ".json":
            write_json(published(json.loads(read(file))), file)
        else:
            file.write_text(rewritten(file), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
