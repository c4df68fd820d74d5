"""A portable file of cubes: a zip that any tool can open, and that becomes cubes again in another store or scope.

    manifest.json             {"format", "version", "owner", "embedder", "counts", "parts": {name: {"sha256", "bytes"}}}
    episodes.jsonl            records as in an archive (docs/archive.md), one a line
    cubes.jsonl               what was composed, and cubes that are not text
    payloads/SHA256.safetensors

It holds what cannot be made again: episodes with all their versions, compositions and tensors. What organisers derive
is derived again where it is loaded. In another scope every id is another one, known from the scope and the old id, so
loading twice adds nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from memorist.cube import SOURCE, Scope
from memorist.errors import InputError, StoreError, brief
from memorist.ids import digest
from memorist.store.protocol import Store

FORMAT, VERSION = "memorist-cubes", 1
MANIFEST, EPISODES, CUBES, PAYLOADS = "manifest.json", "episodes.jsonl", "cubes.jsonl", "payloads/"
LONGEST_MANIFEST = 64 << 20
PIECE = 8 << 20
"""Bytes read at once, and of a payload's part."""

WHEN = (1980, 1, 1, 0, 0, 0)
"""The time in the zip: the same cubes are the same bytes."""


@dataclass(slots=True)
class Writing:
    """A zip that is being written, with the checksum of each part."""

    archive: zipfile.ZipFile
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write a part."""
        sha256, size = hashlib.sha256(), 0
        entry = zipfile.ZipInfo(name, WHEN)
        entry.compress_type = zipfile.ZIP_DEFLATED
        with self.archive.open(entry, "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                sha256.update(piece)
                size += len(piece)
        self.parts[name] = {"sha256": sha256.hexdigest(), "bytes": size}


def chosen(store: Store, scope: Scope, ids: Collection[str]) -> set[str]:
    """The cubes and what they need: all versions, and the episodes they rest on with theirs. Raises NotFound."""
    found: set[str] = set()
    for cube in store.get(scope, list(ids)):
        found |= {cube.id, *(str(id) for id in cube.meta.get("of", ()) if cube.origin != SOURCE)}
        for episode in cube.episodes:
            found |= {one.id for one in store.versions(scope, episode)}
    return found


def dump(store: Store, scope: Scope, ids: Collection[str] | None, path: Path) -> int:
    """Write a scope's cubes, or those chosen and what they need; returns how many records. All or nothing."""
    if path.exists():
        raise InputError(f"{path} exists already; name another file")
    wanted = None if ids is None else chosen(store, scope, ids)
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            count = written(Writing(archive), store, scope, wanted)
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def written(out: Writing, store: Store, scope: Scope, wanted: set[str] | None) -> int:
    """Write all parts and the manifest."""
    records = mine(store, scope, wanted)
    head = next(records)
    later: list[dict[str, Any]] = []
    counts = {"episodes": 0, "cubes": 0}

    def episodes() -> Iterator[bytes]:
        for record in records:
            if record["record"] != "episode":
                later.append(record)
                return
            counts["episodes"] += 1
            yield line(record)

    out.put(EPISODES, episodes())
    cubes: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for record in (*later, *records):
        if record["record"] == "part":
            pieces = [*(pieces if record["part"] else []), base64.b64decode(record["bytes"])]
            continue
        name = f"{PAYLOADS}{record.get('payload')}.safetensors"
        if record["record"] == "cube" and name not in out.parts:
            out.put(name, iter(pieces))
        cubes.append(record)
    counts["cubes"] = len(cubes)
    out.put(CUBES, map(line, cubes))
    owner = {"tenant": scope.tenant, "user": scope.user}
    manifest = {"format": FORMAT, "version": VERSION, "owner": owner, "embedder": head["identity"], "counts": counts}
    text = json.dumps({**manifest, "parts": out.parts}, ensure_ascii=False, indent=1)
    out.archive.writestr(zipfile.ZipInfo(MANIFEST, WHEN), text.encode())
    return sum(counts.values())


def mine(store: Store, scope: Scope, wanted: set[str] | None) -> Iterator[dict[str, Any]]:
    """The records of a scope, the embedder first, without the log of replies."""
    for record in store.dump(scope):
        always = record["record"] in ("embedder", "part")
        if always or (within(record, scope) and (wanted is None or record["id"] in wanted)):
            yield record


def within(record: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a record is of the scope's agent and session."""
    return scope.agent in ("", record["agent"]) and scope.session in ("", record["session"])


def line(record: Mapping[str, Any]) -> bytes:
    """A record as a line, without whose it is: the manifest says it."""
    return json.dumps({**record, "tenant": "", "user": ""}, ensure_ascii=False).encode() + b"\n"


def load(path: Path, scope: Scope, restore: Callable[[Iterator[dict[str, Any]]], int]) -> int:
    """Check every part of the file, then restore its cubes in a scope; returns how many were new.

    Raises InputError for a file that is damaged, incomplete or something else; then nothing was loaded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = checked(archive, path)
            return restore(records_of(archive, manifest, scope))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; name a file made by: memorist cube dump") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} is no file of cubes, or it is damaged ({error}); such a file is made by memorist cube dump,"
            " an archive is read by memorist import"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def checked(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    """The manifest, when every part is there as it says. Raises InputError."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if MANIFEST not in entries or entries[MANIFEST].file_size > LONGEST_MANIFEST:
        raise InputError(f"{path} is a zip of something else: it has no manifest of cubes")
    try:
        manifest = json.loads(archive.read(MANIFEST))
        form, version, parts = manifest["format"], manifest["version"], dict(manifest["parts"])
        owner = (manifest["owner"]["tenant"], manifest["owner"]["user"])
        sizes = {name: (int(part["bytes"]), str(part["sha256"])) for name, part in parts.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the manifest of {path} cannot be read ({error!r:.80})") from error
    if form != FORMAT:
        raise InputError(f"{path} holds {brief(form)}, not {FORMAT}")
    if version != VERSION:
        raise InputError(f"{path} has version {brief(version)} of its format; upgrade Memorist to read it")
    Scope(*owner)
    odd = set(entries) ^ {*sizes, MANIFEST}
    if odd or not {EPISODES, CUBES} <= set(sizes) or len(archive.infolist()) != len(entries):
        raise InputError(f"{path} does not hold what its manifest names: {', '.join(sorted(odd))[:200] or 'no cubes'}")
    for name, (size, sha256) in sizes.items():
        check_part(archive, name, size, sha256)
    return dict(manifest)


def check_part(archive: zipfile.ZipFile, name: str, size: int, sha256: str) -> None:
    """Raises InputError for a part that is not the one written."""
    found, left = hashlib.sha256(), size
    with archive.open(name) as file:
        while piece := file.read(PIECE):
            left -= len(piece)
            if left < 0:
                break
            found.update(piece)
    if left or found.hexdigest() != sha256:
        raise InputError(f"the part {name} is damaged: it is not what the manifest says; nothing was loaded")


def records_of(archive: zipfile.ZipFile, manifest: Mapping[str, Any], scope: Scope) -> Iterator[dict[str, Any]]:
    """The records as a store takes them, in the scope."""
    owner = manifest["owner"]
    same = (scope.tenant, scope.user) == (owner["tenant"], owner["user"])
    rename = (lambda id: id) if same else (lambda id: renamed(scope, id))
    yield {"record": "embedder", "identity": manifest["embedder"]}
    for name in (EPISODES, CUBES):
        with archive.open(name) as file:
            for number, text in enumerate(file, 1):
                record = parsed(text, name, number)
                if record["record"] == "cube":
                    yield from payload_of(archive, record, scope)
                yield placed(record, scope, rename)


def parsed(text: bytes, name: str, number: int) -> dict[str, Any]:
    """A line as a record of cubes. Raises InputError."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}, line {number}: not JSON ({error}); nothing was loaded") from error
    allowed = ("episode",) if name == EPISODES else ("composed", "cube")
    if not isinstance(record, dict) or record.get("record") not in allowed:
        raise InputError(f"{name}, line {number}: not a record of {' or '.join(allowed)}; nothing was loaded")
    return record


def placed(record: Mapping[str, Any], scope: Scope, rename: Callable[[Any], Any]) -> dict[str, Any]:
    """The record as one of the scope: its owner, and every id in it."""
    new = {**record, "tenant": scope.tenant, "user": scope.user}
    new["agent"] = scope.agent or record.get("agent")
    new["session"] = scope.session or record.get("session")
    for name in ("id", "replaces"):
        if isinstance(record.get(name), str):
            new[name] = rename(record[name])
    if isinstance(record.get("rests"), list):
        new["rests"] = [rename(id) for id in record["rests"]]
    if isinstance(record.get("originals"), list):
        new["originals"] = [[rename(id), *rest] for id, *rest in record["originals"]]
    meta = record.get("meta")
    if record["record"] == "composed" and isinstance(meta, dict) and isinstance(meta.get("of"), list):
        new["meta"] = {**meta, "of": [rename(id) for id in meta["of"]]}
    return new


def renamed(scope: Scope, id: object) -> object:
    """The id that a cube of another scope has in this one."""
    if not isinstance(id, str):
        return id
    stem, dot, version = id.partition(".")
    return f"{stem[:3]}{digest(scope.tenant, scope.user, stem)}{dot}{version}"


def payload_of(archive: zipfile.ZipFile, record: Mapping[str, Any], scope: Scope) -> Iterator[dict[str, Any]]:
    """The parts of a cube's payload, as an archive has them."""
    name = f"{PAYLOADS}{record.get('payload')}.safetensors"
    if name not in archive.namelist():
        raise InputError(f"the payload {name} of {brief(record.get('id'))} is missing; nothing was loaded")
    with archive.open(name) as file:
        for part, piece in enumerate(pieces(file)):
            whose = {"record": "part", "tenant": scope.tenant, "user": scope.user, "payload": record["payload"]}
            yield {**whose, "part": part, "bytes": base64.b64encode(piece).decode()}


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A file in pieces."""
    while piece := file.read(PIECE):
        yield piece
