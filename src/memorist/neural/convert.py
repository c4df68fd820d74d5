"""A GGUF file as a folder in Hugging Face's layout: config.json, model.safetensors, tokenizer.json.

Two families are known, those of SmolLM2 (llama) and Gemma 3; the names and conventions below are what their networks
in transformers expect. Weights are float32, so that they can be trained and nothing is lost after the quantisation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.errors import InputError
from memorist.neural.gguf import Gguf, open_gguf
from memorist.neural.tokenizer import tokenizer_config, tokenizer_of

Array = npt.NDArray[np.float32]
LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
SHARED = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
}
GEMMA_LOCAL_THETA = 10_000.0
GEMMA_PATTERN = 6  # every sixth layer attends to everything, the others to a window


@dataclass(frozen=True, slots=True)
class Family:
    """How one architecture's file becomes the network that transformers has for it."""

    config: Callable[[Gguf], dict[str, Any]]
    names: Mapping[str, str]
    value: Callable[[Gguf, str, Array], Array]


def convert(source: Path, folder: Path) -> None:
    """Write the model of a GGUF file into a folder. Raises InputError for a family that is not known."""
    from safetensors.numpy import save_file

    gguf = open_gguf(source)
    architecture = gguf.field("general.architecture")
    if architecture not in FAMILIES:
        raise InputError(f"{source} is a {architecture!r} model; as torch weights we read {', '.join(FAMILIES)}")
    family = FAMILIES[architecture]
    weights = {renamed(name, family.names, source): family.value(gguf, name, value) for name, value in gguf.weights()}
    config = {**common_config(gguf), **family.config(gguf), "tie_word_embeddings": "lm_head.weight" not in weights}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    tokenizer_of(gguf).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(gguf), indent=1), encoding="utf-8")


def renamed(name: str, layers: Mapping[str, str], source: Path) -> str:
    """The tensor's name in transformers."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    found = LAYER.fullmatch(name)
    if not found or found[2] not in layers:
        raise InputError(f"{source} has a tensor {name!r} that its architecture should not have")
    return f"model.layers.{found[1]}.{layers[found[2]]}.{found[3]}"


def common_config(gguf: Gguf) -> dict[str, Any]:
    """What both families say in the same words."""
    kind = gguf.field("general.architecture")
    width, heads = gguf.field(f"{kind}.embedding_length"), gguf.field(f"{kind}.attention.head_count")
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": gguf.fields.get(f"{kind}.attention.head_count_kv", heads),
        "head_dim": gguf.fields.get(f"{kind}.attention.key_length", width // heads),
        "num_hidden_layers": gguf.field(f"{kind}.block_count"),
        "intermediate_size": gguf.field(f"{kind}.feed_forward_length"),
        "max_position_embeddings": gguf.field(f"{kind}.context_length"),
        "rms_norm_eps": gguf.field(f"{kind}.attention.layer_norm_rms_epsilon"),
        "vocab_size": len(gguf.field("tokenizer.ggml.tokens")),
        "bos_token_id": gguf.fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": gguf.fields.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": gguf.fields.get("tokenizer.ggml.padding_token_id"),
        "dtype": "float32",
    }


def llama_config(gguf: Gguf) -> dict[str, Any]:
    """SmolLM2 and its kin; a file whose positions are scaled is refused, since the scaling would be lost."""
    if any(".rope.scaling." in name for name in gguf.fields):
        raise InputError(f"{gguf.path} scales its positions (rope.scaling), which is not read here")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "rope_parameters": {"rope_type": "default", "rope_theta": gguf.field("llama.rope.freq_base")},
    }


def llama_value(gguf: Gguf, name: str, value: Array) -> Array:
    """Queries and keys back from llama.cpp's order, where the two halves of a rotated pair stand side by side."""
    if ".attn_q." in name or ".attn_k." in name:
        config = common_config(gguf)
        heads = config["num_attention_heads" if ".attn_q." in name else "num_key_value_heads"]
        paired = value.reshape(heads, value.shape[0] // heads // 2, 2, *value.shape[1:])
        return np.ascontiguousarray(paired.swapaxes(1, 2)).reshape(value.shape)
    return value


def gemma_config(gguf: Gguf) -> dict[str, Any]:
    """Gemma 3's text model."""
    layers = range(1, gguf.field("gemma3.block_count") + 1)
    kinds = ["sliding_attention" if layer % GEMMA_PATTERN else "full_attention" for layer in layers]
    local = {"rope_type": "default", "rope_theta": GEMMA_LOCAL_THETA}
    everywhere = {"rope_type": "default", "rope_theta": gguf.field("gemma3.rope.freq_base")}
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": gguf.field("gemma3.attention.key_length"),
        "sliding_window": gguf.field("gemma3.attention.sliding_window"),
        "layer_types": kinds,
        "rope_parameters": {"sliding_attention": local, "full_attention": everywhere},
    }


def gemma_value(gguf: Gguf, name: str, value: Array) -> Array:
    """Norms count from one in transformers, from zero in the file."""
    return value - 1 if name.endswith("norm.weight") else value


FAMILIES: Mapping[str, Family] = {
    "llama": Family(llama_config, {**SHARED, "ffn_norm": "post_attention_layernorm"}, llama_value),
    "gemma3": Family(
        gemma_config,
        {
            **SHARED,
            "attn_q_norm": "self_attn.q_norm",
            "attn_k_norm": "self_attn.k_norm",
            "post_attention_norm": "post_attention_layernorm",
            "ffn_norm": "pre_feedforward_layernorm",
            "post_ffw_norm": "post_feedforward_layernorm",
        },
        gemma_value,
    ),
}
