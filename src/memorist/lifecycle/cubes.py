"""The life of someone's cubes: their states and their header. Made by `ScopedMemory.cubes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from memorist.cube import Cube, Scope, parse_moment, utc
from memorist.errors import InputError
from memorist.lifecycle import portable
from memorist.lifecycle.composing import bundle, division, embed_composed, fusion
from memorist.models.embedder import Embedder
from memorist.states import Verb
from memorist.store.protocol import INDEX, Composition, HeaderChange, Store

NEVER = "never"


@dataclass(frozen=True, slots=True)
class Cubes:
    """What may be done with cubes beside adding, updating and forgetting them; see `memorist.states` for the table.

    Every call is for one id or several, all of them or none: it raises NotFound, or a StateError that names what would
    be possible instead. `settle` has organisers look at what changed.
    """

    store: Store
    scope: Scope
    clock: Callable[[], datetime]
    settle: Callable[[], object]
    embedder: Callable[[], Embedder]

    def fuse(self, id: Sequence[str], *, text: str | None = None) -> Cube:
        """One cube in the place of several, which are then `merged`; `undo` of it brings them back.

        Its text is theirs, each thing once, or the one given. It rests on all their episodes. Raises InputError,
        NotFound, or StateError for cubes that cannot be one: frozen or put aside, never true at the same time, or
        contradicting each other without a `text` that says what stands.
        """
        return self._composed(fusion(self._cubes(id), text, self.embedder()))[0]

    def compose(self, id: Sequence[str], *, text: str | None = None) -> Cube:
        """One cube that says what several say, which stay; it holds as long as they do."""
        return self._composed(bundle(self._cubes(id), text, self.embedder()))[0]

    def split(self, id: str, *, texts: Sequence[str] | None = None) -> list[Cube]:
        """Several cubes in the place of one, which is then `archived`; `undo` of any of them brings it back.

        Without `texts` they are its sentences. Raises InputError, NotFound or StateError.
        """
        (cube,) = self._cubes(id)
        return self._composed(division(cube, texts, self.embedder()))

    def archive(self, id: str | Sequence[str]) -> None:
        """Put cubes away that are seldom needed: kept, and out of recall. `activate` undoes it."""
        self._move(id, "archive")

    def activate(self, id: str | Sequence[str]) -> None:
        """Bring archived or expired cubes back to recall; what was expired has no end any more.

        What was derived from something that is not there for recall itself cannot be.
        """
        self._move(id, "activate")

    def freeze(self, id: str | Sequence[str]) -> None:
        """Hold cubes as they are: they are recalled, and cannot be updated, fused, forgotten, archived or erased, nor
        expire; nor can what they rest on."""
        self._move(id, "freeze")

    def thaw(self, id: str | Sequence[str]) -> None:
        """End a `freeze`."""
        self._move(id, "thaw")

    def describe(
        self,
        id: str | Sequence[str],
        *,
        semantic_type: str | None = None,
        expires_at: datetime | str | None = None,
        ttl: timedelta | None = None,
        priority: int | None = None,
        sensitivity: Sequence[str] | None = None,
    ) -> None:
        """Set what cubes are (`semantic_type`), until when they are recalled, how important and how sensitive they are.

        What is not named stays. `expires_at` is a time or "never", `ttl` how long from now instead. `priority` is from
        -100 to 100. Raises InputError too.
        """
        now = utc(self.clock())
        if ttl is not None and expires_at is not None:
            raise InputError("name either expires_at or ttl, not both")
        end = expires_at if ttl is None else now + ttl
        until = None if end is None or end == NEVER else parse_moment(end, "expires_at")
        change = HeaderChange(semantic_type, priority, sensitivity, end is not None, until)
        self.store.describe(self.scope, ids_of(id), change, now)
        self.settle()

    def versions(self, id: str) -> list[Cube]:
        """The version chain of a cube, oldest first; any of its versions names it. Raises NotFound."""
        return self.store.versions(self.scope, id)

    def dump(self, path: str | Path, id: str | Sequence[str] | None = None) -> int:
        """Write cubes to a portable file (a zip): all of this scope, or these with all their versions and what they
        rest on. Returns how many records it has. Raises InputError, NotFound or StoreError.

        What organisers derived is not in it: it is derived again where the file is loaded.
        """
        self.settle()
        return portable.dump(self.store, self.scope, None if id is None else ids_of(id), Path(path).expanduser())

    def load(self, path: str | Path) -> int:
        """Add the cubes of a portable file to this scope, all or nothing; returns how many were new.

        In the scope that they come from they keep their ids; in another one they get others, the same every time, so
        that loading again adds nothing. Raises InputError for a damaged or foreign file.
        """
        place = Path(path).expanduser()
        new = portable.load(place, self.scope, lambda records: self.store.restore(records, (INDEX,)))
        embed_composed(self.store, self.scope, self.embedder())
        self.settle()
        return new

    def _cubes(self, id: str | Sequence[str]) -> list[Cube]:
        return self.store.get(self.scope, ids_of(id))

    def _composed(self, composition: Composition) -> list[Cube]:
        self.store.compose(self.scope, composition, utc(self.clock()), (INDEX,))
        self.settle()
        return self.store.get(self.scope, [cube.id for cube in composition.cubes])

    def _move(self, id: str | Sequence[str], verb: Verb) -> None:
        self.store.move(self.scope, ids_of(id), verb, utc(self.clock()), (INDEX,))
        self.settle()


def ids_of(id: object) -> list[str]:
    """One id or several as a list without repeats. Raises InputError."""
    ids = [id] if isinstance(id, str) else list(id) if isinstance(id, Sequence) else []
    if not ids or not all(isinstance(one, str) for one in ids):
        raise InputError("name at least one id, such as ep-…")
    return list(dict.fromkeys(ids))
