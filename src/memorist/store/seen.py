"""A store as a subject sees it: reads go through its sight, writes to the store itself where a grant allows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from memorist.cube import Cube, Scope
from memorist.errors import NotAllowed
from memorist.states import Verb
from memorist.store.audit import ACTOR
from memorist.store.governed import Entry, Grant, Remains, Right, Sight, Subject
from memorist.store.grants import covers
from memorist.store.opened import allows, is_whole, refusal, sources_of
from memorist.store.protocol import Draft, Erased, HeaderChange, Recalled
from memorist.store.reply_log import Exchange
from memorist.store.rows import fetch_in
from memorist.store.scoped import Transactions, owner_of
from memorist.store.sqlite import TableStore


class SeenStore(TableStore):
    """See `memorist.store.governed.Governed.seen`. In the transactions of `seen` only what the sight shows exists."""

    def __init__(self, whole: TableStore, sight: Sight, seen: Transactions) -> None:
        self.whole = whole
        self.sight = sight
        super().__init__(seen, whole.place)

    def held(self) -> list[Grant] | None:
        """The grants of this moment; None for the owner, who needs none."""
        subject, scope = self.sight.subject, self.sight.scope
        if subject is None:
            return None
        return [one for one in self.whole.granted(scope.tenant, subject) if one.scope.user == scope.user]

    def needs(self, right: Right) -> None:
        """Raises NotAllowed unless the subject has the right in all of the memory."""
        held = self.held()
        if held is not None and not any(is_whole(one) and allows(one, right) for one in held):
            raise NotAllowed(refusal(self.sight, right))

    @contextmanager
    def acting(self) -> Iterator[TableStore]:
        """The store itself, with the subject as the actor that the audit log names."""
        subject = self.sight.subject
        token = ACTOR.set(" ".join(filter(None, (subject.user, subject.agent))) if subject else ACTOR.get())
        try:
            yield self.whole
        finally:
            ACTOR.reset(token)

    def needs_cubes(self, ids: Sequence[str]) -> None:
        """Raises NotAllowed unless the subject may write each of these episodes."""
        held = self.held()
        if held is None:
            return
        writable = [one for one in held if allows(one, "write")]
        if not writable:
            raise NotAllowed(refusal(self.sight, "write"))
        parts, bound = sources_of(writable)
        with self.whole._database.reading() as db:
            owner = owner_of(db, self.sight.scope, create=False)
            allowed = {
                id
                for (id,) in db.execute(
                    f"SELECT id FROM cubes WHERE owner = :owner AND origin = 'source' AND ({parts})",
                    {"owner": owner, **bound},
                )
            }
        if not allowed.issuperset(ids):
            raise NotAllowed(refusal(self.sight, "write"))

    # Writing, where a grant allows it

    def add(self, scope: Scope, drafts: Sequence[Draft], now: datetime, kinds: Sequence[str]) -> tuple[list[str], int]:
        """Keep new episodes where the subject may write."""
        held = self.held()
        for draft in drafts:
            place = Scope(agent=draft.agent, session=draft.session)
            fits = held is None or any(
                one.cubes is None and allows(one, "write") and covers(one.scope, place) for one in held
            )
            if not fits:
                raise NotAllowed(refusal(self.sight, "write"))
        with self.acting() as store:
            return store.add(scope, drafts, now, kinds)

    def replace(self, scope: Scope, old: str, draft: Draft, now: datetime, kinds: Sequence[str]) -> str:
        """Put a new version in a cube's place, unless what it is made of was masked."""
        shown = self.get(scope, [old])
        self.needs_cubes([old])
        if [said(cube) for cube in shown] != [said(cube) for cube in self.whole.get(scope, [old])]:
            raise NotAllowed(f"parts of {old} are masked here; updating it needs the right to reveal them")
        with self.acting() as store:
            return store.replace(scope, old, draft, now, kinds)

    def move(self, scope: Scope, ids: Sequence[str], verb: Verb, now: datetime, kinds: Sequence[str]) -> None:
        """Forget and restore episodes that the subject may write; hold them, for whoever administers the memory."""
        self.get(scope, ids)
        if verb in ("freeze", "thaw"):
            self.needs("administer")
        else:
            self.needs_cubes(ids)
        with self.acting() as store:
            store.move(scope, ids, verb, now, kinds)

    def describe(self, scope: Scope, ids: Sequence[str], change: HeaderChange, now: datetime) -> None:
        """Set the header of cubes, for whoever administers the memory: it says what is sensitive."""
        self.needs("administer")
        with self.acting() as store:
            store.describe(scope, ids, change, now)

    def erase(self, scope: Scope, ids: Sequence[str], kinds: Sequence[str]) -> Erased:
        """Destroy episodes, for whoever administers the memory."""
        self.needs("administer")
        with self.acting() as store:
            return store.erase(scope, ids, kinds)

    def compact(self, texts: Sequence[str]) -> int:
        """Rewrite the file, after an erase."""
        self.needs("administer")
        return self.whole.compact(texts)

    def finish_erasing(self) -> bool:
        """The same, of an erase that was ended before."""
        self.needs("administer")
        return self.whole.finish_erasing()

    def searches(self) -> bool:
        """Whether bytes that are left can be found."""
        return self.whole.searches()

    def remains(self, number: str, cubes: Sequence[str], texts: Sequence[str]) -> Remains:
        """What of an erasure is in the store, for whoever administers the memory."""
        self.needs("administer")
        return self.whole.remains(number, cubes, texts)

    def check(self) -> list[str]:
        """Whether the store is sound, for whoever administers the memory."""
        self.needs("administer")
        return self.whole.check()

    def backup(self, path: Path, now: datetime) -> None:
        """Refused: a copy holds every owner's memory."""
        raise NotAllowed("this is the owner's to do")

    def keep_reply(self, scope: Scope, exchange: Exchange, rows: Sequence[int]) -> bool:
        """Keep a call in the owner's log, so that it is erased with what it saw."""
        with self._database.reading() as db:
            seen = {row for (row,) in fetch_in(db, "SELECT row FROM cubes WHERE row IN ({})", rows)}
        return self.whole.keep_reply(scope, exchange, [row for row in rows if row in seen])

    def used(self, scope: Scope, counts: Mapping[int, Recalled]) -> None:
        """Count what was recalled as used, whoever asked."""
        self.whole.used(scope, counts)

    def reject_reply(self, scope: Scope, key: str, reason: str) -> None:
        """Never replay a reply: it was kept in the owner's log."""
        self.whole.reject_reply(scope, key, reason)

    def backups(self) -> list[Path]:
        """Copies made of the store, after an erase."""
        self.needs("administer")
        return self.whole.backups()

    # Governing

    def seen(self, sight: Sight) -> TableStore:
        """The same memory in another way: masked, too."""
        return self.whole.seen(sight)

    def grant(self, grant: Grant, by: Subject | None) -> Grant:
        """Give others what the subject may share."""
        with self.acting() as store:
            return store.grant(grant, self.sight.subject)

    def revoke(self, scope: Scope, number: int, now: datetime, by: Subject | None) -> None:
        """End a grant that the subject could have given."""
        with self.acting() as store:
            store.revoke(scope, number, now, self.sight.subject)

    def grants(self, scope: Scope) -> list[Grant]:
        """All grants, for whoever administers the memory."""
        self.needs("administer")
        return self.whole.grants(scope)

    def granted(self, tenant: str, subject: Subject) -> list[Grant]:
        """The subject's own."""
        return [one for one in self.whole.granted(tenant, subject) if subject == self.sight.subject]

    def tags(self, scope: Scope) -> dict[str, tuple[str, ...]]:
        """The tags of the cubes that are seen."""
        with self._database.reading() as db:
            visible = {id for (id,) in db.execute("SELECT id FROM cubes")}
        return {id: tags for id, tags in self.whole.tags(scope).items() if id in visible}

    def record(self, act: str, scope: Scope, detail: Mapping[str, Any]) -> tuple[int, str]:
        """Add an entry to the audit log."""
        with self.acting() as store:
            return store.record(act, scope, detail)

    def audit(self, after: int, limit: int, scope: Scope | None) -> list[Entry]:
        """Entries about this owner, for whoever administers the memory."""
        self.needs("administer")
        return self.whole.audit(after, limit, self.sight.scope)

    def identity(self) -> str:
        """The store's own name."""
        return self.whole.identity()

    def known_of(self, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
        """All that is kept of the owner, for whoever administers the memory and may see it in clear."""
        self.needs("administer")
        if self.sight.masked:
            raise NotAllowed("an export of all that is known shows it in clear; a masked handle has none")
        return self.whole.known_of(scope)


def said(cube: Cube) -> tuple[object, ...]:
    """What masking changes of a cube."""
    return cube.text, dict(cube.meta), cube.speaker, cube.source
