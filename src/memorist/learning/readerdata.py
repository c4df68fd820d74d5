"""Examples for a reader that is robust to hard negatives (Long-Context LLMs Meet RAG, RAG fine-tuning).

An example is a question with passages as retrievers gave them, not cleaned, in an order drawn by the seed, and its
answer. `reasoning` names the passages that carry the answer and quotes where; a reader may be trained on the answer
alone or on both. Some examples have no passage that holds an answer: there the right answer is UNKNOWN.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from memorist.ids import digest

PASSAGES = 10
WITHOUT_ANSWER = 0.2
"""Share of examples whose passages hold no answer."""

DEV_SHARE = 0.1
"""Share of questions that are kept for development, with all their examples."""

MARK = "Answer:"
UNKNOWN = "I do not know."
INSTRUCTION = "Answer the question from the passages. When none of them holds the answer, say that you do not know."
ANNOTATED = "annotated"
"""As `retriever`: no retriever found it, it was put in."""

Split = Literal["train", "dev"]
States = Callable[[str, str], bool]
"""Whether a text states an answer."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a context: who found it and at which rank (1 is the best), and whether it holds an answer."""

    title: str
    text: str
    retriever: str
    rank: int
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One example; `answers` are all that are right, `answer` the target."""

    id: str
    split: Split
    instruction: str
    passages: tuple[Passage, ...]
    question: str
    answer: str
    answers: tuple[str, ...]
    reasoning: str
    has_answer: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with right answers, the place of its annotated passage, and each retriever's places, best first."""

    question: str
    answers: tuple[str, ...]
    gold: int
    ranked: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Making:
    """How examples are made: how many passages each has, the sentences of a text, and what states an answer."""

    count: int
    seed: int
    sentences: Callable[[str], Sequence[str]]
    states: States


def examples(texts: Sequence[tuple[str, str]], asked: Iterable[Asked], making: Making) -> Iterator[Example]:
    """An example for each question, from passages (title, text). The same input and seed give the same examples."""
    for one in asked:
        yield example_of(texts, one, making)


def example_of(texts: Sequence[tuple[str, str]], asked: Asked, making: Making) -> Example:
    """The example of a question."""
    id = digest(asked.question, asked.gold, making.seed)
    rng = random.Random(id)
    wanted = rng.random() >= WITHOUT_ANSWER

    def holds(place: int) -> bool:
        return any(making.states(texts[place][1], answer) for answer in asked.answers)

    found = merged(asked.ranked)
    if wanted:
        found = {asked.gold: found.pop(asked.gold, (ANNOTATED, 1)), **found}
    else:
        found = {place: origin for place, origin in found.items() if place != asked.gold and not holds(place)}
    chosen = list(found.items())[: making.count]
    rng.shuffle(chosen)
    passages = tuple(Passage(*texts[place], *origin, place == asked.gold or holds(place)) for place, origin in chosen)
    return Example(
        id=id,
        split=split_of(asked.question, making.seed),
        instruction=INSTRUCTION,
        passages=passages,
        question=asked.question,
        answer=asked.answers[0] if wanted else UNKNOWN,
        answers=asked.answers,
        reasoning=reasoning_of(passages, asked, making),
        has_answer=wanted,
    )


def merged(ranked: Mapping[str, Sequence[int]]) -> dict[int, tuple[str, int]]:
    """The retrievers' lists as one, rank by rank; each place with who had it first, and at which rank."""
    found: dict[int, tuple[str, int]] = {}
    for rank, places in enumerate(zip_longest(*ranked.values()), 1):
        for retriever, place in zip(ranked, places):
            if place is not None:
                found.setdefault(place, (retriever, rank))
    return found


def split_of(question: str, seed: int) -> Split:
    """The split of a question, however it is spaced and whatever its case."""
    drawn = random.Random(digest("split", seed, " ".join(question.casefold().split()))).random()
    return "dev" if drawn < DEV_SHARE else "train"


def reasoning_of(passages: Sequence[Passage], asked: Asked, making: Making) -> str:
    """Which passages carry an answer, with the sentence that does; or that none does."""
    lines = []
    for number, passage in enumerate(passages, 1):
        said = [
            sentence
            for sentence in making.sentences(passage.text)
            if any(making.states(sentence, answer) for answer in asked.answers)
        ]
        if said:
            lines.append(f'Passage {number} ({passage.title}) says: "{said[0]}"')
        elif passage.holds_answer:
            lines.append(f"Passage {number} ({passage.title}) holds the answer.")
    return "\n".join(lines) if lines else "No passage holds the answer."


def prompt_of(example: Example) -> str:
    """What the reader is shown: instruction, passages, question."""
    shown = "\n\n".join(
        f"Passage {number} ({passage.title}): {passage.text}" for number, passage in enumerate(example.passages, 1)
    )
    return f"{example.instruction}\n\n{shown}\n\nQuestion: {example.question}"


def target_of(example: Example, *, reasoned: bool) -> str:
    """What the reader is to write: the answer, or the reasoning and then the answer behind its mark."""
    return f"{example.reasoning}\n{MARK} {example.answer}" if reasoned else example.answer


def answer_in(reply: str) -> str:
    """The answer in what a reader wrote: behind the last mark, else the last line."""
    _, mark, after = reply.rpartition(MARK)
    lines = (after if mark else reply).strip().splitlines()
    return (lines[0] if mark else lines[-1]).strip() if lines else ""


def write(path: Path, made: Iterable[Example]) -> dict[Split, int]:
    """Write examples as JSON lines; returns how many there are of each split."""
    counts: dict[Split, int] = {"train": 0, "dev": 0}
    with path.open("w", encoding="utf-8") as file:
        for example in made:
            counts[example.split] += 1
            file.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")
    return counts
