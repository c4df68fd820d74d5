"""Which episodes a query may see, as SQL over the header. Values are always bound, never spliced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memorist.cube import Scope, parse_moment
from memorist.errors import InputError, brief
from memorist.store import metadata
from memorist.store.living import ALIVE
from memorist.store.moments import micros
from memorist.store.protocol import Selection

TEXT_FIELDS = ("speaker", "role", "session", "agent", "source", "trust", "id", "origin", "kind")
TIME_FIELDS = ("at", "valid_from", "recorded_at")
OPERATORS = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

Clause = tuple[str, list[Any]]


def narrowed(scope: Scope, owner: int) -> Clause:
    """The cubes of a scope: the owner is the wall, agent and session narrow."""
    sql, values = "owner = ?", [owner]
    for name in ("agent", "session"):
        if getattr(scope, name):
            sql += f" AND {name} = ?"
            values.append(getattr(scope, name))
    return sql, values


def visible(selection: Selection) -> Clause:
    """The two clocks. A closed row keeps `valid_to` and learns it at `superseded_at`."""
    sql = ALIVE
    values: list[Any] = []
    if selection.as_of is None and selection.known_at is None:
        return sql + " AND superseded_at IS NULL", values
    if selection.known_at is not None:
        known = micros(selection.known_at)
        sql += " AND recorded_at <= ?"
        values.append(known)
        if selection.as_of is None:
            sql += " AND (superseded_at IS NULL OR superseded_at > ?)"
            values.append(known)
    if selection.as_of is not None:
        true = micros(selection.as_of)
        sql += " AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?"
        values += [true, true]
        if selection.known_at is not None:
            sql += " OR superseded_at > ?"
            values.append(micros(selection.known_at))
        sql += ")"
    return sql, values


def filtered(where: Mapping[str, Any]) -> Clause:
    """`{"speaker": "Ana", "at": {"gte": "2025-05-01"}, "meta.topic": ["a", "b"]}` as SQL.

    A value is equality, a list is any of, a mapping holds operators. Raises InputError naming a wrong field.
    """
    parts: list[str] = []
    values: list[Any] = []
    if not isinstance(where, Mapping):
        raise InputError(f"where={brief(where)} is not a mapping such as {{'speaker': 'Ana'}}")
    for field, wanted in where.items():
        check_field(field)
        for operator, value in conditions(field, wanted):
            sql, bound = condition(field, operator, value)
            parts.append(sql)
            values += bound
    return " AND ".join(parts) or "1 = 1", values


def check_field(field: object) -> None:
    """Raises InputError for what is no field."""
    if isinstance(field, str):
        if field in TEXT_FIELDS + TIME_FIELDS:
            return
        if field.startswith("meta.") and '"' not in field and "\x00" not in field and field.isprintable():
            return
    known = ", ".join(TEXT_FIELDS + TIME_FIELDS)
    raise InputError(f"where cannot filter on {brief(field)}; use {known} or meta.NAME")


def conditions(field: str, wanted: Any) -> list[tuple[str, Any]]:
    """(operator, value) pairs."""
    if not isinstance(wanted, Mapping):
        return [("eq", wanted)]
    for operator in wanted:
        if operator not in OPERATORS:
            raise InputError(
                f"where[{brief(field)}] has the operator {brief(operator)}; use one of {', '.join(OPERATORS)}"
            )
    return list(wanted.items())


def condition(field: str, operator: str, value: Any) -> Clause:
    """One comparison."""
    name = field[5:] if field.startswith("meta.") else None
    if isinstance(value, (list, tuple, set, frozenset)):
        if operator not in ("eq", "ne"):
            raise InputError(f"where[{brief(field)}] compares {operator} with a list; give one value")
        bound = [bindable(one, field) for one in value]
        sql, bound = metadata.any_of(name, bound) if name is not None else any_of(field, bound)
        return f"NOT {sql}" if operator == "ne" else sql, bound
    if value is None:
        sql, bound = metadata.missing(name) if name is not None else (f"{field} IS NULL", [])
        return f"NOT ({sql})" if operator == "ne" else sql, bound
    if name is not None:
        return metadata.compared(name, OPERATORS[operator], bindable(value, field))
    return f"{field} {OPERATORS[operator]} ?", [bindable(value, field)]


def any_of(field: str, values: list[Any]) -> Clause:
    """A field of the header is one of these; the empty text stands for no value, too."""
    if not values:
        return "1 = 0", []
    column = field if field in TIME_FIELDS else f"COALESCE({field}, '')"
    return f"{column} IN ({', '.join('?' * len(values))})", values


def bindable(value: Any, field: str) -> Any:
    """A value that SQLite takes, or InputError."""
    if field in TIME_FIELDS:
        return micros(parse_moment(value, f"where[{brief(field)}]"))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63):
        number = int(value) if isinstance(value, bool) else value
        return str(number) if field in TEXT_FIELDS else number
    raise InputError(
        f"where[{brief(field)}] has the value {brief(value)}; use a text, a number, a time or a list of them"
    )
