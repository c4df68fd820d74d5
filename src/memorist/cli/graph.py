"""Commands of the fact graph: see it around a question, and feed it with a ready-made extraction."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from memorist.cli import OK
from memorist.cli.options import Model, ScopeOptions
from memorist.cli.render import console, emit, note, plain
from memorist.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from memorist.recall.neighbourhood import Neighbourhood
    from memorist.results import Extracts

RECIPE = "hipporag2"


def graph(
    query: str,
    /,
    *,
    k: Annotated[int, Parameter(allow_leading_hyphen=True)] = 6,
    svg: Path | None = None,
    html: Path | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Show the graph of facts around a question: why a memory comes up.

    The recipe hipporag2 walks over it. It needs: pip install 'memorist[graph]'

    For example:

        memorist graph "Where does Ana's brother work?" --user ana --html ana.html

    Parameters
    ----------
    query
        A question or some words.
    k
        At most this many memories (default: 6).
    svg
        Draw it to this file, too.
    html
        Draw it to this file as a page that needs nothing else.
    """
    for option, file in (("--svg", svg), ("--html", html)):
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise InputError(f"{option} {file} cannot be written; name a file in a folder that exists")
    with options.scoped(recipe=RECIPE) as memory:
        found = memory.graph(query, k=k)
    from memorist.cli.drawing import page
    from memorist.cli.drawing import svg as drawing

    for file, draw in ((svg, drawing), (html, page)):
        if file is not None:
            file.write_text(draw(found), encoding="utf-8")
    emit(found) if options.json else show(console(), found)
    return OK


def show(out: Console, found: Neighbourhood) -> None:
    """The facts that speak to the question, and the memories with the phrases that lead to them."""
    from rich.table import Table
    from rich.text import Text

    if not found.facts:
        out.print("No fact speaks to this.")
        return
    out.print("Facts", style="bold")
    for fact in found.facts:
        out.print(plain(f"  {fact}"))
    names = {node.number: node for node in found.nodes}
    joined: dict[int, list[str]] = {}
    for edge in found.edges:
        for one, other in ((edge.source, edge.target), (edge.target, edge.source)):
            if names[one].kind == "passage":
                joined.setdefault(one, []).append(names[other].name + (" *" if names[other].start else ""))
    table = Table(box=None, pad_edge=False)
    for heading in ("rank", "memory", "phrases (* the walk starts there)"):
        table.add_column(heading, overflow="fold")
    passages = sorted((node for node in found.nodes if node.kind == "passage"), key=lambda node: -node.rank)
    for node in passages:
        words = " ".join(node.name.split())
        shown = words if len(words) <= 160 else f"{words[:160].rstrip()} …"
        phrases = sorted(joined.get(node.number, ()), key=lambda name: not name.endswith("*"))
        table.add_row(f"{node.rank:.4f}", Text(plain(shown)), Text(plain(", ".join(phrases))))
    out.print()
    out.print(table)


def extract(
    openie: Path | None = None,
    /,
    *,
    model: Model = None,
    calls: int | None = None,
    tokens: int | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Take facts for the graph from a ready-made extraction, or have a language model extract them.

    The file is in the OpenIE form of HippoRAG; its texts are matched to the memories by their words. A model reads the
    memories that it has not read yet; what it has done stays when it is stopped.

    For example:

        memorist extract openie_results.json --user ana

    Parameters
    ----------
    openie
        A JSON file with `docs`, each with a text and its `extracted_triples`.
    calls
        The most calls of the model (default: no limit).
    tokens
        The most tokens of its prompts and replies (default: no limit).
    """
    with options.scoped(recipe=RECIPE) as memory, reading() as told:
        found = memory.extract(openie, model=model, calls=calls, tokens=tokens, progress=told)
    emit(found) if options.json else show_extracts(console(), found)
    return OK


@contextmanager
def reading() -> Iterator[Callable[[int, int], None]]:
    """Tells how many memories were read, on stderr, when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_extracts(out: Console, found: Extracts) -> None:
    """What came in, and what did not."""
    out.print(f"Took {found.facts} facts for {found.episodes} memories.")
    if found.unmatched:
        note(f"{found.unmatched} of {found.passages} passages are not in this memory")
    for reason, count in sorted(found.rejected.items()):
        note(f"rejected {count} facts: {reason}")
    if found.calls:
        note(f"{found.calls} calls, {found.tokens} tokens")
    if found.failed:
        note(f"{found.failed} memories got no usable reply; the next run asks again")
    if found.left:
        note(f"{found.left} memories are still unread ({found.problem}); run it again to go on")
    elif found.problem:
        note(f"the graph is not up to date yet ({found.problem}); the next add or search tries again")
