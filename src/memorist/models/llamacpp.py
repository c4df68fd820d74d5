"""llama.cpp inside this process: weights loaded once, calls that can be stopped, tokens that can be counted.

The binding runs llama.cpp's own server, which listens on the loopback interface. It is given a random key, so that
other users of the machine cannot use it; we only ask it there what the binding does not offer in process.
"""

from __future__ import annotations

import json
import os
import queue
import re
import secrets
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from memorist.errors import BadReply, ModelError, ModelMissing, ModelRefused, ModelUnreachable
from memorist.models.waiting import arriving

if TYPE_CHECKING:
    import xllamacpp

CONTEXT = 8_192
"""Tokens of prompt and reply together; less where a model was trained on less."""

BATCH = 256
"""Tokens of a prompt read at a time; between batches a call can be stopped."""

MARK = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")
"""What may be a mark of a chat template."""

BREAK = "\u200b"
"""Put into a mark that somebody wrote, so that it is text to the model and not the end of a turn."""

Delta = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loading:
    """How to load a file of weights. `template` replaces its chat template; 0 threads is half of the cores."""

    path: Path
    context: int = CONTEXT
    threads: int = 0
    template: str | None = None


class Engine:
    """One file of weights, loaded. Safe to use from many threads; the model answers one call at a time."""

    def __init__(self, loading: Loading) -> None:
        self._key = secrets.token_urlsafe(24)
        params = parameters(loading)
        params.api_keys = [self._key]
        try:
            self._server: xllamacpp.Server = binding().Server(params)
        except (RuntimeError, ValueError) as error:
            raise ModelMissing(
                f"llama.cpp cannot load {loading.path} ({error}); is it a whole GGUF file of a model?"
            ) from error

    def stream(
        self, body: Mapping[str, Any], name: str, begin: float, seconds: float, cancel: Event | None
    ) -> Iterator[Delta]:
        """The chunks of a chat completion as llama.cpp makes them. Ends or raises ModelError within `seconds` of
        `begin`, whatever the model does: the work goes on in its thread, and stops at the next token or batch."""
        chunks: queue.SimpleQueue[Delta | BaseException | None] = queue.SimpleQueue()
        unwanted = Event()
        threading.Thread(target=self._work, args=(body, name, chunks, unwanted), name=f"memorist {name}").start()
        try:
            for chunk in arriving(chunks, name, begin, seconds, cancel):
                if "error" in chunk:
                    raise error_of(str(chunk["error"].get("message", chunk["error"])), name)
                yield chunk
        finally:
            unwanted.set()

    def _work(self, body: Mapping[str, Any], name: str, chunks: queue.SimpleQueue[Any], unwanted: Event) -> None:
        def take(chunk: Delta) -> bool:
            chunks.put(chunk)
            return unwanted.is_set()

        asked = {**body, "stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
        try:
            self._server.handle_chat_completions(asked, take)
            chunks.put(None)
        except Exception as error:  # llama.cpp's own: the caller's thread raises it
            chunks.put(error_of(str(error), name))

    def tokens(self, text: str, *, marks: bool = False) -> list[int]:
        """A text's tokens; with `marks`, what reads as a mark of the chat template is one."""
        told = self._ask("/tokenize", {"content": text, "add_special": False, "parse_special": marks})
        return list(told["tokens"])

    def unmarked(self, text: str) -> str:
        """The text with every mark of the chat template broken, so that no message can pose as another one."""
        for mark in set(MARK.findall(text)):
            if len(self.tokens(mark, marks=True)) == 1 < len(self.tokens(mark)):
                text = text.replace(mark, mark[0] + BREAK + mark[1:])
        return text

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """What llama.cpp says of the model."""
        return self._ask("/props", None)

    @property
    def context(self) -> int:
        """Tokens that fit."""
        return int(self.properties["default_generation_settings"]["n_ctx"])

    @property
    def knows_tools(self) -> bool:
        """Whether the model's chat template has a place for tools."""
        return bool(self.properties["chat_template_caps"]["supports_tools"])

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(self._server.listening_address + path, data, headers)
        try:
            with DIRECT.open(request, timeout=60) as response:
                return dict(json.load(response))
        except (OSError, ValueError) as error:
            raise ModelUnreachable(f"llama.cpp did not answer on its own port ({error})") from error


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without a proxy: the way is from this process to itself."""

ENGINES: dict[Loading, Engine] = {}
LOCK = threading.Lock()


def engine(loading: Loading) -> Engine:
    """The engine of a file, loaded at the first call in this process."""
    with LOCK:
        if loading not in ENGINES:
            ENGINES[loading] = Engine(loading)
        return ENGINES[loading]


def parameters(loading: Loading) -> xllamacpp.CommonParams:
    """Loading in llama.cpp's words: quiet, one call at a time, no pages for browsers."""
    params = binding().CommonParams()
    params.model.path = str(loading.path)
    params.n_ctx = loading.context
    params.n_parallel = 1
    params.n_batch = BATCH
    params.cpuparams.n_threads = loading.threads or half_the_cores()
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = -1
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    if loading.template is not None:
        params.chat_template = loading.template
    return params


def half_the_cores() -> int:
    """Threads that compute. They wait for each other at every layer, so one that has to share its core with another
    process slows all of them, on a busy machine of two cores to a tenth."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // 2)


def binding() -> Any:
    """The module xllamacpp. Raises ModelMissing."""
    try:
        import xllamacpp
    except ImportError:
        raise ModelMissing("local models need llama.cpp; run: pip install 'memorist[local]'") from None
    return xllamacpp


def error_of(message: str, name: str) -> ModelError:
    """What llama.cpp complains about, as our error."""
    if "context size" in message:
        return ModelRefused(f"{name}: {message}; ask with less context, or set a larger one in memorist.toml", name)
    if "invalid UTF-8" in message:
        return BadReply(f"{name} wrote bytes that are no text ({message})", name)
    return ModelRefused(f"{name} cannot answer this request: {message}", name)


def grammar_of(schema: Mapping[str, Any]) -> str:
    """A grammar of the JSON that a schema admits, written without line breaks: small models otherwise spend their reply
    on white space. It is for llguidance, which the binding is built with."""
    compact = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%llguidance {}\nstart: %json " + json.dumps({**schema, "x-guidance": compact})
