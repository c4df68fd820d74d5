"""Natural Questions with the annotated passage: can a reader take the answer out of it, and among others like it?

Each question has a memory of its own, which holds its passage (`nq`), or with it the passages of other questions of the
file that share most words with it (`nq-distractors`), so that what is measured is reading and not search.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memorist.bench.metrics.texts import best, exact, states, token_f1
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.recall.pool import Limits
from memorist.store.terms import stems

DISTRACTORS = 3
GOLD = "gold"

Parsed = tuple[str, tuple[str, ...], str]
"""Question, right answers, annotated passage."""


def record(number: int, found: Mapping[str, Any]) -> Parsed:
    """A record of the file: the passage marked as gold, under its title."""
    gold = next(one for one in found["ctxs"] if one["isgold"])
    return found["question"], tuple(found["answers"]), f"{gold['title']}\n{gold['text']}"


def loader(distractors: int) -> Callable[[Source], Dataset]:
    """A loader that puts so many other passages beside the annotated one."""

    def load(source: Source) -> Dataset:
        parsed = [one for path in source.files for one in shaped(path, "NQ", records_of(path), record)]
        places = drawn(range(len(parsed)), source)
        near = nearest([passage for _, _, passage in parsed], places, distractors)
        corpora, tasks = {}, []
        for place in places:
            question, answers, passage = parsed[place]
            others = [Item(f"other-{other}", parsed[other][2], role="document") for other in near[place]]
            name = f"question-{place + 1}"
            corpora[name] = Corpus(name, (Item(GOLD, passage, role="document"), *others))
            tasks.append(Task(name, name, question, answers, frozenset((GOLD,))))
        return Dataset(corpora, tuple(tasks), (f"{distractors} other passages beside each",))

    return load


def nearest(passages: Sequence[str], places: Sequence[int], count: int) -> dict[int, list[int]]:
    """For each place the passages that share most information with it, in words weighed by how rare they are."""
    if not count:
        return {place: [] for place in places}
    held = [set(stems(passage)) for passage in passages]
    often = Counter(stem for one in held for stem in one)
    rarity = {stem: -math.log(number / len(held)) for stem, number in often.items()}
    found = {}
    for place in places:
        shared = [math.fsum(rarity[stem] for stem in held[place] & other) for other in held]
        others = [other for other in range(len(held)) if held[other] != held[place]]
        found[place] = sorted(others, key=lambda other: (-shared[other], other))[:count]
    return found


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Exact match, containment and F1 of the answer."""
    found = {"evidence_recall": len(task.evidence & outcome.whole) / len(task.evidence)}
    if outcome.answer is not None:
        for name, metric in (("em", exact), ("f1", token_f1), ("contains", states)):
            found[name] = best(metric, outcome.answer, task.answers)
        found["answered"] = float(outcome.known)
    return found


def suite(name: str, about: str, distractors: int) -> Suite:
    """A suite whose memories hold so many other passages."""
    limits = (Limits(distractors + 1, None),)
    return Suite(name, about, "nq/nq-open-oracle.jsonl", loader(distractors), score, limits, "em", "extractive")


NQ = suite("nq", "Natural Questions, the annotated passage alone", 0)
NQ_DISTRACTORS = suite("nq-distractors", f"Natural Questions, the passage among {DISTRACTORS} like it", DISTRACTORS)
