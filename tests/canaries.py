"""Episodes that each hold words of their own, a model that repeats them, and every way to ask for them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from memorist import Observation
from memorist.models.chat import Reply, Request, ToolCall, Usage
from memorist.scoped import ScopedMemory

START = datetime(2025, 5, 1, 10, tzinfo=timezone.utc)
SAID = (
    "{name} lives in {place}.",
    "{name} works at {place}.",
    "My doctor is {name} in {place}.",
    "{name} was born in {place}, which lies in {name}land.",
    "I met {name} in {place} last Friday.",
)


def canary(number: int) -> str:
    return f"Cnry{number:04d}q"


def story(chance: random.Random, count: int) -> list[Observation]:
    """Episodes that each name a canary and are about the same few people and places."""
    said = []
    for number in range(count):
        text = chance.choice(SAID).format(name=canary(number), place=chance.choice(("Evora", "Lisbon", "Porto")))
        steps = json.dumps([["turn"], ["recolour", 1, number % 9], [canary(number)]])
        meta = {
            "item": canary(number),
            "rating": 1 + number % 5,
            "category": "Comedy",
            "title": f"The {canary(number)}",
        }
        meta |= {"problem": canary(number), "program": steps, "cues": f"same size|{canary(number)}"}
        at = START + timedelta(minutes=number)
        said.append(Observation(text, speaker="Ana", at=at, session=f"s{number % 4}", meta=meta))
    return said


def everything(view: ScopedMemory, recipe: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every way to ask."""
    yield "search", lambda: [(hit, hit.why, hit.meta) for hit in view.search("Who lives in Evora?", k=100)]
    yield "past", lambda: list(view.search("lives Lisbon", k=100, known_at=START + timedelta(days=9_000)))
    yield "prompt", lambda: view.search("Who works in Porto?", budget=5_000).prompt()
    yield "unheard", lambda: view.search(f"Where does {canary(0)} live?", k=100)[:]
    yield "ask", lambda: view.ask("Where does the doctor live?")
    for origin in ("source", "windows", "facts", "graph", "granularity", "preferences", "concepts", "notes"):
        yield (
            f"list {origin}",
            lambda origin=origin: [  # type: ignore[misc]
                (cube, view.history(cube.id), view.cubes.versions(cube.id))
                for cube in view.list(limit=1_000, origin=origin)
            ],
        )
    yield "conflicts", view.conflicts
    yield "recommend", lambda: view.recommend("something funny", ["A comedy", "A horror"])
    yield "concepts", lambda: (view.concepts(["same size"], k=50), view.learned())
    if view.subject:
        yield "dump", lambda: list(view._memory._store.dump())
    yield "jobs", lambda: (view.jobs(), view.costs(), view.rights.received())
    if recipe == "hipporag2":
        yield "graph", lambda: view.graph("In which region was somebody born?")


PATTERN = re.compile("[Cc]nry[0-9]{4}q")


def canaries_in(text: str) -> set[str]:
    """Those that a text holds, in whatever case."""
    return {found.capitalize() for found in PATTERN.findall(text)}


def parrot(request: Request) -> str | Reply:
    """A model's reply that fits what was asked for and repeats a canary that it was shown."""
    shown = sorted(canaries_in(request.messages[-1].content))
    word = " ".join(shown[:2]) or "nothing"
    if request.tools:
        given = {"memory_type": "semantic_memory", "content": f"It is about {word}."}
        told = any(message.role == "tool" for message in request.messages)
        calls = () if told else (ToolCall("c1", "new_memory_insert", json.dumps(given)),)
        return Reply("", "parrot", Usage(1, 1, 0.0, 0.0, 1), calls=calls)
    return json.dumps(filled(request.schema or {}, request.schema or {}, word))


def filled(schema: Mapping[str, Any], whole: Mapping[str, Any], word: str) -> Any:
    """A value of a JSON schema, with this word in its texts."""
    if "$ref" in schema:
        return filled(whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole, word)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            return filled(schema[name][0], whole, word)
    kind = schema.get("type")
    if kind == "object":
        return {name: filled(one, whole, word) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema["items"], whole, word)] if "items" in schema else []
    return {"string": word, "integer": schema.get("minimum", 1), "number": 1.0, "boolean": True}.get(str(kind))
