"""Commands that ask someone's memory and change nothing."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from memorist.cli import NEGATIVE, OK
from memorist.cli.options import Model, ScopeOptions, Where, conditions
from memorist.cli.render import (
    console,
    data_of,
    drafts,
    emit,
    show_answer,
    show_cube,
    show_cubes,
    show_hint,
    show_history,
    show_hits,
    show_prompt,
    show_recommendations,
)
from memorist.errors import InputError
from memorist.models.chat import DEFAULT_SECONDS

Number = Annotated[int | None, Parameter(allow_leading_hyphen=True)]


def search(
    query: str,
    /,
    *,
    k: Number = None,
    budget: Number = None,
    as_of: str | None = None,
    known_at: str | None = None,
    where: Where = (),
    prefer: Literal["source", "model"] | None = None,
    why: bool = False,
    prompt: bool = False,
    order: Literal["time", "rank", "edges"] = "time",
    recipe: str = "default",
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Find the memories that speak to a question, best first.

    For example:

        memorist search "Where does Ana live?" --user ana --k 3
        memorist search trips --where at.gte=2025-05-01 --where meta.topic=travel
        memorist search "Where does Ana live?" --user ana --budget 500 --prompt

    Parameters
    ----------
    query
        A question or some words.
    k
        At most this many.
    budget
        As many as fit this number of tokens as a prompt (default: 1500, unless --k is given).
    as_of
        What was true then, as ISO 8601.
    known_at
        What was believed then, as ISO 8601.
    prefer
        source has what was said come before what a model wrote of it, model the reverse;
        --where trust.ne=model leaves the latter out.
    why
        Show what each step of the recall made of it.
    prompt
        Print a block for a model's prompt instead.
    order
        The order of that block: time (default), rank (best first), or edges (best at both ends).
    recipe
        How to recall: default, facts (what is true now), a-mem (notes), mem-alpha (items), hipporag2 (a graph
        of facts), memgas, frugal, lexical (words), dense (meaning) or hybrid.
    """
    wanted = conditions(where)
    with options.scoped(recipe=recipe) as memory:
        hits = memory.search(query, k=k, budget=budget, as_of=as_of, known_at=known_at, where=wanted, prefer=prefer)
    if options.json:
        emit({"query": query, "hits": list(hits)} | ({"prompt": hits.prompt(order)} if prompt else {}))
    else:
        show_prompt(hits, order) if prompt else show_hits(console(), hits, why)
    return OK


def ask(
    question: str,
    /,
    *,
    model: Model = None,
    budget: Number = None,
    steps: Annotated[int, Parameter(allow_leading_hyphen=True)] = 1,
    seconds: float = DEFAULT_SECONDS,
    as_of: str | None = None,
    known_at: str | None = None,
    where: Where = (),
    stream: Annotated[bool | None, Parameter(negative="--no-stream")] = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Answer a question from memory, with sources.

    With --model, such as local:qwen2.5-coder-1.5b, a language model answers and is checked; without one the answer is
    the sentences that carry it. Exit code 1 when the memory does not know.

    For example:

        memorist ask "Where does Ana live?" --user ana

    Parameters
    ----------
    question
        The question.
    budget
        How many tokens of memories to look at (default: 1500).
    steps
        How often the model may search again for what is missing (default: 1, no second search).
    seconds
        How long the model may take in all (default: 120).
    as_of
        What was true then, as ISO 8601.
    known_at
        What was believed then, as ISO 8601.
    stream
        Show the model's words as they come, before they are checked (default: on a terminal).
    """
    from memorist.answer.asking import AskOptions
    from memorist.arguments import DEFAULT_BUDGET

    wanted, out = conditions(where), console()
    with options.scoped() as memory, drafts(out, False if options.json else stream) as on_text:
        answer = memory.ask(
            question,
            model=model,
            budget=DEFAULT_BUDGET if budget is None else budget,
            as_of=as_of,
            known_at=known_at,
            where=wanted,
            options=AskOptions(steps=steps, seconds=seconds, on_text=on_text),
        )
    if options.json:
        names = (field.name for field in fields(answer) if field.name != "hits")
        emit({"question": question} | {name: getattr(answer, name) for name in names})
    else:
        show_answer(out, answer)
    return OK if answer.known else NEGATIVE


def recommend(
    request: str = "",
    /,
    *,
    candidates: Path,
    k: int = 10,
    shared: bool = False,
    model: str | None = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Rank candidates by what the user likes, with reasons.

    An interaction is a memory whose metadata name an item, and perhaps a rating
    (1 to 5), a category (several parted by |) and a title.

    For example:

        memorist recommend "something funny" --candidates films.jsonl --user ana --k 3

    Parameters
    ----------
    request
        What is asked for; nothing asks for whatever suits.
    candidates
        JSON lines (or a JSON list) of objects with id, text and category.
    k
        At most this many (default: 10).
    shared
        Use what is known in general from the tenant's shared memory, the one without a user.
    model
        A language model that describes what would fit (default: none).
    """
    given = candidates_in(candidates)
    with options.opened() as memory:
        scoped = memory.scope(user=options.user, tenant=options.tenant, agent=options.agent, session=options.session)
        general = memory.scope(tenant=options.tenant) if shared else None
        made = scoped.recommend(request, given, k=k, general=general, model=model)
    emit(made) if options.json else show_recommendations(console(), made)
    return OK


def hint(
    problem: str,
    /,
    *,
    k: int = 5,
    failed: str | None = None,
    model: Model = None,
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Show lessons and concepts from solved problems that may help with a new one.

    A solved problem is a memory whose metadata name a problem; its text says how it
    was solved. A language model writes what is to be learned from it:
    memorist organise --recipe arcmemo --model NAME

    For example:

        memorist hint "words stand in another order in the result" --user ana

    Parameters
    ----------
    problem
        The new problem, in words.
    k
        At most this many lessons, and as many concepts (default: 5).
    failed
        An attempt that did not solve it.
    """
    with options.opened() as memory:
        scoped = memory.scope(user=options.user, tenant=options.tenant, agent=options.agent, session=options.session)
        made = scoped.hint(problem, k=k, failed=failed, model=model)
    if options.json:
        emit({**data_of(made), "text": made.text, "hinted": made.hinted})
    else:
        show_hint(console(), made)
    return OK


def candidates_in(path: Path) -> list[Any]:
    """The candidates in a file. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
        parsed = (
            json.loads(text) if text.lstrip().startswith("[") else [json.loads(one) for one in text.splitlines() if one]
        )
    except OSError as error:
        raise InputError(f"--candidates {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--candidates {path} is neither a JSON list nor JSON lines ({error})") from error
    return list(parsed)


def list_(
    *,
    limit: Annotated[int, Parameter(allow_leading_hyphen=True)] = 20,
    where: Where = (),
    origin: str = "source",
    options: ScopeOptions = ScopeOptions(),
) -> int:
    """Show the newest memories.

    For example:

        memorist list --user ana --limit 5

        memorist list --user ana --where speaker=Ana

    Parameters
    ----------
    limit
        At most this many (default: 20).
    origin
        source (default) for what was observed; facts, notes, mem-alpha or windows for what was derived from it.
    """
    wanted = conditions(where)
    with options.scoped() as memory:
        cubes = memory.list(limit=limit, where=wanted, origin=origin)
    emit({"cubes": cubes}) if options.json else show_cubes(console(), cubes)
    return OK


def get(id: Annotated[str, Parameter(name="ID")], /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Show one memory, with all that is known about it.

    For example:

        memorist get "$ID" --user ana

    Parameters
    ----------
    id
        The memory, as search and list show it.
    """
    with options.scoped() as memory:
        cube = memory.get(id)
    emit(cube) if options.json else show_cube(console(), cube)
    return OK


def history(id: Annotated[str, Parameter(name="ID")], /, *, options: ScopeOptions = ScopeOptions()) -> int:
    """Show all versions of a memory, oldest first.

    For example:

        memorist history "$ID" --user ana

    Parameters
    ----------
    id
        Any version of the memory.
    """
    with options.scoped() as memory:
        changes = memory.history(id)
    emit({"changes": changes}) if options.json else show_history(console(), changes)
    return OK
