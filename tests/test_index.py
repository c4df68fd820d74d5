"""The in-memory index against slow, obvious references."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memorist import Memory
from memorist.bench.synthetic import WordSum, texts, turns
from memorist.cube import Scope
from memorist.store.bits import estimated, hamming, nearest, sign_words
from memorist.store.bm25 import K1, B
from memorist.store.postings import Postings, joined_terms, pack
from memorist.store.protocol import Selection
from memorist.store.terms import pack_terms, query_terms, stems

ANA = Scope(user="large")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("dimension", [64, 100, 384])
def test_hamming_counts_differing_signs(dimension):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((500, dimension))
    query = rng.standard_normal((1, dimension))
    expected = ((vectors > 0) != (query > 0)).sum(1)
    assert (hamming(sign_words(vectors), sign_words(query)[:, 0]) == expected).all()


def test_estimate_is_the_query_against_signs():
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((300, 100))
    query = rng.standard_normal(100).astype(np.float32)
    places = np.array([3, 77, 299])
    expected = np.where(vectors[places] > 0, 1, -1) @ query
    assert estimated(sign_words(vectors), places, query) == pytest.approx(expected, abs=1e-4)


def test_nearest_respects_what_is_allowed():
    vectors = np.random.default_rng(3).standard_normal((1_000, 64))
    words = sign_words(vectors)
    allowed = np.zeros(1_000, bool)
    allowed[::3] = True
    found = nearest(words, words[:, 0], allowed, 50)
    assert 0 in found
    assert len(found) >= 50
    assert allowed[found].all()
    assert len(nearest(words, words[:, 0], np.zeros(1_000, bool), 50)) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["cat", "dog", "sun", "sea", "rain"]), max_size=6), min_size=1, max_size=40),
    st.data(),
)
def test_postings_are_the_documents_in_any_number_of_parts(documents, data):
    blobs = [pack_terms(" ".join(words)) for words in documents]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(blobs)), max_size=5)) | {0, len(blobs)})
    postings = Postings()
    for begin, end in pairwise(cuts):
        packed, lengths = pack(joined_terms(blobs[begin:end]), begin)
        assert lengths.tolist() == [len(words) for words in documents[begin:end]]
        postings.append(packed)
        if data.draw(st.booleans()):
            postings.of(np.uint32(0))  # sorts in what is fresh
    for word in ["cat", "dog", "sun", "sea", "rain", "none"]:
        (term,) = query_terms(word)
        found, counts = postings.of(term)
        expected = {place: words.count(word) for place, words in enumerate(documents) if word in words}
        assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == expected


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store of 6,000 turns, searched between batches, so that its index grew in steps."""
    memory = Memory.open(tmp_path_factory.mktemp("index") / "m.db", embedder=WordSum())
    large = memory.scope(user="large")
    stream = list(turns(6_000, 4))
    for start in range(0, len(stream), 1_500):
        large.add(stream[start : start + 1_500])
        large.search("bacedi", k=3)
    yield memory, [one.text for one in stream]
    memory.close()


def test_lexical_order_is_bm25(grown):
    memory, _ = grown
    searcher = memory._store.search(ANA, Selection())
    cubes = {cube.id: cube for cube in memory.scope(user="large").list(limit=10_000)}
    from memorist.text import indexed

    documents = {id: stems(indexed(cube.speaker, cube.text, cube.at)) for id, cube in cubes.items()}
    mean = np.mean([len(words) for words in documents.values()])
    asked = list(dict.fromkeys(stems(next(iter(texts(1, 4))))))[:5]
    frequency = {word: sum(word in words for words in documents.values()) for word in asked}

    def score(words):
        total = 0.0
        for word in asked:
            idf = np.log(1 + (len(documents) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            count = words.count(word)
            total += idf * count * (K1 + 1) / (count + K1 * (1 - B + B * len(words) / mean))
        return total

    expected = sorted((score(words) for words in documents.values()), reverse=True)[:20]
    rows = searcher.lexical(query_terms(" ".join(asked)), 20)
    found = memory._store.cubes(ANA, rows.tolist())
    assert [score(documents[cube.id]) for cube in found.values()] == pytest.approx(expected, rel=1e-4)


def test_dense_finds_the_exact_nearest(grown):
    memory, stream = grown
    searcher = memory._store.search(ANA, Selection())
    shares = []
    for text in stream[::300]:
        (vector,) = WordSum().embed([text])
        exact, fast = searcher.dense(vector, 10, exact=True), searcher.dense(vector, 10)
        shares.append(len(set(exact.tolist()) & set(fast.tolist())) / 10)
    assert np.mean(shares) >= 0.98


def test_an_index_that_grew_is_the_one_built_at_once(grown):
    memory, _ = grown
    with Memory.open(memory._store.path, embedder=WordSum()) as fresh:
        for text in texts(10, 9):
            one, other = memory.scope(user="large").search(text, k=20), fresh.scope(user="large").search(text, k=20)
            assert [hit.id for hit in one] == [hit.id for hit in other]
            assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-6)


def test_windows_hold_a_turn_and_the_two_after_it(grown):
    memory, stream = grown
    large = memory.scope(user="large")
    windows = large.list(limit=10, origin="windows")
    assert windows
    texts_of = {cube.id: cube.text for cube in large.list(limit=10_000)}
    for window in windows:
        members = [texts_of[id] for id in window.episodes]
        first = stream.index(members[0])
        assert members == stream[first : first + len(members)]
        assert 2 <= len(members) <= 3
