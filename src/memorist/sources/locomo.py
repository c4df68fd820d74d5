"""LoCoMo: samples that are conversations of two people in dated sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from memorist.cube import Observation
from memorist.errors import InputError
from memorist.sources.file import SourceFile
from memorist.sources.json_items import Record, elements, records
from memorist.sources.message import label_of, observe
from memorist.sources.moment import moment

_SESSION = re.compile(r"session_([0-9]{1,9})")


def recognise(file: SourceFile, first: Any) -> bool:
    """A first record with a conversation of numbered sessions."""
    conversation = first.get("conversation") if isinstance(first, Mapping) else None
    return isinstance(conversation, Mapping) and any(_SESSION.fullmatch(str(name)) for name in conversation)


def read(file: SourceFile) -> Iterator[Observation]:
    """The turns in order. The session is "session_N", or "SAMPLE_ID/session_N" when the file holds several samples."""
    several = len(list(islice(elements(file), 2))) > 1
    for record in records(file):
        where = f"record {record.number}: "
        if not recognise(file, record.value):
            file.bad(record.line, f'{where}is not a sample of LoCoMo; it needs a "conversation" with "session_1"')
            continue
        sample = label_of(record.value, ("sample_id",)) or f"sample-{record.number}"
        conversation = record.value["conversation"]
        names = [name for name in conversation if _SESSION.fullmatch(name)]
        for name in sorted(names, key=lambda name: int(name.removeprefix("session_"))):
            session = f"{sample}/{name}" if several else name
            template = Observation("", session=session, source=file.name, meta={"sample": sample})
            yield from _session(file, record, name, template)


def _session(file: SourceFile, record: Record, name: str, template: Observation) -> Iterator[Observation]:
    where = f"record {record.number}, {name}"
    conversation = record.value["conversation"]
    turns = conversation[name]
    try:
        at = moment(conversation.get(f"{name}_date_time"), f"{name}_date_time")
        if not isinstance(turns, list):
            raise InputError(f"is {type(turns).__name__}, not a list of turns")
    except InputError as error:
        file.bad(record.line, f"{where}: {error}")
        return
    for number, turn in enumerate(turns, 1):
        try:
            observation = _turn(turn, replace(template, at=at))
        except InputError as error:
            file.bad(record.line, f"{where}, turn {number}: {error}")
            continue
        if observation is not None:
            yield observation


def _turn(turn: Any, template: Observation) -> Observation | None:
    if not isinstance(turn, Mapping) or not isinstance(turn.get("text"), str):
        raise InputError("is not an object with speaker, dia_id and text")
    text, caption = turn["text"], turn.get("blip_caption")
    if caption and isinstance(caption, str):
        text += f" [shares: {caption}]"
    meta = {**template.meta, "dia_id": turn.get("dia_id")}
    key = f"{meta['sample']}/{meta['dia_id']}" if meta["dia_id"] else None
    record = {
        "content": text,
        "speaker": turn.get("speaker"),
        "role": turn.get("role") or "user",
        "time": template.at,
        "id": key,
        "metadata": meta,
    }
    return observe(record, template.source, template.session)
