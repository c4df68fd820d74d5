"""Names of cubes: a hash of what a cube is, so that the same thing has the same name everywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime

from memorist.cube import Observation, Scope


def digest(*parts: object) -> str:
    """20 lower-case characters (100 bits) of a hash over the parts."""
    data = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b32encode(hashlib.blake2b(data, digest_size=15).digest()).decode().lower()[:20]


def episode_base(scope: Scope, observation: Observation, session: str, said: datetime | None) -> str:
    """What makes an observation itself, apart from how often it occurs.

    A source's own key makes it unique; without one, the words, the speaker and the time do.
    """
    owner = (scope.tenant, scope.user, scope.agent, session, observation.source)
    what = (observation.role, observation.speaker, observation.text, observation.key)
    return digest(owner, what, said.isoformat() if said else None)


def episode_id(base: str, occurrence: int) -> str:
    """The id of the n-th occurrence of an observation in its source, counted from 0."""
    return f"ep-{base if occurrence == 0 else digest(base, occurrence)}"


def derived_id(origin: str, *about: str) -> str:
    """The id of what an organiser derives about something."""
    return f"{origin[:2]}-{digest(origin, *about)}"
