"""A store on PostgreSQL as a subject sees it: transactions that cannot write, with the views of `shown` before all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from memorist.errors import NotAllowed, StoreReadOnly
from memorist.redaction import RULES, hidden, masked, masked_json
from memorist.store.governed import Sight
from memorist.store.opened import Opened, moment_of, opened
from memorist.store.postgres.connection import Database, Session
from memorist.store.postgres.names import TABLES
from memorist.store.scoped import owner_of

BATCH = 2_000
"""Cubes that are masked in one transaction."""

UNMASKED = f"""
SELECT c.row, c.text, c.meta, c.times, c.speaker, c.source FROM cubes c
WHERE c.owner = ? AND c.revision > ? AND NOT EXISTS (
  SELECT 1 FROM {TABLES}.masked m WHERE m.tenant = c.tenant AND m.row = c.row AND m.rules = ?
) ORDER BY c.row LIMIT ?
"""
KEEP = f"""
INSERT INTO {TABLES}.masked (row, rules, text, meta, times, speaker, source) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, row) DO UPDATE SET rules = EXCLUDED.rules, text = EXCLUDED.text, meta = EXCLUDED.meta,
  times = EXCLUDED.times, speaker = EXCLUDED.speaker, source = EXCLUDED.source
"""


class Seen:
    """Transactions of a store in which only what one sight shows is there."""

    def __init__(self, base: Database, sight: Sight) -> None:
        self._base = base
        self._sight = sight
        self._running = threading.local()
        self._known: tuple[Opened, dict[str, str]] | None = None
        self._masked: tuple[int, int] = (0, -1)
        """An owner, and up to which revision there are masked texts of all cubes."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A transaction in which the sight is as the grants of its moment are. Raises NotAllowed without one."""
        running = getattr(self._running, "session", None)
        if running is not None:
            yield running
            return
        for again in (False, True):
            with self._base.separate() as session:
                session.enter(self._sight.scope.tenant)
                found, settings = self._look(session)
                if again or not found.masks or self._masked == found.key[:2]:
                    session.show(settings)
                    self._running.session = session
                    try:
                        yield session
                    finally:
                        self._running.session = None
                    return
            self._mask(*found.key[:2])

    def writing(self) -> AbstractContextManager[Any]:
        """Refused: nothing is written through a sight."""
        raise NotAllowed("this is the owner's to do")

    def close(self) -> None:
        """Nothing: the connections are the store's."""

    def _look(self, session: Session) -> tuple[Opened, dict[str, str]]:
        """What is open, and the settings that say so to the views."""
        db = cast(Any, session)
        now = moment_of(db, self._sight)
        known = self._known
        if known is None or known[0].key != now.key:
            found = opened(db, self._sight, now)
            known = self._known = (found, settings_of(found))
        return known

    def _mask(self, owner: int, revision: int) -> None:
        """Make the masked texts that are lacking; what has none stays hidden."""
        after = self._masked[1] if self._masked[0] == owner else -1
        try:
            while self._lacks(owner, after):
                with self._base.writing() as session:
                    owner_of(cast(Any, session), self._sight.scope, create=False)  # nobody changes a text meanwhile
                    rows = session.execute(UNMASKED, (owner, after, RULES, BATCH)).fetchall()
                    session.executemany(KEEP, [kept(*row) for row in rows])
        except StoreReadOnly:
            return
        self._masked = (owner, revision)

    def _lacks(self, owner: int, after: int) -> bool:
        """Whether there are cubes without masked texts."""
        with self._base.reading() as session:
            session.enter(self._sight.scope.tenant)
            return session.execute(UNMASKED, (owner, after, RULES, 1)).fetchone() is not None


def kept(row: int, text: str, meta: str, times: str, speaker: str | None, source: str | None) -> tuple[Any, ...]:
    """What is kept of a cube's masked texts."""
    said = (None if one is None else masked(one) for one in (speaker, source))
    shown = (masked(text), masked_json(meta), masked_json(times), *said)
    written = (text, meta, times, speaker, source)
    return (row, RULES, *(None if now == then else now for now, then in zip(shown, written)))


def settings_of(found: Opened) -> dict[str, str]:
    """What the views read, by the name of the setting."""
    return {
        "owner": str(found.owner),
        "turned": str(found.turned),
        "open": "all" if found.rows is None else json.dumps(sorted(found.rows)),
        "closed": json.dumps(sorted(found.closed)),
        "tagged": json.dumps({str(row): hidden(tags) for row, tags in found.tagged.items()}),
        "rules": RULES if found.masks else "",
    }
