"""A mapping that speaks of one message, in the spelling of many programs, as an Observation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation, Role, is_unicode
from memorist.errors import InputError
from memorist.sources.file import SourceFile, nul_problem
from memorist.sources.moment import moment

TEXT: tuple[str, ...] = ("content", "text", "message", "body")
SPEAKER: tuple[str, ...] = ("name", "speaker", "from", "author", "sender", "user")
TIME: tuple[str, ...] = (
    "timestamp", "created_at", "at", "time", "date", "datetime", "create_time", "sent_at", "sent", "ts",
)  # fmt: skip
SESSION: tuple[str, ...] = ("session", "session_id", "conversation", "conversation_id", "thread", "thread_id")
KEY: tuple[str, ...] = ("id", "key", "uuid", "message_id")
META: tuple[str, ...] = ("metadata", "meta")

ROLES: Mapping[str, Role] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "bot": "assistant", "ai": "assistant", "model": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool",
    "document": "document",
}  # fmt: skip

_LONGEST_NAME = 500  # what a Scope can hold


def observe(
    record: Mapping[Any, Any], source: str | None, session: str | None = None, role_needed: bool = False
) -> Observation | None:
    """The observation of one message, or None when its content is empty.

    Each field is the first of its spellings (TEXT, SPEAKER, ...) that has a value; all that is left over goes to meta.
    Raises InputError saying which field cannot be used.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"is {type(record).__name__}, not an object with role and content")
    rest = dict(record)
    role = _role(rest.pop("role", None), role_needed)
    text = _text(rest)
    speaker = _label(_take(rest, SPEAKER), "speaker")
    if role is None:
        role = ROLES.get(speaker.lower(), "user") if speaker else "user"
    elif speaker is None:
        speaker = role.capitalize()
    observation = Observation(
        text=text,
        speaker=speaker,
        role=role,
        at=moment(_take(rest, TIME), "time"),
        session=_label(_take(rest, SESSION), "session") or session,
        source=source,
        key=_label(_take(rest, KEY), "id"),
        meta=_meta(rest),
    )
    if not text.strip():
        return None
    check_text(text, "content")
    return observation


def observe_all(file: SourceFile, line: int, where: str, value: Any, session: str) -> Iterator[Observation]:
    """The observations of one record: a message, or {"messages": [...]}, which is a session of its own.

    Broken messages are reported as bad, `where` begins what is said. `session` names a session that has no id itself.
    """
    messages: Any = [value]
    own: str | None = None
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        messages = value["messages"]
        own = label_of(value, (*SESSION, *KEY)) or session
    for number, message in enumerate(messages, 1):
        try:
            observation = observe(message, file.name, own)
        except InputError as error:
            inside = "" if own is None else f"message {number}: "
            file.bad(line, f"{where}{inside}{error}")
        else:
            if observation is not None:
                yield observation


def label_of(record: Mapping[Any, Any], names: tuple[str, ...]) -> str | None:
    """The first of the fields that holds a usable name; None when none does."""
    for name in names:
        try:
            if label := _label(record.get(name), name):
                return label
        except InputError:
            continue
    return None


def parts_text(parts: object, inside: bool = False) -> str:
    """The text of a message content: a string, or a list of parts, joined with newlines.

    Images, sounds, files and tool calls become a short note such as "[image]"; `inside` a tool's result, another result
    does too. Raises InputError for anything else.
    """
    if parts is None or isinstance(parts, str):
        return parts or ""
    if not isinstance(parts, (list, tuple)):
        raise InputError(f"content is {type(parts).__name__}; it must be text or a list of parts")
    texts = [_part_text(part, number, inside) for number, part in enumerate(parts, 1)]
    return "\n".join(text for text in texts if text)


def check_text(text: str, what: str) -> None:
    """Raises InputError when the text has a character that cannot be stored, and says where."""
    if "\x00" in text:
        raise InputError(nul_problem(what, text.index("\x00")))
    if not is_unicode(text):
        position = next(i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff")
        raise InputError(
            f"{what} has the lone surrogate U+{ord(text[position]):04X} at position {position + 1}, "
            "which cannot be stored; remove it"
        )


def flat(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Metadata as flat scalars: other values become JSON text, None stays.

    Raises InputError for what JSON has no word for, NaN and infinity among it.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"metadata is {type(values).__name__}; it must be an object")
    return {_meta_name(name): _scalar(value, f"metadata {name!r:.100}") for name, value in values.items()}


def _meta_name(name: object) -> str:
    if not isinstance(name, str):
        raise InputError(f"metadata has a name that is {type(name).__name__}; names must be strings")
    check_text(name, "a metadata name")
    return name


def _scalar(value: object, what: str) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{what} is {value}, which cannot be stored; use null or text")
        return value
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{what} is {type(value).__name__} that cannot be written as JSON: {error}") from None
    check_text(text, what)
    return value if isinstance(value, int) else text


def _take(rest: dict[Any, Any], names: tuple[str, ...]) -> Any:
    """Remove and return the first of the fields that has a value."""
    for name in names:
        if rest.get(name) is not None:
            return rest.pop(name)
    return None


def _role(value: object, needed: bool) -> Role | None:
    if value is None and not needed:
        return None
    role = ROLES.get(value.strip().lower()) if isinstance(value, str) else None
    if role is None:
        raise InputError(f"role={_brief(value)} is not one of {', '.join(ROLES)}")
    return role


def _text(rest: dict[Any, Any]) -> str:
    known = any(name in rest for name in TEXT)
    content = _take(rest, TEXT)
    if content is not None:
        return parts_text(content)
    calls = rest.pop("tool_calls", None) or rest.pop("function_call", None)
    if calls:
        return "\n".join(_call_text(call) for call in (calls if isinstance(calls, (list, tuple)) else [calls]))
    if not known:
        raise InputError(f"no text; give it as one of {', '.join(TEXT)}")
    return ""


def _call_text(call: object) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InputError('tool_calls must be a list of {"function": {"name": ..., "arguments": ...}}')
    given = next((function[name] for name in ("arguments", "input", "args") if function.get(name) is not None), "")
    return f"[calls {function['name']}({_scalar(given, 'the arguments of a tool call')})]"


def _part_text(part: object, number: int, inside: bool) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise InputError(f"content part {number} is {type(part).__name__}; it must be an object with a type")
    kind = part.get("type", part.get("content_type", "text"))
    if not isinstance(kind, str):
        raise InputError(f"content part {number} has the type {_brief(kind)}; it must be a string")
    if kind in ("thinking", "redacted_thinking"):  # a model's private notes were never said
        return ""
    for name in ("text", "refusal"):
        if isinstance(part.get(name), str):
            return str(part[name])
    if kind in ("tool_use", "function_call") and isinstance(part.get("name"), str):
        return _call_text(part)
    if kind == "tool_result" and not inside:
        return parts_text(part.get("content"), inside=True)
    for note in ("image", "audio", "video", "file", "document"):
        if note in kind:
            return "[file]" if note == "document" else f"[{note}]"
    if kind == "text":
        raise InputError(f"content part {number} has no text")
    return f"[{kind[:40]}]"


def _label(value: object, what: str) -> str | None:
    """A short name: a string, a number, or the name in an object such as {"id": 7, "name": "Ana"}."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in ("name", "username", "id") if value.get(name) is not None), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"{what} is {type(value).__name__}; it must be a string")
    try:
        label = str(value).strip()
    except ValueError:  # an integer of over 4300 digits
        raise InputError(f"{what} is a number too long to be a name") from None
    if len(label) > _LONGEST_NAME:
        raise InputError(f"{what} has {len(label)} characters; at most {_LONGEST_NAME} are possible")
    check_text(label, what)
    return label or None


def _meta(rest: dict[Any, Any]) -> dict[str, Any]:
    given = _take(rest, META)
    left = {name: value for name, value in rest.items() if value is not None and name not in META}
    return {**flat(left), **flat({} if given is None else given)}


def _brief(value: object) -> str:
    return f"{value!r:.60}" if isinstance(value, str) or value is None else type(value).__name__
