"""The command that measures what a language model writes."""

from __future__ import annotations

from memorist.cli import OK
from memorist.cli.bench import EVERY, Told
from memorist.cli.options import Model
from memorist.cli.render import console
from memorist.errors import InputError


def writers(*, model: Model = None, organiser: str = EVERY, told: Told = Told()) -> int:
    """Measure what a language model writes into memory: which replies can be used, and what of it is right.

    All organisers that write with a model, on a small conversation, solved problems
    and interactions of our own. Small models take minutes for each.

    For example:

        memorist bench writers --model local:smollm2-135m --organiser facts,notes --json writers.json

    Parameters
    ----------
    organiser
        facts, notes, mem-alpha, lessons, typed-concepts, preferences, or all (default).
    """
    from memorist.bench.writers import ORGANISERS, run
    from memorist.models.naming import chat_named

    wanted = list(ORGANISERS) if organiser == EVERY else [name.strip() for name in organiser.split(",")]
    odd = [name for name in wanted if name not in ORGANISERS]
    if odd:
        raise InputError(
            f"there is no organiser {odd[0]!r:.60} that writes with a model; choose of {', '.join(ORGANISERS)}"
        )
    run(chat_named(model), list(dict.fromkeys(wanted)), told.outputs(), console())
    return OK
