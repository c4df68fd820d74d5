"""Claude's export, `conversations.json`: conversations with `chat_messages`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import SourceFile
from memorist.sources.json_items import records
from memorist.sources.message import label_of, observe, parts_text


def recognise(file: SourceFile, first: Any) -> bool:
    """A first record with chat_messages."""
    return isinstance(first, Mapping) and isinstance(first.get("chat_messages"), list)


def read(file: SourceFile) -> Iterator[Observation]:
    """The messages in order; the session is the conversation's uuid, its name is the title in meta."""
    for record in records(file):
        where = f"record {record.number}: "
        if not recognise(file, record.value):
            file.bad(record.line, f'{where}is not a conversation of Claude; it needs "chat_messages"')
            continue
        session = label_of(record.value, ("uuid", "id")) or f"{file.path.name}#{record.number}"
        title = record.value.get("name")
        for number, message in enumerate(record.value["chat_messages"], 1):
            try:
                observation = _observe(message, title, session, file.name)
            except InputError as error:
                file.bad(record.line, f"{where}message {number}: {error}")
                continue
            if observation is not None:
                yield observation


def _observe(message: Any, title: Any, session: str, source: str) -> Observation | None:
    if not isinstance(message, Mapping):
        raise InputError(f"is {type(message).__name__}, not an object with sender and text")
    # `text` is the older field; where a tool was used it holds only an excuse that the block cannot be shown.
    texts = [parts_text(message.get("content")) or parts_text(message.get("text"))]
    for name in ("attachments", "files"):
        attached = message.get(name)
        texts += [_attachment(each) for each in (attached if isinstance(attached, list) else [])]
    return observe(
        {
            "content": "\n".join(text for text in texts if text),
            "role": message.get("sender"),
            "id": message.get("uuid"),
            "time": message.get("created_at"),
            "metadata": {"title": title} if title else None,
        },
        source,
        session,
        role_needed=True,
    )


def _attachment(value: Any) -> str:
    """A note that names the file, and the text taken from it, which is where long pasted texts are kept."""
    attachment = value if isinstance(value, Mapping) else {}
    name, text = attachment.get("file_name"), attachment.get("extracted_content")
    note = f"[file {name}]" if name and isinstance(name, str) else "[file]"
    return f"{note}\n{text}" if text and isinstance(text, str) else note
