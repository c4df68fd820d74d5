"""What callers pass, checked: each function returns what it means or raises InputError."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from memorist.answer.extractive import METHOD as EXTRACTIVE
from memorist.cube import Observation, parse_moment
from memorist.errors import (
    InputError,
    brief,
)
from memorist.lifecycle.erasing import read as read_certificate
from memorist.models.chat import ChatModel
from memorist.recall.pool import Limits
from memorist.store.protocol import Selection

DEFAULT_BUDGET = 1_500
"""Tokens of memories for a prompt, where nothing else is asked for."""

CONVERSATION = "conversation"
"""The session of messages that name none; a silence parts it."""

LONGEST_FILE_NAME = 255
"""In bytes, as file systems have it."""


def in_conversation(observation: Observation, at: datetime | None, user: str) -> Observation:
    """A message that says neither when nor where was said at `at`, in the running conversation; a nameless user's
    message was said by the user of the scope."""
    session = observation.session or (None if observation.source else CONVERSATION)
    nameless = observation.role == "user" and observation.speaker in (None, "User")
    speaker = user if nameless and user else observation.speaker
    return replace(observation, at=observation.at or at, session=session, speaker=speaker)


def selection_of(
    as_of: datetime | str | None, known_at: datetime | str | None, where: Mapping[str, Any] | None
) -> Selection:
    """Checked conditions. Raises InputError."""
    return Selection(
        parse_moment(as_of, "as_of") if as_of is not None else None,
        parse_moment(known_at, "known_at") if known_at is not None else None,
        {} if where is None else where,
    )


def model_named(model: ChatModel | str | None, store: Path | None = None) -> ChatModel | None:
    """The model to read with, None for answers without one; `store` is the file beside which memorist.toml may lie.
    Raises ModelMissing or InputError for a name."""
    if model is None or model == EXTRACTIVE:
        return None
    if isinstance(model, str):
        from memorist.models.naming import chat_named

        return chat_named(model, store=store)
    return model


def limits_of(k: int | None, budget: int | None) -> Limits:
    """Checked limits. Raises InputError."""
    for name, value in (("k", k), ("budget", budget)):
        if value is not None:
            whole(name, value)
    return Limits(k, DEFAULT_BUDGET if k is None and budget is None else budget)


def texts_of(values: object, name: str) -> list[str]:
    """Several texts. Raises InputError."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{name}={brief(values)} is not a list of texts")
    found = list(values)
    if not all(isinstance(one, str) for one in found):
        raise InputError(f"{name}={brief(found)} is not a list of texts")
    return found


def whole(name: str, value: object) -> int:
    """The value. Raises InputError unless it is a number of things."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise InputError(f"{name} must be a whole number of at least 1, not {brief(value)}")
    return value


def question_of(query: object) -> str:
    """A question as text that any tokenizer takes. Raises InputError when it is empty or not a text."""
    if not isinstance(query, str):
        raise InputError(f"the question is a {type(query).__name__}; pass a text")
    text = query.encode("utf-8", "replace").decode().replace("\x00", " ").strip()
    if not text:
        raise InputError("the question is empty; ask something")
    return text[:20_000]


def request_of(request: object) -> str:
    """A request as text; unlike a question it may be empty. Raises InputError."""
    return question_of(request) if not isinstance(request, str) or request.strip() else ""


def certificate_of(certificate: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """A certificate that is sound in itself. Raises InputError."""
    if isinstance(certificate, Mapping):
        return read_certificate(json.dumps(certificate, default=str))
    path = path_of(certificate)
    try:
        return read_certificate(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the certificate {path} cannot be read: {error}") from error


def paths_of(paths: Sequence[str | Path]) -> list[Path]:
    """Several paths. Raises InputError."""
    if isinstance(paths, (str, bytes)) or not isinstance(paths, Iterable):
        raise InputError(f"{brief(paths)} is not a list of files")
    return [path_of(path) for path in paths]


def path_of(path: str | Path) -> Path:
    """A path with ~ expanded. Raises InputError for one that no file can have."""
    if not isinstance(path, (str, Path)):
        raise InputError(f"a {type(path).__name__} is not a file name; pass a text or a Path")
    text = str(path)
    if "://" in text:
        raise InputError(f"{text} is neither a file, such as memory.db, nor an address, such as postgresql://host/name")
    try:
        found = Path(text).expanduser()
        too_long = any(len(os.fsencode(part)) > LONGEST_FILE_NAME for part in found.parts)
    except (UnicodeEncodeError, RuntimeError):
        found = None
    if found is None or too_long or not text.strip() or "\x00" in text:
        raise InputError(f"{brief(text)} is not a file name")
    return found
