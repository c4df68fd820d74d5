"""The tokenizer inside a GGUF file, as the tokenizers library has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memorist.errors import InputError
from memorist.neural.gguf import Gguf

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # kinds of pieces
SPACE = "▁"


def tokenizer_of(gguf: Gguf) -> Tokenizer:
    """Byte-level BPE (`gpt2`) or SentencePiece's BPE (`llama`). Raises InputError for another."""
    model = gguf.field("tokenizer.ggml.model")
    splits = gguf.fields.get("tokenizer.ggml.pre", "default")
    if model == "gpt2" and splits == "smollm":
        tokenizer = byte_level(gguf)
    elif model == "llama":
        tokenizer = sentence_piece(gguf)
    else:
        raise InputError(f"{gguf.path} has a tokenizer {model!r} with splits {splits!r}, which is not read here")
    add_marks(tokenizer, gguf)
    return tokenizer


def byte_level(gguf: Gguf) -> Tokenizer:
    """SmolLM2's: digits stand alone, the rest is split as GPT-2 splits it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    merges = [tuple(merge.split(" ")) for merge in gguf.field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocabulary(gguf), merges))
    digits, level = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentence_piece(gguf: Gguf) -> Tokenizer:
    """Gemma's: spaces are letters, and what has no piece falls back to its bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    pieces = vocabulary(gguf)
    merges = merges_of(pieces, gguf.field("tokenizer.ggml.scores"))
    unknown = gguf.field("tokenizer.ggml.tokens")[gguf.field("tokenizer.ggml.unknown_token_id")]
    tokenizer = Tokenizer(models.BPE(pieces, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    prefix = gguf.fields.get("tokenizer.ggml.add_space_prefix", True)
    before = [normalizers.Prepend(SPACE)] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def vocabulary(gguf: Gguf) -> dict[str, int]:
    """Piece to id."""
    return {piece: id for id, piece in enumerate(gguf.field("tokenizer.ggml.tokens"))}


def merges_of(pieces: Mapping[str, int], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, the best score first: what SentencePiece decides by scores alone."""
    found = [
        (-scores[id], pieces[piece[:cut]], pieces[piece[cut:]], piece[:cut], piece[cut:])
        for piece, id in pieces.items()
        for cut in range(1, len(piece))
        if piece[:cut] in pieces and piece[cut:] in pieces
    ]
    return [(left, right) for *_, left, right in sorted(found)]


def add_marks(tokenizer: Tokenizer, gguf: Gguf) -> None:
    """Pieces that are found whole before anything else, and the mark of a beginning where the model expects one."""
    from tokenizers import AddedToken, processors

    kinds = gguf.field("tokenizer.ggml.token_type")
    pieces = gguf.field("tokenizer.ggml.tokens")
    controls = [piece for piece, kind in zip(pieces, kinds) if kind in (CONTROL, UNKNOWN)]
    whole = [piece for piece, kind in zip(pieces, kinds) if kind == USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False, special=True) for piece in controls])
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in whole])
    if gguf.fields.get("tokenizer.ggml.add_bos_token", False):
        begin = pieces[gguf.field("tokenizer.ggml.bos_token_id")]
        id = gguf.field("tokenizer.ggml.bos_token_id")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, id)]
        )


def tokenizer_config(gguf: Gguf) -> dict[str, Any]:
    """tokenizer_config.json: the marks' names, and the chat template."""
    pieces = gguf.field("tokenizer.ggml.tokens")
    marks = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    ids = {name: gguf.fields.get(f"tokenizer.ggml.{mark}_token_id") for name, mark in marks.items()}
    config: dict[str, Any] = {name: pieces[id] for name, id in ids.items() if id is not None}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    config["model_max_length"] = gguf.field(f"{gguf.field('general.architecture')}.context_length")
    if template := gguf.fields.get("tokenizer.chat_template"):
        config["chat_template"] = template
    return config
