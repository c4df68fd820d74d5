"""Annotated conversations: files in LoCoMo's shape, with questions and the turns that answer them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from memorist.errors import InputError

DIALOG_ID = re.compile(r"D(\d+):(\d+)")
ANSWERABLE = ("1", "2", "3", "4")
CATEGORIES = {"1": "multi-hop", "2": "temporal", "3": "inference", "4": "single fact", "5": "unanswerable"}
SHIPPED = ("dev_assistant", "dev_colleagues")
"""Our own development conversations, by the name that `--data` takes for them."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its category ("1" … "5") and the ids of the turns that hold its answer."""

    text: str
    category: str
    evidence: frozenset[str]
    answer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation of a file; its turns are read by the loader of the product."""

    name: str
    sample: dict[str, Any]
    questions: tuple[Question, ...]


def conversations(paths: Sequence[str | Path]) -> list[Conversation]:
    """All conversations of the files, or of our own named in SHIPPED. Raises InputError."""
    return [conversation for path in paths for conversation in read(located(path))]


def located(path: str | Path) -> Path:
    """A file, or one of ours by name."""
    if str(path) in SHIPPED:
        return Path(str(files("memorist") / "data" / f"{path}.json"))
    found = Path(path)
    if not found.is_file():
        raise InputError(f"{path} does not exist; name a LoCoMo file, or one of {', '.join(SHIPPED)}")
    return found


def read(path: Path) -> list[Conversation]:
    """The conversations of one file."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        samples = loaded if isinstance(loaded, list) else [loaded]
        return [conversation_of(sample, f"{path.stem}-{number}") for number, sample in enumerate(samples, 1)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not in LoCoMo's shape ({type(error).__name__}: {error})") from error


def conversation_of(sample: dict[str, Any], fallback: str) -> Conversation:
    """One sample. Evidence ids that name no turn are dropped; questions 1-4 left without evidence too."""
    spoken = {turn["dia_id"] for turns in sample["conversation"].values() if isinstance(turns, list) for turn in turns}
    questions = []
    for entry in sample["qa"]:
        named = (f"D{int(a)}:{int(b)}" for text in entry.get("evidence", []) for a, b in DIALOG_ID.findall(str(text)))
        evidence = frozenset(named) & spoken
        category = str(entry["category"])
        if evidence or category not in ANSWERABLE:
            questions.append(Question(entry["question"], category, evidence, str(entry.get("answer", ""))))
    return Conversation(str(sample.get("sample_id", fallback)), sample, tuple(questions))
