"""Language models on this machine, through llama.cpp."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from memorist.errors import BadReply, ModelMissing
from memorist.models import weights
from memorist.models.chat import DEFAULT_SECONDS, Finish, Message, Reply, Request, ToolCall, Usage
from memorist.models.llamacpp import CONTEXT, Engine, Loading, engine
from memorist.models.toolless import calls_in, tool_schema, tool_turn

FINISH: Mapping[str, Finish] = {"stop": "stop", "length": "length", "tool_calls": "tools"}
SUFFIX = ".gguf"


class LocalModel:
    """A GGUF file: weights we know by name, or any by path. Loaded at the first call, once in a process.

    Greedy at temperature 0; the grammar of the schema holds a structured reply, so what is parsed is JSON unless it was
    cut. `tell` hears about weights that have to be joined first.
    """

    def __init__(
        self, source: str, *, context: int = CONTEXT, threads: int = 0, tell: weights.Progress = weights.untold
    ) -> None:
        self.name = f"local:{source}"
        self._tell = tell
        self._context, self._threads = context, threads
        self._weights = None if is_path(source) else weights.weights_named(source)
        self._source = Path(source).expanduser()

    @property
    def identity(self) -> str:
        """The name and the hash of the weights, and of the chat template where it is ours."""
        known = self._weights
        sha256 = known.sha256 if known else weights.sha256_of(self._file())
        template = known.template if known else None
        ours = f" template:{hashlib.sha256(template.encode()).hexdigest()[:8]}" if template else ""
        return f"{known.name if known else 'gguf'} sha256:{sha256[:32]}{ours}"

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may have together."""
        return self.engine().context

    def engine(self) -> Engine:
        """The loaded model. Raises ModelMissing when it is not here or cannot be loaded."""
        template = self._weights.template if self._weights else None
        return engine(Loading(self._file(), self._context, self._threads, template))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by the model's own tokenizer."""
        loaded = self.engine()
        return [len(loaded.tokens(text)) for text in texts]

    def reply(self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None) -> Reply:
        """The whole reply."""
        *_, last = self.stream(request, seconds=seconds, cancel=cancel)
        assert isinstance(last, Reply)
        return last

    def stream(
        self, request: Request, *, seconds: float = DEFAULT_SECONDS, cancel: Event | None = None
    ) -> Iterator[str | Reply]:
        """The text in pieces, then the Reply. A reply that calls tools by grammar comes in one piece."""
        begin = time.monotonic()
        loaded = self.engine()
        by_grammar = bool(request.tools) and not self._calls_tools(loaded)
        reading = Reading()
        body = self._body(request, loaded, by_grammar)
        for chunk in loaded.stream(body, self.name, begin, seconds, cancel):
            piece = reading.take(chunk)
            if piece and not by_grammar:
                yield piece
        text, calls = reading.text, reading.tool_calls()
        if by_grammar:
            text, calls = calls_in(text)
            if text:
                yield text
        if not text.strip() and not calls:
            raise BadReply(f"{self.name} wrote nothing; allow more tokens, or ask otherwise", self.name, text)
        usage = Usage(*reading.tokens, 0.0, time.monotonic() - begin, 1)
        yield Reply(text, self.name, usage, "tools" if calls else reading.finish, calls)

    def _body(self, request: Request, loaded: Engine, by_grammar: bool) -> dict[str, Any]:
        """The request as llama.cpp takes it."""
        messages = [wire(message, loaded) for message in request.messages]
        if not self._calls_tools(loaded):
            messages = [toolless(message) for message in messages]
        body: dict[str, Any] = {
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stop": [*request.stop, *(self._weights.stop if self._weights else ())],
            "cache_prompt": False,  # what was asked before would change the rounding, and with it the reply
        }
        if by_grammar:
            body["messages"] = [wire(tool_turn(request.tools), loaded), *messages]
            body["grammar"] = loaded.grammar(tool_schema(request.tools), self.name)
        elif request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.parameters),
                    },
                }
                for tool in request.tools
            ]
        elif request.schema is not None:
            body["grammar"] = loaded.grammar(request.schema, self.name)
        return body

    def _calls_tools(self, loaded: Engine) -> bool:
        """Whether the model calls tools in its own way; else a grammar holds it to calls or words."""
        return loaded.knows_tools and (self._weights is None or self._weights.calls_tools)

    def _file(self) -> Path:
        """The file of weights, its hash checked when it is one we know. Raises ModelMissing."""
        if self._weights:
            return weights.ready(self._weights, self._tell)
        if self._source.is_dir():
            raise ModelMissing(f"{self._source} is a folder; name a {SUFFIX} file in it", self.name)
        if not self._source.is_file():
            raise ModelMissing(f"there is no file {self._source}; give the path of a {SUFFIX} file", self.name)
        return self._source.resolve()


class Reading:
    """A reply put together from its chunks."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: Finish = "stop"
        self.tokens = (0, 0)
        self._calls: dict[int, dict[str, str]] = {}

    def take(self, chunk: Mapping[str, Any]) -> str:
        """Add a chunk; returns the text it brought."""
        if usage := chunk.get("usage"):
            self.tokens = (int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
        piece = ""
        for choice in chunk.get("choices", ()):
            self.finish = FINISH.get(choice.get("finish_reason") or "", self.finish)
            piece += choice["delta"].get("content") or ""
            for delta in choice["delta"].get("tool_calls") or ():
                call = self._calls.setdefault(delta.get("index", 0), {"id": "", "name": "", "arguments": ""})
                call["id"] += delta.get("id") or ""
                for field in ("name", "arguments"):
                    call[field] += delta.get("function", {}).get(field) or ""
        self.text += piece
        return piece

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls it asks for."""
        return tuple(ToolCall(**call) for _, call in sorted(self._calls.items()))


def is_path(source: str) -> bool:
    """Whether a model is named by its place: a slash or the suffix says so."""
    return "/" in source or "\\" in source or source.endswith(SUFFIX) or source.startswith("~")


def wire(message: Message, loaded: Engine) -> dict[str, Any]:
    """A message as llama.cpp takes it, with no mark of the template in what it says."""
    made: dict[str, Any] = {"role": message.role, "content": loaded.unmarked(message.content)}
    if message.calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    if message.call_id is not None:
        made["tool_call_id"] = message.call_id
    return made


def toolless(message: dict[str, Any]) -> dict[str, Any]:
    """A message for a template that knows neither calls nor tools: calls and results as text."""
    if calls := message.pop("tool_calls", None):
        made = [{"tool": call["function"]["name"], "arguments": call["function"]["arguments"]} for call in calls]
        return {"role": "assistant", "content": message["content"] or json.dumps({"calls": made}, ensure_ascii=False)}
    if message["role"] == "tool":
        return {"role": "user", "content": f"The tool replied:\n{message['content']}"}
    return message
