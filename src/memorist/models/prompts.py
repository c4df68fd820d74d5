"""Prompts as files: `prompts/NAME.md` has a version and the turns; what is filled in is never read as part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast, get_args

from memorist.errors import InputError
from memorist.models.chat import Message, Role

HEAD = re.compile(r"\A---\nversion: (\d+)\n---\n")
TURN = re.compile(r"^# (\w+)\n", re.MULTILINE)
FIELD = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A named prompt of one version; `turns` are (role, text), with {{fields}} to fill."""

    name: str
    version: int
    turns: tuple[tuple[Role, str], ...]

    @property
    def id(self) -> str:
        """Name and version, such as `repair/1`, for `Request.prompt`."""
        return f"{self.name}/{self.version}"

    @property
    def fields(self) -> frozenset[str]:
        """What `fill` needs."""
        return frozenset(name for _, text in self.turns for name in FIELD.findall(text))

    def fill(self, **fields: str) -> tuple[Message, ...]:
        """The turns with each field's value in its place, as it is. Raises InputError when a field is missing or
        unknown."""
        if fields.keys() != self.fields:
            odd = ", ".join(sorted(fields.keys() ^ self.fields))
            raise InputError(f"the prompt {self.id} has the fields {', '.join(sorted(self.fields))}; check {odd}")
        return tuple(Message(role, FIELD.sub(lambda found: fields[found[1]], text)) for role, text in self.turns)


@cache
def prompt_named(name: str) -> Prompt:
    """The prompt that the package brings under this name. Raises InputError when there is none."""
    file = files("memorist") / "prompts" / f"{name}.md"
    if not re.fullmatch(r"[\w-]+", name) or not file.is_file():
        raise InputError(f"there is no prompt {name!r:.50}")
    return read_prompt(name, file.read_text(encoding="utf-8"))


def read_prompt(name: str, text: str) -> Prompt:
    """A prompt from its file: a version between lines of ---, then turns, each under its role (# system, # user)."""
    head = HEAD.match(text)
    parts = TURN.split(text[head.end() :]) if head else []
    if head is None or len(parts) < 3 or parts[0].strip() or not set(parts[1::2]) <= set(get_args(Role)):
        raise InputError(f"the prompt {name} needs a version between lines of ---, then turns such as: # user")
    turns = zip(parts[1::2], parts[2::2])
    return Prompt(name, int(head[1]), tuple((cast("Role", role), body.strip()) for role, body in turns))
