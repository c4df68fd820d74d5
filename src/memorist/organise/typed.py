"""A concept with a type: ArcMemo's program-synthesis format (2509.04439), and how a reply extends one.

A concept is a structure (what can be seen) or a routine (what can be done), with parameters that have types, so that
one concept says which others it goes with. Saying a known name again re-uses it. The rules of merging are those of the
published code, apart from these: names that differ in case, spaces or hyphens are the same; a reply may `revise` what
was said at first, and the former version stays in the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from memorist.organise.quoting import clean

Kind = Literal["structure", "routine"]

GRID = "grid manipulation"
LONGEST, LONGEST_NAME, MOST = 300, 80, 12
"""Characters of a text and of a name; cues, notes or parameters of a concept."""

TYPE = re.compile(r"^\s*([A-Za-z_]\w*)\s*:=\s*(.+)$", re.DOTALL)


@dataclass
class SaidParameter:
    """A parameter as a model says it."""

    name: str
    typing: str = ""
    description: str = ""


@dataclass
class SaidConcept:
    """A concept as a model says it; a known name alone marks re-use."""

    concept: str
    kind: Kind | None = None
    routine_subtype: str = ""
    output_typing: str = ""
    parameters: list[SaidParameter] = field(default_factory=list)
    description: str = ""
    cues: list[str] = field(default_factory=list)
    implementation: list[str] = field(default_factory=list)
    revises: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named input of a concept; its type may be that of a function."""

    name: str
    typing: str
    description: str


@dataclass(frozen=True, slots=True)
class TypedConcept:
    """A concept. `used_in` are the problems it was used in, each with the id of the episode that says so."""

    id: str
    name: str
    kind: Kind
    subtype: str
    typing: str
    parameters: tuple[Parameter, ...]
    description: str
    cues: tuple[str, ...]
    implementation: tuple[str, ...]
    used_in: tuple[tuple[str, str], ...]

    @property
    def used(self) -> int:
        """The number of problems it was used in."""
        return len({problem for problem, _ in self.used_in})

    @property
    def text(self) -> str:
        """What is embedded and searched: name, description and cues."""
        seen = "; ".join(self.cues)
        return f"{self.name}: {self.description}" + (f" Seen: {seen}" if seen else "")

    @property
    def types(self) -> Mapping[str, str]:
        """Types that its parts define as `Name := type`."""
        said = [self.typing, *(one.typing for one in self.parameters)]
        return {found[1]: found[2] for text in said if (found := TYPE.match(text))}


def key_of(name: str) -> str:
    """What makes two names the same: letters and digits, in any case."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def type_name(text: str) -> str:
    """A type as it is compared: the name where it is defined, without spaces."""
    found = TYPE.match(text)
    return re.sub(r"\s+", "", found[1] if found else text)


def merged(known: TypedConcept | None, said: SaidConcept, id: str, problem: str, episode: str) -> TypedConcept | None:
    """The concept after one more problem; None for a new name without a kind, or no name at all."""
    name = clean(said.concept, LONGEST_NAME)
    if known is None:
        if not key_of(name) or said.kind is None:
            return None
        known = TypedConcept(id, name, said.kind, "", "", (), "", (), (), ())
    latest = said.revises
    return replace(
        known,
        subtype=kept(known.subtype, said.routine_subtype, latest),
        typing=kept(known.typing, said.output_typing, latest),
        description=kept(known.description, said.description, latest),
        parameters=parameters(known.parameters, said.parameters),
        cues=distinct((*known.cues, *said.cues)),
        implementation=distinct((*known.implementation, *said.implementation)),
        used_in=(*known.used_in, *([(problem, episode)] if (problem, episode) not in known.used_in else [])),
    )


def kept(first: str, said: str, latest: bool) -> str:
    """The first that was said, or the latest when that is a revision."""
    new = clean(said, LONGEST)
    return (new or first) if latest else (first or new)


def parameters(known: Sequence[Parameter], said: Sequence[SaidParameter]) -> tuple[Parameter, ...]:
    """Parameters by name; the last definition of one wins."""
    every = {one.name: one for one in known}
    for one in said:
        if name := clean(one.name, LONGEST_NAME):
            every[name] = Parameter(name, clean(one.typing, LONGEST), clean(one.description, LONGEST))
    return tuple(every.values())[:MOST]


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts as a model gave them, each once, and not too many."""
    return tuple(dict.fromkeys(made for text in texts if (made := clean(text, LONGEST))))[:MOST]


def meta_of(concept: TypedConcept) -> dict[str, Any]:
    """A concept as the metadata of its cube."""
    return {
        "name": concept.name,
        "kind": concept.kind,
        "subtype": concept.subtype,
        "typing": concept.typing,
        "parameters": [[one.name, one.typing, one.description] for one in concept.parameters],
        "description": concept.description,
        "cues": list(concept.cues),
        "implementation": list(concept.implementation),
        "used_in": [list(one) for one in concept.used_in],
        "used": concept.used,
    }


def concept_of(id: str, meta: Mapping[str, Any]) -> TypedConcept:
    """The inverse of `meta_of`."""
    return TypedConcept(
        id, meta["name"], meta["kind"], meta["subtype"], meta["typing"],
        tuple(Parameter(*one) for one in meta["parameters"]), meta["description"], tuple(meta["cues"]),
        tuple(meta["implementation"]), tuple((problem, episode) for problem, episode in meta["used_in"]),
    )  # fmt: skip
