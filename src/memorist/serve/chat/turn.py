"""A request of OpenAI's protocol as a turn of a conversation: what is asked, what is new in it, where memories go.

Chat Completions has `messages`, Responses has `input`: a text, or items of which some are messages. Both become a list
of items here. What cannot be read as that is nobody's turn: it is forwarded as it is, and the upstream says what is
wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memorist.errors import InputError
from memorist.ids import digest
from memorist.sources.message import parts_text

Kind = Literal["chat", "responses"]

FIELD: Mapping[Kind, str] = {"chat": "messages", "responses": "input"}
PART: Mapping[Kind, str] = {"chat": "text", "responses": "input_text"}
INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that a user speaks in.

    `place` is that of the user's last message among `items`; `new` are the texts of the user's messages that nobody has
    answered yet: the earlier ones came with earlier requests. `thread` names all that stands before them.
    """

    kind: Kind
    body: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    place: int
    new: tuple[str, ...]
    thread: str

    @property
    def question(self) -> str:
        """The words of the user's last message."""
        return text_of(self.items[self.place])

    def holds(self, text: str) -> bool:
        """Whether the model sees this text anyway."""
        return any(text_of(item) == text for item in self.items)

    def with_memories(self, block: str) -> dict[str, Any]:
        """The request with a block in front of the user's last message; everything else is as it was.

        There, what stands before it stays what the upstream may have cached, and one turn's calls of tools all see the
        same.
        """
        item = dict(self.items[self.place])
        content = item["content"]
        if isinstance(content, str):
            item["content"] = f"{block}\n\n{content}"
        else:
            item["content"] = [{"type": PART[self.kind], "text": block}, *content]
        items = [*self.items[: self.place], item, *self.items[self.place + 1 :]]
        return {**self.body, FIELD[self.kind]: items}


def turn_of(kind: Kind, body: object) -> Turn | None:
    """The turn of a request, None where no user speaks."""
    if not isinstance(body, dict):
        return None
    items = body.get(FIELD[kind])
    if isinstance(items, str) and kind == "responses":
        items = [{"role": "user", "content": items}]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    spoken = [place for place, item in enumerate(items) if item.get("role") == "user" and text_of(item)]
    if not spoken:
        return None
    answered = [place for place, item in enumerate(items) if item.get("role") not in ("user", *INSTRUCTING)]
    new = [place for place in spoken if not answered or place > answered[-1]]
    before = items[: new[0]] if new else items
    thread = digest(before, body.get("previous_response_id"), body.get("conversation"))
    return Turn(kind, body, items, spoken[-1], tuple(text_of(items[place]) for place in new), thread)


def text_of(item: Mapping[str, Any]) -> str:
    """The words of an item, empty where it has none."""
    try:
        return parts_text(item.get("content")).strip()
    except InputError:
        return ""
