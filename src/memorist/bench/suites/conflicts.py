"""Facts that replace facts: the conflict-resolution part of MemoryAgentBench, made anew by the seed.

Built to the published description (FactConsolidation): numbered facts of invented people, towns, countries and firms;
an old version always has a smaller number than the new one. `single` asks for one changed fact, `multi` for a chain of
two to four facts in their final state, whose links the question does not name. Nothing in it is true anywhere, so a
model cannot know it.

`contains` is the published measure, which counts an answer that also names the old value; `strict` does not. The
references resolve the same facts by rule, and show what there is to win.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count

from memorist.bench.metrics.texts import best, states
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Reference, Source, Suite, Task
from memorist.bench.system import WHEN
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits

LENGTHS = {"6k": 6_000, "32k": 32_000, "64k": 64_000, "262k": 262_000}
"""Tokens of the facts, by our counter."""

ASKED = 100
"""Questions of each sort and length."""

CHANGED = 0.5
"""Share of facts that have an old version."""

HOPS = (2, 3, 4)

RULE = "Each fact has a number; where facts disagree, the one with the larger number is true."
"""What a reader is told."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with one value: what it leads from and to, how a fact reads, and how its value is asked for."""

    source: str
    target: str
    fact: str
    phrase: str


RELATIONS = (
    Relation("person", "town", "{s} was born in {o}.", "the birthplace of {x}"),
    Relation("person", "person", "{s} is married to {o}.", "the spouse of {x}"),
    Relation("person", "firm", "{s} works for {o}.", "the employer of {x}"),
    Relation("town", "country", "{s} is a town of {o}.", "the country of {x}"),
    Relation("country", "person", "The head of state of {s} is {o}.", "the head of state of {x}"),
    Relation("country", "town", "The capital of {s} is {o}.", "the capital of {x}"),
    Relation("firm", "person", "{s} was founded by {o}.", "the founder of {x}"),
    Relation("firm", "town", "The headquarters of {s} are in {o}.", "the headquarters of {x}"),
)
SHARES = {"person": 0.5, "town": 0.2, "country": 0.15, "firm": 0.15}
ENDINGS = {"person": "", "town": "burg", "country": "ia", "firm": " Works"}
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Fact:
    """A numbered fact; `old` is None when it was never otherwise."""

    subject: str
    relation: Relation
    value: str
    serial: int

    @property
    def text(self) -> str:
        """As it is told."""
        return f"{self.serial}. {self.relation.fact.format(s=self.subject, o=self.value)}"

    @property
    def about(self) -> tuple[str, Relation]:
        """What at most one value is true of."""
        return self.subject, self.relation


def load(source: Source) -> Dataset:
    """A corpus for each length."""
    corpora: dict[str, Corpus] = {}
    tasks: list[Task] = []
    for length, tokens in LENGTHS.items():
        rng = random.Random(f"{source.seed} {length}")
        told = world(rng, tokens)
        items = [
            Item(str(fact.serial), fact.text, role="document", at=WHEN + timedelta(minutes=fact.serial))
            for fact in told
        ]
        corpora[length] = Corpus(length, tuple(items))
        asked = min(source.limit or ASKED, ASKED)
        tasks += single(rng, told, length)[:asked]
        tasks += list(multi(rng, told, length, asked))
    facts = sum(len(corpus.items) for corpus in corpora.values())
    return Dataset(corpora, tuple(tasks), (f"{facts:,} facts",))


def world(rng: random.Random, tokens: int) -> list[Fact]:
    """Facts of up to so many tokens in the order of their numbers."""
    per_fact = 14  # about: the length is made exact below
    names = named(rng, tokens // per_fact // 3)
    drafts: list[tuple[str, Relation, str, str | None]] = []
    for relation in RELATIONS:
        for subject in names[relation.source]:
            value, old = rng.sample([name for name in names[relation.target] if name != subject], 2)
            drafts.append((subject, relation, value, old if rng.random() < CHANGED else None))
    rng.shuffle(drafts)
    kept, used = [], 0
    for draft in drafts:
        versions = 1 if draft[3] is None else 2
        used += versions * count_tokens([f"10000. {draft[1].fact.format(s=draft[0], o=draft[2])}"])[0]
        if used > tokens:
            break
        kept.append(draft)
    serials = list(range(sum(1 if old is None else 2 for *_, old in kept)))
    rng.shuffle(serials)
    facts, free = [], iter(serials)
    for subject, relation, value, before in kept:
        if before is None:
            facts.append(Fact(subject, relation, value, next(free)))
        else:
            earlier, later = sorted((next(free), next(free)))
            facts += [Fact(subject, relation, before, earlier), Fact(subject, relation, value, later)]
    return sorted(facts, key=lambda fact: fact.serial)


def named(rng: random.Random, size: int) -> dict[str, list[str]]:
    """Invented names by kind, each once."""
    seen: set[str] = set()
    found: dict[str, list[str]] = {kind: [] for kind in SHARES}
    for kind, share in SHARES.items():
        while len(found[kind]) < max(6, int(share * size)):
            name = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(3)) + rng.choice(CONSONANTS)
            if name not in seen:
                seen.add(name)
                found[kind].append(name.capitalize() + ENDINGS[kind])
    return found


def settled(facts: Sequence[Fact], newest: bool = True) -> dict[tuple[str, Relation], Fact]:
    """The fact that stands for each subject and relation when the newest (or the oldest) wins."""
    ordered = sorted(facts, key=lambda fact: fact.serial if newest else -fact.serial)
    return {fact.about: fact for fact in ordered}


def single(rng: random.Random, facts: Sequence[Fact], length: str) -> list[Task]:
    """A question for each changed fact."""
    final, first = settled(facts), settled(facts, newest=False)
    changed = [(final[about], first[about]) for about in final if final[about].serial != first[about].serial]
    rng.shuffle(changed)
    return [task_of("single", length, n, [fact], {old.value}) for n, (fact, old) in enumerate(changed)]


def multi(rng: random.Random, facts: Sequence[Fact], length: str, wanted: int) -> Iterator[Task]:
    """Chains in the final state that go through a changed fact, each at most once."""
    final, first = settled(facts), settled(facts, newest=False)
    by_subject: dict[str, list[Fact]] = {}
    for fact in final.values():
        by_subject.setdefault(fact.subject, []).append(fact)
    starts = sorted(by_subject)
    seen: set[tuple[int, ...]] = set()
    number = count()
    for _ in range(200 * wanted):
        if len(seen) == wanted:
            return
        chain = walked(rng, by_subject, rng.choice(starts), rng.choice(HOPS))
        serials = tuple(fact.serial for fact in chain)
        if chain and serials not in seen and any(first[fact.about] != fact for fact in chain):
            seen.add(serials)
            stale = {first[fact.about].value for fact in chain} - {fact.value for fact in chain}
            yield task_of("multi", length, next(number), chain, stale)


def walked(rng: random.Random, by_subject: Mapping[str, Sequence[Fact]], start: str, hops: int) -> list[Fact]:
    """A chain of facts from a subject that comes to no one twice; empty when it ends early."""
    chain: list[Fact] = []
    visited, here = {start}, start
    for _ in range(hops):
        onward = [fact for fact in by_subject.get(here, ()) if fact.value not in visited]
        if not onward:
            return []
        chain.append(rng.choice(onward))
        here = chain[-1].value
        visited.add(here)
    return chain


def task_of(sort: str, length: str, number: int, chain: Sequence[Fact], stale: set[str]) -> Task:
    """The question for the end of a chain."""
    phrase = chain[0].subject
    for fact in chain:
        phrase = fact.relation.phrase.format(x=phrase)
    return Task(
        f"{length}/{sort}/{number}",
        length,
        f"What is {phrase}?",
        (chain[-1].value,),
        frozenset(str(fact.serial) for fact in chain),
        f"{sort} {length}",
        prompt=f"What is {phrase}? {RULE}",
        meta={
            "stale": tuple(sorted(stale)),
            "path": tuple((fact.relation.phrase) for fact in chain),
            "start": chain[0].subject,
        },
    )


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Evidence in the context; answers that name the final value, and no old one."""
    found = {"evidence_recall": len(task.evidence & outcome.whole) / len(task.evidence)}
    if outcome.answer is not None:
        found["contains"] = best(states, outcome.answer, task.answers)
        old = best(states, outcome.answer, task.meta["stale"])
        found["strict"] = float(found["contains"] == 1 and not old)
    return found


def resolvers(dataset: Dataset) -> Mapping[str, Reference]:
    """Rules over all facts: the newest wins, the oldest wins, or a coin decides at each fact in question."""
    parsed = {name: [parsed_fact(item) for item in corpus.items] for name, corpus in dataset.corpora.items()}
    newest = {name: values(settled(facts)) for name, facts in parsed.items()}
    oldest = {name: values(settled(facts, newest=False)) for name, facts in parsed.items()}
    return {
        "(newest wins)": partial(followed, lambda task, hop: newest[task.corpus]),
        "(oldest wins)": partial(followed, lambda task, hop: oldest[task.corpus]),
        "(a coin decides)": partial(followed, lambda task, hop: coin(task, hop, newest, oldest)),
    }


Values = Mapping[tuple[str, str], str]
"""From subject and phrase to value."""


def values(facts: Mapping[tuple[str, Relation], Fact]) -> Values:
    """What is asked for, to what is answered."""
    return {(subject, relation.phrase): fact.value for (subject, relation), fact in facts.items()}


def coin(task: Task, hop: int, newest: Mapping[str, Values], oldest: Mapping[str, Values]) -> Values:
    """One of the two, by a coin of its own for each question and hop."""
    return random.Random(f"{task.id} {hop}").choice((newest, oldest))[task.corpus]


def followed(choose: Callable[[Task, int], Values], task: Task) -> Outcome:
    """The end of the chain under a rule, which sees all facts; nothing when it breaks off."""
    here: str | None = task.meta["start"]
    for hop, phrase in enumerate(task.meta["path"]):
        here = None if here is None else choose(task, hop).get((here, phrase))
    return Outcome((), task.evidence, here or "", here is not None)


def parsed_fact(item: Item) -> Fact:
    """A fact from its text."""
    serial, said = item.text.split(". ", 1)
    for relation in RELATIONS:
        before, middle, after = split_fact(relation.fact)
        if said.startswith(before) and said.endswith(after) and middle in said:
            subject, value = said[len(before) : len(said) - len(after)].split(middle, 1)
            return Fact(subject, relation, value, int(serial))
    raise ValueError(f"{item.text!r} is no fact of this suite")


def split_fact(template: str) -> tuple[str, str, str]:
    """What stands before the subject, between the two, and after the value."""
    before, rest = template.split("{s}")
    middle, after = rest.split("{o}")
    return before, middle, after


CONFLICTS = Suite(
    name="conflicts",
    about="Conflict resolution, generated",
    file=None,
    load=load,
    score=score,
    limits=(Limits(10, None),),
    headline="contains",
    references=resolvers,
)
