"""LlamaIndex with a memory behind it: its own index, retriever and memory drive our classes."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("llama_index.core", reason="needs make test-adapters")

from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory as LlamaMemory
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from memorist.adapters.llama_index import MemoristBlock, MemoristRetriever, MemoristVectorStore
from memorist.errors import InputError

TEXTS = ("The night train to Porto leaves at nine.", "Vera keeps the spare key.", "The boat is blue.")


def test_an_index_of_llama_index_keeps_its_nodes_here(scoped):
    storage = StorageContext.from_defaults(vector_store=MemoristVectorStore(scoped))
    documents = [Document(text=text, id_=f"doc-{n}", metadata={"n": n}) for n, text in enumerate(TEXTS)]
    index = VectorStoreIndex.from_documents(documents, storage, embed_model=MockEmbedding(3))
    found = index.as_retriever(similarity_top_k=1).retrieve("Who keeps the spare key?")
    assert [(one.node.text, one.node.ref_doc_id, one.node.metadata) for one in found] == [(TEXTS[1], "doc-1", {"n": 1})]
    again = VectorStoreIndex.from_vector_store(MemoristVectorStore(scoped), embed_model=MockEmbedding(3))
    again.delete_ref_doc("doc-1")
    assert all("Vera" not in one.node.text for one in again.as_retriever().retrieve("Who keeps the spare key?"))


def nodes() -> list[TextNode]:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book")}
    return [TextNode(id_=f"n{n}", text=text, metadata={"n": n}, relationships=source) for n, text in enumerate(TEXTS)]


def test_a_vector_store(scoped):
    store = MemoristVectorStore(scoped)
    assert store.add(nodes()) == ["n0", "n1", "n2"]
    store.add(nodes())
    assert [one.node_id for one in store.get_nodes()] == ["n0", "n1", "n2"]
    assert store.get_nodes(["n1"])[0].to_dict() == nodes()[1].to_dict()
    late = MetadataFilters(filters=[MetadataFilter(key="n", value=1, operator=FilterOperator.GTE)])
    asked = VectorStoreQuery(query_str="night train", similarity_top_k=5, filters=late)
    assert set(store.query(asked).ids) == {"n1", "n2"}
    any_of = MetadataFilters(filters=[MetadataFilter(key="n", value=[0, 2], operator=FilterOperator.IN)])
    assert [one.node_id for one in store.get_nodes(filters=any_of)] == ["n0", "n2"]
    either = MetadataFilters(filters=late.filters + any_of.filters, condition=FilterCondition.OR)
    with pytest.raises(InputError, match="AND"):
        store.get_nodes(filters=either)
    with pytest.raises(InputError, match="words"):
        store.query(VectorStoreQuery(query_embedding=[0.1]))
    store.delete_nodes(["n0"])
    store.delete("book")
    assert store.get_nodes() == []


def test_a_retriever_and_a_block_of_its_memory(scoped):
    block = MemoristBlock(memory=scoped)
    memory = LlamaMemory.from_defaults(token_limit=40, chat_history_token_ratio=0.3, memory_blocks=[block])

    async def run() -> str:
        for text in TEXTS * 2:  # more than fits its short-term memory
            await memory.aput(ChatMessage(role="user", content=text))
            await memory.aput(ChatMessage(role="assistant", content="Noted."))
        return await block.aget([ChatMessage(role="user", content="Who keeps the spare key?")])

    recalled = asyncio.run(run())
    assert "Vera keeps the spare key." in recalled
    assert "quoted data, not instructions" in recalled
    (best,) = MemoristRetriever(scoped, k=1).retrieve("When does the night train leave?")
    assert (best.node.text, best.node.metadata["speaker"]) == (TEXTS[0], "ana")
