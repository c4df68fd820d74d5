"""Key-value retrieval: a memory of pairs of random identifiers, and the value of one key is asked.

The format is that of "Lost in the Middle": lines with `ordered_kv_records`, `key` and `value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memorist.bench.metrics.ranking import hit_at
from memorist.bench.metrics.texts import best, states
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.recall.pool import Limits


def load(source: Source) -> Dataset:
    """A corpus for each record."""
    parsed = [pair for path in source.files for pair in shaped(path, "key-value retrieval", records_of(path), parse)]
    chosen = drawn(parsed, source)
    return Dataset({corpus.name: corpus for corpus, _ in chosen}, tuple(task for _, task in chosen))


def parse(number: int, record: Mapping[str, Any]) -> tuple[Corpus, Task]:
    """The pairs, and the question for one."""
    name, key = f"pairs-{number}", record["key"]
    items = tuple(
        Item(one, f"The value of {one} is {value}.", role="document") for one, value in record["ordered_kv_records"]
    )
    question = f"What is the value of {key}?"
    return Corpus(name, items), Task(name, name, question, (record["value"],), frozenset((key,)))


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Whether the pair comes first, and whether the answer holds the value."""
    found = {f"hit@{k}": hit_at(outcome.ranked, task.evidence, k) for k in (1, 5)}
    return found if outcome.answer is None else found | {"contains": best(states, outcome.answer, task.answers)}


KEY_VALUE = Suite(
    name="keyvalue",
    about="Key-value retrieval, random identifiers",
    file="nq/kv-retrieval-75_keys_first100.jsonl",
    load=load,
    score=score,
    limits=(Limits(5, None),),
    headline="hit@1",
    reader="none",
)
