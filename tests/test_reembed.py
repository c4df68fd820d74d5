"""Changing the embedder of a store that is in use."""

import asyncio
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from memorist import Memory
from memorist.aio import AsyncMemory
from memorist.cli import main
from memorist.errors import EmbedderMismatch, StateError
from memorist.models.embedder import Identity
from memorist.models.minilm import MiniLM
from memorist.testing.embedder import HashEmbedder

SAID = [
    f"On day {n} we talked about {what}." for n, what in enumerate(("kites", "soup", "taxes", "Lisbon", "keys") * 4)
]


class Other:
    """Vectors of another name and size: those of spelling, turned."""

    identity = Identity("turned", 32, "1" * 64)

    def embed(self, texts):
        vectors = HashEmbedder().embed(texts)[:, :32] + 1e-3
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Gated(Other):
    """Waits in its second batch until it may go on."""

    def __init__(self):
        self.begun, self.go, self.batches = threading.Event(), threading.Event(), 0

    def embed(self, texts):
        self.batches += 1
        if self.batches == 2:
            self.begun.set()
            assert self.go.wait(60)
        return super().embed(texts)


def filled(path, embedder, said=SAID):
    memory = Memory.open(path, embedder=embedder)
    memory.scope(user="ana").add([{"role": "user", "content": text} for text in said], at="2025-01-01")
    return memory


def found(memory, question="When did we talk about the keys?"):
    return [(hit.text, round(hit.score, 5)) for hit in memory.scope(user="ana").search(question, k=8)]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("memorist.lifecycle.reembed.BATCH", 4)


def test_it_is_as_if_it_had_always_been_so(tmp_path):
    told = []
    with filled(tmp_path / "old.db", HashEmbedder()) as memory, filled(tmp_path / "new.db", Other()) as new:
        before = found(memory)
        assert memory.reembed(Other(), progress=lambda *far: told.append(far)) == len(SAID)
        assert found(memory) == found(new) != before
        assert told[0] == (0, len(SAID)) and told[-1] == (len(SAID), len(SAID))
        assert memory.verify().ok
        with pytest.raises(StateError, match="already"):
            memory.reembed(Other())
    with Memory.open(tmp_path / "old.db", embedder=Other()) as memory:
        assert found(memory)
    with pytest.raises(EmbedderMismatch, match="memorist reembed"):
        Memory.open(tmp_path / "old.db", embedder=HashEmbedder())


def test_both_are_usable_meanwhile_and_what_is_added_is_caught_up(tmp_path, small_batches):
    gated = Gated()
    with filled(tmp_path / "m.db", HashEmbedder()) as memory:
        before = found(memory)
        work = threading.Thread(target=memory.reembed, args=(gated,))
        work.start()
        assert gated.begun.wait(60)
        ana = memory.scope(user="ana")
        assert found(memory) == before
        receipt = ana.add("The keys moved to the blue drawer.", at="2025-02-01")
        assert receipt.state == "indexed"
        assert ana.search("Where are the keys now?", k=1)[0].text.startswith("The keys moved")
        ana.erase(ana.list(limit=30)[-1].id)
        ana.update(ana.list(limit=30)[-1].id, text="We talked about storms instead.")
        memory.backup(tmp_path / "half.db")
        assert memory.export(tmp_path / "half.jsonl") > 0
        going = memory.reembedding()
        assert going.identity == gated.identity and 0 < going.done < going.total
        assert memory.verify().ok
        with pytest.raises(StateError, match="turned"):
            memory.reembed(MiniLM())
        gated.go.set()
        work.join(60)
        after = found(memory)
        assert memory.verify().ok and memory.reembedding() is None
    with Memory.open(tmp_path / "m.db", embedder=Other()) as memory:
        assert found(memory) == after
        again = Memory.load(tmp_path / "half.jsonl", tmp_path / "again.db", embedder=Other())
        assert {text for text, _ in found(again)} == {text for text, _ in after}
        again.close()
    with Memory.open(tmp_path / "half.db", embedder=HashEmbedder()) as half:
        assert half.reembedding().done > 0
        made = half.reembed(Other())
        assert 0 < made < len(SAID) + 2 and half.verify().ok


def test_one_with_the_old_embedder_is_told(tmp_path):
    with (
        filled(tmp_path / "m.db", HashEmbedder()) as memory,
        Memory.open(tmp_path / "m.db", embedder=HashEmbedder()) as old,
    ):
        before = found(old)
        memory.reembed(Other())
        ana = old.scope(user="ana")
        with pytest.raises(EmbedderMismatch, match="re-embedded with turned"):
            ana.search("keys")
        receipt = ana.add("The last word was mine.")
        assert receipt.state == "stored" and "turned" in receipt.problem
        assert memory.scope(user="ana").search("Whose was the last word?", k=1)[0].text == "The last word was mine."
        assert before and memory.verify().ok


def test_one_of_ours_goes_over_by_itself(tmp_path):
    with (
        filled(tmp_path / "m.db", HashEmbedder()) as memory,
        Memory.open(tmp_path / "m.db", embedder=HashEmbedder()) as old,
    ):
        assert found(old)
        memory.reembed("minilm")
        assert found(old) == found(memory)
        assert old.scope(user="ana").add("And on it goes.").state == "indexed"


def test_a_switch_in_the_middle_of_a_search_begins_it_anew(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with filled(path, HashEmbedder()) as memory, Memory.open(path, embedder=HashEmbedder()) as other:
        question = "When did we talk about the keys?"
        switched = []

        class Slow(HashEmbedder):
            def embed(self, texts):
                if question in list(texts) and not switched:
                    switched.append(other.reembed("minilm"))
                return super().embed(texts)

        memory._embedder = Slow()
        assert found(memory, question) == found(other, question)
        assert switched == [len(SAID)]


def test_many_threads_add_and_search_through_the_switch(tmp_path, small_batches):
    with filled(tmp_path / "m.db", HashEmbedder()) as memory:
        errors, stop = [], threading.Event()

        def busy(number):
            ana, turn = memory.scope(user="ana"), 0
            while not stop.is_set() and turn < 40:
                turn += 1
                try:
                    assert ana.add(f"Voice {number} said word {turn}.").problem in (
                        None,
                        "another process is indexing it",
                    )
                    assert ana.search("Who said a word?", k=2)
                except BaseException as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=busy, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        memory.reembed(Other())
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == []
        memory.scope(user="ana").search("x")
        assert memory.verify().ok
        vectors = (
            memory._store._database.connection().execute("SELECT DISTINCT length(vector) FROM features").fetchall()
        )
        assert set(vectors) - {(None,)} == {(64,)}


WORKER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_reembed import Other
from memorist import Memory
from memorist.lifecycle import reembed
from memorist.testing.embedder import HashEmbedder
reembed.BATCH = 2
class Slow(Other):
    def embed(self, texts):
        time.sleep(0.05)
        return super().embed(texts)
with Memory.open(sys.argv[1], embedder=HashEmbedder()) as memory:
    memory.reembed(Slow(), progress=lambda done, total: print(done, flush=True))
"""


def test_killed_it_goes_on_where_it_was(tmp_path):
    filled(tmp_path / "m.db", HashEmbedder()).close()
    here = str(__import__("pathlib").Path(__file__).parent)
    run = subprocess.Popen([sys.executable, "-c", WORKER, tmp_path / "m.db", here], stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if int(line) >= 6:
            run.send_signal(signal.SIGKILL)
            break
    run.wait()
    run.stdout.close()
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder()) as memory:
        assert found(memory) and memory.verify().ok
        assert memory.reembedding().done >= 6
        assert 0 < memory.reembed(Other()) <= len(SAID) - 6
        assert memory.verify().ok and found(memory)


def test_a_cancel_ends_the_work(tmp_path, small_batches):
    gated = Gated()
    with filled(tmp_path / "m.db", HashEmbedder()) as memory:
        before, ended = found(memory), []

        def work():
            with pytest.raises(StateError, match="cancelled"):
                memory.reembed(gated)
            ended.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        assert gated.begun.wait(60)
        assert memory.cancel_reembedding()
        gated.go.set()
        thread.join(60)
        assert ended and found(memory) == before and memory.verify().ok


def test_it_is_there_for_asyncio(tmp_path):
    filled(tmp_path / "m.db", HashEmbedder()).close()

    async def run():
        memory = await AsyncMemory.open(tmp_path / "m.db", embedder=HashEmbedder())
        assert await memory.reembed(Other()) == len(SAID)
        assert await memory.reembedding() is None
        assert not await memory.cancel_reembedding()
        await memory.close()

    asyncio.run(run())


def test_the_command(tmp_path, capsys):
    path = tmp_path / "m.db"
    filled(path, HashEmbedder()).close()
    assert main(["reembed", "--store", str(path)]) == 2
    assert main(["reembed", "--store", str(tmp_path / "none.db"), "--status"]) == 4
    assert main(["reembed", "--store", str(path), "--status"]) == 0
    assert main(["reembed", "--store", str(path), "--embedder", "minilm"]) == 0
    assert main(["reembed", "--store", str(path), "--cancel", "--json"]) == 0
    said = capsys.readouterr().out
    assert "Nothing is going on." in said and "minilm" in said and '"cancelled": false' in said
    with Memory.open(path) as memory:
        assert found(memory)[0][0].endswith("keys.")
