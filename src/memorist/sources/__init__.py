"""What turns files and messages into observations.

    read(path)                 a file in any of FORMATS
    from_messages(messages)    the messages of a chat API
    from_document(document)    a text with headings
    split_long(observations)   long texts in parts

Nothing is read whole but one record; reading again gives the same observations in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError, RecordError
from memorist.sources.file import open_source
from memorist.sources.formats import FORMATS, named, recognise
from memorist.sources.markdown import from_document
from memorist.sources.message import observe
from memorist.sources.pieces import LONGEST, split_long

__all__ = ["FORMATS", "LONGEST", "FileOptions", "from_document", "from_messages", "read", "split_long"]


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read a file when that is not plain from the file.

    `format` is one of FORMATS; `columns` says which header of a CSV holds which field, such as
    {"text": "body", "at": "sent", "speaker": "from"}; `skip_bad` passes over records that cannot be read.
    """

    format: str | None = None
    columns: Mapping[str, str] | None = None
    skip_bad: bool = False


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    on_bad: Callable[[RecordError], None] | None = None,
) -> Iterator[Observation]:
    """The observations in a file, in order. Their source is the file's absolute path.

    The format is told from extension and content, or by `format`, one of FORMATS. `columns` says which header of a CSV
    holds which field: {"text": "body", "at": "sent", "speaker": "from", "session": "thread", "role": ..., "key": ...}.

    A record that cannot be read raises RecordError; when `on_bad` is given it is called with the error instead, and
    reading goes on. A file that cannot be used at all raises InputError.
    """
    chosen = None if format is None else named(format)
    file = open_source(path, columns, on_bad)
    chosen = chosen or recognise(file)
    if columns is not None and chosen.name != "csv":
        raise InputError(f"columns are for CSV; {file.name} is {chosen.name}. Leave them out, or give format='csv'")
    return split_long(chosen.read(file))


def from_messages(messages: Iterable[Mapping[str, Any]], source: str | None = None) -> Iterator[Observation]:
    """The observations of messages in OpenAI's shape.

    Each has `role` and `content` (text, a list of parts, or null with `tool_calls`), and may have `name`, a time
    (`timestamp`, `created_at`, `at`: ISO 8601 or seconds), `id`, `session` or `conversation_id`, and `metadata`. Other
    fields are kept in meta. Messages without content are left out.

    Raises InputError that names the index from 0, such as "message 3: ...".
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise InputError(f"messages is {type(messages).__name__}; pass a list of objects with role and content")
    return split_long(_from_messages(messages, source))


def _from_messages(messages: Iterable[Mapping[str, Any]], source: str | None) -> Iterator[Observation]:
    for index, message in enumerate(messages):
        try:
            observation = observe(message, source, role_needed=True)
        except InputError as error:
            raise InputError(f"message {index}: {error}") from None
        if observation is not None:
            yield observation
