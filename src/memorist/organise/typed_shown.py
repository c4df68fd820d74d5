"""Typed concepts as a model reads them: what can be seen first, then types, then what can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memorist.organise.typed import GRID, TypedConcept, key_of

CUES_SHOWN = 4


def compact(concepts: Sequence[TypedConcept], handles: Mapping[str, TypedConcept] | None = None) -> str:
    """A line for each concept, with its handle when it has one: name, types and cues. Empty for none."""
    named = {one.id: handle for handle, one in (handles or {}).items()}
    lines = []
    for one in concepts:
        inputs = ", ".join(part.name + (f": {part.typing}" if part.typing else "") for part in one.parameters)
        signature = f"({inputs})" + (f" -> {one.typing}" if one.typing else "")
        cues = f" | seen: {'; '.join(one.cues[:CUES_SHOWN])}" if one.cues else ""
        handle = f"{named[one.id]} " if one.id in named else ""
        lines.append(f"{handle}{one.name} [{one.kind}{', ' + one.subtype if one.subtype else ''}] {signature}{cues}")
    return "\n".join(lines)


def full(concepts: Sequence[TypedConcept]) -> str:
    """Everything that is known of the concepts, in sections; empty for none."""
    parts = [section("What can be seen", [one for one in concepts if one.kind == "structure"])]
    types = {name: meaning for one in concepts for name, meaning in one.types.items()}
    if types:
        parts.append("Types\n" + "\n".join(f"- {name} := {meaning}" for name, meaning in sorted(types.items())))
    routines = [one for one in concepts if one.kind == "routine"]
    groups: dict[str, list[TypedConcept]] = {}
    for one in sorted(routines, key=lambda one: (key_of(one.subtype) != GRID, key_of(one.subtype))):
        groups.setdefault(key_of(one.subtype), []).append(one)
    parts += [section(f"What can be done{': ' + name if name else ''}", group) for name, group in groups.items()]
    return "\n\n".join(filter(None, parts))


def section(title: str, concepts: Sequence[TypedConcept]) -> str:
    """Concepts under a title, most used first; empty for none."""
    if not concepts:
        return ""
    ordered = sorted(concepts, key=lambda one: (-one.used, one.name))
    return title + "\n" + "\n".join(map(paragraph, ordered))


def paragraph(concept: TypedConcept) -> str:
    """A concept with all its parts."""
    lines = [f"- {concept.name}" + (f": {concept.description}" if concept.description else "")]
    if concept.typing:
        lines.append(f"  gives: {concept.typing}")
    for part in concept.parameters:
        typing = f" ({part.typing})" if part.typing else ""
        lines.append(f"  takes {part.name}{typing}{': ' + part.description if part.description else ''}")
    lines += [f"  seen: {cue}" for cue in concept.cues]
    lines += [f"  how: {note}" for note in concept.implementation]
    return "\n".join(lines)
