"""The embedders that come with the package."""

import numpy as np
import pytest

from memorist import Memory
from memorist.bench.data import SHIPPED
from memorist.errors import EmbedderMismatch, InputError
from memorist.models import static
from memorist.models.minilm import MiniLM
from memorist.models.static import DIMENSION, Static, distil, reduced


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The real vectors, made once in a folder of this run."""
    place = tmp_path_factory.mktemp("cache") / "static.npy"
    heard: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "cache_path", lambda: place)
        embedder = Static(heard.append)
        embedder.embed(["begin"])
        yield embedder, heard


def test_it_is_made_once_and_tells_how_far_it_is(made):
    embedder, heard = made
    assert heard[-1] == 1
    assert heard == sorted(heard)
    before = len(heard)
    again = Static(heard.append).embed(["The cat sleeps."])
    assert len(heard) == before, "the second time it comes from the cache"
    assert (again == embedder.embed(["The cat sleeps."])).all()


def test_it_knows_like_from_unlike(made):
    cat, kitten, tax = made[0].embed(["The cat sleeps.", "A kitten is napping.", "Tax forms are due."])
    assert cat @ kitten > cat @ tax
    assert made[0].embed(["", "☃", "the"]).shape == (3, DIMENSION)
    assert np.allclose(np.linalg.norm(made[0].embed(["", "☃", "the cat"]), axis=1), 1, atol=1e-5)


def test_components_keep_what_varies_most():
    rng = np.random.default_rng(0)
    read = rng.standard_normal((2_000, 384)).astype(np.float32) * np.linspace(3, 0.01, 384, dtype=np.float32)
    kept = reduced(read)
    assert kept.shape == (2_000, DIMENSION)
    assert kept.var(0).sum() > 0.95 * read.var(0).sum()
    assert np.allclose(reduced(read), kept)


def test_a_store_remembers_it(made, tmp_path):
    with Memory.open(tmp_path / "m.db", embedder="static") as memory:
        memory.scope(user="ana").add("The spare key is with Rui.")
    with Memory.open(tmp_path / "m.db") as memory:
        assert memory.scope(user="ana").search("Who has the key?")[0].text == "The spare key is with Rui."
    with pytest.raises(EmbedderMismatch, match="static"):
        Memory.open(tmp_path / "m.db", embedder="minilm")
    with pytest.raises(InputError, match="minilm, static"):
        Memory.open(tmp_path / "n.db", embedder="nothing")


def test_distilling_reads_every_piece_alone():
    class Few(MiniLM):
        def embed_ids(self, pieces):
            assert all(len(one) == 3 for one in pieces)
            return np.array([[id % 7, id % 11, id % 13] + [0] * 381 for _, id, _ in pieces], np.float32)

    assert distil(Few(), lambda done: None).shape[1] == DIMENSION


def test_our_conversations_are_shipped():
    assert SHIPPED == ("dev_assistant", "dev_colleagues")
