"""Commands that serve the memory to others, and the keys that let them in."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from memorist.cli import OK
from memorist.cli.options import Model, ScopeOptions, StoreOptions
from memorist.cli.render import console, data_of, emit, plain
from memorist.config import store_place
from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.store.protocol import Key

keys = App(name="keys", help="Keys that open a server to a tenant, a user or an agent.")


def serve(
    *, host: str = "127.0.0.1", port: int = 8321, recipe: str = "default", largest: int = 10_000_000,
    upstream: str | None = None, upstream_seconds: float = 600.0, memory_budget: int = 1_500,
    reports: Path | None = None, model: Model = None, traces: str | None = None,
    options: StoreOptions = StoreOptions(),
) -> int:  # fmt: skip
    """Serve the memory over HTTP, described at /openapi.json, and as a page to look at, at /.

    Without keys it answers to this machine alone, and refuses an address that others can reach. A store with keys asks
    for one in every request.

    For example:

        memorist serve --store memory.db --port 8321

    Parameters
    ----------
    host
        The address to listen on (default: 127.0.0.1).
    port
        The port to listen on (default: 8321).
    recipe
        How to recall: default, lexical, dense, …
    largest
        The largest request in bytes (default: 10000000).
    upstream
        A model behind /v1/chat/completions and /v1/responses: the address of an endpoint of OpenAI's protocol, such as
        http://localhost:8080/v1 (its key in $MEMORIST_UPSTREAM_KEY), or a name, such as local:smollm2-135m.
    upstream_seconds
        How long it may say nothing (default: 600).
    memory_budget
        Tokens of memories that are added to a chat (default: 1500).
    reports
        A folder of reports of memorist bench that the page shows.
    model
        The language model that writes the answers of /v1/ask (default: none, answers are quoted).
    traces
        A collector of OpenTelemetry's traces, such as http://localhost:4318/v1/traces (default: none).
    """
    try:
        from memorist.serve.run import Chat, run
    except ImportError as error:
        raise not_installed(error) from None
    if not 0 < port <= 65_535:
        raise InputError(f"--port {port} is not a port; use a number from 1 to 65535")
    if reports is not None and not reports.is_dir():
        raise InputError(f"--reports {reports} is not a folder; name one that holds what memorist bench --json wrote")
    reader = None
    if model is not None:
        from memorist.models.naming import chat_named

        reader = chat_named(model, store=Path(store_place(options.store)))
    with options.opened(create=True, recipe=recipe, model=reader) as memory:
        chat = Chat(upstream, upstream_seconds, memory_budget)
        run(memory, host, port, largest=largest, chat=chat, folder=reports, traces=traces)
    return OK


def mcp(*, recipe: str = "default", options: ScopeOptions = ScopeOptions()) -> int:
    """Serve the memory to an agent as tools, by the Model Context Protocol on standard input and output.

    An agent's program starts this command by itself, from its configuration. With --user it is that user's memory
    alone; without, the agent names the user. The same tools are at /mcp of memorist serve, for many agents with keys.

    For example:

        memorist mcp --store memory.db --user ana

    Parameters
    ----------
    recipe
        How to recall: default, lexical, dense, …
    """
    try:
        from memorist.serve.mcp.server import run_stdio
    except ImportError as error:
        raise not_installed(error) from None
    with options.opened(create=True, recipe=recipe) as memory:
        run_stdio(memory, options.tenant, options.user, options.agent, options.session)
    return OK


def not_installed(error: ImportError) -> InputError:
    """What to install."""
    return InputError(f"serving needs {error.name}; install it: pip install 'memorist[serve]'")


@keys.command
def create(
    *, tenant: str = "", user: str = "", agent: str = "", name: str = "", rights: str = "read,write,erase,reveal",
    rate: int = 0, options: StoreOptions = StoreOptions(),
) -> int:  # fmt: skip
    """Make a key. Its secret is shown once and kept nowhere.

    For example:

        memorist keys create --tenant acme --name "support bot" --rights read,write --rate 600

    Parameters
    ----------
    tenant
        The tenant that it opens.
    user
        Only this user of the tenant.
    agent
        Only this agent.
    name
        What it is for, for your own eyes.
    rights
        Of read, write, erase, reveal (default: all). Without reveal, what is
        sensitive is masked.
    rate
        Requests a minute (default: any number).
    """
    from memorist.cube import Scope
    from memorist.serve import keys as known

    held = [right.strip() for right in rights.split(",") if right.strip()]
    scope = Scope(tenant, user, agent)
    with options.opened(create=True) as memory:
        key, secret = known.create(memory._store, scope, memory.now(), name=name, rights=held, rate=rate)
    show_new(key, secret, options, f"{key.id}: {about(key)}.")
    return OK


@keys.command(name="list")
def list_(*, options: StoreOptions = StoreOptions()) -> int:
    """List keys, never their secrets.

    For example:

        memorist keys list
    """
    with options.opened() as memory:
        found = memory._store.all_keys()
    if options.json:
        emit(found)
        return OK
    for key in found:
        console().print(plain(f"{key.id}  {about(key)}"), highlight=False)
    if not found:
        console().print("No keys yet; make one: memorist keys create --tenant NAME")
    return OK


@keys.command
def revoke(id: str, /, *, options: StoreOptions = StoreOptions()) -> int:
    """End a key at once.

    For example:

        memorist keys revoke key-4f2abc

    Parameters
    ----------
    id
        The key's id, from memorist keys list.
    """
    from memorist.serve import keys as known

    with options.opened() as memory:
        known.revoke(memory._store, id, memory.now())
    emit({"revoked": id}) if options.json else console().print(plain(f"Revoked {id}."))
    return OK


@keys.command
def rotate(id: str, /, *, options: StoreOptions = StoreOptions()) -> int:
    """Make a new key with the rights of an old one, which ends at once.

    For example:

        memorist keys rotate key-4f2abc

    Parameters
    ----------
    id
        The old key's id, from memorist keys list.
    """
    from memorist.serve import keys as known

    with options.opened() as memory:
        key, secret = known.rotate(memory._store, id, memory.now())
    show_new(key, secret, options, f"{key.id} takes the place of {id}.")
    return OK


def show_new(key: Key, secret: str, options: StoreOptions, told: str) -> None:
    """The secret, once."""
    if options.json:
        emit({"key": secret, **data_of(key)})
        return
    print(secret)
    console().print(plain(f"{told} Keep the line above: it is not shown again."), highlight=False)


def about(key: Key) -> str:
    """A key in words."""
    bounds = zip(("tenant", "user", "agent"), (key.tenant, key.user, key.agent))
    bound = ", ".join(f"{what} {value!r}" for what, value in bounds if value) or "the unnamed tenant"
    rate = f", {key.rate} a minute" if key.rate else ""
    state = f", revoked {day(key.revoked_at)}" if key.revoked_at else ""
    name = f"{key.name}: " if key.name else ""
    return f"{name}{bound}; {'/'.join(key.rights)}{rate}; made {day(key.created_at)}{state}"


def day(moment: datetime) -> str:
    """A date."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d}"
