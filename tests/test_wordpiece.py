"""Our WordPiece is the library's, to the token."""

import json
import re
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memorist.bench.data import SHIPPED, located
from memorist.models.wordpiece import VOCABULARY, count_tokens, encode

tokenizers = pytest.importorskip("tokenizers")

MARK = re.compile(r"\[(CLS|SEP|UNK|PAD|MASK)\]")
"""What the library takes for a mark wherever it stands; to us it is text."""


@pytest.fixture(scope="module")
def reference():
    from tokenizers.implementations import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)


def test_every_turn_of_our_conversations(reference):
    texts = [
        turn["text"]
        for name in SHIPPED
        for sample in json.loads(located(name).read_text(encoding="utf-8"))
        for turns in sample["conversation"].values()
        if isinstance(turns, list)
        for turn in turns
    ]
    assert len(texts) > 500
    for text in texts:
        assert encode(text, 10_000) == reference.encode(text).ids


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Crème brûlée à 12,50 € — déjà vu?!",
        "naïve\u00a0café\u3000東京タワー 한국어 ไทย",
        "a\u200bb\u00adc\x07d\tx\r\ny",
        "x" * 101 + " " + "y" * 100,
        "İstanbul ẞ ǅ ﬁ",
        "emoji 👩‍👩‍👧 and 👍🏽",
        "don't_stop @home #1 $5 <b>",
    ],
)
def test_hard_texts(reference, text):
    assert encode(text, 10_000) == reference.encode(text).ids


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cn", "Co")), max_size=60))
def test_any_text(reference, text):
    # Interpreters and the library bring Unicode tables of different years: ask for what all of them know.
    text = "".join(char for char in text if unicodedata.ucd_3_2_0.category(char) != "Cn")
    assume(not MARK.search(text))
    assert encode(text, 10_000) == reference.encode(text).ids


def test_a_text_cannot_say_a_mark():
    assert encode("[SEP]", 100) == encode("[ sep ]", 100)


def test_the_cut_keeps_both_marks(reference):
    ids = encode("word " * 500, 256)
    assert len(ids) == 256
    assert (ids[0], ids[-1]) == (101, 102)


def test_tokens_of_lines_add_up(reference):
    lines = ["[8 May 2023]", "  Ana: I moved.", "  Bo: Where to?"]
    assert count_tokens(["\n".join(lines)]) == [sum(count_tokens(lines))]
    assert count_tokens(["Ana: I moved."]) == [len(reference.encode("Ana: I moved.").ids) - 2]
