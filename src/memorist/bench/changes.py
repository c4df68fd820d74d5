"""`memorist bench changes`: facts that stay, change, come new and are to go, and what a memory makes of each.

A generated world of facts is told. Then some are changed, some are added, some are taken back; a change is made in
place (`update`), or told as one more fact that contradicts the first (`contradict`). Each fact is asked for before and
after, and found when its words are among the first RETURNED hits:

    kept        found, as before
    changed     the new version is found, and no old one before it; `stale` is the share whose old version still shows
    added       found
    taken back  not found: a forgotten fact that shows is a failure
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from memorist.bench.metrics.continual import fuar
from memorist.bench.report import told
from memorist.bench.rows import ALL, Row, mean
from memorist.bench.suite import Corpus, Item
from memorist.bench.suites.conflicts import Fact, settled, world
from memorist.bench.system import WHEN, CannotRun, RecipeSystem, observation
from memorist.bench.told import Outputs, tell
from memorist.recall.pool import Limits
from memorist.recipes import recipe_named

TOKENS = 12_000
OF_EACH = 60
RETURNED = 5
OWNER = "changes"
WAYS = ("update", "contradict")
LATER = WHEN + timedelta(days=30)


@dataclass(frozen=True, slots=True)
class World:
    """Facts by what becomes of them; the changed as (old, new)."""

    kept: Sequence[Fact]
    changed: Sequence[tuple[Fact, Fact]]
    added: Sequence[Fact]
    taken: Sequence[Fact]


def run(recipes: Sequence[str], seed: int, out: Outputs, console: Console) -> list[Row]:
    """Measure the recipes both ways, print a table, and tell `out`."""
    for recipe in recipes:
        recipe_named(recipe)
    made = drawn(seed)
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for recipe in recipes:
        try:
            rows += [row for way in WAYS for row in measure(recipe, way, made)]
        except CannotRun as error:
            failed[recipe] = str(error)
    show(rows, console)
    for recipe, reason in failed.items():
        told(f"{recipe} did not run", reason, console)
    tell(out, "changes", rows, seed=seed, failed={"changes": failed})
    return rows


def drawn(seed: int) -> World:
    """A world in which OF_EACH facts stay, change, come and go."""
    facts = world(random.Random(seed), TOKENS)
    final, first = settled(facts), settled(facts, newest=False)
    changed = [(first[about], fact) for about, fact in final.items() if first[about] != fact]
    others = [fact for about, fact in final.items() if first[about] == fact]
    kept, added, taken = (others[start : start + OF_EACH] for start in range(0, 3 * OF_EACH, OF_EACH))
    return World(kept, changed[:OF_EACH], added, taken)


def measure(recipe: str, way: str, made: World) -> list[Row]:
    """Tell, ask, change, ask again."""
    with (
        tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder,
        closing(RecipeSystem(recipe, Path(folder))) as system,
    ):
        facts = [*made.kept, *(old for old, _ in made.changed), *made.taken]
        random.Random(0).shuffle(facts)
        system.add([Corpus(OWNER, tuple(item_of(fact) for fact in facts))], lambda done: None)
        before = scores(system, made)
        change(system, way, made)
        after = scores(system, made)
    gaps = {name: after[name] - before[name] for name in after}
    ratio = fuar([-gaps["kept"]], gaps["changed"], gaps["added"])
    named = f"{recipe}, {way}"
    rows = [Row("changes", named, name, 0, ALL, value, OF_EACH) for name, value in after.items()]
    return rows if ratio is None else [*rows, Row("changes", named, "fuar", 0, ALL, ratio, OF_EACH)]


def item_of(fact: Fact, at: datetime = WHEN) -> Item:
    """A fact as it is told: without its number, so that only time tells which came later."""
    return Item(str(fact.serial), said(fact), role="document", at=at)


def said(fact: Fact) -> str:
    """A fact's words."""
    return fact.relation.fact.format(s=fact.subject, o=fact.value)


def change(system: RecipeSystem, way: str, made: World) -> None:
    """Change, add, and take back."""
    scoped = system.scope(OWNER)
    ids = {str(cube.meta["item"]): cube.id for cube in scoped.list(limit=10_000)}
    for old, new in made.changed:
        if way == "update":
            scoped.update(ids[str(old.serial)], text=said(new), at=LATER)
        else:
            scoped.add(observation(item_of(new, LATER)))
    for fact in made.added:
        scoped.add(observation(item_of(fact, LATER)))
    scoped.forget([ids[str(fact.serial)] for fact in made.taken])


def scores(system: RecipeSystem, made: World) -> dict[str, float]:
    """Each kind's share of what is right."""
    pairs = [(shown_at(system, new), shown_at(system, new, old)) for old, new in made.changed]
    return {
        "kept": mean([float(shown_at(system, fact) is not None) for fact in made.kept]),
        "changed": mean([float(new is not None and (old is None or new < old)) for new, old in pairs]),
        "stale": mean([float(old is not None) for _, old in pairs]),
        "added": mean([float(shown_at(system, fact) is not None) for fact in made.added]),
        "taken_back": mean([float(shown_at(system, fact) is None) for fact in made.taken]),
    }


def shown_at(system: RecipeSystem, asked: Fact, wanted: Fact | None = None) -> int | None:
    """The place of a fact's words (by default: of the fact asked for) among the hits; None when they do not show."""
    question = f"What is {asked.relation.phrase.format(x=asked.subject)}?"
    hits = system.search(OWNER, question, Limits(RETURNED, None), LATER + timedelta(days=1)).returned
    words = said(wanted or asked)
    return next((place for place, hit in enumerate(hits) if words in hit.text), None)


def show(rows: Sequence[Row], console: Console) -> None:
    """A line for each recipe and way."""
    table = Table(title="right after the changes")
    names = list(dict.fromkeys(row.metric for row in rows))
    for column in ("recipe", *(name.replace("_", " ") for name in names)):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for recipe in dict.fromkeys(row.recipe for row in rows):
        values = {row.metric: row.value for row in rows if row.recipe == recipe}
        table.add_row(recipe, *(f"{values[name]:.3f}" if name in values else "no gain" for name in names))
    console.print(table)
