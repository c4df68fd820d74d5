"""What every cube's record in an archive must say, whatever the cube holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from memorist.cube import Scope, Trust
from memorist.sources.message import check_text, flat
from memorist.states import State
from memorist.store.header import check_header
from memorist.store.moments import moment


def inspect_frame(record: Mapping[str, Any]) -> None:
    """Raises when a cube could not have been dumped with this scope, these times and this header."""
    Scope(record["tenant"], record["user"], record["agent"], record["session"])
    for name in ("id", "text"):
        demand(isinstance(record[name], str) and bool(record[name]), name)
    demand(record["state"] in get_args(State), "state")
    demand(record["trust"] in get_args(Trust), "trust")
    for name in ("at", "valid_from", "recorded_at"):
        moment(record[name])
    for begin, end in (("valid_from", "valid_to"), ("recorded_at", "superseded_at")):
        demand(record[end] is None or moment(record[end]) >= moment(record[begin]), end)
    for name in ("updated_at", "expires_at"):
        demand(record[name] is None or moment(record[name]) is not None, name)
    check_header(record["semantic_type"], record["priority"], record["sensitivity"])
    demand(isinstance(record["meta"], dict), "meta")
    flat(record["meta"])
    check_text(record["text"], "its text")
    demand(0 <= record["tokens"] == int(record["tokens"]), "tokens")


def demand(holds: bool, name: str) -> None:
    """Raises ValueError naming the field."""
    if not holds:
        raise ValueError(f"its {name} cannot be")
