"""A GGUF file as arrays: what it says of itself, and its weights in float32.

The gguf library undoes the quantisation. The header is read here, because the library's reader keeps every piece of a
vocabulary as arrays of its own, which takes nine seconds for Gemma's 262,144; this takes less than one.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memorist.errors import InputError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
PLAIN = {0: "<f4", 1: "<f2"}  # GGML types that are stored as numbers; all others in blocks of bytes


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor's bytes are in the file; `shape` has the slowest dimension first, as in torch."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    def read(self, data: mmap.mmap) -> npt.NDArray[np.float32]:
        """The values, float32 of `shape`."""
        from gguf import GGMLQuantizationType, dequantize
        from gguf.quants import quant_shape_to_byte_shape

        kind = GGMLQuantizationType(self.kind)
        stored = self.shape if self.kind in PLAIN else quant_shape_to_byte_shape(self.shape, kind)
        numbers = PLAIN.get(self.kind, "u1")
        raw = np.frombuffer(data, numbers, math.prod(stored), self.offset).reshape(stored)
        return np.asarray(dequantize(raw, kind), np.float32).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Gguf:
    """A file that was opened: `fields` by their names, and where its tensors are."""

    path: Path
    fields: dict[str, Any]
    tensors: tuple[Tensor, ...]
    data: mmap.mmap

    def weights(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Each tensor's name and values, one after another."""
        for tensor in self.tensors:
            yield tensor.name, tensor.read(self.data)

    def field(self, name: str) -> Any:
        """A field that must be there. Raises InputError when it is not."""
        if name not in self.fields:
            raise InputError(f"{self.path} does not say its {name}; it cannot be read as a language model")
        return self.fields[name]


def open_gguf(path: Path) -> Gguf:
    """The file's header. Raises InputError for a file that is no GGUF or is cut short."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = Header(data)
        return Gguf(path, *header.read(), data)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise InputError(f"{path} cannot be read as a GGUF file: {error}") from error


class Header:
    """Reads a header from its beginning, value by value; all numbers are little-endian."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.place = 0

    def read(self) -> tuple[dict[str, Any], tuple[Tensor, ...]]:
        """The fields, and the tensors."""
        tensors, said = self.fields()
        found = [self.tensor() for _ in range(tensors)]
        alignment = said.get("general.alignment", ALIGNMENT)
        start = -(-self.place // alignment) * alignment
        return said, tuple(Tensor(one.name, one.shape, one.kind, start + one.offset) for one in found)

    def fields(self) -> tuple[int, dict[str, Any]]:
        """How many tensors there are, and the fields. Raises ValueError when the file is something else."""
        magic, version = self.take("4s"), self.take("I")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError(f"it begins with {magic!r}, version {version}")
        tensors, fields = self.take("Q"), self.take("Q")
        return tensors, {self.string(): self.value(self.take("I")) for _ in range(fields)}

    def take(self, form: str) -> Any:
        """The next value of a form of `struct`."""
        return self.several(form)[0]

    def several(self, form: str) -> tuple[Any, ...]:
        """The next values."""
        values = struct.unpack_from("<" + form, self.data, self.place)
        self.place += struct.calcsize("<" + form)
        return values

    def string(self) -> str:
        """The next string, with its length before it."""
        raw: bytes = self.take(f"{self.take('Q')}s")
        return raw.decode("utf-8", "surrogateescape")

    def value(self, kind: int) -> Any:
        """The next value of a kind: a number, a string, or an array of these."""
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.take(NUMBERS[kind])
        of, length = self.take("I"), self.take("Q")
        if of in NUMBERS:
            return list(self.several(f"{length}{NUMBERS[of]}"))
        return [self.value(of) for _ in range(length)]

    def tensor(self) -> Tensor:
        """The next tensor; its offset counts from where the header ends."""
        name = self.string()
        shape = self.several(f"{self.take('I')}Q")
        return Tensor(name, tuple(reversed(shape)), *self.several("IQ"))
