"""What is measured: anything that remembers a corpus and answers a question with texts of it.

A recipe in a store of ours is one; a peer is another. Both see the question and the limits, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from memorist.bench.suite import Corpus, Item
from memorist.bench.vectors import Remembering
from memorist.cube import Observation
from memorist.errors import InputError, MemoristError, ModelMissing
from memorist.memory import Memory
from memorist.models.embedder import Embedder
from memorist.models.known import DEFAULT, embedder_named
from memorist.recall.pool import Limits
from memorist.recipes import RECIPES, english_facts, recipe_named
from memorist.results import Hit, Hits
from memorist.scoped import ScopedMemory

WHEN = datetime(2025, 1, 1, tzinfo=timezone.utc)
"""When it is, for data that know no time: a run next year gives the same numbers."""


class CannotRun(MemoristError):
    """A system cannot be run here, or it broke; the message is the reason. The others go on without it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A text that a system returned, and the keys of the items that it says stand in it (none: it is derived)."""

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a system returned for a question, best first, the context it makes of it, and seconds it took.

    `hits` are for readers; `seconds` include the embedding that the vector cache spared.
    """

    returned: tuple[Returned, ...]
    context: str
    hits: Hits
    seconds: float


@dataclass(frozen=True, slots=True)
class Added:
    """What adding took: seconds in all, those of the embedder among them, and bytes on disk afterwards."""

    seconds: float
    embedding: float
    bytes: int


class System(Protocol):
    """A memory under test. It is opened in every process that asks it, over what one process added."""

    name: str

    def add(self, corpora: Sequence[Corpus], progress: Callable[[int], None]) -> Added:
        """Remember corpora, each of an owner of its own; `progress` is told how many items are done."""
        ...

    def search(self, corpus: str, question: str, limits: Limits, at: datetime | None) -> Found:
        """What speaks to the question in a corpus, within the limits, asked at a time."""
        ...

    def close(self) -> None:
        """Let go of files and processes. What was added stays."""
        ...


class RecipeSystem:
    """A recipe in a store of ours, a user for each corpus. `openie` is a ready-made extraction for its fact graph."""

    def __init__(
        self, recipe: str, folder: Path, embedder: str | Embedder = DEFAULT, openie: Path | None = None
    ) -> None:
        self.name = recipe
        self.embedder: Embedder = Remembering(embedder_named(embedder)) if isinstance(embedder, str) else embedder
        self._openie = openie
        self._path = folder / "memory.db"
        self._now = WHEN
        known = recipe_named(recipe)
        if known.writers and not known.organisers:
            raise CannotRun(
                "what it adds is written by a language model, which is not run here: memorist bench writers"
            )
        try:
            self._memory = Memory.open(self._path, embedder=self.embedder, recipe=recipe, clock=lambda: self._now)
        except ModelMissing as error:
            raise CannotRun(str(error)) from error
        self._warm: set[str] = set()

    def add(self, corpora: Sequence[Corpus], progress: Callable[[int], None]) -> Added:
        """Every corpus through the front door."""
        before = embedding_of(self.embedder)
        begin = time.perf_counter()
        for corpus in corpora:
            self._add(corpus, progress)
        wall = time.perf_counter() - begin
        saved, spent = (now - then for now, then in zip(embedding_of(self.embedder), before))
        return Added(wall + saved, saved + spent, bytes_of(self._path.parent))

    def _add(self, corpus: Corpus, progress: Callable[[int], None]) -> None:
        """One corpus; with a ready-made extraction nothing is extracted before that is there."""
        observations = [observation(item) for item in corpus.items]
        if self._openie is None or not recipe_named(self.name).organisers:
            self.scope(corpus.name).add(observations, progress=progress)
            return
        self.add_extracted(corpus.name, observations, self._openie, progress)

    def add_extracted(
        self,
        corpus: str,
        observations: Sequence[Observation],
        openie: Path,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Add with the facts that a file has of it. Raises InputError when the recipe could not use them."""
        with Memory.open(self._path, embedder=self.embedder, recipe="dense", clock=lambda: self._now) as plain:
            plain.scope(user=corpus).add(observations, progress=progress)
            plain.scope(user=corpus).extract(openie)
        problem = self._memory.settle(self.scope(corpus).scope)
        if problem:
            raise InputError(f"{self.name} could not use {openie}: {problem}")

    def scope(self, corpus: str) -> ScopedMemory:
        """The memory of a corpus's owner."""
        return self._memory.scope(user=corpus)

    def search(self, corpus: str, question: str, limits: Limits, at: datetime | None) -> Found:
        """The recipe's hits; the first search of an owner, which loads its index, is not timed."""
        scoped = self.scope(corpus)
        self._now = at or WHEN
        if corpus not in self._warm:
            scoped.search("warm up", k=1)
            self._warm.add(corpus)
        saved, _ = embedding_of(self.embedder)
        begin = time.perf_counter()
        hits = scoped.search(question, k=limits.k, budget=limits.budget)
        seconds = time.perf_counter() - begin + embedding_of(self.embedder)[0] - saved
        return Found(tuple(returned(hit, scoped) for hit in hits), hits.prompt(), hits, seconds)

    def close(self) -> None:
        """Let go of the store and of the cache."""
        self._memory.close()
        if isinstance(self.embedder, Remembering):
            self.embedder.close()


def kept_by(recipe: str) -> object:
    """What makes the store of a recipe what it is: those whose organisers and writers are the same have the same."""
    known = recipe_named(recipe)
    return known.organisers, known.writers


def extracts(system: str) -> bool:
    """Whether a system is a recipe that extracts facts as it is told: no other takes as long."""
    return system.partition(":")[0] in RECIPES and english_facts in recipe_named(system).organisers


def observation(item: Item) -> Observation:
    """An item as the front door takes it, its key in the header."""
    meta = {"item": item.key} if item.label is None else {"item": item.key, "label": item.label}
    return Observation(
        item.text, item.speaker, item.role, item.at or WHEN, session=item.session, key=item.key, meta=meta
    )


def returned(hit: Hit, scoped: ScopedMemory) -> Returned:
    """A hit, and the items in it: its own, or for a derived one those of its episodes that it quotes whole."""
    if "item" in hit.meta:
        return Returned(hit.text, (str(hit.meta["item"]),))
    episodes = [scoped.get(id) for id in hit.episodes]
    return Returned(hit.text, tuple(str(one.meta["item"]) for one in episodes if one.text in hit.text))


def embedding_of(embedder: Embedder) -> tuple[float, float]:
    """Seconds of embedding saved and spent so far; an embedder that keeps no count has none."""
    return (embedder.saved, embedder.spent) if isinstance(embedder, Remembering) else (0.0, 0.0)


def bytes_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
