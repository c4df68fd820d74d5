"""OpenAI's Responses in terms of chat: what a local endpoint understands of it, and how a reply looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from memorist.errors import InputError, MemoristError
from memorist.models.chat import Reply

ID, ITEM = "resp_memorist", "msg_memorist"


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same request as chat. Raises InputError for items that chat has no word for."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise InputError("input is a text, or a list of messages")
    messages = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    messages += [message_of(item) for item in items]
    chat: dict[str, Any] = {"messages": messages, "max_tokens": body.get("max_output_tokens")}
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": {"schema": form.get("schema")}}
    chat["tools"] = [{"type": "function", "function": tool} for tool in body.get("tools") or ()]
    return {**chat, "temperature": body.get("temperature"), "stream": body.get("stream")}


def message_of(item: object) -> dict[str, Any]:
    """A message, a call of a tool or what it gave, as chat has it."""
    if not isinstance(item, dict):
        raise InputError("each item of input is an object")
    kind = item.get("type", "message")
    if kind == "message":
        return {"role": item.get("role"), "content": item.get("content")}
    if kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        return {"role": "assistant", "content": "", "tool_calls": [call]}
    if kind == "function_call_output":
        return {"role": "tool", "content": item.get("output"), "tool_call_id": item.get("call_id")}
    raise InputError(f"an item of type {kind!r:.60} is not understood here")


def response(reply: Reply) -> dict[str, Any]:
    """A whole response."""
    asked, told = reply.usage.prompt_tokens, reply.usage.reply_tokens
    cut = reply.finish == "length"
    return {
        **began(reply.model),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output_of(reply),
        "usage": {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": told,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + told,
        },
    }


def began(model: str) -> dict[str, Any]:
    """A response that has begun."""
    return {
        "id": ID,
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def output_of(reply: Reply) -> list[dict[str, Any]]:
    """The items of a reply."""
    items: list[dict[str, Any]] = []
    if reply.text:
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        items.append({"id": ITEM, "type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for call in reply.calls:
        what = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        items.append({"id": f"fc_{call.id}", "type": "function_call", "status": "completed", **what})
    return items


def response_events(first: str | Reply, pieces: Iterator[str | Reply], model: str) -> Iterator[str]:
    """The events of a stream; one that breaks off ends with the error."""
    number = 0

    def event(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        data = {"type": kind, "sequence_number": number - 1, **fields}
        return f"event: {kind}\ndata: {json.dumps(data)}\n\n"

    yield event("response.created", response=began(model))
    place = {"item_id": ITEM, "output_index": 0, "content_index": 0}
    opened = False
    try:
        for piece in chain((first,), pieces):
            if isinstance(piece, Reply):
                for index, item in enumerate(output_of(piece)):
                    if item["type"] == "function_call":
                        yield event("response.output_item.added", output_index=index, item=item)
                    elif opened:
                        yield event("response.output_text.done", **place, text=piece.text, logprobs=[])
                        yield event("response.content_part.done", **place, part=item["content"][0])
                    yield event("response.output_item.done", output_index=index, item=item)
                final = response(piece)
                yield event(f"response.{final['status']}", response=final)
                return
            if not opened:
                opened = True
                item = {"id": ITEM, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
                yield event("response.output_item.added", output_index=0, item=item)
                part = {"type": "output_text", "text": "", "annotations": []}
                yield event("response.content_part.added", **place, part=part)
            yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
    except MemoristError as error:
        yield event("error", message=str(error), code=type(error).__name__, param=None)
