"""Language models in torch: the same as llama.cpp runs, loaded once, named by their hashes."""

import copy
import shutil
import struct
import threading

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from memorist.bench.weights import TEXTS, compare
from memorist.errors import InputError, ModelMissing
from memorist.models.weights import SMOLLM2, ready
from memorist.neural import weights
from memorist.neural.gguf import open_gguf
from memorist.neural.weights import local_torch


@pytest.fixture(scope="module")
def smollm():
    return local_torch("smollm2-135m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model in Hugging Face's layout."""
    place = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    sizes = dict(vocab_size=4, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=1, head_dim=4)).save_pretrained(place)
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2, "?": 3}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(place)
    return place


# What llama.cpp's own rounding makes is 0.008 nats on average (docs/results/weights.md); these bounds are two to
# three times what was measured.
@pytest.mark.parametrize("name", ["smollm2-135m", "gemma-3-270m"])
def test_next_tokens_differ_by_the_quantisation(name):
    found = compare(name, texts=TEXTS[2:4])
    assert found.tokens and found.places > 15
    assert found.divergence < 0.02 and found.divergence_most < 0.4, found
    assert found.distance < 0.08 and found.greedy > 0.85, found


def test_next_tokens_are_equal_when_nothing_is_quantised():
    found = compare("smollm2-135m", exact=True, texts=TEXTS[1:2])
    assert found.divergence < 1e-4 and found.distance < 0.005 and found.greedy == 1, found


def test_words_come_back_from_tokens(smollm):
    for text in TEXTS:
        assert smollm.tokenizer.decode(smollm.tokenizer(text).input_ids) == text


def test_it_chats(smollm):
    told = smollm.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Say yes."}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = smollm.model.generate(**told, max_new_tokens=4, do_sample=False)[0, told["input_ids"].shape[1] :]
    assert smollm.tokenizer.decode(said, skip_special_tokens=True).strip()


def test_a_cache_of_keys_and_values_changes_nothing(smollm):
    ids = smollm.tokenizer(TEXTS[0], return_tensors="pt").input_ids
    with torch.inference_mode():
        whole = smollm.model(ids).logits[:, -1]
        past = smollm.model(ids[:, :-3], use_cache=True).cache
        rest = smollm.model(ids[:, -3:], cache=past).logits[:, -1]
    torch.testing.assert_close(rest, whole, rtol=1e-3, atol=1e-3)


def test_it_is_loaded_once_and_frozen(smollm):
    found = []
    threads = [threading.Thread(target=lambda: found.append(local_torch("smollm2-135m"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one is smollm for one in found) and len(found) == 4
    assert not smollm.model.training
    assert not any(weight.requires_grad for weight in smollm.model.parameters())
    own = copy.deepcopy(smollm.model)
    own.model.norm.weight += 1
    assert not torch.equal(own.model.norm.weight, smollm.model.model.norm.weight)


def test_hashes_name_what_was_loaded(smollm, folder, tmp_path, monkeypatch):
    assert smollm.model_hash == SMOLLM2.sha256
    tiny = local_torch(folder)
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    same = local_torch(again)
    assert (same.model_hash, same.tokenizer_hash) == (tiny.model_hash, tiny.tokenizer_hash)
    tiny_weights = copy.deepcopy(tiny.model)
    tiny_weights.model.norm.weight += 1
    tiny_weights.save_pretrained(tmp_path / "other")
    shutil.copy(folder / "tokenizer.json", tmp_path / "other")
    other = local_torch(tmp_path / "other")
    assert other.model_hash != tiny.model_hash
    assert len({len(one.model_hash) for one in (tiny, other, smollm)}) == 1


def test_a_file_by_path_is_the_model_by_name(smollm, tmp_path):
    path = tmp_path / "mine.gguf"
    path.symlink_to(ready(SMOLLM2))
    assert local_torch(path).model_hash == smollm.model_hash


def broken(path, change):
    """The beginning of a real file, changed."""
    with ready(SMOLLM2).open("rb") as file:
        path.write_bytes(change(file.read(4_000)))
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: b"", "cannot be read as a GGUF file"),
        (lambda data: b"GGML" + data[4:], "begins with b'GGML'"),
        (lambda data: data[:4] + struct.pack("<I", 9) + data[8:], "version 9"),
        (lambda data: data, "cannot be read as a GGUF file"),
        (lambda data: data[:24] + struct.pack("<Q", 1 << 60) + data[32:], "cannot be read as a GGUF file"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, told):
    with pytest.raises(InputError, match=told):
        local_torch(broken(tmp_path / "m.gguf", change))


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither a packaged model"):
        local_torch("smollm3")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no weights in safetensors"):
        local_torch(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as a causal language model"):
        local_torch(tmp_path)


def test_another_architecture_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'wavenet'.*llama, gemma3"):
        local_torch(described(tmp_path, {"general.architecture": "wavenet"}))
    with pytest.raises(InputError, match="does not say its general"):
        local_torch(described(tmp_path, {}))


def described(folder, fields):
    """A GGUF file that has a description and nothing else."""
    path = folder / f"described-{len(fields)}.gguf"
    said = b"".join(
        struct.pack(f"<Q{len(key)}sIQ{len(value)}s", len(key), key.encode(), 8, len(value), value.encode())
        for key, value in fields.items()
    )
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) + said)
    return path


def test_the_header_is_what_the_library_reads():
    from gguf import GGUFReader

    ours, theirs = open_gguf(ready(SMOLLM2)), GGUFReader(ready(SMOLLM2))
    assert [(t.name, list(t.shape), t.offset) for t in ours.tensors] == [
        (t.name, t.shape.tolist()[::-1], t.data_offset) for t in theirs.tensors
    ]
    for name in ("llama.rope.freq_base", "tokenizer.ggml.pre", "tokenizer.ggml.add_bos_token"):
        assert ours.fields[name] == theirs.fields[name].contents()


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(weights, "NEEDED", ("torch", "not_a_package"))
    with pytest.raises(ModelMissing, match=r"not_a_package: pip install 'memorist\[neural\]'"):
        local_torch("smollm2-135m")


def test_a_conversion_that_stops_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    with pytest.raises(InputError):
        local_torch(described(tmp_path, {"general.architecture": "llama"}))
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
