"""A language model of a few thousand weights in a folder, for tests that are about everything but what it says."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = "a the of is key pot blue train 9 :"


def tiny_model(place, seed=0):
    """Make it, and return the folder's name."""
    torch.manual_seed(seed)
    words = {word: number for number, word in enumerate(["?", *WORDS.split()])}
    sizes = dict(vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2)
    config = LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, head_dim=8)
    LlamaForCausalLM(config).save_pretrained(place)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", eos_token="?").save_pretrained(place)
    return str(place)
