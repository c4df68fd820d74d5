"""Who asks, and what of the memory that opens: the scope comes from the key and cannot be widened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from memorist.memory import Memory
from memorist.scoped import ScopedMemory
from memorist.serve.keys import RIGHTS, hashed
from memorist.serve.problems import Refused
from memorist.store.audit import ACTOR
from memorist.store.protocol import Key

bearer = HTTPBearer(auto_error=False, description="An API key, made by: memorist keys create")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key; without keys in the store, anyone on this machine, as the unnamed tenant."""

    id: str
    tenant: str
    user: str
    agent: str
    rights: tuple[str, ...]
    rate: int

    def scoped(self, memory: Memory, user: str, agent: str, session: str) -> ScopedMemory:
        """The memory that is asked for: another user's, for a key of one user, is what that one has shared.

        What is sensitive is masked for a key without the right to reveal it. The audit log names the key. Raises
        Refused when the key is bound to another agent, or to a user with whom that other one has shared nothing.
        """
        ACTOR.set(self.id)
        others = bool(self.user and user and user != self.user)
        if not others and self.agent and agent and agent != self.agent:
            raise Refused(403, "wrong-scope", "this key is bound to one agent, which is not the one asked for")
        mine = self.agent or ("" if others else agent)
        own = "" if others else session
        scoped = memory.scope(tenant=self.tenant, user=self.user or user, agent=mine, session=own)
        if others:
            if not any(grant.scope.user == user for grant in scoped.rights.received()):
                about = f"this key is bound to one user, with whom {user!r:.80} shares nothing"
                raise Refused(403, "wrong-scope", about)
            scoped = scoped.shared_by(user, agent=agent, session=session)
        return scoped if "reveal" in self.rights else scoped.masked()


ANYONE = Caller("", "", "", "", RIGHTS, 0)


class Doorman:
    """Tells callers by their keys, and holds them to their rate."""

    def __init__(self, memory: Memory, *, open_without_keys: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = memory._store
        self._open = open_without_keys
        self._clock = clock
        self._spent: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def is_open(self) -> bool:
        """Whether no key is needed: on this machine alone, as long as the store has none."""
        return self._open and not any(key.revoked_at is None for key in self._store.all_keys())

    def admit(self, secret: str | None) -> Caller:
        """The caller of this secret. Raises Refused (401, 429)."""
        if secret is None:
            if self.is_open():
                return ANYONE
            raise Refused(
                401, "key-needed", "send a key as: Authorization: Bearer mk-…", {"WWW-Authenticate": "Bearer"}
            )
        key = self._store.key_with(hashed(secret))
        if key is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, "key-unknown", "this key is not known, or was revoked", challenge)
        self._limit(key)
        return Caller(key.id, key.tenant, key.user, key.agent, key.rights, key.rate)

    def _limit(self, key: Key) -> None:
        """A bucket of `rate` tokens that fills within a minute."""
        if not key.rate:
            return
        now = self._clock()
        with self._lock:
            left, then = self._spent.get(key.id, (float(key.rate), now))
            left = min(float(key.rate), left + (now - then) * key.rate / 60)
            if left < 1:
                wait = (1 - left) * 60 / key.rate
                told = f"this key may ask {key.rate} times a minute; try again in {wait:.0f} s"
                raise Refused(429, "too-many-requests", told, {"Retry-After": str(max(1, round(wait)))})
            self._spent[key.id] = (left - 1, now)


def admitted(request: Request, given: HTTPAuthorizationCredentials | None = Depends(bearer)) -> Caller:
    """The caller of a request, noted for the log."""
    caller: Caller = request.app.state.doorman.admit(given.credentials if given else None)
    request.state.key = caller.id
    return caller


def may(right: str) -> Callable[[Caller], Caller]:
    """A dependency: the caller, if the key has the right."""

    def check(caller: Caller = Depends(admitted)) -> Caller:
        if right not in caller.rights:
            raise Refused(403, "no-right", f"this key may not {right}; its rights are {', '.join(caller.rights)}")
        return caller

    return check


def memory_of(request: Request) -> Memory:
    """The store's memory."""
    memory: Memory = request.app.state.memory
    return memory
