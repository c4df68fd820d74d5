"""LongMemEval: a history of chat sessions for each question, in its published format.

Evidence are the turns marked `has_answer`; ids of sessions are numbered anew, as `answer_…` in the published ones tells
where the answer is. Questions whose id ends in `_abs` want a refusal. Sessions of evidence are ranked by their first
turn returned: `session_recall@k`, `ndcg@10` over them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from memorist.bench.metrics.ranking import ndcg_at, recall_at
from memorist.bench.metrics.texts import best, exact, states, token_f1
from memorist.bench.readers import refuses
from memorist.bench.suite import Corpus, Dataset, Item, Outcome, Source, Suite, Task, drawn, records_of, shaped
from memorist.recall.pool import Limits

DATE = re.compile(r"(\d{4})/(\d{2})/(\d{2}).*?(\d{2}):(\d{2})")
ABSTAIN = "_abs"


def load(source: Source) -> Dataset:
    """A corpus for each question."""
    parsed = [one for path in source.files for one in shaped(path, "LongMemEval", records_of(path), parse)]
    chosen = drawn(parsed, source)
    turns = sum(len(corpus.items) for corpus, _ in chosen)
    return Dataset(
        {corpus.name: corpus for corpus, _ in chosen}, tuple(task for _, task in chosen), (f"{turns:,} turns",)
    )


def parse(number: int, record: Mapping[str, Any]) -> tuple[Corpus, Task]:
    """The history, sessions in the order of time, and the question."""
    id = str(record["question_id"])
    sessions = zip(record["haystack_dates"], record["haystack_session_ids"], record["haystack_sessions"])
    ordered = sorted(((moment(date), str(name), turns) for date, name, turns in sessions), key=lambda one: one[0])
    items: list[Item] = []
    evidence: set[str] = set()
    for place, (at, _, turns) in enumerate(ordered):
        for step, turn in enumerate(turns):
            if not turn["content"].strip():
                continue
            key = f"{place}/{step}"
            items.append(
                Item(key, turn["content"], None, turn["role"], at + timedelta(seconds=step), f"session {place}")
            )
            if turn.get("has_answer"):
                evidence.add(key)
    gold = {str(name) for name in record.get("answer_session_ids", ())}
    task = Task(
        id,
        id,
        record["question"],
        () if id.endswith(ABSTAIN) else (str(record["answer"]),),
        frozenset(evidence),
        record["question_type"],
        refusal=id.endswith(ABSTAIN),
        at=moment(record["question_date"]),
        meta={"sessions": tuple(str(place) for place, (_, name, _) in enumerate(ordered) if name in gold)},
    )
    return Corpus(id, tuple(items)), task


def moment(text: str) -> datetime:
    """A date such as `2023/05/30 (Tue) 23:40`."""
    found = DATE.search(text)
    if found is None:
        raise ValueError(f"{text!r} is not a date such as 2023/05/30 (Tue) 23:40")
    year, month, day, hour, minute = map(int, found.groups())
    return datetime(year, month, day, hour, minute, tzinfo=timezone.utc)


def score(task: Task, outcome: Outcome) -> Mapping[str, float]:
    """Turns in the context, sessions in the ranking, and the answer; refusals where they are due."""
    found: dict[str, float] = {}
    if not task.refusal:
        if task.evidence:
            found["evidence_recall"] = len(task.evidence & outcome.whole) / len(task.evidence)
        if gold := task.meta["sessions"]:
            ranked = list(dict.fromkeys(key.split("/")[0] for key in outcome.ranked))
            found |= {f"session_recall@{k}": recall_at(ranked, gold, k) for k in (5, 10)}
            found["ndcg@10"] = ndcg_at(ranked, gold, 10)
    if outcome.answer is not None:
        refused = float(not outcome.known or refuses(outcome.answer))
        if task.refusal:
            return {"refused": refused}
        found["answered"] = 1 - refused
        found |= {
            name: best(metric, outcome.answer, task.answers)
            for name, metric in (("em", exact), ("f1", token_f1), ("contains", states))
        }
    return found


LONG_MEM_EVAL = Suite(
    name="longmemeval",
    about="LongMemEval",
    file="longmemeval/longmemeval_s.json",
    load=load,
    score=score,
    limits=(Limits(None, 1_500), Limits(None, 3_000)),
    headline="evidence_recall",
    reader="none",
)
