"""Passage retrieval: MuSiQue, HotpotQA and 2WikiMultihopQA, in the formats that their authors publish.

The corpus is what the HippoRAG papers make of such a file: the paragraphs of its questions, pooled, each once. A gold
paragraph is one that the data set marks as supporting. `--corpus` adds more paragraphs to search among.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memorist.bench.metrics.ranking import recall_at
from memorist.bench.metrics.texts import best, exact, states, token_f1
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.ids import digest
from memorist.recall.pool import Limits

CORPUS = "passages"
RANKS = (2, 5, 10)
RETURNED = 10
"""Hits asked for: a long passage may be returned in parts, and its rank is that of the first."""

Passage = tuple[str, str]
"""Title and text."""

Parsed = tuple[Task, list[Passage]]


def musique_record(number: int, record: Mapping[str, Any]) -> Parsed:
    """A question of MuSiQue; its category is its number of hops."""
    passages = [(one["title"], one["paragraph_text"]) for one in record["paragraphs"]]
    gold = [key_of(passage) for passage, one in zip(passages, record["paragraphs"]) if one["is_supporting"]]
    answers = (record["answer"], *record.get("answer_aliases", ()))
    hops = str(record["id"]).split("hop", 1)[0] + "hop"
    return task_of(record["id"], record["question"], answers, gold, hops), passages


def hotpot_record(number: int, record: Mapping[str, Any]) -> Parsed:
    """A question of HotpotQA or 2WikiMultihopQA, as released or as lists in columns; its category is its type."""
    context, facts = record["context"], record["supporting_facts"]
    pairs = zip(context["title"], context["sentences"]) if isinstance(context, Mapping) else context
    passages = [(title, "".join(sentences)) for title, sentences in pairs]
    titles = set(facts["title"] if isinstance(facts, Mapping) else (title for title, _ in facts))
    gold = [key_of(passage) for passage in passages if passage[0] in titles]
    id = record["_id"] if "_id" in record else record["id"]
    return task_of(id, record["question"], (record["answer"],), gold, record.get("type", "all")), passages


def task_of(id: str, question: str, answers: Iterable[str], gold: Iterable[str], category: str) -> Task:
    """A question to the pooled passages."""
    return Task(str(id), CORPUS, question, tuple(dict.fromkeys(answers)), frozenset(gold), category)


def corpus_passages(path: Path) -> Iterator[Passage]:
    """The passages of a corpus file: objects with title and text, or one object from titles to sentences."""
    records = records_of(path)
    if len(records) == 1 and isinstance(records[0], Mapping) and "text" not in records[0]:
        records = [{"title": title, "text": text} for title, text in records[0].items()]
    yield from shaped(path, "a corpus", records, lambda _, one: (one["title"], joined(one["text"])))


def joined(text: object) -> str:
    """A text, or its sentences in one."""
    if isinstance(text, list):
        return "".join(text)
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}")
    return text


def key_of(passage: Passage) -> str:
    """A passage's key: its title, and a hash since titles repeat."""
    return f"{passage[0]} #{digest(*passage)[:8]}"


def text_of(passage: Passage) -> str:
    """A passage as it is remembered."""
    return f"{passage[0]}\n{passage[1]}".strip()


def pooled(passages: Iterable[Passage]) -> Corpus:
    """Each passage once, in the order of its first mention."""
    return Corpus(CORPUS, tuple(Item(key_of(one), text_of(one), role="document") for one in dict.fromkeys(passages)))


def loader(format: str, parse: Callable[[int, Mapping[str, Any]], Parsed]) -> Callable[[Source], Dataset]:
    """A loader of files whose records `parse` reads. Questions without a marked paragraph are left out."""

    def load(source: Source) -> Dataset:
        parsed = [one for path in source.files for one in shaped(path, format, records_of(path), parse)]
        chosen = drawn([one for one in parsed if one[0].evidence], source)
        passages = [passage for _, some in chosen for passage in some]
        if source.corpus is not None:
            passages += corpus_passages(source.corpus)
        corpus = pooled(passages)
        left = len(parsed) - sum(bool(task.evidence) for task, _ in parsed)
        notes = (f"{len(corpus.items):,} passages", *((f"{left} questions without gold left out",) if left else ()))
        return Dataset({CORPUS: corpus}, tuple(task for task, _ in chosen), notes)

    return load


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Recall among the first passages, or of what fits a budget whole; and the answer, when something read."""
    found = {f"recall@{k}": recall_at(outcome.ranked, task.evidence, k) for k in RANKS}
    found["evidence_recall"] = len(task.evidence & outcome.whole) / len(task.evidence)
    if outcome.answer is not None:
        for name, metric in (("em", exact), ("f1", token_f1), ("contains", states)):
            found[name] = best(metric, outcome.answer, task.answers)
    return found


def passage_suite(name: str, about: str, file: str, parse: Callable[[int, Mapping[str, Any]], Parsed]) -> Suite:
    """A suite of multi-hop questions over pooled passages."""
    return Suite(name, about, file, loader(about, parse), score, (Limits(RETURNED, None),), "recall@5", "none")


MUSIQUE = passage_suite("musique", "MuSiQue", "multihop/musique_train.json", musique_record)
HOTPOTQA = passage_suite("hotpotqa", "HotpotQA", "multihop/hotpotqa_train.json", hotpot_record)
TWO_WIKI = passage_suite("2wiki", "2WikiMultihopQA", "multihop/2wikimultihopqa.json", hotpot_record)
