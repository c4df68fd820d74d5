"""Judging answers. The deterministic judge (exact match, F1, containment) always runs, in the suites' scores; a model
may judge beside it, several times, and how far it agrees with the deterministic one and with itself stands beside its
score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memorist.arguments import model_named
from memorist.bench.metrics.texts import best, states
from memorist.bench.rows import mean
from memorist.bench.suite import Task
from memorist.errors import BadReply
from memorist.models.chat import ChatModel, Request, Usage
from memorist.models.prompts import prompt_named
from memorist.models.structured import structured

PROMPT = "judge"
RUNS = 3
TEMPERATURE = 0.7
"""Above 0, so that repeated runs show how sure a judge is."""

REPLY_TOKENS = 120
SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge replies; the reason comes first, as small models judge better for it."""

    reason: str
    right: bool


class ModelJudge:
    """A language model that says whether an answer is right, RUNS times with a seed each."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def about(self) -> str:
        """Who judges, by which prompt, how often."""
        return f"{self._model.name}, prompt {prompt_named(PROMPT).id}, {RUNS} runs"

    def measures(self, task: Task, answer: str | None, known: bool) -> Mapping[str, float]:
        """`judged` is the share of runs that call the answer right, `judge_agreement` the share that say what the
        deterministic judge says (a right answer stands in it), `judge_consistency` whether all runs say the same.
        Nothing is asked where no answer was given: that is not right. Raises ModelError."""
        if answer is None or task.kind != "open" or not task.answers:
            return {}
        stated = best(states, answer, task.answers) == 1
        if not known:
            return {"judged": 0.0, "judge_agreement": float(not stated), "judge_consistency": 1.0}
        verdicts, usage = self._verdicts(task, answer)
        if not verdicts:
            return {"judge_failed": 1.0, **spent(usage)}
        return {
            "judged": mean([float(one) for one in verdicts]),
            "judge_agreement": mean([float(one == stated) for one in verdicts]),
            "judge_consistency": float(len(set(verdicts)) == 1),
            **spent(usage),
        }

    def _verdicts(self, task: Task, answer: str) -> tuple[list[bool], Usage]:
        prompt = prompt_named(PROMPT)
        filled = prompt.fill(question=task.question, gold=" or ".join(task.answers), answer=answer)
        found, usage = [], Usage()
        for seed in range(RUNS):
            request = Request(filled, max_tokens=REPLY_TOKENS, temperature=TEMPERATURE, seed=seed, prompt=prompt.id)
            try:
                made = structured(self._model, request, Verdict, seconds=SECONDS)
            except BadReply:
                continue
            found.append(made.value.right)
            usage += made.usage
        return found, usage


def judge_named(name: str | None) -> ModelJudge | None:
    """The judge of a model's name; None without one. Raises ModelMissing or InputError."""
    model = model_named(name)
    return None if model is None else ModelJudge(model)


def spent(usage: Usage) -> Mapping[str, float]:
    """What judging took, as measures of a question."""
    tokens = usage.prompt_tokens + usage.reply_tokens
    return {"judge_calls": usage.calls, "judge_tokens": tokens, "judge_seconds": round(usage.seconds, 3)}
