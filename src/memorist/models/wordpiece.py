"""The WordPiece vocabulary of all-MiniLM-L6-v2 (Apache-2.0): the default embedder's input and the unit of budgets.

Words never merge across white space in this vocabulary, so the tokens of two joined lines are the sum of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = Path(__file__).with_name("minilm-tokenizer.json")
LONGEST_COUNTED = 100_000


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    """The shared tokenizer, neither truncating nor padding."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(VOCABULARY))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, without the marks for begin and end."""
    return [len(ids) for ids in encode(texts, marks=False)]


def encode(texts: Sequence[str], *, marks: bool) -> list[list[int]]:
    """Token ids of each text; `marks` adds [CLS] and [SEP]."""
    return [encoding.ids for encoding in tokenizer().encode_batch_fast(list(texts), add_special_tokens=marks)]
