"""The part of the stores' contract that is about what extractors found, and what the fact graph keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from memorist.errors import InputError
from memorist.ids import digest
from memorist.store.protocol import Extracted, Store
from memorist.testing.conversation import ANA, BOB, KIND, MakeStore, conversation, draft, filled, settle
from memorist.testing.derived import NOTES, note, rows_of, write
from memorist.testing.embedder import HashEmbedder

VALUE = '[["Ana", "born in", "Évora"]]'


def extracted(text: str, extractor: str = "one/1") -> Extracted:
    """What an extractor found in a text."""
    return Extracted(extractor, digest(text), VALUE)


def logged(store: Store, rows: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
    """Which extractor's log there is for each row."""
    found = store.extracted(ANA, rows, [digest(text) for text in texts])
    return {row: one.extractor for row, one in found.items()}


class ExtractionContract:
    """What every store must do with extractions, and with a cube's further vectors and data."""

    # ruff: noqa: D102 - the name of a test says what it is about

    def test_a_cube_has_more_vectors_and_data(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        vectors = HashEmbedder().embed(["one", "two", "three"]).astype(np.float16)
        write(store, replace(note("a", rows), vectors=vectors, data=b"\x00\xff" * 9), note("b", rows))
        one, other = store.derived(ANA, NOTES, 0).kept
        assert (one.vectors.dtype.name, one.data) == ("float16", b"\x00\xff" * 9)
        assert (one.vectors == vectors).all()
        assert (other.vectors.shape, other.data) == ((0, vectors.shape[1]), b"")
        write(store, note("a", rows))
        assert [len(cube.vectors) for cube in store.derived(ANA, NOTES, 0).kept] == [0, 0]

    def test_what_was_extracted_is_kept_and_has_the_episode_seen_anew(self, store: Store) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        write(store)
        assert store.keep_extracted(ANA, {rows[0]: extracted("a")}) == 1
        assert store.keep_extracted(ANA, {rows[0]: extracted("a")}) == 0
        assert list(store.unorganised(ANA, NOTES, 9).rows) == rows[:1]
        assert logged(store, rows, ["a", "b"]) == {rows[0]: "one/1"}
        assert store.keep_extracted(ANA, {rows[0]: extracted("a", "two/1")}) == 1
        assert logged(store, rows, ["a", "b"]) == {rows[0]: "two/1"}
        assert store.keep_extracted(BOB, {rows[1]: extracted("b")}) == 0
        assert store.extracted(BOB, rows, [digest("a"), digest("b")]) == {}

    def test_the_same_words_again_need_no_extraction(self, store: Store) -> None:
        ids = filled(store, ANA, [*conversation(["a"]), *conversation(["b"], session="t")])
        rows = rows_of(store, ids)
        store.keep_extracted(ANA, {rows[0]: extracted("a")})
        assert logged(store, rows, ["a", "a"]) == dict.fromkeys(rows, "one/1")

    def test_an_extraction_is_erased_with_its_episode(self, store: Store) -> None:
        ids = filled(store, ANA, conversation(["a", "b"]))
        rows = rows_of(store, ids)
        store.keep_extracted(ANA, {row: extracted(text) for row, text in zip(rows, "ab")})
        store.erase(ANA, [ids[0]], (KIND,))
        assert logged(store, rows, ["a", "b"]) == {rows[1]: "one/1"}
        settle(store, ANA)

    def test_an_archive_has_what_was_extracted(self, store: Store, stores: MakeStore) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a", "b"])))
        store.keep_extracted(ANA, {rows[1]: extracted("b")})
        records = list(store.dump())
        other = stores("two")
        other.bind(HashEmbedder().identity)
        filled(other, ANA, [draft("before", session="u")])
        for _ in range(2):
            other.restore(records, (KIND,))
        settle(other, ANA)
        texts = dict(other.texts(ANA))
        found = logged(other, list(texts), list(texts.values()))
        assert [texts[row] for row in found] == ["b"]
        (kept,) = other.extracted(ANA, list(found), [digest("b")]).values()
        assert kept == extracted("b")

    @pytest.mark.parametrize(
        "wrong",
        [{"id": 5}, {"extractor": None}, {"text": []}, {"value": "no"}, {"value": "5"}, {"value": '[["a", "b"]]'}],
        ids=str,
    )
    def test_a_broken_extraction_restores_nothing(self, store: Store, wrong: Mapping[str, Any]) -> None:
        rows = rows_of(store, filled(store, ANA, conversation(["a"])))
        store.keep_extracted(ANA, {rows[0]: extracted("a")})
        records = [{**one, **wrong} if one["record"] == "extraction" else one for one in store.dump()]
        before = list(store.dump())
        with pytest.raises(InputError, match="record 3"):
            store.restore(records, (KIND,))
        assert list(store.dump()) == before
