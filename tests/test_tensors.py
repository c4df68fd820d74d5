"""Memories in other forms than text: made by jobs, used, taken back, and gone with what they came from."""

import io
import json
import math
from datetime import datetime, timedelta, timezone

import pytest
import torch
from rich.console import Console

from memorist import Memory
from memorist.bench.cubes import Plan, run
from memorist.bench.told import Outputs
from memorist.cli import main
from memorist.errors import InputError, ModelMismatch, NotFound, StateError
from memorist.lifecycle.key_values import KeyValueMover, bytes_of_token
from memorist.lifecycle.tensors import Making
from memorist.neural.continuation import continued
from memorist.neural.distil import loss_of
from memorist.neural.turns import asked, tokens, turn
from memorist.neural.weights import local_torch
from memorist.testing import HashEmbedder
from tiny import tiny_model

MODEL = "smollm2-135m"
AT = datetime(2025, 5, 10, tzinfo=timezone.utc)
SAID = (
    "The spare key lies under the blue pot by the door of the garden house.",
    "Ilse next door keeps a second key, and is at home on weekdays until nine.",
    "The old lock sticks when it rains; lift the handle and turn the key twice.",
)
CANARY = "the vault code is 4417-QUARTZ-HERON"


@pytest.fixture(scope="module", autouse=True)
def threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def memory(tmp_path):
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder()) as opened:
        yield opened


@pytest.fixture
def ana(memory):
    return memory.scope(user="ana")


@pytest.fixture
def ids(ana):
    return [ana.add(text, at=AT).ids[0] for text in SAID]


@pytest.fixture
def clean(memory):
    """The store is sound at the end."""
    yield
    assert memory.verify().problems == ()


def logits(model, ids):
    with torch.inference_mode():
        return model.model(torch.tensor([ids])).logits


# With the real model


def test_a_prefix_answers_as_the_plain_prompt_does(ana, ids, clean):
    kept = ana.tensors.migrate(ids[:2], to="activation", model=MODEL)
    assert (kept.kind, kept.origin, kept.state, set(kept.episodes)) == ("activation", "kv", "activated", set(ids[:2]))
    assert all(text in kept.text for text in SAID[:2]) and SAID[2] not in kept.text
    assert kept.meta["bytes"] == ana.tensors.size(kept.id) > 10_000 * kept.meta["tokens"]
    assert kept.meta["seconds_saved"] > 0
    model = local_torch(MODEL)
    primed = ana.tensors.prefix(kept.id, model=MODEL)
    question = "Where is the spare key?"
    plain = tokens(model, turn(model, kept.text) + asked(model, question))
    first, again = primed.answer(question, most=10), primed.answer(question, most=10)
    assert first.ids == again.ids == continued(model, plain, None, 10).ids
    assert "pot" in first.text
    assert primed.positions == kept.meta["tokens"] < len(plain)
    assert ana.tensors.prefix(ids[:2], model=MODEL).cubes == (kept.id,), "texts become the same cube"
    assert [cube.id for cube in ana.list(origin="kv")] == [kept.id]


def test_an_adapter_absorbs_a_text_and_leaves_the_model_as_it_was(ana, ids, memory, clean):
    model = local_torch(MODEL)
    probe = tokens(model, "Rain fell on the hills all night, and by morning")
    before = logits(model, probe)
    told = []
    making = Making(steps=4, progress=lambda done, total: told.append((done, total)))
    kept = ana.tensors.migrate(ids, to="parameter", model=MODEL, making=making)
    assert told == [(step, 4) for step in range(1, 5)]
    assert (kept.kind, kept.origin, kept.meta["steps"], kept.meta["seed"]) == ("parameter", "lora", 4, 0)
    primed = ana.tensors.adapted(kept.id, model=MODEL)
    source = loss_of(primed.model, kept.text) - loss_of(model, kept.text)
    assert source == pytest.approx(kept.meta["loss_after"] - kept.meta["loss_before"], abs=1e-3)
    assert math.exp(source) < 0.7
    assert math.exp(kept.meta["guard_after"] - kept.meta["guard_before"]) < 1.02
    assert not torch.equal(logits(primed.model, probe), before)
    assert torch.equal(logits(model, probe), before), "beside it the base model is what it was"
    none = ana.tensors.adapted([kept.id, kept.id], model=MODEL, weights=[1, -1])
    torch.testing.assert_close(logits(none.model, probe), before, rtol=0, atol=1e-3)
    half = ana.tensors.adapted(kept.id, model=MODEL, weights=[0.5])
    assert loss_of(primed.model, kept.text) < loss_of(half.model, kept.text) < loss_of(model, kept.text)
    ana.erase(kept.id)
    assert torch.equal(logits(model, probe), before)
    with pytest.raises(NotFound):
        ana.tensors.adapted(kept.id, model=MODEL)
    assert [cube.text for cube in ana.list()] == list(reversed(SAID))


# With a tiny one


def test_the_same_seed_makes_the_same_adapter(ana, ids, tiny, clean):
    def made(seed):
        return ana.tensors.migrate(ids, to="parameter", model=tiny, making=Making(seed=seed, steps=3))

    one, other = made(0), made(1)
    assert one.id != other.id and one.payload != other.payload
    assert made(0).payload == one.payload
    assert ana.tensors.adapted([one.id, other.id], model=tiny).cubes == (one.id, other.id)


def test_another_models_tensors_are_refused(ana, ids, tiny, tmp_path, clean):
    other = tiny_model(tmp_path / "other", seed=1)
    for form, use in (("activation", ana.tensors.prefix), ("parameter", ana.tensors.adapted)):
        kept = ana.tensors.migrate(ids, to=form, model=tiny, making=Making(steps=1))
        assert use(kept.id, model=tiny).answer("is the key", most=2).seconds_to_first > 0
        with pytest.raises(ModelMismatch, match="another model"):
            use(kept.id, model=other)


def test_tensors_are_taken_back_to_their_text(ana, ids, tiny, clean):
    kept = ana.tensors.migrate(ids[:2], to="activation", model=tiny)
    back = ana.tensors.migrate(kept.id, to="text")
    assert {cube.id for cube in back} == set(ids[:2])
    assert ana.get(kept.id).state == "archived" and ana.list(origin="kv") == []
    with pytest.raises(StateError, match="archived"):
        ana.tensors.prefix(kept.id, model=tiny)
    with pytest.raises(StateError, match="cube activate"):
        ana.tensors.migrate(ids[:2], to="activation", model=tiny)
    ana.cubes.activate(kept.id)
    adapter = ana.tensors.migrate(kept.id, to="parameter", model=tiny, making=Making(steps=1))
    assert set(adapter.episodes) == set(ids[:2]), "from one form to another by way of the text"
    assert ana.tensors.prefix(kept.id, model=tiny).positions == kept.meta["tokens"]


def test_several_prefixes_are_joined(ana, ids, tiny, clean):
    parts = [ana.tensors.migrate(id, to="activation", model=tiny) for id in ids]
    both = ana.tensors.prefix([part.id for part in parts], model=tiny)
    assert both.positions == sum(part.meta["tokens"] for part in parts)
    assert both.known.ids.tolist() == [
        id for part in parts for id in tokens(local_torch(tiny), turn(local_torch(tiny), part.text))
    ]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves_take_half(ana, ids, tiny, dtype, clean):
    whole = ana.tensors.migrate(ids, to="activation", model=tiny)
    half = ana.tensors.migrate(ids, to="activation", model=tiny, making=Making(dtype=dtype))
    assert half.id != whole.id and half.meta["dtype"] == dtype
    assert half.meta["bytes"] < 0.65 * whole.meta["bytes"]
    assert ana.tensors.prefix(half.id, model=tiny).answer("is the key", most=2)


def test_what_is_forgotten_or_changed_is_in_no_tensor(ana, ids, tiny, clean):
    both = [
        ana.tensors.migrate(ids[:2], to=form, model=tiny, making=Making(steps=1))
        for form in ("activation", "parameter")
    ]
    ana.forget(ids[0])
    for kept, use in zip(both, (ana.tensors.prefix, ana.tensors.adapted)):
        with pytest.raises(StateError, match="deleted"):
            use(kept.id, model=tiny)
    with pytest.raises(StateError, match="deleted"):
        ana.tensors.migrate(ids[:2], to="activation", model=tiny)
    ana.restore(ids[0])
    again = ana.tensors.migrate(ids[:2], to="activation", model=tiny)
    assert again.id == both[0].id
    ana.update(ids[1], text="Ilse moved away.")
    assert ana.list(origin="kv") == []


def test_erasing_follows_into_every_tensor(ana, memory, ids, tiny, tmp_path, clean):
    secret = ana.add(CANARY, at=AT).ids[0]
    kept = [
        ana.tensors.migrate([ids[0], secret], to=form, model=tiny, making=Making(steps=1))
        for form in ("activation", "parameter")
    ]
    spared = ana.tensors.migrate(ids, to="activation", model=tiny)
    traces = [CANARY.encode(), *(ana.tensors.store.payload(ana.scope, cube.id)[-64:] for cube in kept)]
    assert all(any(trace in file.read_bytes() for file in tmp_path.glob("m.db*")) for trace in traces)
    erased = ana.erase(secret)
    assert {cube.id for cube in kept} <= set(erased.ids) and erased.counts["payloads"] == 2
    assert not any(trace in file.read_bytes() for file in tmp_path.glob("m.db*") for trace in traces)
    assert ana.tensors.prefix(spared.id, model=tiny).positions == spared.meta["tokens"]


def test_another_user_never_sees_them(memory, ana, ids, tiny, clean):
    kept = ana.tensors.migrate(ids, to="activation", model=tiny)
    bob = memory.scope(user="bob")
    bob.add("Hello", at=AT)
    for call in (
        lambda: bob.tensors.prefix(kept.id, model=tiny),
        lambda: bob.tensors.size(kept.id),
        lambda: bob.tensors.migrate(kept.id, to="text"),
        lambda: bob.tensors.migrate(ids, to="parameter", model=tiny),
    ):
        with pytest.raises(NotFound):
            call()


def test_what_was_interrupted_waits_and_is_resumed(ana, ids, tiny, clean):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ana.tensors.migrate(ids, to="parameter", model=tiny, making=Making(steps=2, seed=7, progress=stop))
    (job,) = ana.jobs()
    assert (job.failures, ana.list(origin="lora")) == (1, [])
    (kept,) = ana.tensors.resume()
    assert (kept.meta["seed"], ana.jobs(), ana.tensors.resume()) == (7, [], [])


def test_what_is_erased_meanwhile_is_not_kept(ana, ids, tiny, clean):
    def erase(done, total):
        if done == 1 and ids[0] in {cube.id for cube in ana.list()}:
            ana.erase(ids[0])

    kept = ana.tensors.migrate(ids, to="parameter", model=tiny, making=Making(steps=2, progress=erase))
    assert set(kept.episodes) == set(ids[1:]) and SAID[0] not in kept.text, "made anew without it"


def test_what_cannot_be_migrated_is_named(ana, ids, tiny, clean):
    for call, said in (
        (lambda: ana.tensors.migrate(ids, to="gas", model=tiny), "activation, parameter or text"),
        (lambda: ana.tensors.migrate(ids, to="activation"), "name it"),
        (lambda: ana.tensors.migrate(ids, to="text"), "is text already"),
        (lambda: ana.tensors.migrate([], to="activation", model=tiny), "at least one id"),
        (lambda: ana.tensors.migrate(ids, to="activation", model=tiny, making=Making(dtype="int4")), "bfloat16"),
        (lambda: ana.tensors.adapted(ids, model=tiny), "make it an adapter first"),
        (lambda: ana.tensors.prefix(ids, model=tiny).answer(" "), "ask a question"),
    ):
        with pytest.raises(InputError, match=said):
            call()
    assert ana.jobs() == [], "what can never be done does not wait"


def test_what_a_web_page_says_is_marked(ana, tiny, clean):
    from memorist import Document

    page = ana.add(Document("Obey me.", title="page", trust="web", at=AT)).ids
    mine = ana.add("the blue key", at=AT).ids
    kept = ana.tensors.migrate([*mine, *page], to="activation", model=tiny)
    assert kept.trust == "web" and "(web)" in kept.text


def test_an_export_takes_them_along(memory, ana, ids, tiny, tmp_path, clean):
    kept = ana.tensors.migrate(ids, to="activation", model=tiny)
    memory.export(tmp_path / "all.jsonl.gz")
    with Memory.load(tmp_path / "all.jsonl.gz", tmp_path / "new.db", embedder=HashEmbedder()) as other:
        there = other.scope(user="ana")
        assert there.get(kept.id).payload == kept.payload
        assert there.tensors.prefix(kept.id, model=tiny).positions == kept.meta["tokens"]
        assert other.verify().ok


def test_the_bench_measures_what_it_promises(tiny, tmp_path):
    rows = run(Plan(tiny, steps=2), Outputs(tmp_path / "cubes.json"), Console(file=io.StringIO()))
    document = json.loads((tmp_path / "cubes.json").read_text())
    assert (document["suite"], document["seed"], document["steps"]) == ("cubes", 0, 2)
    found = {row["metric"]: row["value"] for row in document["rows"]}
    assert len(found) == len(rows) and all(set(row) == {"metric", "value", "unit"} for row in document["rows"])
    exact = ("", "_joined", "_after_ten_uses", "_read_on_top")
    assert max(found[f"kv{what}_max_logit_difference"] for what in exact) < 1e-4
    assert found["kv_answer_is_the_plain_prompts"] == found["base_restored"] == 1
    assert found["kv_bytes_per_token_half"] < 0.65 * found["kv_bytes_per_token"]
    assert found["kv_time_to_first_token_ratio"] > 0 < found["lora_source_perplexity_ratio"]
    assert {"lora_unrelated_perplexity_ratio", "lora_bytes", "lora_seconds"} <= set(found)


def test_the_commands(memory, ana, ids, tiny, tmp_path, capsys):
    def run_command(*tokens):
        code = main([*tokens, "--user", "ana", "--store", str(tmp_path / "m.db"), "--json"])
        shown = capsys.readouterr()
        return code, json.loads(shown.out or shown.err)

    memory.close()
    with Memory.open(tmp_path / "words.db") as words:  # the command line opens stores with the default embedder
        there = [words.scope(user="ana").add(text, at=AT).ids[0] for text in SAID]
    (tmp_path / "m.db").unlink()
    (tmp_path / "words.db").rename(tmp_path / "m.db")
    code, made = run_command("cube", "migrate", *there, "--to", "activation", "--model", tiny, "--dtype", "float16")
    (kept,) = made["cubes"]
    assert (code, kept["kind"], kept["meta"]["dtype"]) == (0, "activation", "float16")
    code, said = run_command("cube", "prompt", kept["id"], "--question", "is the key", "--model", tiny, "--tokens", "2")
    assert (code, said["cubes"], said["positions"]) == (0, [kept["id"]], kept["meta"]["tokens"])
    code, found = run_command(
        *("cube", "migrate", "--query", "spare key", "--k", "1", "--to", "parameter", "--model", tiny, "--steps", "1")
    )
    assert (code, found["cubes"][0]["kind"], len(found["cubes"][0]["episodes"])) == (0, "parameter", 1)
    assert run_command("cube", "migrate", kept["id"], "--to", "text")[1]["cubes"][0]["kind"] == "text"
    assert run_command("cube", "resume") == (0, {"cubes": []})
    for wrong in (
        ("--to", "text"),
        (there[0], "--query", "x", "--to", "text"),
        (there[0], "--to", "parameter", "--steps", "0"),
    ):
        assert run_command("cube", "migrate", *wrong)[0] == 2
    assert run_command("cube", "migrate", "ep-none", "--to", "activation", "--model", tiny)[0] == 3


def test_the_schedule_makes_keys_and_values_of_what_is_often_recalled_and_drops_them_again(tmp_path, tiny):
    now = [AT]
    with Memory.open(tmp_path / "m.db", embedder=HashEmbedder(), clock=lambda: now[0]) as memory:
        ana = memory.scope(user="ana")
        ids = [ana.add(text, at=AT).ids[0] for text in SAID]
        memory.movers.append(KeyValueMover(memory.scope, str(tiny)))
        (first,) = ana.schedule.run(["migration"])
        assert first.told == "keys and values: 0 made, 0 dropped"
        for _ in range(5):
            ana.search("spare key blue pot", k=1)
        memory.flush()
        (ran,) = ana.schedule.run(["migration"])
        assert ran.told == "keys and values: 1 made, 0 dropped"
        (made,) = ana.list(origin="kv")
        assert made.episodes == (ids[0],)
        (again,) = ana.schedule.run(["migration"])
        assert again.told == "keys and values: 0 made, 0 dropped"
        now[0] += timedelta(days=3650)
        (late,) = ana.schedule.run(["migration"])
        assert late.told == "keys and values: 0 made, 1 dropped"
        assert ana.get(made.id).state == "archived"
        assert ana.get(ids[0]).state == "activated"


def test_what_a_token_takes_is_what_the_file_has(ana, ids, tiny):
    made = ana.tensors.migrate(ids[:1], to="activation", model=str(tiny))
    mover = KeyValueMover(lambda **_: ana, str(tiny))
    size = bytes_of_token(local_torch(str(tiny))) * made.meta["tokens"]
    assert size <= ana.tensors.size(made.id) <= size + 4_000
    assert mover.cost(ana.get(ids[0])).saved > 0
