"""The commands, and how they are grouped in the help."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cyclopts import App, Group, Parameter

from memorist import __version__
from memorist.cli import (
    apart,
    attempt,
    bench,
    compose,
    cube,
    data,
    governance,
    graph,
    migrate,
    models,
    neighbours,
    organise,
    peers,
    read,
    schedule,
    serve,
    service,
    soak,
    speed,
    store,
    write,
    writers,
)

HELP = """A memory for language models that keeps learning: one file, no server, no key.

memorist add --text "I moved to Lisbon in May." --user ana

memorist ask "Where does Ana live?" --user ana
"""

EXIT_CODES = """Exit codes: 0 ok, 1 ask does not know or verify, audit, doctor, erase found problems,
2 wrong usage or input, 3 no such memory or not in a state for this, 4 the store
cannot be used, 70 a bug, 130 interrupted or declined."""

app = App(
    name="memorist",
    help=HELP,
    help_epilogue=EXIT_CODES,
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=False),
    suppress_keyboard_interrupt=False,
)

GROUPS: Mapping[str, Mapping[str, App | Callable[..., int]]] = {
    "Remember": {"add": write.add, "attempt": attempt.attempt},
    "Recall": {
        "search": read.search,
        "ask": read.ask,
        "recommend": read.recommend,
        "hint": read.hint,
        "list": read.list_,
        "get": read.get,
        "history": read.history,
    },
    "Associate": {"graph": graph.graph, "extract": graph.extract},
    "Change": {"update": write.update, "forget": write.forget, "restore": write.restore, "erase": write.erase},
    "The life of cubes": {"cube": cube.cube, "schedule": schedule.schedule},
    "The store": {
        "export": store.export,
        "import": store.import_,
        "backup": store.backup,
        "migrate": migrate.migrate,
        "compact": store.compact,
        "reembed": store.reembed,
        "verify": store.verify,
        "doctor": store.doctor,
        "scopes": store.scopes,
    },
    "Govern": {"rights": governance.rights, "audit": governance.audit, "about": governance.about},
    "Serve": {"serve": serve.serve, "mcp": serve.mcp, "keys": serve.keys},
    "What a model writes": {
        "organise": organise.organise,
        "work": organise.work,
        "jobs": organise.jobs,
        "conflicts": organise.conflicts,
        "undo": organise.undo,
    },
    "Language models": {"models": models.models, "costs": models.costs},
    "See and measure": {"demo": bench.demo, "bench": bench.bench},
    "Learn": {"data": data.data},
}

bench.bench.command(peers.peers)
bench.bench.command(speed.speed)
bench.bench.command(writers.writers)
bench.bench.command(service.service)
bench.bench.command(soak.soak)
bench.bench.command(neighbours.neighbours)

for measuring in apart.COMMANDS:
    bench.bench.command(measuring)

for composing in compose.COMMANDS:
    cube.cube.command(composing)

for place, (heading, commands) in enumerate(GROUPS.items()):
    group = Group(heading, sort_key=place)
    for rank, (name, command) in enumerate(commands.items()):
        if isinstance(command, App):
            command.group, command.sort_key = group, rank
            app.command(command)
        else:
            app.command(command, name=name, group=group, sort_key=rank)

app.register_install_completion_command(help="Install completion for your shell.")
