"""LangGraph's `BaseStore`: long-term memory of graphs, in someone's memory (`pip install 'memorist[langgraph]'`).

Values are found by words and meaning with the memory's own embedder; `index` of LangGraph's `put` chooses the fields.
Times to live are not supported: LangGraph then refuses them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from memorist.adapters.items import Item as Doc
from memorist.adapters.items import Items, Kept
from memorist.errors import ModelMissing
from memorist.scoped import ScopedMemory

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        MatchCondition,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
    )
    from langgraph.store.base.embed import get_text_at_path
except ImportError as error:
    raise ModelMissing(f"this needs {error.name}; run: pip install 'memorist[langgraph]'") from None

SOURCE = "langgraph"
WHOLE = ("$",)

Namespace = tuple[str, ...]


class MemoristStore(BaseStore):
    """A store of LangGraph over a memory: `MemoristStore(memory.scope(user="ana"))`.

    `fields` are the paths whose texts a value is found by; by default all of it.
    """

    def __init__(self, memory: ScopedMemory, *, fields: Sequence[str] = WHOLE) -> None:
        self._items = Items(memory, SOURCE)
        self._fields = tuple(fields)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations: what is read is as it was before them, and of several puts of a key the last holds."""
        results: list[Result] = []
        puts: dict[str, PutOp] = {}
        for op in ops:
            if isinstance(op, PutOp):
                puts[keyed(op.namespace, op.key)] = op
                results.append(None)
            else:
                results.append(self._read(op))
        self._items.drop([key for key, op in puts.items() if op.value is None])
        self._items.put([self._doc(key, op) for key, op in puts.items() if op.value is not None])
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`, in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _read(self, op: Op) -> Result:
        """One operation that reads."""
        if isinstance(op, GetOp):
            key = keyed(op.namespace, op.key)
            found = self._items.get([key])
            return item_of(found[key]) if key in found else None
        if isinstance(op, SearchOp):
            return self._search(op)
        if isinstance(op, ListNamespacesOp):
            return self._namespaces(op)
        raise ValueError(f"there is no operation {type(op).__name__}")

    def _search(self, op: SearchOp) -> list[SearchItem]:
        """Items beneath a prefix: with a query the best first, then those that it does not find, without a score."""
        where = {f"meta.part{place}": name for place, name in enumerate(op.namespace_prefix)}
        every = [one for one in self._items.all(where) if matches(one.value, op.filter)]
        if not op.query:
            return [search_item(one) for one in every[op.offset : op.offset + op.limit]]
        known = {one.key: one for one in every}
        hits = self._items.found(op.query, max(len(every), 1), {**where, "meta.found": True}) if every else []
        scores = {hit.key: hit.score for hit in hits if hit.key in known}
        ranked = [*scores, *(key for key in known if key not in scores)]
        return [search_item(known[key], scores.get(key)) for key in ranked[op.offset : op.offset + op.limit]]

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        """The namespaces that have items."""
        known = {unkeyed(one.key)[0] for one in self._items.all()}
        conditions = op.match_conditions or ()
        fitting = {name for name in known if all(fits(one, name) for one in conditions)}
        cut = sorted({name[: op.max_depth] for name in fitting})
        return cut[op.offset : op.offset + op.limit]

    def _doc(self, key: str, op: PutOp) -> Doc:
        """What is kept of a put."""
        fields = () if op.index is False else op.index or self._fields
        texts = [text for path in fields for text in get_text_at_path(op.value, path)]
        parts = {f"part{place}": name for place, name in enumerate(op.namespace)}
        return Doc(key, "\n".join(texts), op.value, {**parts, "found": bool(texts)})


def keyed(namespace: Namespace, key: str) -> str:
    """Namespace and key as one key."""
    return json.dumps([*namespace, key], ensure_ascii=False)


def unkeyed(key: str) -> tuple[Namespace, str]:
    """Namespace and key again."""
    *namespace, name = json.loads(key)
    return tuple(namespace), name


def item_of(kept: Kept) -> Item:
    """An item as LangGraph has it."""
    namespace, key = unkeyed(kept.key)
    times = {"created_at": kept.created_at, "updated_at": kept.updated_at}
    return Item(value=kept.value, key=key, namespace=namespace, **times)


def search_item(kept: Kept, score: float | None = None) -> SearchItem:
    """A found item as LangGraph has it."""
    namespace, key = unkeyed(kept.key)
    times = {"created_at": kept.created_at, "updated_at": kept.updated_at}
    return SearchItem(namespace=namespace, key=key, value=kept.value, score=score, **times)


def fits(condition: MatchCondition, namespace: Namespace) -> bool:
    """Whether a namespace begins or ends as a condition says; * is any name."""
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", name) for wanted, name in zip(path, part))


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$gt": lambda value, wanted: float(value) > float(wanted),
    "$gte": lambda value, wanted: float(value) >= float(wanted),
    "$lt": lambda value, wanted: float(value) < float(wanted),
    "$lte": lambda value, wanted: float(value) <= float(wanted),
}


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value is as a filter says: each field equal, or as its operators say. Raises ValueError."""
    if not isinstance(wanted, dict):
        return wanted is None or bool(value == wanted)
    if any(name.startswith("$") for name in wanted):
        unknown = sorted(wanted.keys() - OPERATORS.keys())
        if unknown:
            raise ValueError(f"there is no operator {unknown[0]}; use one of {', '.join(OPERATORS)}")
        return all(holds(name, value, operand) for name, operand in wanted.items())
    return isinstance(value, dict) and all(equal(value.get(name), operand) for name, operand in wanted.items())


def equal(value: Any, wanted: Any) -> bool:
    """As `matches`, but a filter's null is a value."""
    return value is None if wanted is None else matches(value, wanted)


def holds(operator: str, value: Any, operand: Any) -> bool:
    """Whether an operator holds; what cannot be compared does not."""
    try:
        return OPERATORS[operator](value, operand)
    except (TypeError, ValueError):
        return False
