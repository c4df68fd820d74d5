"""Memorist: a memory for language models that keeps learning.

from memorist import Memory
ana = Memory.open("memory.db").scope(user="ana")
ana.add("I moved to Lisbon in May.")
print(ana.search("Where does Ana live?").prompt())
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memorist.aio import AsyncMemory, AsyncScopedMemory
    from memorist.answer.asking import AskOptions
    from memorist.cube import Cube, Document, Observation, Scope, TimeSpan
    from memorist.errors import MemoristError
    from memorist.memory import Memory
    from memorist.organise.general import General
    from memorist.results import (
        Answer,
        Candidate,
        Change,
        Check,
        Citation,
        Conflict,
        Erasure,
        Hit,
        Hits,
        Receipt,
        Recommendation,
        Recommendations,
        Sentence,
        Step,
        Verification,
    )
    from memorist.scoped import ScopedMemory
    from memorist.sources import FileOptions

try:
    __version__ = version("memorist")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0.0.0"

HOMES = {
    "answer.asking": ("AskOptions",),
    "aio": ("AsyncMemory", "AsyncScopedMemory"),
    "cube": ("Cube", "Document", "Observation", "Scope", "TimeSpan"),
    "errors": ("MemoristError",),
    "memory": ("Memory",),
    "scoped": ("ScopedMemory",),
    "organise.general": ("General",),
    "results": (
        *("Answer", "Candidate", "Change", "Check", "Citation", "Conflict", "Erasure", "Hit", "Hits", "Receipt"),
        *("Recommendation", "Recommendations", "Sentence", "Step", "Verification"),
    ),
    "sources": ("FileOptions",),
}


def __getattr__(name: str) -> object:
    """Names are imported when first used, so that `memorist --help` and tracebacks stay quick."""
    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(f"memorist.{home}"), name)
    raise AttributeError(f"module 'memorist' has no attribute {name!r}")


__all__ = [
    "Answer",
    "AskOptions",
    "AsyncMemory",
    "AsyncScopedMemory",
    "Candidate",
    "Change",
    "Check",
    "Citation",
    "Conflict",
    "Cube",
    "Document",
    "Erasure",
    "FileOptions",
    "General",
    "Hit",
    "Hits",
    "MemoristError",
    "Memory",
    "Observation",
    "Receipt",
    "Recommendation",
    "Recommendations",
    "Scope",
    "ScopedMemory",
    "Sentence",
    "Step",
    "TimeSpan",
    "Verification",
]
