"""A number for a text: what phrases and facts are looked up by."""

from __future__ import annotations

import hashlib


def key_of(text: str) -> int:
    """64 bits of a hash; among ten million texts two are the same with a chance of three in a million."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
