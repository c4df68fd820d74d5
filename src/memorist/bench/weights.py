"""`memorist bench weights`: are the torch weights the model that llama.cpp runs?

Both read the same GGUF file. llama.cpp computes with the quantised weights and rounds what flows between them to eight
bits as well, torch computes in float32; so they differ, and by how much is measured at many places of some texts. On a
copy of the file with the same weights in float32 they must not: what remains there would be an error of ours.
"""

from __future__ import annotations

import json
import secrets
import struct
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from memorist.bench.told import Outputs, tell
from memorist.errors import ModelMissing
from memorist.models.llamacpp import DIRECT
from memorist.models.weights import ready, weights_named
from memorist.neural.gguf import ALIGNMENT, Header, open_gguf
from memorist.neural.weights import local_torch

Array = npt.NDArray[np.float64]
LIKELIEST = 1_000
"""So many next tokens are compared one by one, those that llama.cpp finds likeliest; all others as one."""

STEP = 3
TEXTS = (
    "The capital of France is Paris, and the capital of Portugal is",
    "<|im_start|>user\nWhere did Ana leave the spare key?<|im_end|>\n<|im_start|>assistant\nAna left",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    'On 7 May 2023, at 13:56, Nadia said: "I went to the clinic yesterday and they were so kind." So she',
    "Café, naïve, 東京, Ελλάδα, 12,345.67 € — and  two  spaces.\n\n\tTabs too; the end",
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How torch and llama.cpp agree on the next token, over `places`.

    `divergence` is KL(llama.cpp ‖ torch) in nats, `distance` the total variation; `greedy` the share of places where
    both find the same token likeliest; `tokens` that both split every text alike.
    """

    model: str
    weights: str
    places: int
    divergence: float
    divergence_most: float
    distance: float
    distance_most: float
    greedy: float
    tokens: bool


def run(names: Sequence[str], out: Outputs, console: Console) -> list[Agreement]:
    """Compare each packaged model, print a table, and tell `out`."""
    rows = [row for name in names for row in (compare(name), compare(name, exact=True))]
    table = Table("model", "llama.cpp computes with", "places", "KL", "most", "distance", "most", "greedy", "tokens")
    for row in rows:
        numbers = (row.divergence, row.divergence_most, row.distance, row.distance_most, row.greedy)
        table.add_row(row.model, row.weights, str(row.places), *(f"{n:.2g}" for n in numbers), str(row.tokens))
    console.print(table)
    tell(out, "weights", rows)
    return rows


def compare(name: str, exact: bool = False, texts: Sequence[str] = TEXTS) -> Agreement:
    """The agreement for one model; `exact` lets llama.cpp compute with the weights in float32."""
    import torch

    torch_model, source = local_torch(name), ready(weights_named(name))
    found: list[tuple[float, float, bool]] = []
    alike = True
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder:
        path = in_float32(source, Path(folder) / "exact.gguf") if exact else source
        llama = Llama(path)
        for text in texts:
            ids = torch_model.tokenizer(text).input_ids
            alike = alike and llama.tokens(text) == ids
            with torch.inference_mode():
                logits = torch_model.model(torch.tensor([ids])).logits[0]
            ours = torch.log_softmax(logits.double(), -1).numpy()  # [tokens, vocabulary]
            found += [differences(llama.next(ids[:stop]), ours[stop - 1]) for stop in range(2, len(ids) + 1, STEP)]
    divergences, distances, same = (np.array(column) for column in zip(*found))
    return Agreement(
        name, "float32" if exact else "the file's", len(found), float(divergences.mean()), float(divergences.max()),
        float(distances.mean()), float(distances.max()), float(same.mean()), alike,
    )  # fmt: skip


def differences(theirs: tuple[npt.NDArray[np.int64], Array], ours: Array) -> tuple[float, float, bool]:
    """KL(theirs ‖ ours), total variation, and whether both have the same likeliest token."""
    ids, likely = theirs
    p = with_rest(np.exp(likely))
    q = with_rest(np.exp(ours[ids]))
    some = p > 0
    divergence = float((p[some] * np.log(p[some] / q[some])).sum())
    return divergence, float(np.abs(p - q).sum() / 2), bool(ids[0] == ours.argmax())


def with_rest(probabilities: Array) -> Array:
    """And the probability of all that is not listed."""
    return np.append(probabilities, max(1e-12, 1 - probabilities.sum()))


class Llama:
    """A GGUF file in llama.cpp."""

    def __init__(self, path: Path) -> None:
        try:
            import xllamacpp
        except ImportError as error:
            raise ModelMissing("comparing with llama.cpp needs xllamacpp: pip install 'memorist[local]'") from error
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.verbosity = 512, 1, 2, -1
        self._key = secrets.token_urlsafe(24)  # it listens on the loopback interface, where others may be
        params.api_keys = [self._key]
        self._server = xllamacpp.Server(params)

    def next(self, ids: Sequence[int]) -> tuple[npt.NDArray[np.int64], Array]:
        """The likeliest next tokens and the logarithms of their probabilities, the likeliest first."""
        asked = {"prompt": list(ids), "max_tokens": 1, "logprobs": LIKELIEST, "temperature": 0, "cache_prompt": False}
        (choice,) = self._server.handle_completions(asked)["choices"]
        listed = choice["logprobs"]["content"][0]["top_logprobs"]
        return np.array([one["id"] for one in listed]), np.array([one["logprob"] for one in listed])

    def tokens(self, text: str) -> list[int]:
        """How llama.cpp splits a text, marks included."""
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        headers = {"Authorization": f"Bearer {self._key}"}
        asked = urllib.request.Request(f"{self._server.listening_address}/tokenize", body, headers)
        with DIRECT.open(asked, timeout=60) as reply:
            return [int(id) for id in json.load(reply)["tokens"]]


def in_float32(source: Path, target: Path) -> Path:
    """A copy of a GGUF file with the same weights, no longer quantised: what it says of itself stays byte for byte."""
    gguf = open_gguf(source)
    header = Header(gguf.data)
    header.fields()
    offset, places = 0, b""
    for tensor in gguf.tensors:
        name, size = tensor.name.encode(), 4 * int(np.prod(tensor.shape))
        places += struct.pack(f"<Q{len(name)}sI", len(name), name, len(tensor.shape))
        places += struct.pack(f"<{len(tensor.shape)}QIQ", *reversed(tensor.shape), 0, offset)
        offset += size + -size % ALIGNMENT
    with target.open("wb") as file:
        file.write(gguf.data[: header.place] + places)
        for _, values in gguf.weights():
            file.write(bytes(-file.tell() % ALIGNMENT))
            file.write(values.tobytes())
    return target
