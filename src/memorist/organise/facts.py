"""Facts: what is true of whom, from when to when, and who said so (MemOS's fine mode, on two clocks).

A *statement* is what one message says. A *fact* is what all statements with the same meaning say together: it has all
their sources, and its time is from the first of them to the first that contradicts it. Facts are a function of the
statements alone, computed anew for every subject and relation that a change touches: so they do not depend on the order
in which things were learned, and what is left when a source is erased is what the others say.

A statement closes another fact only when all of this holds: the same subject; the same relation, of which one can have
only one value at a time; a time that overlaps; a later beginning; and a source no less trusted. What fails the last two
stays side by side, and each names the other as a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import numpy as np

from memorist.cube import Trust
from memorist.errors import StateError
from memorist.ids import derived_id
from memorist.models.embedder import Embedder
from memorist.models.wordpiece import count_tokens
from memorist.organise.windows import TRUST_ORDER
from memorist.states import LIVING, State
from memorist.store.protocol import Derived, Kept, Organised
from memorist.store.terms import stems, words
from memorist.text import shown

FACTS = "facts"
PUT_ASIDE: tuple[State, ...] = ("archived", "merged", "expired")
"""A fact in one of these is not written again; what states it counts for nothing."""
NAME = ("first", "subject", "relation", "value", "by")
RULE = "rule"
"""Who writes statements when no model does; see `memorist.organise.stated`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one or several messages say of a subject.

    `single` says that the relation has one value at a time, `ends` that the value holds no longer. `start` and `end`
    are when it is true, `known` when it was first recorded. `trust` is that of its least trusted message, `by` who
    wrote it down. Of other values in its relation, `apart` are those that are true beside this one, `replaces` those
    that it ends, and `against` those that it contradicts, although nothing says which is right. `subject`, `relation`
    and `value` are keys (`key_of`). `claimed` is what a model says of `single`: it counts only together with a verdict.
    """

    text: str
    subject: str
    relation: str
    value: str
    single: bool
    ends: bool
    rows: tuple[int, ...]
    first: str
    trust: Trust
    start: datetime
    end: datetime | None
    known: datetime
    by: str
    session: str = ""
    agent: str = ""
    claimed: bool = False
    apart: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str]:
        """Whose and what."""
        return self.subject, self.relation

    @property
    def name(self) -> tuple[str, ...]:
        """What makes it the same statement when its message is read again."""
        return tuple(getattr(self, name) for name in NAME)


@dataclass(slots=True)
class Fact:
    """Statements with the same meaning, and what became of them."""

    statements: list[Statement]
    ended: Statement | None = None
    valid_to: datetime | None = None
    superseded_at: datetime | None = None
    closed_by: Fact | None = None
    closed_from: str = ""
    conflicts: list[Fact] = field(default_factory=list)

    @property
    def head(self) -> Statement:
        """The statement that speaks for the fact: the first of the most trusted."""
        return max(self.statements, key=lambda one: (rank(one), one.by == RULE, -one.start.timestamp()))

    @property
    def value(self) -> str:
        """What it says of the subject, as a key."""
        return self.statements[0].value

    @property
    def id(self) -> str:
        """The same whenever it is derived from the same first statement."""
        first = self.statements[0]
        return derived_id(FACTS, first.first, first.subject, first.relation, first.value)

    @property
    def rank(self) -> int:
        """That of its best source."""
        return max(map(rank, self.statements))

    @property
    def open(self) -> bool:
        """Whether it holds."""
        return self.valid_to is None

    def close(self, at: datetime, known: datetime, by: Fact | None, cause: str) -> None:
        """Let it end."""
        self.valid_to = max(at, self.statements[0].start)
        self.superseded_at = max(known, min(one.known for one in self.statements))
        self.closed_by, self.closed_from = by, cause


def rank(statement: Statement) -> int:
    """How far a statement is trusted."""
    return TRUST_ORDER.index(statement.trust)


SINGLE = frozenset(
    """live,work,job,name,nickname,surname,age,birthday,address,home address,email,email address,phone,phone number,home
    hometown,job title,employer,company,boss,manager,team,office,desk,salary,rent,landlord,flatmate,roommate,wife
    husband,partner,girlfriend,boyfriend,fiancé,fiancée,mother,father,doctor,dentist,therapist,teacher,lawyer
    nationality,citizenship,religion,time zone,timezone,native language,blood type,height,weight,shoe size
    wifi password,password,pin,username,licence plate,license plate,major,school,university,gym,bank""".replace(
        "\n    ", ","
    ).split(",")
)
"""Relations that have one value at a time: where one lives and works, and what one has one of. Favourites are, too."""


def is_single(relation: str) -> bool:
    """Whether a relation has one value at a time."""
    return relation.startswith(("favourite ", "favorite ")) or key_of(relation) in single_keys()


@cache
def single_keys() -> frozenset[str]:
    """The keys of SINGLE, made when first needed: stemming loads a library."""
    return frozenset(map(key_of, SINGLE))


def key_of(text: str) -> str:
    """What two wordings of a name or a value have in common: their stems, without the words that mean nothing."""
    return " ".join(stems(text)) or " ".join(words(text))


def timeline(statements: Iterable[Statement]) -> list[Fact]:
    """The facts that statements of one subject and relation make together."""
    ordered = sorted(statements, key=lambda one: (one.start, one.known, one.rows, one.value))
    single = any(one.single for one in ordered)
    facts: list[Fact] = []
    for statement in ordered:
        if statement.ends:
            end(facts, statement)
        elif not joined(facts, statement, single):
            fact = Fact([statement])
            if statement.end is not None:
                fact.close(statement.end, statement.known, None, statement.first)
            else:
                settle(facts, fact, statement, single)
            facts.append(fact)
    return facts


def end(facts: Sequence[Fact], statement: Statement) -> None:
    """Close what a statement says holds no longer."""
    for fact in facts:
        if fact.open and fact.value == statement.value and rank(statement) >= fact.rank:
            fact.close(statement.start, statement.known, None, statement.first)
            fact.ended = statement


def joined(facts: Sequence[Fact], statement: Statement, single: bool) -> bool:
    """Add a statement to the open fact that says the same, if there is one."""
    for fact in facts:
        if fact.open and statement.end is None and fact.value == statement.value:
            fact.statements.append(statement)
            if rank(statement) == fact.rank:  # said anew by a good source, it also ends what had contradicted it
                settle([other for other in facts if other is not fact], fact, statement, single)
            return True
    return False


def settle(facts: Sequence[Fact], new: Fact, saying: Statement, single: bool) -> None:
    """Close the open facts that a statement of `new` contradicts, or name both as a conflict."""
    for fact in facts:
        if not fact.open or saying.value in told(fact, "apart") or fact.value in saying.apart:
            continue
        doubtful = saying.value in told(fact, "against") or fact.value in saying.against
        if not (single or doubtful or fact.value in saying.replaces):
            continue
        newest = max(one.start for one in fact.statements if rank(one) == fact.rank)
        if doubtful or rank(saying) < fact.rank or saying.start <= newest:
            if new not in fact.conflicts:
                fact.conflicts.append(new)
                new.conflicts.append(fact)
        else:
            fact.close(saying.start, saying.known, new, saying.first)
            for other in fact.conflicts:
                other.conflicts.remove(fact)
            fact.conflicts = []


def told(fact: Fact, what: str) -> set[str]:
    """What its statements say of other values."""
    return {value for one in fact.statements for value in getattr(one, what)}


class FactsView:
    """An owner's facts by id, by subject, by subject and relation, and by row; closed ones too, not withdrawn ones."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.undone: frozenset[str] = frozenset()
        self.decided: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Of statements, also of facts that are hidden now: the values that are true beside them."""
        self._by: dict[object, frozenset[str]] = {}

    def take(self, kept: Sequence[Kept]) -> FactsView:
        """The view with these changes."""
        new = FactsView()
        new.kept, new._by, new.decided = dict(self.kept), dict(self._by), dict(self.decided)
        for cube in kept:
            new.decided |= {
                tuple(one[name] for name in NAME): tuple(one["apart"])
                for one in cube.meta["statements"]
                if one["apart"]
            }
            if old := new.kept.pop(cube.id, None):
                for key in keys_of(old):
                    new._by[key] = new._by[key] - {cube.id}
            if cube.state in LIVING:
                new.kept[cube.id] = cube
                for key in keys_of(cube):
                    new._by[key] = new._by.get(key, frozenset()) | {cube.id}
        changed = {cube.id for cube in kept}
        new.undone = (self.undone - changed) | {cube.id for cube in kept if cube.state in PUT_ASIDE}
        return new

    @cached_property
    def dangling(self) -> set[tuple[str, str]]:
        """Subjects and relations of facts that name one which is gone: erased, forgotten or undone."""
        return {
            group_of(cube)
            for cube in self.kept.values()
            for id in (cube.meta.get("superseded_by"), *cube.meta.get("conflicts", ()))
            if id is not None and id not in self.kept
        }

    def at(self, key: str | tuple[str, str] | int) -> list[Kept]:
        """The facts of a subject, of a (subject, relation), or that rest on a row."""
        return [self.kept[id] for id in sorted(self._by.get(key, ()))]


def keys_of(cube: Kept) -> list[object]:
    """Where a fact is looked up."""
    subject, relation = group_of(cube)
    return [subject, (subject, relation), *cube.members.tolist()]


def group_of(cube: Kept) -> tuple[str, str]:
    """The subject and relation of a fact, as keys."""
    return cube.meta["subject"], cube.meta["relation"]


class Ledger:
    """An owner's statements, while some are taken out and others put in; `organised` says what that changes."""

    def __init__(self, view: FactsView) -> None:
        self._view = view
        self._statements: dict[tuple[str, str], list[Statement]] = {}

    def remove(self, rows: Iterable[int], mine: Callable[[Statement], bool]) -> None:
        """Take out the statements that rest on one of the rows and are `mine`."""
        wanted = frozenset(rows)
        for group in {group_of(cube) for row in wanted for cube in self._view.at(row)}:
            statements = self.of(group)
            kept = [one for one in statements if wanted.isdisjoint(one.rows) or not mine(one)]
            self._statements[group] = kept

    def add(self, statement: Statement) -> None:
        """Put a statement in. What was decided about the same one before holds on."""
        decided = (*statement.apart, *self._view.decided.get(statement.name, ()))
        self.of(statement.group).append(replace(statement, apart=tuple(dict.fromkeys(decided))))

    def reopen(self, id: str) -> None:
        """Have a fact that was closed stand beside what closed it."""
        cube = self._view.kept[id]
        closer = self._view.kept.get(str(cube.meta.get("superseded_by", "")))
        if closer is None:
            raise StateError(
                f"{id} was closed by what was said of it, not by another fact; forget {cube.meta['cause']}"
            )
        group = self.of(group_of(cube))
        for place, one in enumerate(group):
            if one.value == cube.meta["value"]:
                group[place] = replace(one, apart=tuple(dict.fromkeys((*one.apart, closer.meta["value"]))))

    def of(self, group: tuple[str, str]) -> list[Statement]:
        """The statements of a subject and relation, which from now on counts as touched."""
        if group not in self._statements:
            self._statements[group] = [one for cube in self._view.at(group) for one in statements_of(cube)]
        return self._statements[group]

    def facts(self, subject: str) -> list[Fact]:
        """What is known of a subject, open or closed."""
        groups = {group_of(cube) for cube in self._view.at(subject)}
        groups |= {group for group in self._statements if group[0] == subject}
        return [fact for group in sorted(groups) for fact in self.group(group)]

    def group(self, group: tuple[str, str]) -> list[Fact]:
        """The facts of a subject and relation, without what was undone."""
        statements = self.of(group)
        while True:
            facts = timeline(statements)
            undone = [id(one) for fact in facts if fact.id in self._view.undone for one in fact.statements]
            if not undone:
                return facts
            statements = [one for one in statements if id(one) not in undone]

    def organised(self, embedder: Embedder) -> Organised:
        """What to write and withdraw."""
        groups = sorted(self._statements)
        facts = [fact for group in groups for fact in self.group(group)]
        ids = {fact.id for fact in facts}
        withdrawn = [cube.id for group in groups for cube in self._view.at(group) if cube.id not in ids]
        drafts = [cube_of(fact) for fact in facts]
        changed = [draft for draft in drafts if differs(draft, self._view.kept.get(draft.id))]
        return Organised(tuple(dressed(changed, embedder)), tuple(withdrawn))


def statements_of(cube: Kept) -> list[Statement]:
    """The statements that a fact was made of."""
    return [
        Statement(
            **{
                **one,
                **{name: parsed(one[name]) for name in ("start", "end", "known")},
                **{name: tuple(one[name]) for name in ("rows", "apart", "replaces", "against")},
            }
        )
        for one in cube.meta["statements"]
    ]


def parsed(value: str | None) -> datetime | None:
    """A time from a fact's metadata."""
    return None if value is None else datetime.fromisoformat(value)


def plain(statement: Statement) -> dict[str, Any]:
    """A statement as metadata."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value
        for name, value in asdict(statement).items()
    }


def cube_of(fact: Fact) -> Derived:
    """The cube of a fact, without what its text costs and means."""
    head, first = fact.head, fact.statements[0]
    every = [*fact.statements, *([fact.ended] if fact.ended else [])]
    meta: dict[str, Any] = {
        "subject": head.subject,
        "relation": head.relation,
        "value": head.value,
        "by": head.by,
        "cause": first.first,
    }
    if fact.closed_from:
        meta["closed_by"] = fact.closed_from
    if fact.closed_by is not None:
        meta["superseded_by"] = fact.closed_by.id
    if fact.conflicts:
        meta["conflicts"] = sorted(other.id for other in fact.conflicts)
    meta["statements"] = [plain(one) for one in every]
    sessions = {(one.session, one.agent) for one in fact.statements}
    session, agent = sessions.pop() if len(sessions) == 1 else ("", "")
    return Derived(
        id=fact.id,
        origin=FACTS,
        text=head.text,
        members=tuple(sorted({row for one in every for row in one.rows})),
        trust=head.trust if head.by == RULE else "model",
        agent=agent,
        session=session,
        at=first.start,
        valid_from=first.start,
        valid_to=fact.valid_to,
        recorded_at=min(one.known for one in fact.statements),
        superseded_at=fact.superseded_at,
        meta=meta,
    )


def differs(draft: Derived, kept: Kept | None) -> bool:
    """Whether a fact is not stored as it is."""
    if kept is None:
        return True
    now = (draft.text, draft.meta, draft.valid_from, draft.valid_to, draft.recorded_at, draft.superseded_at)
    stored = (kept.text, kept.meta, kept.valid_from, kept.valid_to, kept.recorded_at, kept.superseded_at)
    return now != stored or list(draft.members) != kept.members.tolist()


def dressed(drafts: Sequence[Derived], embedder: Embedder) -> list[Derived]:
    """The drafts with vectors and the cost of their lines."""
    if not drafts:
        return []
    vectors = embedder.embed([draft.text for draft in drafts])
    tokens = count_tokens([shown(None, draft.text) for draft in drafts])
    return [
        replace(draft, vector=np.asarray(vector, np.float32), tokens=count)
        for draft, vector, count in zip(drafts, vectors, tokens)
    ]
