"""API keys: made once, shown once, kept as a hash, and bound to a tenant or less."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from memorist.cube import Scope
from memorist.errors import InputError, NotFound
from memorist.ids import digest
from memorist.store.protocol import Key, Store

PREFIX = "mk-"
RIGHTS = ("read", "write", "erase", "reveal")
"""`reveal` is to see what is sensitive in clear; without it, it is masked."""
MOST_A_MINUTE = 1_000_000


def create(
    store: Store, scope: Scope, now: datetime, *, name: str = "", rights: Sequence[str] = RIGHTS, rate: int = 0
) -> tuple[Key, str]:
    """A new key for a tenant, a user or an agent of theirs, and its secret, which is nowhere else.

    `rate` is requests a minute, 0 for any number. Raises InputError.
    """
    held = checked_rights(rights)
    if scope.session:
        raise InputError("a key cannot be bound to a session; bind it to a tenant, a user or an agent")
    if isinstance(rate, bool) or not isinstance(rate, int) or not 0 <= rate <= MOST_A_MINUTE:
        raise InputError(f"rate must be a whole number from 0 (no limit) to {MOST_A_MINUTE:,} requests a minute")
    if len(name) > 200 or not name.isprintable():
        raise InputError("a key's name must be at most 200 printable characters")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = Key(f"key-{digest(hashed(secret))[:12]}", name, scope.tenant, scope.user, scope.agent, held, rate, now)
    store.add_key(key, hashed(secret))
    return key, secret


def rotate(store: Store, id: str, now: datetime) -> tuple[Key, str]:
    """A new secret with the rights of an old key, which is revoked. Raises NotFound."""
    for old in store.all_keys():
        if old.id == id and old.revoked_at is None:
            scope = Scope(old.tenant, old.user, old.agent)
            made = create(store, scope, now, name=old.name, rights=old.rights, rate=old.rate)
            store.revoke_key(id, now)
            return made
    raise NotFound(f"there is no key {id!r:.80} in use; see: memorist keys list")


def revoke(store: Store, id: str, now: datetime) -> None:
    """End a key at once. Raises NotFound."""
    if not store.revoke_key(id, now):
        raise NotFound(f"there is no key {id!r:.80} in use; see: memorist keys list")


def hashed(secret: str) -> str:
    """What is kept of a secret. It is 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def checked_rights(rights: Sequence[str]) -> tuple[str, ...]:
    """Rights in their order. Raises InputError for one that there is not, or for none."""
    unknown = [right for right in rights if right not in RIGHTS]
    if unknown or not rights:
        raise InputError(f"rights are one or more of {', '.join(RIGHTS)}, not {', '.join(unknown) or 'none'}")
    return tuple(right for right in RIGHTS if right in rights)
