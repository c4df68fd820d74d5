"""A scripted model that answers every prompt of the writers, each time with the same reply to the same request."""

import hashlib
import json

from memorist.models.chat import Reply, ToolCall

QUOTE = ': "'


def reply(request):
    """Something of its own for each request, of the shape that its prompt asks for."""
    name = request.prompt.split("/")[0]
    shown = request.messages[-1].content
    mark = hashlib.sha256("".join(turn.content for turn in request.messages).encode()).hexdigest()[:8]
    if name == "facts":
        word = shown.split(QUOTE, 1)[1].split('"')[0].split()[0]
        line = {"text": f"{word} was said ({mark}).", "subject": "Ana", "relation": "said", "value": word,
                "single": False, "ends": False, "since": "", "until": "", "messages": ["t1"]}  # fmt: skip
        return json.dumps({"facts": [line]})
    if name == "facts-judge":
        return '{"verdicts": []}'
    if name == "notes":
        rewrite = {"note": "n1", "context": f"rewritten {mark}", "tags": []}
        return json.dumps({"context": mark, "keywords": [], "tags": [], "links": ["n1"], "rewrites": [rewrite]})
    if name == "mem-alpha":
        content = {"memory_type": "episodic_memory", "content": f"happened {mark}"}
        return Reply("", "scripted", finish="tools", calls=(ToolCall("c", "new_memory_insert", json.dumps(content)),))
    if name == "lessons":
        return json.dumps({"thoughts": [], "lessons": [{"situation": f"seen {mark}", "suggestion": "try"}]})
    assert name == "concepts", name
    said = [{"concept": "sort", "kind": "routine", "description": mark}, {"concept": mark, "kind": "structure"}]
    return json.dumps({"pseudocode": "", "summary": "", "concepts": said})
