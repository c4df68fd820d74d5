"""For those who build on Memorist: a tiny embedder for tests, and the contract that every store passes.

from memorist.testing import HashEmbedder              no download, no model, microseconds
from memorist.testing import ScriptedModel             a language model with replies that you write
from memorist.testing.contract import StoreContract    needs pytest; see its docstring
"""

from __future__ import annotations

from memorist.testing.chat import ScriptedModel
from memorist.testing.embedder import DIMENSION, HashEmbedder

__all__ = ["DIMENSION", "HashEmbedder", "ScriptedModel"]
