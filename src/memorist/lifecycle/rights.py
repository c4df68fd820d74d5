"""Who else may use someone's memory. Made by `ScopedMemory.rights`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from memorist.cube import Scope, utc
from memorist.errors import InputError, brief
from memorist.lifecycle.cubes import ids_of
from memorist.store.governed import RIGHTS, Grant, Right, Subject
from memorist.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Rights:
    """Grants: a scope is closed to everybody but its owner until it is shared."""

    store: Store
    scope: Scope
    clock: Callable[[], datetime]

    def share(
        self,
        with_: str,
        rights: Sequence[Right] = ("read",),
        *,
        agent: str = "",
        cubes: str | Sequence[str] | None = None,
    ) -> Grant:
        """Let a user of the same tenant, or only an agent of theirs, use this scope, or these cubes of it alone.

        Of "read", "write", "share" (give on what one has), "administer" (all of it, and to erase, hold and export) and
        "reveal" (see what is sensitive in clear). What is derived is open when all that it rests on is.
        Raises InputError, NotFound for a cube, NotAllowed for a subject that may not give this.
        """
        subject = self._subject(with_, agent)
        listed = None if cubes is None else tuple(ids_of(cubes))
        held = checked(rights)
        if listed is not None and set(held) - {"read", "write", "reveal"}:
            raise InputError("single cubes can be shared to read, write and reveal; share the scope for other rights")
        grant = Grant(0, self.scope, subject, held, utc(self.clock()), listed)
        return self.store.grant(grant, None)

    def revoke(self, number: int) -> None:
        """End a grant at once. Raises NotFound or NotAllowed."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**63:
            raise InputError(f"{brief(number)} is not the number of a grant; see: memorist rights list")
        self.store.revoke(self.scope, number, utc(self.clock()), None)

    def given(self, *, ended: bool = False) -> list[Grant]:
        """Who may use this memory; with `ended`, who once could, too."""
        return [one for one in self.store.grants(self.scope) if ended or one.revoked_at is None]

    def received(self) -> list[Grant]:
        """What others have shared with this user, or this agent of theirs."""
        return self.store.granted(self.scope.tenant, Subject(self.scope.user, self.scope.agent))

    def _subject(self, user: str, agent: str) -> Subject:
        named = Scope(self.scope.tenant, user, agent)
        if named.user == self.scope.user:
            raise InputError(f"this memory is {brief(user)}'s own; share it with another user of the tenant")
        return Subject(named.user, named.agent)


def checked(rights: Sequence[Right]) -> tuple[Right, ...]:
    """Rights in their order. Raises InputError for one that there is not, or for none."""
    given = [rights] if isinstance(rights, str) else list(rights)
    unknown = [str(right) for right in given if right not in get_args(Right)]
    if unknown or not given:
        raise InputError(f"rights are one or more of {', '.join(RIGHTS)}, not {', '.join(unknown) or 'none'}")
    return tuple(right for right in RIGHTS if right in given)
