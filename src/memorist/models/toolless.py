"""Tool calls for models whose chat template has no place for them: told in a prompt, held by a grammar."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from memorist.models.chat import Message, Tool, ToolCall
from memorist.models.prompts import prompt_named

MOST = 8
"""Calls of one reply."""


def tool_turn(tools: Sequence[Tool]) -> Message:
    """The system turn that describes the tools."""
    described = "\n".join(
        f"- {tool.name}: {tool.description} Arguments: {json.dumps(dict(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    )
    (turn,) = prompt_named("tools").fill(tools=described)
    return turn


def tool_schema(tools: Sequence[Tool]) -> Mapping[str, Any]:
    """What a reply may be: a call of one of the tools, several calls, or words."""
    calls = [
        {
            "type": "object",
            "properties": {"tool": {"const": tool.name}, "arguments": dict(tool.parameters)},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    several = alone("calls", {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": MOST})
    return {"anyOf": [*calls, several, alone("reply", {"type": "string"})]}


def alone(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object of one field."""
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def calls_in(text: str) -> tuple[str, tuple[ToolCall, ...]]:
    """The words and the calls of a reply; one that was cut in the middle is words."""
    try:
        made = json.loads(text)
    except ValueError:
        return text, ()
    if "reply" in made:
        return str(made["reply"]), ()
    calls = enumerate(made.get("calls", [made]), 1)
    return "", tuple(
        ToolCall(f"call-{number}", str(one["tool"]), json.dumps(one["arguments"], ensure_ascii=False))
        for number, one in calls
    )
