"""Every error that Memorist raises on purpose.

    MemoristError                 catch this to catch them all
    ├── InputError                what you passed cannot be used; nothing was changed
    │   └── RecordError           one record of a file cannot be read (names file and line)
    ├── NotFound                  no such cube in this scope
    ├── StateError                the cube is not in a state that allows this
    └── StoreError                the store cannot do its work
        ├── NotAStore             the file is something else, or its pages are damaged
        ├── StoreTooNew           a newer Memorist wrote this file
        ├── StoreReadOnly         the file or its folder cannot be written
        ├── StoreFull             no room left on the disk
        ├── StoreBusy             another process held the store for too long
        └── EmbedderMismatch      the store's vectors were made by another embedder

A message names the input, what was expected, and what to do about it.
"""

from __future__ import annotations


class MemoristError(Exception):
    """Base of every deliberate error."""


class InputError(MemoristError, ValueError):
    """The caller's input cannot be used. Nothing was changed."""


class RecordError(InputError):
    """A record of a source cannot be read.

    `source` is the file's name and `line` the 1-based line (or record) number.
    """

    def __init__(self, source: str, line: int, problem: str) -> None:
        super().__init__(f"{source}, line {line}: {problem}")
        self.source = source
        self.line = line
        self.problem = problem


class NotFound(MemoristError, LookupError):
    """No cube with this id in this scope."""


class StateError(MemoristError):
    """The cube's state does not allow the operation."""


class StoreError(MemoristError):
    """The store cannot do its work."""


class NotAStore(StoreError):
    """The file is not a Memorist store, or it is damaged."""


class StoreTooNew(StoreError):
    """The store was written by a newer version."""


class StoreReadOnly(StoreError):
    """The store cannot be written."""


class StoreFull(StoreError):
    """The disk is full. What was acknowledged before is safe."""


class StoreBusy(StoreError):
    """Another process kept the store locked beyond the timeout."""


class EmbedderMismatch(StoreError):
    """The store's vectors come from another embedder than the one given."""


def brief(value: object, longest: int = 80) -> str:
    """A value as a message names it: its repr, cut when long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= longest else f"{text[:longest]}…"
