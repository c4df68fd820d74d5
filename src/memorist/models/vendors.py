"""Calls through pydantic-ai, and its words for requests, replies and errors in ours. Imported at the first call."""

from __future__ import annotations

import json
import queue
import time
from typing import Any

import httpx2
from pydantic_ai import exceptions
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from memorist.errors import BadReply, ModelBusy, ModelError, ModelRefused, ModelUnreachable
from memorist.models.chat import Finish, Message, Reply, Request, ToolCall, Usage
from memorist.models.remote import Endpoint
from memorist.models.transport import PLAIN, Bounded, Heard, listening

FINISH: dict[str | None, Finish] = {"length": "length", "tool_call": "tools"}
HIDDEN = "[key]"
LONGEST_PROBLEM = 300
REPLY_TOOL = "reply"
"""The tool that carries a structured reply where the endpoint has no JSON mode."""


def client(endpoint: Endpoint) -> tuple[Model[Any], httpx2.AsyncClient]:
    """A model of pydantic-ai over our transport, and the HTTP client to close. Nothing is retried below us."""
    http = httpx2.AsyncClient(transport=Bounded(), headers=PLAIN, timeout=httpx2.Timeout(None, connect=10.0))
    key = endpoint.key or "none"
    made: Model[Any]
    if endpoint.vendor == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        anthropic = AsyncAnthropic(api_key=key, base_url=endpoint.url, http_client=http, max_retries=0)
        made = AnthropicModel(endpoint.model, provider=AnthropicProvider(anthropic_client=anthropic))
    elif endpoint.vendor == "gemini":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        google = GoogleProvider(api_key=key, base_url=endpoint.url, http_client=http)
        made = GoogleModel(endpoint.model, provider=google)
    else:
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles.openai import OpenAIModelProfile
        from pydantic_ai.providers.azure import AzureProvider
        from pydantic_ai.providers.openai import OpenAIProvider

        provider: OpenAIProvider | AzureProvider
        if endpoint.vendor == "azure":
            provider = AzureProvider(azure_endpoint=endpoint.url, api_key=key, http_client=http)
        else:
            provider = OpenAIProvider(base_url=endpoint.url, api_key=key, http_client=http)
        whole = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
        made = OpenAIChatModel(endpoint.model, provider=provider, profile=whole)
    return made, http


class Call:
    """One request to one model; `begun` says that some of the reply was passed on, so it cannot be asked again."""

    def __init__(
        self, name: str, endpoint: Endpoint, model: Model[Any], request: Request, items: queue.SimpleQueue[Any]
    ) -> None:
        self.name = name
        self.begun = False
        self._endpoint = endpoint
        self._model = model
        self._request = request
        self._items = items
        self._messages = messages_of(request)
        self._parameters = parameters_of(request, model)
        self._settings = settings_of(request)
        self._start = time.perf_counter()
        self._heard = Heard()

    async def attempt(self, streamed: bool) -> Reply | ModelError:
        """The reply, or why there is none."""
        self._heard = Heard()
        listening.set(self._heard)
        try:
            return self._reply_of(await (self._streamed() if streamed else self._whole()))
        except Exception as error:  # the request ends here: libraries fail on odd answers in their own odd ways
            if self._heard.problem:
                return self._bad(f"the answer cannot be used: {self._heard.problem}")
            return self._error_of(error)

    async def _whole(self) -> ModelResponse:
        return await model_request(
            self._model,
            self._messages,
            model_settings=self._settings,
            model_request_parameters=self._parameters,
            instrument=False,
        )

    async def _streamed(self) -> ModelResponse:
        opened = model_request_stream(
            self._model,
            self._messages,
            model_settings=self._settings,
            model_request_parameters=self._parameters,
            instrument=False,
        )
        async with opened as stream:
            async for event in stream:
                piece = ""
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    piece = event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    piece = event.delta.content_delta
                if piece:
                    self.begun = True
                    self._items.put(piece)
        return stream.get()

    def _reply_of(self, response: ModelResponse) -> Reply | ModelError:
        """The reply, or the error that a refusal or an empty reply is."""
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        for call in [call for call in calls if call.tool_name == REPLY_TOOL and self._parameters.output_tools]:
            text, calls = call.args_as_json_str(), []
        if response.finish_reason == "content_filter":
            why = (response.provider_details or {}).get("refusal") or text or "its policy forbids it"
            return ModelRefused(f"{self.name} will not answer this request: {self._safe(why)}", self.name)
        if response.finish_reason == "error":
            return ModelUnreachable(f"{self.name} broke off its reply; try again", self.name)
        if not text.strip() and not calls:
            return self._bad("it sent an empty reply; try again, or allow more tokens")
        usage = Usage(
            response.usage.input_tokens,
            response.usage.output_tokens,
            self._cost(response),
            time.perf_counter() - self._start,
            1,
        )
        made = tuple(ToolCall(call.tool_call_id, call.tool_name, call.args_as_json_str()) for call in calls)
        finish = "tools" if made else FINISH.get(response.finish_reason, "stop")
        return Reply(text, self.name, usage, finish, made)

    def _cost(self, response: ModelResponse) -> float | None:
        """US dollars by pydantic's price table; None for an endpoint of one's own, whose price nobody knows."""
        if self._endpoint.url and self._endpoint.vendor != "azure":
            return None
        try:
            return float(response.cost().total_price)
        except (LookupError, ValueError, AssertionError):
            return None

    def _error_of(self, error: Exception) -> ModelError:
        """A library's error as ours, without its key."""
        said = self._safe(message_in(error))
        name = self.name
        status = getattr(error, "status_code", None)
        if isinstance(error, exceptions.ModelQuotaExceededError):
            return ModelRefused(f"{name} has no credit left: {said}", name)
        if isinstance(error, exceptions.ModelAuthenticationError) or status in (401, 403):
            return ModelRefused(f"{name} does not accept the key ({status}): {said}; check it and its rights", name)
        if isinstance(error, exceptions.ContentFilterError):
            return ModelRefused(f"{name} will not answer this request: {said}", name)
        waits = isinstance(error, exceptions.ModelAPIError) and error.retry_after is not None
        if status == 429 or (waits and status is not None and status >= 500):
            after = error.retry_after if isinstance(error, exceptions.ModelAPIError) else None
            told = f"; it asks to wait {after:g} s" if after is not None else ""
            return ModelBusy(f"{name} takes no more requests now ({status}){told}: {said}", name, after)
        if status is not None and 400 <= status < 500 and status != 408:
            return ModelRefused(f"{name} refused the request ({status}): {said}", name)
        if status is not None:
            return ModelUnreachable(f"{name} failed ({status}): {said}; try again later", name)
        if isinstance(error, (exceptions.ModelConnectionError, httpx2.HTTPError)):
            return ModelUnreachable(f"no connection to {name}: {said}; check its address and the network", name)
        if "finish_reason" in said:
            return ModelUnreachable(f"{name} broke off its reply; try again", name)
        return self._bad(f"the answer is not of its protocol ({type(error).__name__}: {said})")

    def _bad(self, problem: str) -> BadReply:
        """The error of an answer that is no reply, with its beginning."""
        return BadReply(f"{self.name}: {problem}", self.name, hidden(self._heard.text, self._endpoint.key))

    def _safe(self, text: object) -> str:
        """A text of the endpoint's, cut, without the key should it be in there."""
        shown = hidden(str(text), self._endpoint.key)
        return " ".join(shown.split())[:LONGEST_PROBLEM] or "it did not say why"


def hidden(text: str, key: str | None) -> str:
    """A text without the key."""
    return text.replace(key, HIDDEN) if key else text


def message_in(error: Exception) -> str:
    """What the endpoint said, out of the body it sent where there is one."""
    body: Any = getattr(error, "body", None)
    while isinstance(body, dict) and isinstance(body.get("error"), (dict, str)):
        body = body["error"]
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    if body is not None and not isinstance(error, exceptions.UnexpectedModelBehavior):
        return body if isinstance(body, str) else json.dumps(body, default=str)
    while isinstance(error.__cause__, Exception) and str(error.__cause__):  # the one below says more
        error = error.__cause__
    return str(error)


def messages_of(request: Request) -> list[ModelMessage]:
    """Our messages as pydantic-ai's."""
    made: list[ModelMessage] = []
    names = {call.id: call.name for message in request.messages for call in message.calls}
    for message in request.messages:
        if message.role == "assistant":
            calls = [ToolCallPart(call.name, call.arguments, call.id) for call in message.calls]
            texts = [TextPart(message.content)] if message.content else []
            made.append(ModelResponse([*texts, *calls]))
        else:
            made.append(ModelRequest([part_of(message, names)]))
    return made


def part_of(message: Message, names: dict[str, str]) -> SystemPromptPart | UserPromptPart | ToolReturnPart:
    """A turn that is not the model's."""
    if message.role == "system":
        return SystemPromptPart(message.content)
    if message.role == "tool":
        id = message.call_id or ""
        return ToolReturnPart(names.get(id, "tool"), message.content, id)
    return UserPromptPart(message.content)


def parameters_of(request: Request, model: Model[Any]) -> ModelRequestParameters:
    """Tools and the shape of the reply: by JSON mode where the model has it, else by a tool it must call."""
    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters))
        for tool in request.tools
    ]
    if request.schema is None:
        return ModelRequestParameters(function_tools=tools)
    schema = dict(request.schema)
    if model.profile.get("supports_json_schema_output", False):
        shape = OutputObjectDefinition(json_schema=schema, name=REPLY_TOOL, strict=True)
        return ModelRequestParameters(function_tools=tools, output_mode="native", output_object=shape)
    reply = ToolDefinition(
        name=REPLY_TOOL, description="Gives the reply.", parameters_json_schema=schema, kind="output"
    )
    return ModelRequestParameters(
        function_tools=tools, output_mode="tool", output_tools=[reply], allow_text_output=bool(tools)
    )


def settings_of(request: Request) -> ModelSettings:
    """How to sample, and that nobody below us retries."""
    settings = ModelSettings(
        max_tokens=request.max_tokens, temperature=request.temperature, seed=request.seed, max_retries=0
    )
    if request.stop:
        settings["stop_sequences"] = list(request.stop)
    return settings
