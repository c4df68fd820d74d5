"""Peers: the protocol, what the harness makes of them, and that a broken one costs a row and no more."""

import json
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from memorist.bench.html import page
from memorist.bench.peers.environment import install, python_of, version_of, why_not
from memorist.bench.peers.known import PEERS, Peer, peers_named
from memorist.bench.peers.process import PATIENCE, Process
from memorist.bench.peers.system import PeerSystem, open_peer
from memorist.bench.records import Journal
from memorist.bench.report import document, show
from memorist.bench.run import Plan, open_system, run
from memorist.bench.suite import Corpus, Item, Source
from memorist.bench.suites.pairs import KEY_VALUE
from memorist.bench.system import CannotRun
from memorist.errors import InputError
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits

QUIET = Console(quiet=True)
BATCH = 64

TINY = """
import os, socket, sys, time
from adapters.serve import serve

class Nearest:
    # cosine, in memory alone
    def __init__(self, folder, embed):
        self.embed, self.of = embed, {}
        print("chatter of a library")
    def add(self, owner, items):
        texts = [text for _, text in items]
        self.of.setdefault(owner, []).extend(zip(items, self.embed(texts)))
    def settle(self):
        pass
    def search(self, owner, question, k):
        [vector] = self.embed([question])
        ranked = sorted(self.of.get(owner, []), key=lambda one: -float(one[1] @ vector))
        return [item for item, _ in ranked[:k]]

serve("tiny", "numpy", CLASS, durable=False)
"""

BROKEN = {
    "dies": ("import nosuchlibrary", "No module named 'nosuchlibrary'"),
    "exits": ("import sys; sys.exit('out of luck')", "out of luck"),
    "babbles": ("print('hello')", "not JSON"),
    "lists": ("print('[1]')", r"\[1\]"),
    "hangs": ("import time; time.sleep(60)", "no answer to start"),
    "forgets": (TINY.replace("CLASS", "None"), "open: TypeError"),
    "fails to add": (TINY.replace("pass", "1 / 0").replace("CLASS", "Nearest"), "settle: ZeroDivisionError"),
    "fails to find": (TINY.replace("return [item", "return 1 / 0; [item").replace("CLASS", "Nearest"), "search: Zero"),
    "hangs late": (TINY.replace("return [item", "time.sleep(60); [item").replace("CLASS", "Nearest"), "to search in 2"),
    "leaves": (TINY.replace("return [item", "os._exit(3); [item").replace("CLASS", "Nearest"), "ended during search"),
    "phones": (
        TINY.replace("pass", "socket.create_connection(('192.0.2.1', 80))").replace("CLASS", "Nearest"),
        "may not connect to 192.0.2.1",
    ),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORIST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def script(tmp_path):
    def made(source):
        path = tmp_path / "peer.py"
        path.write_text(source)
        return [sys.executable, str(path)]

    return made


TINY_PEER = TINY.replace("CLASS", "Nearest")
PAIRS = [["aa11-bb", "first value"], ["cc22-dd", "second value"], ["ee33-ff", "third value"]]


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "pairs.jsonl"
    records = [{"ordered_kv_records": PAIRS, "key": key, "value": value} for key, value in PAIRS]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return Plan([(KEY_VALUE, Source((path,)))], ["tiny", "lexical"], embedder="static")


def making(command, name, folder, embedder, patience=PATIENCE):
    if name == "lexical":
        return open_system(name, folder, embedder, None)
    return PeerSystem(name, command, folder, embedder, patience)


def quality(measured):
    return [row for row in measured.rows if row.metric.startswith("hit@")]


class TestRun:
    def test_a_peer_has_the_rows_of_a_recipe(self, plan, script):
        plan = replace(plan, make=partial(making, script(TINY_PEER)))
        (measured,) = run(plan, Journal(None), QUIET)
        by_system = {name: {row.metric for row in measured.rows if row.recipe == name} for name in ("tiny", "lexical")}
        assert by_system["tiny"] == by_system["lexical"] >= {"hit@1", "tokens", "search_ms_p50", "add_seconds"}
        assert not measured.failed
        assert {record.invalid for record in measured.records} == {None}
        assert quality(run(replace(plan, workers=2), Journal(None), QUIET)[0]) == quality(measured)

    @pytest.mark.parametrize("how", BROKEN)
    def test_a_broken_peer_is_a_row_with_its_reason(self, plan, script, how, tmp_path):
        source, reason = BROKEN[how]
        patience = {**PATIENCE, "start": 2, "search": 2} if "hangs" in how else PATIENCE
        plan = replace(plan, make=partial(making, script(source), patience=patience))
        (measured,) = run(plan, Journal(None), QUIET)
        assert [row.metric for row in measured.rows if row.recipe == "tiny"] == ["failed"]
        assert any(row.metric == "hit@1" for row in measured.rows if row.recipe == "lexical")
        with pytest.raises(CannotRun, match=reason):
            raise CannotRun(measured.failed["tiny"])
        with (tmp_path / "told").open("w") as file:
            told = Console(record=True, width=200, file=file)
            show([measured], told)
        assert "did not run" in told.export_text(clear=False)
        assert measured.failed["tiny"][:40] in told.export_text()
        found = json.loads(json.dumps(document([measured], plan)))
        assert found["suites"]["keyvalue"]["failed"] == measured.failed
        assert "tiny did not run" in page(found)

    def test_one_that_breaks_in_a_worker(self, plan, script):
        plan = replace(plan, workers=2, make=partial(making, script(BROKEN["leaves"][0])))
        (measured,) = run(plan, Journal(None), QUIET)
        assert "ended during search" in measured.failed["tiny"]
        assert quality(measured)


ITEMS = tuple(Item(f"k{n}", f"number {n} " + "word " * n, speaker="Ana") for n in range(30))


class TestSystem:
    @pytest.fixture
    def system(self, script, tmp_path):
        with closing(PeerSystem("tiny", script(TINY_PEER), tmp_path / "peer", "static")) as system:
            system.add([Corpus("ana", ITEMS), Corpus("bo", ITEMS[:1])], lambda done: None)
            yield system

    @pytest.mark.parametrize("budget", [40, 100, 333])
    def test_the_context_is_cut_as_a_recipe_s_is(self, system, budget):
        found = system.search("ana", "number", Limits(None, budget), None)
        (tokens,) = count_tokens([found.context])
        assert budget - 35 < tokens <= budget
        assert all("Ana: " + one.text.strip() in found.context for one in found.returned)
        assert len(system.search("ana", "number", Limits(3, None), None).returned) == 3

    def test_owners_are_apart(self, system):
        assert {key for one in system.search("bo", "number", Limits(9, None), None).returned for key in one.keys} == {
            "k0"
        }
        assert system.search("nobody", "number", Limits(9, None), None).returned == ()

    def test_it_is_given_what_ours_index_and_shows_the_words_alone(self, script, tmp_path):
        spy = TINY_PEER.replace("texts = [", "open('seen', 'a').write(repr(items)); texts = [")
        with closing(PeerSystem("spy", script(spy), tmp_path / "peer", "static")) as system:
            system.add([Corpus("ana", ITEMS[1:2])], lambda done: None)
            found = system.search("ana", "number", Limits(1, None), None)
            (seen,) = (tmp_path / "peer").rglob("seen")
            assert "[1 January 2025] Ana: number 1 word" in seen.read_text()
            assert found.returned[0].text == ITEMS[1].text
            assert found.hits[0].why["cosine"] != 0

    def test_what_a_peer_makes_up_is_shown_to_the_audit(self, script, tmp_path):
        liar = TINY_PEER.replace("return [item for", "return [(item[0], 'made up') for")
        with closing(PeerSystem("liar", script(liar), tmp_path / "peer", "static")) as system:
            system.add([Corpus("ana", ITEMS)], lambda done: None)
            found = system.search("ana", "number", Limits(1, None), None)
            assert found.returned[0].text == "made up"
            assert "made up" in found.context

    def test_it_is_reopened_with_what_it_was_told(self, system, script, tmp_path):
        first = system.search("ana", "word", Limits(5, None), None)
        with closing(PeerSystem("tiny", script(TINY_PEER), tmp_path / "peer", "static")) as again:
            assert again.search("ana", "word", Limits(5, None), None).returned == first.returned


class TestProcess:
    def test_waiting_for_vectors_is_not_its_time(self, script, tmp_path):
        import time

        import numpy as np

        def slow(texts):
            time.sleep(0.3)
            return np.ones((len(texts), 4), np.float32)

        with closing(Process("tiny", script(TINY_PEER), tmp_path, slow)) as process:
            process.call("open", folder=str(tmp_path))
            reply = process.call("add", owner="ana", items=[["k", "text"]])
        assert reply.seconds < 0.2
        assert reply.peak > 10_000_000

    def test_no_key_reaches_it(self, script, tmp_path, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        telling = TINY_PEER.replace("pass", "raise ValueError(sorted(os.environ))")
        with closing(Process("tiny", script(telling), tmp_path, lambda texts: None)) as process:
            process.call("open", folder=str(tmp_path))
            with pytest.raises(CannotRun) as failure:
                process.call("settle")
        assert "HF_HUB_OFFLINE" in str(failure.value)
        assert "OPENAI" not in str(failure.value)


class TestInstalling:
    def test_what_is_not_there_says_how_to_get_it(self, tmp_path):
        for peer in PEERS.values():
            assert version_of(peer) is None
            assert peer.missing or f"memorist bench peers install {peer.name}" in str(why_not(peer))
        with pytest.raises(CannotRun, match="peers install chroma"):
            open_peer("peer:chroma", tmp_path, "static")

    def test_names(self):
        assert [peer.name for peer in peers_named("chroma, bm25s,chroma")] == ["chroma", "bm25s"]
        assert len(peers_named("all")) == len(PEERS)
        assert peers_named(None) == []
        with pytest.raises(InputError, match="there is no peer 'nosuch'; choose one of bm25s"):
            peers_named("nosuch")

    def test_refusals(self):
        with pytest.raises(InputError, match="cannot be installed: broken"):
            install(Peer("x", "", missing="broken"), print)
        with pytest.raises(InputError, match="none was found"):
            install(Peer("x", "", ("y",), probe="raise SystemExit(1)"), print)

    def test_an_environment(self, tmp_path):
        source = tmp_path / "tinypeer"
        source.mkdir()
        (source / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbackend-path = ["."]\nbuild-backend = "backend"\n'
        )
        (source / "backend.py").write_text(BACKEND)
        peer = Peer("tinypeer", "", (), alone=(str(source),))
        with pytest.raises(InputError, match="could not be installed"):
            install(replace(peer, alone=(str(tmp_path / "nosuch"),)), print)
        assert version_of(peer) is None
        said = []
        named = replace(peer, alone=(f"tinypeer @ {source.as_uri()}",))
        assert install(named, said.append) == "1.5"
        assert version_of(named) == "1.5"
        assert python_of(named).exists()
        assert version_of(replace(named, alone=("tinypeer==2",))) is None
        assert len(said) == 1


BACKEND = """
import zipfile
WHEEL = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tinypeer-1.5-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("tinypeer.py", "")
        wheel.writestr("tinypeer-1.5.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tinypeer\\nVersion: 1.5\\n")
        wheel.writestr("tinypeer-1.5.dist-info/WHEEL", WHEEL)
        wheel.writestr("tinypeer-1.5.dist-info/RECORD", "")
    return name
"""


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.missing is None])
def test_the_real_ones(name, tmp_path, monkeypatch):
    """Each peer that is installed on this machine remembers, keeps owners apart, and is the same when reopened."""
    monkeypatch.delenv("MEMORIST_CACHE")
    peer = PEERS[name]
    if version_of(peer) is None:
        pytest.skip(f"{name} is not installed; run: memorist bench peers install {name}")
    items = (
        Item("cat", "The cat sleeps on the warm roof."),
        Item("ship", "A ship left the harbour at dawn."),
        Item("bread", "She bakes bread every Sunday."),
    )
    with closing(open_peer(peer.system, tmp_path, "minilm")) as system:
        added = system.add([Corpus("a.na/1", items), Corpus("bo", items[:1])], lambda done: None)
        first = system.search("a.na/1", "When did the ship leave the harbour?", Limits(2, None), None)
        assert first.returned[0].keys == ("ship",)
        assert first.returned[0].text == items[1].text
        only = system.search("bo", "ship harbour cat", Limits(2, None), None)
        assert [one.keys for one in only.returned] == [("cat",)]
        assert added.seconds > 0
    with closing(open_peer(peer.system, tmp_path, "minilm")) as again:
        found = again.search("a.na/1", "When did the ship leave the harbour?", Limits(2, None), None)
        assert found.returned == first.returned
