"""Observations that a caller made by hand, checked field by field."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import get_args

from memorist.cube import Observation, Role, Scope, Trust, parse_moment
from memorist.errors import InputError, brief
from memorist.sources.message import check_text, flat


def checked(observation: Observation) -> Observation:
    """The observation with flat metadata. Raises InputError naming the field that cannot be stored."""
    if not isinstance(observation.text, str):
        raise InputError(f"the text is {type(observation.text).__name__}; pass a string")
    check_text(observation.text, "the text")
    if not observation.text.strip():
        raise InputError("the text is empty; there is nothing to remember")
    for name in ("speaker", "session", "source", "key"):
        value = getattr(observation, name)
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name} is {type(value).__name__}; pass a string or None")
        check_text(value or "", name)
    if observation.role not in get_args(Role):
        raise InputError(f"role={brief(observation.role)} is none of {', '.join(get_args(Role))}")
    if observation.trust is not None and observation.trust not in get_args(Trust):
        raise InputError(f"trust={brief(observation.trust)} is none of {', '.join(get_args(Trust))}")
    if observation.at is not None and not isinstance(observation.at, datetime):
        raise InputError(f"at is {type(observation.at).__name__}; pass a datetime")
    Scope(session=observation.session or "")
    at = None if observation.at is None else parse_moment(observation.at, "at")
    return replace(observation, at=at, meta=flat(observation.meta))
