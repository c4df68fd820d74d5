"""A local endpoint of OpenAI's protocol for tests, demonstrations and other programs: any model of ours behind it.

`/v1/chat/completions` and `/v1/responses` (streamed or whole, tools, JSON schema), `/v1/models`, and `/v1/embeddings`
with the default embedder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memorist.errors import InputError, MemoristError, ModelBusy, ModelMissing, ModelRefused
from memorist.models.chat import ChatModel, Message, Reply, Request, Tool, ToolCall
from memorist.models.embedder import Embedder
from memorist.models.responses import as_chat, response, response_events

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request as HTTPRequest
    from starlette.responses import Response

FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls"}
LARGEST = 2_000_000
"""Bytes of a request."""


def application(model: ChatModel, embedder: Embedder, seconds: float) -> Starlette:
    """The endpoint as an ASGI application. Raises ModelMissing without starlette."""
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse, StreamingResponse
        from starlette.routing import Route
    except ImportError:
        raise ModelMissing("serving needs starlette and uvicorn; run: pip install 'memorist[serve]'") from None

    async def respond(request: HTTPRequest, work: Callable[[bytes], Any]) -> Response:
        """The JSON that `work` makes of the request's, or its error in OpenAI's shape."""
        try:
            made = await run_in_threadpool(work, await request.body())
        except MemoristError as error:
            return JSONResponse(problem_of(error), status_of(error))
        if isinstance(made, Iterator):
            return StreamingResponse(made, media_type="text/event-stream")
        return JSONResponse(made)

    async def chat(request: HTTPRequest) -> Response:
        return await respond(request, lambda body: answered(model, "chat/completions", body, seconds))

    async def responses(request: HTTPRequest) -> Response:
        return await respond(request, lambda body: answered(model, "responses", body, seconds))

    async def embeddings(request: HTTPRequest) -> Response:
        return await respond(request, lambda body: embedded(embedder, body_of(body)))

    async def models(request: HTTPRequest) -> Response:
        return JSONResponse(models_shape((model.name, embedder.identity.name)))

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/models", models),
        ]
    )


def serve(model: ChatModel, embedder: Embedder, host: str, port: int, seconds: float) -> None:
    """Serve until interrupted."""
    app = application(model, embedder, seconds)
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level="warning")


def answered(model: ChatModel, path: str, body: bytes, seconds: float) -> dict[str, Any] | Iterator[str]:
    """The model's answer to a request at `chat/completions` or `responses`, or its events.

    An error before the first piece is still an error of the request. Raises InputError or ModelError.
    """
    asked = body_of(body)
    chat = path == "chat/completions"
    request = request_of(asked if chat else as_chat(asked))
    if not asked.get("stream"):
        reply = model.reply(request, seconds=seconds)
        return completion(reply) if chat else response(reply)
    pieces = model.stream(request, seconds=seconds)
    first = next(pieces)
    return events(first, pieces) if chat else response_events(first, pieces, model.name)


def events(first: str | Reply, pieces: Iterator[str | Reply]) -> Iterator[str]:
    """The events of a stream; one that breaks off ends with the error."""
    try:
        yield from (event_of(piece) for piece in (first,))
        for piece in pieces:
            yield event_of(piece)
    except MemoristError as error:
        yield f"data: {json.dumps({'error': {'message': str(error), 'type': type(error).__name__}})}\n\n"
    yield "data: [DONE]\n\n"


def event_of(piece: str | Reply) -> str:
    """A piece of text, or the end with its tool calls and counts."""
    chunk = {"id": "chatcmpl-memorist", "object": "chat.completion.chunk", "created": 0}
    if isinstance(piece, str):
        choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}
        return f"data: {json.dumps({**chunk, 'model': '', 'choices': [choice]})}\n\n"
    calls = [{"index": place, **call} for place, call in enumerate(calls_of(piece))]
    choice = {"index": 0, "delta": {"tool_calls": calls} if calls else {}, "finish_reason": FINISH[piece.finish]}
    return f"data: {json.dumps({**chunk, 'model': piece.model, 'choices': [choice], 'usage': usage_of(piece)})}\n\n"


def completion(reply: Reply) -> dict[str, Any]:
    """A whole reply."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = calls_of(reply)
    return {
        "id": "chatcmpl-memorist",
        "object": "chat.completion",
        "created": 0,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": FINISH[reply.finish]}],
        "usage": usage_of(reply),
    }


def usage_of(reply: Reply) -> dict[str, int]:
    """Tokens."""
    asked, told = reply.usage.prompt_tokens, reply.usage.reply_tokens
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


def calls_of(reply: Reply) -> list[dict[str, Any]]:
    """Tool calls."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.calls
    ]


def embedded(embedder: Embedder, body: Mapping[str, Any]) -> dict[str, Any]:
    """Vectors of the texts in a request."""
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("input is a text, or a list of texts")
    data = [
        {"object": "embedding", "index": place, "embedding": [float(value) for value in vector]}
        for place, vector in enumerate(embedder.embed(texts))
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return {"object": "list", "model": embedder.identity.name, "data": data, "usage": usage}


def body_of(data: bytes) -> Mapping[str, Any]:
    """The JSON object of a request. Raises InputError."""
    try:
        body = json.loads(data) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InputError(f"the request is not a JSON object of at most {LARGEST:,} bytes")
    return body


def request_of(body: Mapping[str, Any]) -> Request:
    """A request of OpenAI's chat protocol. Raises InputError for what is not one."""
    try:
        shape = body.get("response_format") or {}
        schema = shape["json_schema"]["schema"] if shape.get("type") == "json_schema" else None
        stop = body.get("stop") or ()
        return Request(
            tuple(message_of(message) for message in body["messages"]),
            schema,
            tuple(tool_of(tool["function"]) for tool in body.get("tools") or ()),
            int(body.get("max_completion_tokens") or body.get("max_tokens") or 512),
            float(body.get("temperature") or 0.0),
            int(body.get("seed") or 0),
            (stop,) if isinstance(stop, str) else tuple(stop),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"this is not a chat request ({type(error).__name__}: {error})") from None


def message_of(message: Mapping[str, Any]) -> Message:
    """One message; of content in parts, the texts."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part["text"] for part in content)
    role = {"developer": "system"}.get(message["role"], message["role"])
    if role not in ("system", "user", "assistant", "tool"):
        raise ValueError(f"no role {role!r}")
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    return Message(role, content, calls, message.get("tool_call_id"))


def tool_of(function: Mapping[str, Any]) -> Tool:
    """One tool."""
    return Tool(function["name"], function.get("description") or "", function.get("parameters") or {"type": "object"})


def models_shape(names: Sequence[str]) -> dict[str, Any]:
    """The list of models."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "memorist"} for name in names]
    return {"object": "list", "data": data}


def problem_of(error: MemoristError) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": str(error), "type": type(error).__name__, "code": None}}


def status_of(error: MemoristError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, (InputError, ModelRefused)):
        return 400
    return 429 if isinstance(error, ModelBusy) else 502
