"""Facts that a model writes down (MemOS's fine mode), and its judgement of those that may contradict each other.

One call reads a piece of a conversation, one more compares what it gave with what is known of the same subjects, if
anything is: at most two calls for a piece, however many facts there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal

import numpy as np

from memorist.errors import ModelError
from memorist.organise.facts import FACTS, RULE, Fact, FactsView, Ledger, Statement, is_single, key_of, rank
from memorist.organise.protocol import Call, Desk, Task, Written
from memorist.organise.quoting import clean, pieces, quoted
from memorist.organise.windows import TRUST_ORDER
from memorist.store.protocol import Stretch, Turn
from memorist.store.terms import stems

MOST_FACTS = 40
"""Taken from a piece; what a reply says beyond is left out."""

LONGEST_TEXT, LONGEST_PART = 400, 120
"""Characters of a fact, and of its subject, relation or value."""

CANDIDATES = 5
"""Known facts that a new one is compared with, at most."""

FIRST_PERSON = frozenset(("i", "me", "myself", "user", "speaker"))


@dataclass
class Line:
    """A fact as a model writes it."""

    text: str
    subject: str
    relation: str
    value: str
    single: bool
    ends: bool
    since: str
    until: str
    messages: list[str]


@dataclass
class Lines:
    """The facts of a piece."""

    facts: list[Line]


@dataclass
class Verdict:
    """What two facts have to do with each other; the reason comes first, so that it is thought of first."""

    reason: str
    new: str
    known: str
    verdict: Literal["same", "replaces", "conflicts", "both"]


@dataclass
class Verdicts:
    """The verdicts on a piece's facts."""

    verdicts: list[Verdict]


READ = Task("facts", Lines, 1_200)
JUDGE = Task("facts-judge", Verdicts, 800)


class FactWriter:
    """The writer of facts; each piece of a conversation that changed is read anew."""

    name = "facts"
    origin = FACTS
    reach = 40
    batch = 64

    def write(self, stretches: Sequence[Stretch], changed: frozenset[int], desk: Desk) -> Written:
        """The facts of the changed pieces in the place of those they had."""
        touched = [
            piece
            for stretch in stretches
            for piece in pieces(stretch.turns)
            if not changed.isdisjoint(turn.row for turn in piece)
        ]
        replies = desk.ask([call_of(piece) for piece in touched])
        ledger = Ledger(desk.view(FACTS, FactsView))
        gone = changed.difference(turn.row for piece in touched for turn in piece)
        ledger.remove(gone, written)
        left: set[int] = set()
        fault: ModelError | None = None
        for piece, reply in zip(touched, replies):
            if isinstance(reply, ModelError):
                left.update(turn.row for turn in piece if turn.row in changed)
                fault = reply
                continue
            ledger.remove([turn.row for turn in piece], written)
            fresh = statements_of(reply, piece, desk.model.name)
            judged = judge(fresh, ledger, desk)
            if isinstance(judged, ModelError):  # the facts are kept; only nobody compared them
                fault = judged
                left.update(turn.row for turn in piece if turn.row in changed)
            for statement in fresh if isinstance(judged, ModelError) else judged:
                ledger.add(statement)
        organised = ledger.organised(desk.embedder)
        reason = None if fault is None else f"{type(fault).__name__}: {fault}"
        return Written(organised, tuple(sorted(left)), reason, fault)


def written(statement: Statement) -> bool:
    """Whether a model wrote it."""
    return statement.by != RULE


def call_of(piece: Sequence[Turn]) -> Call[Lines]:
    """The question about a piece."""
    messages, handles = quoted(piece)
    return Call(READ, {"messages": messages}, tuple(turn.row for turn in piece), {"messages": list(handles)})


def statements_of(reply: Lines, piece: Sequence[Turn], by: str) -> list[Statement]:
    """The lines that can be taken: on messages that were shown, and with a value that stands in one of them."""
    _, handles = quoted(piece)
    found = (statement_of(line, [handles[one] for one in dict.fromkeys(line.messages) if one in handles], by)
             for line in reply.facts[:MOST_FACTS])  # fmt: skip
    distinct = {(*one.group, one.value, one.ends): one for one in found if one is not None}
    return list(distinct.values())


def statement_of(line: Line, turns: Sequence[Turn], by: str) -> Statement | None:
    """A line as a statement, or None when it rests on nothing that was said."""
    if not turns:
        return None
    text = clean(line.text, LONGEST_TEXT)
    subject, relation, value = (clean(part, LONGEST_PART) for part in (line.subject, line.relation, line.value))
    if subject.lower().removeprefix("the ") in FIRST_PERSON:
        subject = turns[0].speaker or "the user"
    if not (text and subject and relation and value) or not stands_in(value, turns):
        return None
    first = turns[0]
    start = day_of(line.since) or max(turn.valid_from for turn in turns)
    end = day_of(line.until)
    return Statement(
        text=text,
        subject=key_of(subject),
        relation=key_of(relation),
        value=key_of(value),
        single=is_single(relation),
        ends=line.ends,
        rows=tuple(sorted(turn.row for turn in turns)),
        first=first.id,
        trust=min((turn.trust for turn in turns), key=TRUST_ORDER.index),
        start=start,
        end=end if end is not None and end > start else None,
        known=max(turn.recorded_at for turn in turns),
        by=by,
        session=first.session,
        agent=first.agent,
        claimed=line.single,
    )


def stands_in(value: str, turns: Sequence[Turn]) -> bool:
    """Whether messages say something of a value; who speaks is no evidence of it, unless that is all it names."""
    names = {stem for turn in turns for stem in stems(turn.speaker or "")}
    said = {stem for turn in turns for stem in stems(turn.text)}
    words = set(stems(value))
    return not said.isdisjoint(words - names) if words - names else bool(words)


def day_of(text: str) -> datetime | None:
    """A date that a model wrote, or None."""
    for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
        try:
            return datetime.strptime(text.strip()[:10], form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return None


def judge(fresh: Sequence[Statement], ledger: Ledger, desk: Desk) -> list[Statement] | ModelError:
    """The statements with what a judge says of them and what is known; unasked when nothing comes near."""
    pairs = candidates(fresh, ledger, desk)
    known = {f"f{number}": fact for number, fact in enumerate(distinct_of(pairs), 1)}
    if not known:
        return list(fresh)
    handles = {id(fact): handle for handle, fact in known.items()}
    asked = {f"s{number}": place for number, place in enumerate(pairs, 1)}
    call = Call(
        JUDGE,
        {
            "known": "\n".join(
                f"{handle} [since {fact.statements[0].start:%Y-%m-%d}] {fact.head.text}"
                for handle, fact in known.items()
            ),
            "fresh": "\n".join(
                f"{handle} [since {fresh[place].start:%Y-%m-%d}] {fresh[place].text}" for handle, place in asked.items()
            ),
        },
        tuple(
            sorted(
                {row for fact in known.values() for one in fact.statements for row in one.rows}
                | {row for place in pairs for row in fresh[place].rows}
            )
        ),
        {"new": list(asked), "known": list(known)},
    )
    (reply,) = desk.ask([call])
    if isinstance(reply, ModelError):
        return reply
    judged = list(fresh)
    for verdict in reply.verdicts:
        place, fact = asked.get(verdict.new), known.get(verdict.known)
        if place is not None and fact is not None and handles[id(fact)] in [handles[id(one)] for one in pairs[place]]:
            judged[place] = ruled(judged[place], fact, verdict.verdict)
    return judged


def candidates(fresh: Sequence[Statement], ledger: Ledger, desk: Desk) -> dict[int, list[Fact]]:
    """By place of a statement, the open facts of its subject that it may repeat or contradict.

    First those of its own relation, then those whose words are nearest; the facts that it repeats in so many words are
    not in question.
    """
    subjects = {statement.subject for statement in fresh}
    known = {subject: [fact for fact in ledger.facts(subject) if fact.open] for subject in subjects}
    texts = [one.text for one in fresh] + [fact.head.text for facts in known.values() for fact in facts]
    if len(texts) == len(fresh):
        return {}
    vectors = dict(zip(texts, desk.embedder.embed(texts)))
    found: dict[int, list[Fact]] = {}
    for place, statement in enumerate(fresh):

        def nearness(fact: Fact, statement: Statement = statement) -> tuple[bool, float]:
            cosine = float(np.dot(vectors[statement.text], vectors[fact.head.text]))
            return fact.statements[0].relation == statement.relation, cosine

        repeated = (statement.relation, statement.value)
        others = [fact for fact in known[statement.subject] if (fact.statements[0].relation, fact.value) != repeated]
        if others:
            found[place] = sorted(others, key=nearness, reverse=True)[:CANDIDATES]
    return found


def distinct_of(pairs: dict[int, list[Fact]]) -> list[Fact]:
    """The facts of all pairs, each once."""
    return list({id(fact): fact for facts in pairs.values() for fact in facts}.values())


def ruled(statement: Statement, fact: Fact, verdict: str) -> Statement:
    """A statement after a verdict. One that would end or doubt a fact counts only where the relation of either has one
    value at a time, as is known or as the model says of the new one."""
    if verdict == "both":
        return replace(statement, apart=(*statement.apart, fact.value))
    relation = fact.statements[0].relation
    if verdict == "same":
        return replace(statement, relation=relation, value=fact.value, single=fact.statements[0].single)
    if not (statement.single or statement.claimed or fact.statements[0].single):
        return statement
    moved = replace(statement, relation=relation)
    if verdict == "conflicts" or rank(statement) < fact.rank:
        return replace(moved, against=(*statement.against, fact.value))
    return replace(moved, replaces=(*statement.replaces, fact.value))
