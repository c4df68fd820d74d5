"""What replies were worth: read again as strictly as the organisers read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memorist.bench.recorder import Said
from memorist.models.chat import Reply
from memorist.models.structured import parsed
from memorist.organise.agent import ToolMemory, applied
from memorist.organise.agent_writer import PROMPT as TOOLS
from memorist.organise.fact_writer import JUDGE, READ
from memorist.organise.lessons import WRITE as LESSONS
from memorist.organise.notes import WRITE as NOTES
from memorist.organise.typed_writer import WRITE as TYPED

SHAPES: Mapping[str, type[Any]] = {task.prompt: task.shape for task in (READ, JUDGE, NOTES, LESSONS, TYPED)}
LONGEST_REASON = 70


@dataclass(frozen=True, slots=True)
class Heard:
    """Replies that could be used at once, and after they were shown what was wrong; why the others could not, and how
    often. A reply with tools is of use when one of its calls worked; calls that did not are under `calls_refused`."""

    first: int = 0
    repaired: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    calls_refused: Mapping[str, int] = field(default_factory=dict)


def heard_of(said: Sequence[Said]) -> Heard:
    """What became of replies, in the order in which they came: a repair follows what it repairs."""
    first = repaired = 0
    refused: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    memory = ToolMemory()
    for one in said:
        name, _, again = one.prompt.partition("+")
        base = name.partition("/")[0]
        if base == TOOLS:
            results = applied(memory, one.reply.calls)
            first += any(result.ok for result in results)
            calls.update(result.status for result in results if not result.ok)
            if not results:
                refused["cut at the limit" if one.reply.finish == "length" else "words instead of calls"] += 1
            elif not any(result.ok for result in results):
                refused["no call worked"] += 1
            continue
        problem = problem_of(one.reply, shape_of(base))
        if problem is None:
            first, repaired = (first, repaired + 1) if again else (first + 1, repaired)
        elif again:
            refused[problem] += 1
    return Heard(first, repaired, dict(refused), dict(calls))


def problem_of(reply: Reply, shape: type[Any]) -> str | None:
    """Why a reply is not of its shape, in few words."""
    _, problem = parsed(reply, shape)
    if problem is None:
        return None
    if reply.finish == "length":
        return "cut at the limit"
    return re.sub(r"\d+", "n", problem)[:LONGEST_REASON]


def shape_of(prompt: str) -> type[Any]:
    """The shape that is asked for with a prompt."""
    if prompt in SHAPES:
        return SHAPES[prompt]
    from memorist.recall.profile import Aspects, Ideal

    return {"preference-aspects": Aspects, "preference-profile": Ideal}[prompt]
