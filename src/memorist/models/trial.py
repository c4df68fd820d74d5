"""Trying a model for real: words, a structured reply, a tool call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from memorist.errors import ModelError, ModelMissing, ModelUnreachable
from memorist.models.chat import ChatModel, Message, Request, Tool, Usage
from memorist.models.structured import structured

SECONDS = 120.0
WEATHER = Tool(
    "weather",
    "Tells the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)


@dataclass
class Person:
    """What the structured reply has to hold."""

    name: str
    age: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried: whether it worked, what came or went wrong, and what it took."""

    what: str
    ok: bool
    said: str
    usage: Usage

    @property
    def speed(self) -> float:
        """Tokens of the reply a second, with the reading of the prompt."""
        return self.usage.reply_tokens / self.usage.seconds if self.usage.seconds else 0.0


def tried(model: ChatModel) -> list[Trial]:
    """All three, with the model loaded first, so that the speed is its own. Unreachable, it is tried once."""
    try:
        model.count(["ready"])
        first = attempt("text", lambda: words(model))
    except ModelError as error:
        return [Trial("reach it", False, str(error), Usage())]
    others = attempt("structured", lambda: person(model)), attempt("tool call", lambda: called(model))
    return [first, *others]


def attempt(what: str, work: Callable[[], tuple[bool, str, Usage]]) -> Trial:
    """One trial; a model's error is its result. Raises ModelMissing and ModelUnreachable."""
    begin = time.perf_counter()
    try:
        return Trial(what, *work())
    except (ModelMissing, ModelUnreachable):
        raise
    except ModelError as error:
        return Trial(what, False, f"{type(error).__name__}: {error}", Usage(seconds=time.perf_counter() - begin))


def words(model: ChatModel) -> tuple[bool, str, Usage]:
    """A sentence."""
    question = Message("user", "In one short sentence: what is a library for?")
    reply = model.reply(Request((question,), max_tokens=40), seconds=SECONDS)
    return bool(reply.text.strip()), reply.text, reply.usage


def person(model: ChatModel) -> tuple[bool, str, Usage]:
    """A structured reply that holds what was said."""
    told = Message("user", "Ana is 31 years old. Give her name and her age as JSON with the fields name and age.")
    made = structured(model, Request((told,), max_tokens=80), Person, seconds=SECONDS)
    return made.value == Person("Ana", 31), str(made.value), made.usage


def called(model: ChatModel) -> tuple[bool, str, Usage]:
    """A call of the tool that was offered."""
    asked = Message("user", "What is the weather in Paris? Use the tool.")
    reply = model.reply(Request((asked,), tools=(WEATHER,), max_tokens=80), seconds=SECONDS)
    said = ", ".join(f"{call.name}({call.arguments})" for call in reply.calls) or f"no call: {reply.text}"
    return any(call.name == WEATHER.name for call in reply.calls), said, reply.usage
