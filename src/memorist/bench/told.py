"""Where a command tells what it measured, beside the terminal: JSON for programs, and a page for people."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memorist import __version__
from memorist.bench.html import page
from memorist.bench.listing import APART
from memorist.bench.report import machine, write_json
from memorist.bench.run import code
from memorist.store.postgres.connection import place_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write to; None for none."""

    json: Path | None = None
    html: Path | None = None


def tell(
    out: Outputs,
    suite: str,
    rows: Sequence[DataclassInstance],
    *,
    data: Sequence[str | Path] = (),
    seed: int | None = None,
    **more: object,
) -> None:
    """Write the rows of a command of its own, with what it takes to make them again. `more` stands beside them."""
    document = {
        "suite": suite,
        "about": APART[suite][0],
        "data": [str(one) for one in data],
        "command": command(),
        "seed": seed,
        "version": __version__,
        "code": code(),
        "machine": machine(),
        **more,
        "rows": [asdict(row) for row in rows],
    }
    write(document, out)


def write(document: Mapping[str, Any], out: Outputs) -> None:
    """A document, in the files that were asked for."""
    if out.json is not None:
        write_json(document, out.json)
    if out.html is not None:
        out.html.write_text(page(document), encoding="utf-8")


def command() -> str:
    """What was typed, without the password of a database."""
    return shlex.join(["memorist", *map(place_of, sys.argv[1:])])
