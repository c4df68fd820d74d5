"""LlamaIndex' memory block, retriever and vector store over a memory (`pip install 'memorist[llama-index]'`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from memorist.adapters.items import Item, Items, Kept, labels
from memorist.arguments import DEFAULT_BUDGET
from memorist.errors import InputError, ModelMissing
from memorist.scoped import ScopedMemory

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.bridge.pydantic import ConfigDict, PrivateAttr
    from llama_index.core.memory.memory import BaseMemoryBlock
    from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        FilterCondition,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    raise ModelMissing(f"this needs {error.name}; run: pip install 'memorist[llama-index]'") from None

SOURCE = "llama-index"
OPERATORS: Mapping[FilterOperator, str] = {
    FilterOperator.EQ: "eq",
    FilterOperator.NE: "ne",
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
    FilterOperator.IN: "eq",
    FilterOperator.NIN: "ne",
}


class MemoristBlock(BaseMemoryBlock[str]):
    """A block of LlamaIndex' `Memory`: what leaves its short-term memory is remembered, and what speaks to the last
    message of the user is recalled."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "memorist"
    memory: ScopedMemory
    """Whose memory."""
    budget: int = DEFAULT_BUDGET
    """The most tokens that are recalled."""

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        """The memories as quoted data, empty when there are none."""
        asked = [one.content for one in messages or () if one.role == "user" and one.content]
        if not asked:
            return ""
        hits = await asyncio.to_thread(self.memory.search, asked[-1], budget=self.budget)
        return hits.prompt()

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Remember messages."""
        said = [{"role": one.role.value, "content": one.content} for one in messages if one.content]
        if said:
            await asyncio.to_thread(self.memory.add, said)


class MemoristRetriever(BaseRetriever):
    """Whatever a memory holds as nodes, best first. `where` filters on the header, as of `search`."""

    def __init__(self, memory: ScopedMemory, *, k: int = 4, where: Mapping[str, Any] | None = None) -> None:
        self._memory, self._k, self._where = memory, k, where
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """The hits of a search."""
        hits = self._memory.search(query_bundle.query_str, k=self._k, where=self._where)
        return [
            NodeWithScore(
                node=TextNode(
                    id_=hit.id,
                    text=hit.text,
                    metadata={**hit.meta, "at": hit.at.isoformat(), "speaker": hit.speaker, "trust": hit.trust},
                ),
                score=hit.score,
            )
            for hit in hits
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """As `_retrieve`, in a thread."""
        return await asyncio.to_thread(self._retrieve, query_bundle)


class MemoristVectorStore(BasePydanticVectorStore):
    """Nodes in a memory: `MemoristVectorStore(memory.scope(user="ana"))`.

    It finds by the query's words and meaning with the memory's own embedder; vectors that it is given are not kept.
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    _items: Items = PrivateAttr()

    def __init__(self, memory: ScopedMemory, *, source: str = SOURCE) -> None:
        super().__init__(stores_text=True, is_embedding_query=False)
        self._items = Items(memory, source)

    @property
    def client(self) -> ScopedMemory:
        """The memory."""
        return self._items.memory

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Keep nodes under their ids. The same id again is an update."""
        self._items.put([item_of(node) for node in nodes])
        return [node.node_id for node in nodes]

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes of these ids that match. Raises InputError for a filter that there is not."""
        found = self._items.all(where_of(filters, node_ids))
        return [node_of(one) for one in found]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Hide the nodes of a document."""
        self._items.drop([one.key for one in self._items.all({"meta.document": ref_doc_id})])

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Hide nodes by id, or those that match."""
        self._items.drop([one.key for one in self._items.all(where_of(filters, node_ids))])

    def clear(self) -> None:
        """Hide all nodes."""
        self._items.drop([one.key for one in self._items.all()])

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that speak best to the query's words. Raises InputError for a query without words."""
        if not query.query_str:
            raise InputError("a query needs its words (query_str); this store does not search by a vector alone")
        where = where_of(query.filters, query.node_ids)
        if query.doc_ids:
            where["meta.document"] = list(query.doc_ids)
        found = self._items.found(query.query_str, query.similarity_top_k, where)
        return VectorStoreQueryResult(
            nodes=[node_of(one) for one in found],
            similarities=[one.score or 0.0 for one in found],
            ids=[one.key for one in found],
        )


def item_of(node: BaseNode) -> Item:
    """What is kept of a node."""
    value = node_to_metadata_dict(node, remove_text=False, flat_metadata=False)
    meta = {**labels(node.metadata), **({"document": node.ref_doc_id} if node.ref_doc_id else {})}
    return Item(node.node_id, node.get_content(), value, meta)


def node_of(kept: Kept) -> BaseNode:
    """The node again."""
    return metadata_dict_to_node(kept.value)


def where_of(filters: MetadataFilters | None, ids: Sequence[str] | None) -> dict[str, Any]:
    """Conditions on the header. Raises InputError for what cannot be said as such."""
    where: dict[str, Any] = {"meta.key": list(ids)} if ids else {}
    if filters is None:
        return where
    if filters.condition not in (FilterCondition.AND, None) and len(filters.filters) > 1:
        raise InputError("filters are joined by AND here; ask once for each of an OR")
    for one in filters.filters:
        if not isinstance(one, MetadataFilter) or one.operator not in OPERATORS:
            raise InputError("filters compare metadata: ==, !=, <, <=, >, >=, in or nin")
        where |= labels({one.key: {OPERATORS[one.operator]: one.value}}, "meta.")
    return where
