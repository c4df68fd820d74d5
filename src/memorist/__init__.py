"""Memorist: a memory for language models that keeps learning.

    from memorist import Memory
    ana = Memory.open("memory.db").scope(user="ana")
    ana.add("I moved to Lisbon in May.")
    print(ana.search("Where does Ana live?").prompt())
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from memorist.aio import AsyncMemory, AsyncScopedMemory
from memorist.cube import Cube, Document, Observation, Scope, TimeSpan
from memorist.errors import MemoristError
from memorist.memory import Memory, ScopedMemory
from memorist.results import Answer, Change, Check, Citation, Erasure, Hit, Hits, Receipt, Verification

try:
    __version__ = version("memorist")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0.0.0"

__all__ = [
    "Answer",
    "AsyncMemory",
    "AsyncScopedMemory",
    "Change",
    "Check",
    "Citation",
    "Cube",
    "Document",
    "Erasure",
    "Hit",
    "Hits",
    "Memory",
    "MemoristError",
    "Observation",
    "Receipt",
    "Scope",
    "ScopedMemory",
    "TimeSpan",
    "Verification",
]
