"""ChatGPT's export, `conversations.json`: conversations that are trees, of which the branch last shown is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import SourceFile
from memorist.sources.json_items import records
from memorist.sources.message import label_of, observe, parts_text


def recognise(file: SourceFile, first: Any) -> bool:
    """A first record with a mapping of nodes."""
    return isinstance(first, Mapping) and isinstance(first.get("mapping"), Mapping)


def read(file: SourceFile) -> Iterator[Observation]:
    """The messages that were shown, in order; the session is the conversation's id, its title is in meta."""
    for record in records(file):
        where = f"record {record.number}: "
        try:
            if not recognise(file, record.value):
                raise InputError('is not a conversation of ChatGPT; it needs "mapping"')
            nodes = _live_branch(record.value["mapping"], record.value.get("current_node"))
        except InputError as error:
            file.bad(record.line, where + str(error))
            continue
        session = label_of(record.value, ("conversation_id", "id")) or f"{file.path.name}#{record.number}"
        for name, message in nodes:
            try:
                observation = _observe(message, record.value, session, file.name)
            except InputError as error:
                file.bad(record.line, f"{where}message {name}: {error}")
                continue
            if observation is not None:
                yield observation


def _live_branch(mapping: Mapping[str, Any], current: object) -> list[tuple[str, Mapping[str, Any]]]:
    """Names and messages of the nodes from the root to the current one. Without a current one, to the last leaf."""
    if not isinstance(current, str):
        leaves = [name for name, node in mapping.items() if isinstance(node, Mapping) and not node.get("children")]
        current = leaves[-1] if leaves else None
    branch: list[tuple[str, Mapping[str, Any]]] = []
    seen: set[str] = set()
    while current is not None:
        node = mapping.get(current) if isinstance(current, str) else None
        if not isinstance(node, Mapping) or current in seen:
            raise InputError(f"node {current!r:.100} of its mapping is missing or its own parent; export it again")
        seen.add(str(current))
        if isinstance(node.get("message"), Mapping):
            branch.append((str(current), node["message"]))
        current = node.get("parent")
    return branch[::-1]


def _observe(
    message: Mapping[str, Any], conversation: Mapping[str, Any], session: str, source: str
) -> Observation | None:
    metadata = _object(message.get("metadata"))
    author = _object(message.get("author"))
    if metadata.get("is_visually_hidden_from_conversation") or message.get("weight") == 0:
        return None
    text = _text(_object(message.get("content")))
    if not text.strip():
        return None
    title, model = conversation.get("title"), metadata.get("model_slug")
    created = message.get("create_time")
    return observe(
        {
            "content": text,
            "role": author.get("role"),
            "name": author.get("name"),
            "id": message.get("id"),
            "time": conversation.get("create_time") if created is None else created,
            "metadata": {name: value for name, value in (("title", title), ("model", model)) if value},
        },
        source,
        session,
        role_needed=True,
    )


def _text(content: Mapping[str, Any]) -> str:
    """The text of any kind of content: it is in `parts`, `text` or `result`."""
    if content.get("content_type") in ("thoughts", "reasoning_recap"):  # a model's private notes were never said
        return ""
    for name in ("parts", "text", "result"):
        if content.get(name):
            return parts_text(content[name])
    return ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
