"""What is printed: JSON for programs, compact lines for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from memorist.errors import RecordError

if TYPE_CHECKING:
    from rich.console import Console

    from memorist.cube import Cube
    from memorist.recall.hint import Hint
    from memorist.results import Answer, Change, Check, Erasure, Hit, Hits, Order, Receipt, Recommendations

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
INDENT = "   "
LONGEST_SHOWN = 600
MOST_SKIPPED_SHOWN = 5
UNBROKEN = 1000


def emit(document: Any) -> None:
    """One JSON document on stdout."""
    data = data_of(document)
    text = json.dumps(data, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a lone surrogate, or a stdout that is not UTF-8
        text = json.dumps(data, indent=2)
    print(text)


def data_of(value: Any) -> Any:
    """Results as JSON data: times as ISO 8601 in UTC, paths as texts."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, RecordError):
        return {"source": value.source, "line": value.line, "problem": value.problem}
    if is_dataclass(value):
        return {field.name: data_of(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): data_of(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [data_of(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def plain(text: str) -> str:
    """A text without the characters that command a terminal; what was remembered must not move its cursor."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def console(stderr: bool = False) -> Console:
    """A console that takes texts as they are: no markup, no guessing of colours."""
    stream = sys.stderr if stderr else sys.stdout
    made = console_class()(file=stream, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:  # a program reads: no line is broken
        made.soft_wrap, made.width = True, UNBROKEN
    return made


@lru_cache(maxsize=1)
def console_class() -> type[Console]:
    """rich's console, made when first needed, that leaves a broken pipe to `main`."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    return Quiet


def note(message: str) -> None:
    """Something to know that is not the answer, on stderr."""
    print(f"memorist: {plain(message)}", file=sys.stderr)


def said_on(at: datetime) -> str:
    """A time in UTC, without the clock when it is midnight: then only the day was known."""
    moment = at.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"


def entry(out: Console, heading: Iterable[str], text: str, *further: str) -> None:
    """A heading line, then the text indented, wrapped when a terminal reads it."""
    from rich.padding import Padding
    from rich.text import Text

    out.print(Text(plain("  ".join(part for part in heading if part)), style="bold"))
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN].rstrip()} … ({len(text)} characters)"
    for line in (*plain(shown).splitlines(), *further):
        if out.is_terminal:
            out.print(Padding(Text(line), (0, 0, 0, len(INDENT))))
        else:
            out.print(Text(INDENT + line))


def show_recommendations(out: Console, made: Recommendations) -> None:
    """Rank, score and id of each, its text, and its reasons with the interactions they cite."""
    if not made.known:
        note("nothing is known of what this user likes; the order is that of the request and of people in general")
    if made.problem:
        note(f"the order is the measured one: {made.problem}")
    for rank, one in enumerate(made, 1):
        reasons = [plain(f"- {reason.text}  {' '.join(reason.episodes)}".rstrip()) for reason in one.reasons]
        entry(out, (str(rank), f"{one.score:.3f}", one.id), one.text, *reasons)


def show_hint(out: Console, made: Hint) -> None:
    """What a solver would be shown."""
    if made.problem:
        note(f"these are the nearest: {made.problem}")
    out.print(plain(made.text or "Nothing that was learned may help."))


def show_hits(out: Console, hits: Hits, why: bool) -> None:
    """Rank, score, date, speaker and id of each hit, and its text."""
    if not hits:
        out.print("Nothing found.")
    for rank, hit in enumerate(hits, 1):
        reasons = [reasons_of(hit)] if why else []
        entry(
            out,
            (str(rank), f"{hit.score:.3f}", said_on(hit.at), who(hit.speaker or named(hit.origin), hit.trust), hit.id),
            hit.text,
            *reasons,
        )


def named(origin: str) -> str | None:
    """Who says what an organiser wrote: the organiser."""
    return None if origin == "source" else origin


def show_prompt(hits: Hits, order: Order) -> None:
    """The block for a prompt, its lines unbroken."""
    if hits:
        print(plain(hits.prompt(order)))


def reasons_of(hit: Hit) -> str:
    """What each recall stage made of a hit."""
    values = (
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in hit.why.items()
    )
    return "why: " + plain(", ".join(values))


def who(speaker: str | None, trust: str) -> str:
    """The speaker, with where it comes from when that is less than a person's or an agent's word."""
    return f"{speaker or '-'} ({trust})" if trust not in ("user", "agent") else speaker or "-"


@contextmanager
def drafts(out: Console, wanted: bool | None) -> Iterator[Callable[[str], None] | None]:
    """Where a model's words go as they come: on a terminal a draft that goes when the answer stands, else plain text
    and a line's end. None when they are not wanted; nobody having said, a terminal wants them."""
    if not (out.is_terminal if wanted is None else wanted):
        yield None
    elif out.is_terminal:
        from rich.live import Live
        from rich.text import Text

        draft = Text(style="dim")
        with Live(draft, console=out, transient=True, auto_refresh=False) as live:

            def show(piece: str) -> None:
                draft.append(plain(piece))
                live.refresh()

            yield show
    else:
        try:
            yield lambda piece: print(plain(piece), end="", flush=True)
        finally:
            print()


def show_answer(out: Console, answer: Answer) -> None:
    """The answer, its numbered sources, what does not go together, and how it came about."""
    if answer.problem:
        note(f"answered without the model: {answer.problem}")
    out.print(plain(answer.text), style="bold")
    if any(not sentence.supported for sentence in answer.sentences) and answer.known:
        out.print("[?] stands in none of the memories it cites.")
    if answer.citations:
        out.print("\nSources")
    for number, source in enumerate(answer.citations, 1):
        out.print(plain(f"[{number}] {said_on(source.at)}  {source.speaker or '-'}  {source.id}"))
    if answer.conflicts:
        out.print("\nNot in agreement")
    for conflict in answer.conflicts:
        for side, name in ((conflict.older, conflict.kind), (conflict.newer, "with")):
            out.print(plain(f"{name:<10} {said_on(side.at)}  {side.speaker or '-'}: {side.text}"))
    for step in answer.steps[1:]:
        out.print(plain(f"\nSearched for {step.query!r}: {step.found} more"))
    out.print(plain(f"\nConfidence {answer.confidence:.2f}{made_by(answer)}"), style="dim")


def made_by(answer: Answer) -> str:
    """Which model, and what it took."""
    if answer.model is None:
        return ""
    used = answer.usage
    return f"  {answer.model}, {used.prompt_tokens} + {used.reply_tokens} tokens, {used.seconds:.1f} s"


def show_cubes(out: Console, cubes: Sequence[Cube]) -> None:
    """Date, speaker, session and id of each, and its text."""
    if not cubes:
        out.print("Nothing here.")
    for cube in cubes:
        session = "" if cube.source and cube.scope.session == cube.source else cube.scope.session
        entry(out, (said_on(cube.at), who(cube.speaker, cube.trust), session, cube.id), cube.text)


def show_cube(out: Console, cube: Cube) -> None:
    """All there is to know of a cube."""
    entry(out, (said_on(cube.at), who(cube.speaker, cube.trust), cube.id), "")
    out.print(plain(cube.text))
    details = {
        "state": cube.state if cube.superseded_at is None else "superseded",
        "origin": cube.origin,
        "source": cube.source,
        "session": cube.scope.session,
        "agent": cube.scope.agent,
        "true": f"{said_on(cube.valid_from)} to {said_on(cube.valid_to) if cube.valid_to else 'now'}",
        "believed": f"{said_on(cube.recorded_at)} to {said_on(cube.superseded_at) if cube.superseded_at else 'now'}",
        "speaks of": ", ".join(
            f"{span.words.strip()} ({said_on(span.start)} to {said_on(span.end)})" for span in cube.times
        ),
        "meta": ", ".join(f"{name}={value}" for name, value in cube.meta.items()),
        "rests on": ", ".join(cube.episodes) if cube.origin != "source" else "",
        "type": cube.semantic_type,
        "expires": said_on(cube.expires_at) if cube.expires_at else "",
        "priority": str(cube.priority or ""),
        "sensitive": ", ".join(cube.sensitivity),
        "recalled": f"{cube.recalls} times, last {said_on(cube.recalled_at)}" if cube.recalled_at else "",
    }
    out.print()
    for name, value in details.items():
        if value:
            out.print(plain(f"{name:<10} {value}"))


def show_history(out: Console, changes: Iterable[Change]) -> None:
    """What happened when."""
    for change in changes:
        entry(
            out,
            (f"{change.at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}", change.what, change.cube.id),
            change.cube.text,
            *([f"because of {change.cause}"] if change.cause else []),
        )


def show_receipt(out: Console, receipt: Receipt) -> None:
    """How much was added and known; on stderr what was passed over or waits."""
    known = f", {receipt.known} known before" if receipt.known else ""
    ids = f"  {receipt.ids[0]}" if len(receipt.ids) == 1 else ""
    out.print(f"Added {receipt.added}{known}.{ids}")
    for error in receipt.skipped[:MOST_SKIPPED_SHOWN]:
        note(f"skipped {error}")
    if len(receipt.skipped) > MOST_SKIPPED_SHOWN:
        note(f"skipped {len(receipt.skipped)} records in all; --json names each")
    if receipt.problem:
        note(f"stored, but not indexed yet ({receipt.problem}); the next add or search tries again")


def show_erasure(out: Console, erasure: Erasure) -> None:
    """What was destroyed, the proof, and the copies that still hold it."""
    counts = ", ".join(f"{count} {name}" for name, count in erasure.counts.items() if count)
    out.print(f"Erased {counts or 'nothing'}; {erasure.remnants} texts left in the files.")
    for path in erasure.backups:
        out.print(f"Erased in the backup {plain(str(path))}, too.")
    for path in erasure.backups_left:
        note(f"the backup {path} still holds it; erase there with --backup, or delete that file")


def show_checks(out: Console, checks: Iterable[Check]) -> None:
    """A line for each, and what to do about those that failed."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        detail = check.detail if check.ok else f"{check.detail}\n→ {check.remedy}"
        table.add_row("ok" if check.ok else "NOT OK", check.name, Text(plain(detail)))
    out.print(table)


def show_scopes(out: Console, scopes: Iterable[Mapping[str, Any]]) -> None:
    """Tenant, user and number of episodes."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("tenant", "user"):
        table.add_column(heading, overflow="fold")
    table.add_column("episodes", justify="right")
    for scope in scopes:
        table.add_row(*(Text(plain(scope[name]) or "-") for name in ("tenant", "user")), str(scope["episodes"]))
    out.print(table)
