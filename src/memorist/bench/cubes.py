"""`memorist bench cubes`: what tensors promise, measured on a real model and a store of its own (MemOS).

Keys and values: how far logits are from those of the prompt that they stand for, what time and bytes they take.
Adapters: how the perplexity of their text and of unrelated text changes, and whether the base model is untouched. All
texts ship with the package; the unrelated ones are seen by no training and by no rule that ends one.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from memorist.bench.told import Outputs, tell
from memorist.cube import Cube
from memorist.lifecycle.tensors import Making
from memorist.memory import Memory
from memorist.scoped import ScopedMemory

if TYPE_CHECKING:
    from memorist.neural.weights import TorchModel

START = datetime(2025, 5, 10, 9, tzinfo=timezone.utc)
USES = 10
REPEATS = 3
LENGTHS = (125, 250, 500)
"""Shorter prefixes whose time is measured, too; the last is the whole one."""

THREADS = 2
ANSWER = 24
"""Tokens of the answers that are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """A number, and what it is in."""

    metric: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: the model, and the adapter's seed and most steps."""

    model: str = "smollm2-135m"
    seed: int = 0
    steps: int = 40


def run(plan: Plan, out: Outputs, console: Console) -> list[Row]:
    """Measure, print a table, and tell `out`."""
    rows: list[Row] = []
    begun = time.perf_counter()
    with two_threads(), Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("tensors", total=5 + plan.steps)
        for row in measured(plan, lambda: bar.advance(task)):
            rows.append(row)
    rows.append(Row("seconds", time.perf_counter() - begun, "s"))
    table = Table("metric", "value", "unit")
    for row in rows:
        table.add_row(row.metric, f"{row.value:.6g}", row.unit)
    console.print(table)
    tell(out, "cubes", rows, **asdict(plan))
    return rows


@contextmanager
def two_threads() -> Iterator[None]:
    """As many threads on every machine, so that times can be compared."""
    from memorist.neural.weights import require

    require()
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(THREADS, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measured(plan: Plan, advance: Any) -> Iterator[Row]:
    """All rows."""
    from memorist.neural.weights import local_torch

    model = local_torch(plan.model)
    texts = sections()
    folder = tempfile.TemporaryDirectory(prefix="memorist-bench-")
    with folder as place, Memory.open(Path(place) / "cubes.db") as memory:
        scope = memory.scope(user="bench")
        ids = {name: added(scope, texts[name]) for name in ("prefix", "second", "source")}
        yield from keys_and_values(plan, model, scope, ids, texts["question"][0], advance)
        yield from adapters(plan, model, scope, ids["source"], texts["unrelated"], advance)


def keys_and_values(
    plan: Plan, model: TorchModel, scope: ScopedMemory, ids: Mapping[str, list[str]], question: str, advance: Any
) -> Iterator[Row]:
    """One cache, two caches, ten uses, halves, and time."""
    from memorist.neural import kv
    from memorist.neural.continuation import continued
    from memorist.neural.turns import asked, tokens

    tensors = scope.tensors
    first, second = (kept(scope, ids[name], plan) for name in ("prefix", "second"))
    primed = tensors.prefix(first.id, model=plan.model)
    assert primed.known is not None
    known, tail = primed.known, tokens(model, asked(model, question))
    plain = [*known.ids.tolist(), *tail]
    full = logits(model, plain)[-len(tail) :]
    advance()
    yield Row("kv_prefix_tokens", len(known.ids), "tokens")
    once = logits(model, tail, known)
    yield Row("kv_max_logit_difference", apart(once, full), "logit")
    answers = [primed.answer(question, most=ANSWER) for _ in range(USES - 1)][-1]
    yield Row("kv_after_ten_uses_max_logit_difference", apart(logits(model, tail, known), full), "logit")
    same = answers.ids == continued(model, plain, None, ANSWER).ids
    yield Row("kv_answer_is_the_plain_prompts", float(same), "1 or 0")
    advance()

    both = tensors.prefix([first.id, second.id], model=plan.model).known
    assert both is not None
    whole = [*both.ids.tolist(), *tail]
    mask = kv.apart([len(known.ids), len(both.ids) - len(known.ids)], len(tail))
    joined, unmasked = logits(model, tail, both), logits(model, whole)[-len(tail) :]
    yield Row("kv_joined_max_logit_difference", apart(joined, logits(model, whole, mask=mask)[-len(tail) :]), "logit")
    on_top = kv.joined(model, [known, kv.encode(model, both.ids[len(known.ids) :].tolist(), after=known)])
    yield Row("kv_read_on_top_max_logit_difference", apart(logits(model, tail, on_top), unmasked), "logit")
    yield Row("kv_joined_against_plain_divergence", divergence(unmasked, joined), "nats")
    advance()

    yield Row("kv_bytes_per_token", tensors.size(first.id) / len(known.ids), "bytes")
    for name, dtype in (("half", "float16"), ("bfloat16", "bfloat16")):
        half = kept(scope, ids["prefix"], plan, dtype)
        yield Row(f"kv_bytes_per_token_{name}", tensors.size(half.id) / len(known.ids), "bytes")
        less = tensors.prefix(half.id, model=plan.model).known
        found = logits(model, tail, less)
        yield Row(f"kv_{name}_max_logit_difference", apart(found, full), "logit")
        yield Row(f"kv_{name}_divergence", divergence(full, found), "nats")
    begun = time.perf_counter()
    tensors.prefix(first.id, model=plan.model)
    yield Row("kv_load_seconds", time.perf_counter() - begun, "s")
    advance()
    yield from times(model, known, tail)
    advance()


def times(model: TorchModel, known: Any, tail: Sequence[int]) -> Iterator[Row]:
    """Seconds to the first token by the length of the prefix, cached and plain in turns; medians."""
    from memorist.neural import kv
    from memorist.neural.continuation import continued

    ids = known.ids.tolist()
    for length in (*(n for n in LENGTHS if n < len(ids)), len(ids)):
        cache = kv.KeyValues(known.ids[:length], known.keys[:, :, :length], known.values[:, :, :length])
        pairs = [
            (
                continued(model, tail, cache, 1).seconds_to_first,
                continued(model, [*ids[:length], *tail], None, 1).seconds_to_first,
            )
            for _ in range(REPEATS)
        ]
        cached, plain = (statistics.median(column) for column in zip(*pairs))
        name = "" if length == len(ids) else f"_{length}"
        yield Row(f"kv_time_to_first_token_cached{name}", cached, "s")
        yield Row(f"kv_time_to_first_token_plain{name}", plain, "s")
        yield Row(f"kv_time_to_first_token_ratio{name}", cached / plain, "cached / plain")


def adapters(
    plan: Plan, model: TorchModel, scope: ScopedMemory, ids: list[str], unrelated: Sequence[str], advance: Any
) -> Iterator[Row]:
    """An adapter of the source texts: what it learned, what it spoiled, and whether it is gone when it is deleted."""
    import torch

    from memorist.neural.distil import loss_of
    from memorist.neural.turns import tokens

    probe = tokens(model, unrelated[0])
    base = logits(model, probe)
    begun = time.perf_counter()
    making = Making(seed=plan.seed, steps=plan.steps, progress=lambda done, total: advance())
    made = scope.tensors.migrate(ids, to="parameter", model=plan.model, making=making)
    assert isinstance(made, Cube)
    yield Row("lora_seconds", time.perf_counter() - begun, "s")
    yield Row("lora_steps", float(made.meta["steps"]), "steps")
    yield Row("lora_bytes", scope.tensors.size(made.id), "bytes")
    adapted = scope.tensors.adapted(made.id, model=plan.model).model
    before, after = loss_of(model, made.text), loss_of(adapted, made.text)
    yield Row("lora_source_perplexity_before", math.exp(before), "perplexity")
    yield Row("lora_source_perplexity_ratio", math.exp(after - before), "after / before")
    changes = [(loss_of(model, text), loss_of(adapted, text), len(tokens(model, text)) - 1) for text in unrelated]
    count = sum(n for *_, n in changes)
    risen = sum((after - before) * n for before, after, n in changes) / count
    yield Row("lora_unrelated_perplexity_before", math.exp(sum(b * n for b, _, n in changes) / count), "perplexity")
    yield Row("lora_unrelated_perplexity_ratio", math.exp(risen), "after / before")
    changed = not torch.equal(logits(adapted, probe), base)
    scope.erase(made.id)
    restored = changed and torch.equal(logits(model, probe), base)
    yield Row("base_restored", float(restored), "1 or 0")


def kept(scope: ScopedMemory, ids: list[str], plan: Plan, dtype: str = "float32") -> Cube:
    """An activation cube of episodes."""
    made = scope.tensors.migrate(ids, to="activation", model=plan.model, making=Making(dtype=dtype))
    assert isinstance(made, Cube)
    return made


def added(scope: ScopedMemory, texts: Sequence[str]) -> list[str]:
    """The ids of episodes, an hour apart."""
    return [scope.add(text, at=START + timedelta(hours=n)).ids[0] for n, text in enumerate(texts)]


def logits(model: TorchModel, ids: Sequence[int], known: Any = None, mask: Any = None) -> Any:
    """Logits [tokens, vocabulary] after what is known."""
    import torch

    from memorist.neural.kv import cache_of

    with torch.inference_mode():
        whole = torch.tensor([list(ids)])
        return model.model(whole, cache=cache_of(known), attention_mask=mask, use_cache=True).logits[0]


def apart(one: Any, other: Any) -> float:
    """The largest difference of two logits."""
    return float((one - other).abs().max())


def divergence(one: Any, other: Any) -> float:
    """The mean of KL(one ‖ other) over places, in nats."""
    p, q = one.double().log_softmax(-1), other.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def sections() -> dict[str, list[str]]:
    """The texts that ship with the package: paragraphs by heading."""
    text = files("memorist.bench").joinpath("cubes.md").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    name = ""
    for part in (part.strip() for part in text.split("\n\n")):
        if part.startswith("# "):
            name = part[2:]
            found[name] = []
        elif part:
            found[name].append(part)
    return found
