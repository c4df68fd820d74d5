"""The environment of Mem-alpha: a stream of chunks goes through a policy that edits a memory, which is then scored by
question answering.

A policy is any function from (memory, chunk) to tool calls: a chat model with the writer's prompt (`policy_of`), a
rule, or one that is being trained. The reader is frozen and sees nothing but the memory. Two holes of the published
reward are closed: dropping what is not there is a failure (the tool says so), and a valid deletion is not an invalid
item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memorist.models.chat import ChatModel, ToolCall
from memorist.models.wordpiece import count_tokens
from memorist.organise.agent import FOUND, LISTS, Edit, Result, ToolMemory, applied, ranked
from memorist.organise.agent_writer import request_of

Policy = Callable[[ToolMemory, str], Sequence[ToolCall]]
Reader = Callable[[ToolMemory, str], str]
Grade = Callable[[str, str], float]
"""`(prediction, gold)` to 0 … 1."""
Valid = Callable[[Edit], bool]

BETA, GAMMA = 0.05, 0.1
"""Weights of compression and content in the reward (the paper's)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A stream, and what is asked about it afterwards: (question, gold answer)."""

    id: str
    chunks: tuple[str, ...]
    questions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What a policy did with a chunk."""

    calls: tuple[ToolCall, ...]
    results: tuple[Result, ...]
    edits: tuple[Edit, ...]

    @property
    def worked(self) -> float:
        """r2: the share of calls that did what they asked for; 0 without calls."""
        return sum(result.ok for result in self.results) / len(self.results) if self.results else 0.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """A stream after a policy, step by step, and the memory that it left."""

    instance: Instance
    memory: ToolMemory
    steps: tuple[Step, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Score:
    """The parts of the reward: `answers` (r1), `worked` and `content` for each step (r2, r4), `compression` (r3, may be
    negative), and `oracle`: r1 of a reader that sees the whole memory, to tell a bad memory from a bad search."""

    answers: float
    worked: tuple[float, ...]
    compression: float
    content: tuple[float, ...]
    oracle: float

    def rewards(self, beta: float = BETA, gamma: float = GAMMA) -> tuple[float, ...]:
        """The reward of each step: r1 + r2 + beta r3 + gamma r4."""
        return tuple(
            self.answers + worked + beta * self.compression + gamma * content
            for worked, content in zip(self.worked, self.content)
        )


def replay(instance: Instance, policy: Policy, memory: ToolMemory | None = None) -> Replayed:
    """Run a stream through a policy, from an empty memory."""
    memory = memory or ToolMemory()
    steps = []
    for chunk in instance.chunks:
        before = len(memory.edits)
        calls = tuple(policy(memory, chunk))
        results = tuple(applied(memory, calls))
        steps.append(Step(calls, results, tuple(memory.edits[before:])))
    return Replayed(instance, memory, tuple(steps))


def score(
    replayed: Replayed, reader: Reader, grade: Grade | None = None, valid: Valid = lambda edit: bool(edit.text)
) -> Score:
    """Ask the questions of a replayed stream, and value its memory and its steps."""
    grade = grade or contained
    memory, questions = replayed.memory, replayed.instance.questions
    read = [grade(reader(memory, question), gold) for question, gold in questions]
    seen = [grade(everything(memory), gold) for _, gold in questions]
    length = sum(count_tokens(list(replayed.instance.chunks) or [""]))
    return Score(
        answers=mean(read),
        worked=tuple(step.worked for step in replayed.steps),
        compression=1 - memory.tokens() / max(length, 1),
        content=tuple(mean([float(valid(edit)) for edit in written(step)]) for step in replayed.steps),
        oracle=mean(seen),
    )


def written(step: Step) -> list[Edit]:
    """The edits whose content can be judged."""
    return [edit for edit in step.edits if edit.what != "delete"]


def mean(values: Sequence[float]) -> float:
    """Their mean; 0 of none."""
    return sum(values) / len(values) if values else 0.0


def contained(prediction: str, gold: str) -> float:
    """Whether the gold answer stands in the prediction, whatever its case."""
    return float(gold.casefold() in prediction.casefold())


def everything(memory: ToolMemory) -> str:
    """All that a memory holds."""
    return "\n".join([memory.core, *(text for items in memory.items.values() for text in items.values())])


def evidence(memory: ToolMemory, question: str) -> str:
    """What a reader is shown for a question: the core, and the best items of each list by BM25."""
    found = [memory.items[kind][id] for kind in LISTS for id in ranked(question, memory.items[kind])[:FOUND]]
    return "\n".join([memory.core, *found]).strip()


def policy_of(model: ChatModel) -> Policy:
    """A chat model that calls tools, asked as the writer asks it."""

    def policy(memory: ToolMemory, chunk: str) -> Sequence[ToolCall]:
        return model.reply(request_of(memory, chunk, model)).calls

    return policy
