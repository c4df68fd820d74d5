"""A language model's part in a recommendation (MR.Rec, section "Inference"): aspects, their memories, an ideal item.

The model never ranks and never sees a candidate. It says which aspects decide, reads the memories that these find, and
describes what would fit; that description is one more signal beside the measured ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from memorist.cube import Trust
from memorist.errors import BadReply
from memorist.models.chat import ChatModel, Request
from memorist.models.embedder import Embedder, Vectors
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured
from memorist.results import prompt_line

MOST_ASPECTS = 5
PER_ASPECT = 3
"""Memories that each aspect finds, over all three levels; the paper's best of 1 to 5."""

SHOWN_KINDS = 40
SHOWN_TEXT = 400
"""Characters of a memory that the model is shown."""

PROFILE_TOKENS = 600
"""Room for all that `Ideal` admits, so that a grammar ends a reply and not the limit."""

ANYTHING = "anything that this person would like"
"""What is asked for when nothing is."""


@dataclass
class Aspects:
    """What decides."""

    aspects: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1, max_length=MOST_ASPECTS)
    ]


@dataclass
class Ideal:
    """What would fit, and the handles of the memories it rests on."""

    profile: Annotated[str, Field(min_length=1, max_length=600)]
    used: Annotated[list[str], Field(max_length=MOST_ASPECTS * PER_ASPECT)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory that the model may rest on, and the episodes behind it."""

    text: str
    vector: Vectors
    trust: Trust
    episodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The description, and the episodes it rests on."""

    text: str
    episodes: tuple[str, ...]


def profile_of(
    model: ChatModel, embedder: Embedder, request: str, kinds: Sequence[str], entries: Sequence[Entry]
) -> Profile:
    """Ask for the aspects, show what they find, ask for the ideal item. Raises ModelError.

    A handle that was not shown makes the reply a bad one: nothing it says is then used.
    """
    asked = prompt_named("preference-aspects")
    plain = fenced(request or ANYTHING)
    filled = asked.fill(request=plain, kinds=fenced(", ".join(kinds[:SHOWN_KINDS])))
    aspects = structured(model, Request(filled, max_tokens=200, prompt=asked.id), Aspects).value.aspects
    shown = found(embedder.embed(aspects), entries)
    handles = {f"M{number}": entry for number, entry in enumerate(shown, 1)}
    record = "\n".join(f"{handle}: {line_of(entry)}" for handle, entry in handles.items()) or "(empty)"
    wanted = prompt_named("preference-profile")
    filled = wanted.fill(request=plain, record=record)
    asking = Request(filled, max_tokens=PROFILE_TOKENS, prompt=wanted.id)
    made = structured(model, asking, Ideal, handles={"used": list(handles)})
    if unknown := set(made.value.used) - handles.keys():
        raise BadReply(
            f"{model.name} cites {', '.join(sorted(unknown))}, which it was not shown",
            model.name,
            made.replies[-1].text,
        )
    cited = [id for handle in dict.fromkeys(made.value.used) for id in handles[handle].episodes]
    return Profile(made.value.profile, tuple(dict.fromkeys(cited)))


def found(aspects: Vectors, entries: Sequence[Entry]) -> list[Entry]:
    """The nearest PER_ASPECT memories of each aspect, each once."""
    if not entries:
        return []
    near = np.argsort(-(aspects @ np.stack([one.vector for one in entries]).T), axis=1, kind="stable")
    return [entries[place] for place in dict.fromkeys(near[:, :PER_ASPECT].ravel().tolist())]


def line_of(entry: Entry) -> str:
    """A memory as quoted data on one line; who said it is named where neither user nor agent did."""
    return fenced(prompt_line(None, entry.text[:SHOWN_TEXT], entry.trust))


def fenced(text: str) -> str:
    """On one line, and unable to end the data it stands in."""
    return " ".join(text.replace("<", "‹").split())
