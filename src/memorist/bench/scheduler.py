"""`memorist bench scheduler`: does the working set hold what the next question needs, better than a cache would?

The questions of each LoCoMo conversation come in visits: a few in a row whose evidence lies in one session, then a few
of another one, and topics come again. Before each question it is asked which share of its annotated turns the set
holds; then the question is searched, and every policy is told the same hits. All have the same number of places. LRU
and FIFO take in the best `k` hits, and are shown with the `k` that is best for them on these very data.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from memorist.bench.suite import Corpus, Source, Task
from memorist.bench.suites.locomo import load
from memorist.bench.told import Outputs, tell
from memorist.cube import Observation
from memorist.memory import Memory
from memorist.scoped import ScopedMemory
from memorist.store.terms import stems

PLACES = 20
VISIT = (3, 6)
TAKEN = (3, 5, 10, 20)
"""How many hits a cache takes in."""


@dataclass(frozen=True, slots=True)
class Row:
    """The mean share of the needed turns that a policy held, in a conversation of `n` questions."""

    policy: str
    conversation: str
    held: float
    n: int


@dataclass(frozen=True, slots=True)
class Visit:
    """A question, the keys of the turns it needs, its hits' keys, best first, and the working set after it."""

    question: str
    needed: frozenset[str]
    hits: tuple[str, ...]
    working: frozenset[str]


def run(source: Source, out: Outputs, console: Console) -> list[Row]:
    """Replay every conversation, print a table, and tell `out`."""
    found = load(source)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="memorist-bench-") as folder, Memory.open(Path(folder) / "m.db") as memory:
        for corpus in found.corpora.values():
            tasks = [task for task in found.tasks if task.corpus == corpus.name and task.evidence and not task.refusal]
            if tasks:
                visits = list(replayed(memory.scope(user=corpus.name), corpus, stream(tasks, source.seed)))
                rows += rows_of(corpus, visits)
                console.print(f"{corpus.name}: {len(tasks)} questions")
    show(rows, console)
    tell(out, "scheduler", rows, data=source.files, seed=source.seed)
    return rows


def stream(tasks: Sequence[Task], seed: int) -> list[Task]:
    """The questions in visits: some of a topic, then some of another."""
    chance = random.Random(seed)
    topics: dict[str, list[Task]] = {}
    for task in tasks:
        topics.setdefault(min(task.evidence).split(":")[0], []).append(task)
    for questions in topics.values():
        chance.shuffle(questions)
    ordered: list[Task] = []
    last = ""
    while topics:
        last = chance.choice([name for name in topics if name != last] or list(topics))
        count = chance.randint(*VISIT)
        ordered += topics[last][:count]
        topics[last] = topics[last][count:]
        if not topics[last]:
            del topics[last]
    return ordered


def replayed(scope: ScopedMemory, corpus: Corpus, tasks: Sequence[Task]) -> Iterator[Visit]:
    """Each question asked, in turn."""
    scope.add(
        [
            Observation(one.text, one.speaker, one.role, one.at, one.session, key=one.key, meta={"key": one.key})
            for one in corpus.items
        ]
    )
    for task in tasks:
        hits = tuple(str(hit.meta["key"]) for hit in scope.search(task.question, k=max(TAKEN)))
        working = frozenset(str(cube.meta["key"]) for cube in scope.working_set(PLACES))
        yield Visit(task.question, task.evidence, hits, working)


def rows_of(corpus: Corpus, visits: Sequence[Visit]) -> list[Row]:
    """Every policy over the same visits."""
    texts = {item.key: frozenset(stems(item.text)) for item in corpus.items}
    policies: dict[str, Callable[[], list[frozenset[str]]]] = {
        "working set": lambda: [visit.working for visit in visits],
        "rule of the specification": lambda: by_rule(visits, texts),
    }
    found = {name: held(visits, make()) for name, make in policies.items()}
    for name, touched in (("LRU", True), ("FIFO", False)):
        found[name] = max(held(visits, cached(visits, count, touched)) for count in TAKEN)
    return [Row(name, corpus.name, value, len(visits)) for name, value in found.items()]


def held(visits: Sequence[Visit], sets: Sequence[frozenset[str]]) -> float:
    """The mean share of what a question needs that stands in the set made after the question before."""
    shares = [len(visit.needed & before) / len(visit.needed) for visit, before in zip(visits[1:], sets)]
    return sum(shares) / max(len(shares), 1)


def cached(visits: Sequence[Visit], count: int, touched: bool) -> list[frozenset[str]]:
    """A cache that takes in the best `count` hits; the best is the newest, and a hit is renewed when `touched`."""
    places: OrderedDict[str, None] = OrderedDict()
    sets: list[frozenset[str]] = []
    for visit in visits:
        for key in reversed(visit.hits[:count]):
            if key in places and touched:
                places.move_to_end(key)
            places.setdefault(key)
            while len(places) > PLACES:
                places.popitem(last=False)
        sets.append(frozenset(places))
    return sets


def by_rule(visits: Sequence[Visit], texts: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    """0.6·(1−rank/N) + 0.2·min(kw,5)/5 + 0.2·min(cnt,10)/10 over the old set and the hits of the last five questions.

    `rank` is that by reciprocal rank in these hits, kw the words of the questions in a turn, cnt how often it was
    recalled.
    """
    counts: Counter[str] = Counter()
    sets: list[frozenset[str]] = []
    before: frozenset[str] = frozenset()
    for place, visit in enumerate(visits):
        counts.update(visit.hits)
        recent = visits[max(0, place - 4) : place + 1]
        value: dict[str, float] = defaultdict(float)
        for one in recent:
            for rank, key in enumerate(one.hits):
                value[key] += 1 / (10 + rank)
        asked = {word for one in recent for word in stems(one.question)}
        ranked = sorted(before | set(value), key=lambda key: (-value[key], key))
        importance = {
            key: 0.6 * (1 - rank / len(ranked))
            + 0.2 * min(len(texts[key] & asked), 5) / 5
            + 0.2 * min(counts[key], 10) / 10
            for rank, key in enumerate(ranked)
        }
        before = frozenset(sorted(ranked, key=lambda key: -importance[key])[:PLACES])
        sets.append(before)
    return sets


def show(rows: Sequence[Row], console: Console) -> None:
    """A line for each policy, a column for each conversation."""
    conversations = list(dict.fromkeys(row.conversation for row in rows))
    table = Table("policy", *conversations, title=f"Share of the next question's evidence among {PLACES} places")
    for policy in dict.fromkeys(row.policy for row in rows):
        values = {row.conversation: row.held for row in rows if row.policy == policy}
        table.add_row(policy, *(f"{values[name]:.3f}" for name in conversations))
    console.print(table)
