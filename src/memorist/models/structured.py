"""A reply as a value of a type: the schema goes out with the request, what comes back is parsed strictly.

A reply that is not of the shape gets one repair turn, which shows what was wrong with it. Nothing is guessed out of a
reply: text around the JSON, an unknown field or a number in quotes is an error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Event
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from memorist.errors import BadReply, InputError, ModelMissing
from memorist.models.chat import DEFAULT_SECONDS, ChatModel, Message, Reply, Request, Usage
from memorist.models.prompts import prompt_named

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

SHOWN_REPLY = 4_000
"""Characters of a bad reply that the repair turn shows."""

SHOWN_PROBLEMS = 8


@dataclass(frozen=True, slots=True)
class Structured(Generic[T]):
    """A value that a model made, the replies it took (two after a repair), and what they cost together."""

    value: T
    replies: tuple[Reply, ...]
    usage: Usage


@runtime_checkable
class Rejecting(Protocol):
    """A model that records its replies, and has to know which ones were of no use."""

    def reject(self, request: Request, reason: str) -> None:
        """The reply recorded for this request must not answer it again."""
        ...


def structured(
    model: ChatModel,
    request: Request,
    shape: type[T],
    *,
    handles: Mapping[str, Sequence[str]] | None = None,
    seconds: float = DEFAULT_SECONDS,
    cancel: Event | None = None,
) -> Structured[T]:
    """The model's reply as a `shape`: a dataclass, a TypedDict (of typing_extensions before Python 3.12) or a pydantic
    model.

    The request's own `schema` is replaced by that of the shape. In it the fields of `handles` may only have the texts
    that are given there: a grammar holds to them, and whoever takes the reply checks them all the same. `seconds` bound
    both turns together. Raises BadReply with the raw reply when the repaired one is wrong, too, and the model's own
    ModelError.
    """
    deadline = time.monotonic() + seconds
    asked = replace(request, schema=narrowed(schema_of(shape), handles or {}))
    reply = model.reply(asked, seconds=seconds, cancel=cancel)
    value, problem = parsed(reply, shape)
    if problem is None:
        return Structured(value, (reply,), reply.usage)  # type: ignore[arg-type]
    mending = repair(asked, reply, problem)
    mended = model.reply(mending, seconds=max(0.0, deadline - time.monotonic()), cancel=cancel)
    value, again = parsed(mended, shape)
    if again is None:
        return Structured(value, (reply, mended), reply.usage + mended.usage)  # type: ignore[arg-type]
    if isinstance(model, Rejecting):
        model.reject(asked, problem)
        model.reject(mending, again)
    raise BadReply(
        f"{mended.model} did not reply with a {shape.__name__}, not even when shown why: {again}",
        model.name,
        mended.text,
    )


def schema_of(shape: type[Any]) -> Mapping[str, Any]:
    """The JSON Schema of a shape; its objects hold nothing but what they name."""
    schema = adapter(shape).json_schema()  # type: ignore[arg-type]  # mypy takes no type[Any] for hashable
    close(schema)
    return schema


def narrowed(schema: Any, handles: Mapping[str, Sequence[str]]) -> Any:
    """A schema in which fields of these names, a text or a list of texts, are of the texts that are given."""
    if isinstance(schema, list):
        return [narrowed(part, handles) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: narrowed(part, handles) for name, part in schema.items()}
    for name in handles.keys() & made.get("properties", {}).keys():
        field = made["properties"][name]
        if field.get("type") == "array":
            only = {"items": {"type": "string", "enum": list(handles[name])}} if handles[name] else {"maxItems": 0}
            made["properties"][name] = {**field, **only}
        elif handles[name]:
            made["properties"][name] = {**field, "enum": list(handles[name])}
    return made


def parsed(reply: Reply, shape: type[T]) -> tuple[T | None, str | None]:
    """The value, or what is wrong with the reply in words that a model can use."""
    from pydantic import ValidationError

    try:
        made = adapter(shape).validate_json(reply.text, strict=True, extra="forbid")  # type: ignore[arg-type]
        return made, None
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, one['loc'])) or 'the reply'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        ]
    if reply.finish == "length":
        problems.append("the reply was cut off before its end; be shorter")
    return None, "; ".join(problems[:SHOWN_PROBLEMS])


def repair(request: Request, reply: Reply, problem: str) -> Request:
    """The request again, with the bad reply and what is wrong with it."""
    prompt = prompt_named("repair")
    turn = prompt.fill(problem=problem, schema=json.dumps(request.schema, ensure_ascii=False))
    bad = Message("assistant", reply.text[:SHOWN_REPLY] or "(nothing)")
    return replace(request, messages=(*request.messages, bad, *turn), prompt=f"{request.prompt}+{prompt.id}")


@lru_cache(maxsize=256)
def adapter(shape: type[Any]) -> TypeAdapter[Any]:
    """Pydantic's reader of a shape. Raises ModelMissing without pydantic, InputError for what has no JSON Schema."""
    try:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError
    except ImportError:
        raise ModelMissing("structured replies need pydantic; run: pip install 'memorist[local]'") from None
    try:
        made: TypeAdapter[Any] = TypeAdapter(shape)
        made.json_schema()
    except PydanticUserError as error:
        raise InputError(f"{shape!r:.100} cannot be described to a model: {error}") from error
    return made


def close(schema: Any) -> None:
    """Forbid fields that an object does not name, in place."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            close(part)
    elif isinstance(schema, list):
        for part in schema:
            close(part)
