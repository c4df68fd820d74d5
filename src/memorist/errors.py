"""Every error that Memorist raises on purpose.

    MemoristError                 catch this to catch them all
    ├── InputError                what you passed cannot be used; nothing was changed
    │   └── RecordError           one record of a file cannot be read (names file and line)
    ├── NotFound                  no such cube in this scope
    ├── StateError                the cube is not in a state that allows this
    ├── NotAllowed                nobody gave you the right to this
    ├── ModelError                a language model, embedder or reranker could not be used; the store is untouched
    │   ├── ModelMissing          it is not configured or not installed (says how to)
    │   ├── ModelUnreachable      no connection, or the answer broke off
    │   │   └── ModelSlow         no answer in time
    │   ├── ModelBusy             it asked us to wait longer than we may (`retry_after` seconds)
    │   ├── ModelRefused          it will not answer this request: no rights, no credit, wrong request, or its policy
    │   ├── BadReply              it answered, but not with what was asked for (`raw` is what it said)
    │   ├── ModelMismatch         tensors that were made with another model or tokenizer
    │   └── BudgetSpent           the call would exceed what this run may spend
    └── StoreError                the store cannot do its work
        ├── NotAStore             the file is something else, or its pages are damaged
        ├── StoreTooNew           a newer Memorist wrote this file
        ├── StoreReadOnly         the file or its folder cannot be written
        ├── StoreFull             no room left on the disk
        ├── StoreBusy             another process held the store for too long
        ├── StoreUnreachable      its server does not answer, or went away meanwhile
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


class NotAllowed(MemoristError):
    """The subject has no right to this."""


class ModelError(MemoristError):
    """A model cannot do its work. `model` names it."""

    def __init__(self, message: str, model: str = "") -> None:
        super().__init__(message)
        self.model = model


class ModelMissing(ModelError):
    """The model is not configured, or what it runs on is not installed."""


class ModelUnreachable(ModelError):
    """No connection, no answer within the time given, or an answer that broke off."""


class ModelSlow(ModelUnreachable):
    """No answer within the time given: the model is slow, or what it was asked is long."""


class ModelBusy(ModelError):
    """The model asked to be called later than the time given allows; `retry_after` is in seconds."""

    def __init__(self, message: str, model: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, model)
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The model will not answer this request; asking again changes nothing."""


class BadReply(ModelError):
    """The reply is not what was asked for, after a repair turn where one is allowed. `raw` is the reply."""

    def __init__(self, message: str, model: str = "", raw: str = "") -> None:
        super().__init__(message, model)
        self.raw = raw


class ModelMismatch(ModelError):
    """The tensors of a cube were made with another model or tokenizer than the one given."""


class BudgetSpent(ModelError):
    """The run may spend no more. What it has done is kept; the next run goes on from there."""


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


class StoreUnreachable(StoreError):
    """The database's server does not answer, or went away meanwhile. What was acknowledged before is safe."""


class EmbedderMismatch(StoreError):
    """The store's vectors come from another embedder than the one given."""


def brief(value: object, longest: int = 80) -> str:
    """A value as a message names it: its repr, cut when long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= longest else f"{text[:longest]}…"
