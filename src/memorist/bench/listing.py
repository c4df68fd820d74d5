"""`memorist bench --list`: what there is to run."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from memorist.bench.readers import READERS
from memorist.bench.suites import SUITES
from memorist.recipes import RECIPES


def show_all(console: Console) -> None:
    """Suites, recipes and readers."""
    table = Table(title="suites")
    for column in ("suite", "what it measures", "shown first", "its file in a folder of data"):
        table.add_column(column)
    for suite in SUITES.values():
        table.add_row(suite.name, suite.about, suite.headline, suite.file or "makes its own")
    console.print(table)
    table = Table(title="recipes")
    for column in ("recipe", "what it is"):
        table.add_column(column)
    for recipe in RECIPES.values():
        table.add_row(recipe.name, recipe.about)
    console.print(table)
    console.print(
        f"readers: {', '.join(READERS)}, or a model such as local:smollm2-135m\n"
        "also measured: bench answers, bench scale",
        highlight=False,
    )
