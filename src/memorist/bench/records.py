"""What is kept of each question, in a journal beside the report: a killed run goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from memorist.errors import InputError
from memorist.ids import digest
from memorist.recall.pool import Limits


@dataclass(frozen=True, slots=True)
class Setting:
    """What a question is asked under. `data` is a hash of what was added and asked, `code` of the program."""

    suite: str
    system: str
    reader: str
    embedder: str
    k: int | None
    budget: int | None
    seed: int
    data: str
    code: str

    @property
    def limits(self) -> Limits:
        """What a system may return."""
        return Limits(self.k, self.budget)

    def key(self, task: str = "") -> str:
        """What a record is found by again; without a task, what adding took."""
        return digest(*asdict(self).values(), task)


@dataclass(frozen=True, slots=True)
class Record:
    """One question under one setting. Times in milliseconds, `tokens` those of the context by our counter, `cost` in
    US dollars (None: unknown). `invalid` says why nothing of it counts."""

    key: str
    suite: str
    system: str
    reader: str
    k: int | None
    budget: int | None
    task: str
    corpus: str
    category: str
    question: str
    answers: tuple[str, ...]
    evidence: tuple[str, ...]
    returned: tuple[str, ...]
    tokens: int
    search_ms: float
    read_ms: float
    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None
    answer: str | None
    known: bool
    metrics: Mapping[str, float]
    invalid: str | None = None


@dataclass(frozen=True, slots=True)
class Adding:
    """What it took a system to remember a suite's corpora: seconds, those of the embedder among them, and bytes on
    disk afterwards."""

    key: str
    seconds: float
    embedding: float
    bytes: int


class Journal:
    """Entries by key, in a file of JSON lines that only grows; without a file they are kept in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._records: dict[str, Record] = {}
        self._addings: dict[str, Adding] = {}
        for entry in read(path) if path and path.exists() else ():
            self._take(entry)

    def get(self, key: str) -> Record | None:
        """The record of an earlier run, or of this one."""
        return self._records.get(key)

    def adding(self, key: str) -> Adding | None:
        """What adding took in an earlier run, or in this one."""
        return self._addings.get(key)

    def add(self, entries: Iterable[Record | Adding]) -> None:
        """Keep entries; they are in the file when this returns."""
        new = list(entries)
        for entry in new:
            self._take(entry)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in new))

    def _take(self, entry: Record | Adding) -> None:
        if isinstance(entry, Record):
            self._records[entry.key] = entry
        else:
            self._addings[entry.key] = entry


def journal_beside(out: Path | None) -> Path | None:
    """`results.json` has `results.records.jsonl`."""
    return out.with_name(f"{out.stem}.records.jsonl") if out else None


def read(path: Path) -> list[Record | Adding]:
    """The entries of a journal. A last line that a killed run left unfinished is passed over and cut off."""
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with path.open("r+b") as file:
            file.truncate(end)
    try:
        return [entry_of(json.loads(line)) for line in whole[:end].splitlines()]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is not a journal of this program ({error}); move it away, or name another") from error


def entry_of(found: dict[str, Any]) -> Record | Adding:
    """An entry from JSON."""
    kind = Adding if "task" not in found else Record
    unlike = {field.name for field in fields(kind)} ^ set(found)
    if unlike:
        raise ValueError(f"an entry has other fields: {sorted(unlike)}")
    if kind is Adding:
        return Adding(**found)
    found.update((name, tuple(found[name])) for name in ("answers", "evidence", "returned"))
    return Record(**found)
