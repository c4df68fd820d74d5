"""The seam for language models: a request in, a reply or its pieces out.

Whoever calls a model sees only this. What is behind it (an endpoint, a vendor, weights on this machine, a log that
answers what was asked before) is a `ChatModel` like any other, so they nest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tools"]

DEFAULT_SECONDS = 120.0
"""How long a call may take in all, with its retries."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for. `arguments` is JSON as the model wrote it: input, not truth."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `calls` are an assistant's tool calls; a tool's message answers the call `call_id`."""

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls took. `cost` is in US dollars, None where no price is known; `seconds` is wall-clock time."""

    prompt_tokens: int = 0
    reply_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost is None or other.cost is None
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reply_tokens + other.reply_tokens,
            None if unknown else (self.cost or 0.0) + (other.cost or 0.0),
            self.seconds + other.seconds,
            self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    `schema` is the JSON Schema that the reply's text must satisfy: enforced by a grammar or the endpoint's JSON mode
    where there is one, checked by `structured` in any case. `seed` and `temperature` 0 make a reply repeatable as far
    as the model allows. `prompt` is the name and version of the prompt file behind the messages (`Prompt.id`): for the
    log, never sent.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. `model` names who made it, `recorded` says that a log answered and nothing was called."""

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    finish: Finish = "stop"
    calls: tuple[ToolCall, ...] = ()
    recorded: bool = False


class ChatModel(Protocol):
    """A language model that chats."""

    @property
    def name(self) -> str:
        """Who it is, such as `local:smollm2-135m` or `openai:gpt-5-mini`; never holds a key."""
        ...

    @property
    def identity(self) -> str:
        """What makes its replies its own: the name, and the hash of the weights where they are at hand."""
        ...

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may have together; 0 when unknown."""
        ...

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The whole reply. Ends within `seconds`, and soon after `cancel` is set. Raises ModelError."""
        ...

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The reply's text in pieces as it comes, and last the whole Reply. Raises ModelError."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text: exact where the tokenizer is at hand, else a careful estimate."""
        ...
