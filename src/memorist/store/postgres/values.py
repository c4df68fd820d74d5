"""Values on their way to PostgreSQL and back, as SQLite has them: integers of 64 bits, no booleans, no decimals."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.numeric import Int8Dumper, NumericBinaryLoader, NumericLoader
from psycopg.types.string import StrDumper


class Whole(Int8Dumper):
    """Every int as a bigint, so that a statement is prepared once; True and False are 1 and 0."""

    def dump(self, obj: Any) -> Any:
        """The number as text."""
        return super().dump(int(obj))


class Text(StrDumper):
    """Text without NUL, which nothing here holds: a question for it then finds nothing."""

    def dump(self, obj: str) -> Any:
        """The text in UTF-8."""
        return super().dump(obj.replace("\x00", "\ufffd"))


class Number(NumericLoader):
    """A sum as an int where it is whole, else a float."""

    def load(self, data: Any) -> Any:
        """The number."""
        return plain(super().load(data))


class BinaryNumber(NumericBinaryLoader):
    """As Number."""

    def load(self, data: Any) -> Any:
        """The number."""
        return plain(super().load(data))


def plain(number: Any) -> int | float:
    """A decimal as what Python's sqlite3 would give."""
    return int(number) if number == number.to_integral_value() else float(number)


def adapt(connection: psycopg.Connection[Any]) -> None:
    """Have the connection convert so."""
    adapters = connection.adapters
    adapters.register_dumper(int, Whole)
    adapters.register_dumper(bool, Whole)
    adapters.register_dumper(str, Text)
    adapters.register_loader("numeric", Number)
    adapters.register_loader("numeric", BinaryNumber)
