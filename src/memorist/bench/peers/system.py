"""A peer as a system of the harness: it remembers the same words, by the same vectors, under the same limits.

A peer is given what our own memory indexes of an item: date, speaker, words. It returns texts; the context made of them
is ours, framed, dated and cut as a recipe's is, so that a token means the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path

from memorist.bench.peers.environment import python_of, why_not
from memorist.bench.peers.known import PREFIX, peer_named
from memorist.bench.peers.process import PATIENCE, Process, Reply
from memorist.bench.suite import Corpus, Item
from memorist.bench.system import WHEN, Added, CannotRun, Found, Returned, bytes_of, embedding_of
from memorist.bench.vectors import Remembering
from memorist.cube import TRUST_OF_ROLE
from memorist.models.known import embedder_named
from memorist.models.wordpiece import count_tokens
from memorist.recall.pool import Limits
from memorist.recall.select import PATIENCE as MISSES
from memorist.recall.select import frame_cost, heading_cost
from memorist.results import Hit, Hits, prompt_line
from memorist.text import indexed

BATCH = 64
"""Items that are told at a time."""


class PeerSystem:
    """A peer's process over a folder, started when it is first needed."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, embedder: str, patience: Mapping[str, float] = PATIENCE
    ) -> None:
        self.name = name
        self.embedder = Remembering(embedder_named(embedder))
        self._command, self._patience = command, patience
        self._folder = folder / name.removeprefix(PREFIX)
        self._data = self._folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._items: dict[str, dict[str, Item]] = {}
        self._warm: set[str] = set()
        self._process: Process | None = None
        self._broken: CannotRun | None = None

    def add(self, corpora: Sequence[Corpus], progress: Callable[[int], None]) -> Added:
        """Every corpus, an owner each. Raises CannotRun."""
        before = embedding_of(self.embedder)
        seconds = 0.0
        for corpus in corpora:
            keep(self._folder, corpus)
            for done, batch in batches(corpus.items):
                told = [(item.key, indexed(item.speaker, item.text, item.at or WHEN)) for item in batch]
                seconds += self._call("add", owner=corpus.name, items=told).seconds
                progress(done)
        seconds += self._call("settle").seconds
        saved, spent = (now - then for now, then in zip(embedding_of(self.embedder), before))
        size = bytes_of(self._data) if self._process and self._process.durable else 0
        return Added(seconds + saved + spent, saved + spent, size)

    def search(self, corpus: str, question: str, limits: Limits, at: datetime | None) -> Found:
        """What the peer returned, as far as it fits. The first search of an owner is not timed. Raises CannotRun."""
        items = self._known(corpus)
        if not items:
            return Found((), "", Hits([], question), 0.0)
        if corpus not in self._warm:
            self._call("search", owner=corpus, question="warm up", k=1)
            self._warm.add(corpus)
        before = sum(embedding_of(self.embedder))
        reply = self._call("search", owner=corpus, question=question, k=min(limits.wanted, len(items)))
        seconds = reply.seconds + sum(embedding_of(self.embedder)) - before
        texts = [(str(key), str(text)) for key, text in reply.done]
        (query,) = self.embedder.embed([question])
        near = self.embedder.embed([text for _, text in texts]) @ query if texts else ()
        hits = [
            hit_of(items.get(key), key, text, 1 / place, float(cosine))
            for place, ((key, text), cosine) in enumerate(zip(texts, near), 1)
        ]
        kept = fitted(hits, limits)
        returned = tuple(Returned(hit.text, hit.episodes) for hit in kept)
        shown = Hits(kept, question)
        return Found(returned, shown.prompt(), shown, seconds)

    def close(self) -> None:
        """End the process; what was added stays in the folder."""
        if self._process is not None:
            self._process.close()
        self.embedder.close()

    def _known(self, corpus: str) -> Mapping[str, Item]:
        if not self._items:
            self._items = kept_items(self._folder)
        return self._items.get(corpus, {})

    def _call(self, do: str, **what: object) -> Reply:
        """Ask the peer; one that broke once is not asked again."""
        if self._broken is not None:
            raise self._broken
        try:
            if self._process is None:
                embed = self.embedder.embed
                self._process = Process(self.name, self._command, self._folder, embed, self._patience)
                self._process.call("open", folder=str(self._data))
            return self._process.call(do, **what)
        except CannotRun as error:
            self._broken = error
            raise


def open_peer(name: str, folder: Path, embedder: str) -> PeerSystem:
    """The peer of a system's name. Raises CannotRun with the reason and the remedy, InputError."""
    peer = peer_named(name.removeprefix(PREFIX))
    reason = why_not(peer)
    if reason is not None:
        raise CannotRun(reason)
    return PeerSystem(name, [str(python_of(peer)), "-m", f"adapters.{peer.adapter}"], folder, embedder)


def batches(items: Sequence[Item]) -> Iterator[tuple[int, list[Item]]]:
    """BATCH items at a time, and how many there are with them."""
    rest, done = iter(items), 0
    while batch := list(islice(rest, BATCH)):
        done += len(batch)
        yield done, batch


def hit_of(item: Item | None, key: str, text: str, score: float, cosine: float) -> Hit:
    """A returned text as a hit. One that is what was told is shown as the item is; any other as it came back, and
    the audit looks at it."""
    given = item is not None and text == indexed(item.speaker, item.text, item.at or WHEN)
    words = item.text if item is not None and given else text
    item = item or Item(key, text)
    return Hit(
        id=key,
        text=words,
        score=score,
        at=item.at or WHEN,
        speaker=item.speaker,
        role=item.role,
        trust=TRUST_OF_ROLE[item.role],
        session=item.session or "",
        episodes=(key,),
        times=(),
        meta={"item": key},
        why={"cosine": cosine},
    )


def fitted(hits: Sequence[Hit], limits: Limits) -> list[Hit]:
    """Hits in their order, as many as the limits hold; one that does not fit is passed over, as recipes do."""
    left = float("inf") if limits.budget is None else limits.budget - frame_cost()
    kept: list[Hit] = []
    headings = set()
    missed = 0
    for hit in hits:
        if missed >= MISSES or (limits.k is not None and len(kept) == limits.k):
            break
        heading = (hit.at.date(), hit.session)
        cost = count_tokens([prompt_line(hit.speaker, hit.text, hit.trust)])[0]
        cost += 0 if heading in headings else heading_cost(heading[0])
        if cost > left:
            missed += 1
            continue
        left -= cost
        missed = 0
        headings.add(heading)
        kept.append(hit)
    return kept


def keep(folder: Path, corpus: Corpus) -> None:
    """Write down a corpus's items, for the processes that will ask about them."""
    with (folder / "items.jsonl").open("a", encoding="utf-8") as file:
        for item in corpus.items:
            at = item.at.isoformat() if item.at else None
            file.write(json.dumps({"corpus": corpus.name, "item": {**asdict(item), "at": at}}) + "\n")


def kept_items(folder: Path) -> dict[str, dict[str, Item]]:
    """The items written down, by corpus and key."""
    found: dict[str, dict[str, Item]] = {}
    path = folder / "items.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        entry = json.loads(line)
        one = entry["item"]
        item = Item(**{**one, "at": datetime.fromisoformat(one["at"]) if one["at"] else None})
        found.setdefault(entry["corpus"], {})[item.key] = item
    return found
