"""LangChain's own suites for vector stores and retrievers."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain_tests", reason="needs make test-adapters")

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from memorist import Memory
from memorist.adapters.langchain import MemoristRetriever, MemoristVectorStore
from memorist.errors import InputError
from memorist.testing import HashEmbedder


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, scoped):
        return MemoristVectorStore(scoped)


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def told(self, tmp_path):
        with Memory.open(tmp_path / "told.db", embedder=HashEmbedder()) as memory:
            self.ana = memory.scope(user="ana")
            self.ana.add([{"role": "user", "content": f"Trip {n}: by train to {town}."} for n, town in TOWNS])
            yield

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MemoristRetriever

    @property
    def retriever_constructor_params(self) -> dict:
        return {"memory": self.ana}

    @property
    def retriever_query_example(self) -> str:
        return "Where did the train go?"


TOWNS = list(enumerate(("Porto", "Lisbon", "Faro", "Braga", "Coimbra", "Évora")))


def test_filters_scores_and_other_stores(scoped):
    store = MemoristVectorStore(scoped)
    pages = [Document(page_content=f"page {n} of the manual", metadata={"page": n, "tags": ["a"]}) for n in range(5)]
    store.add_documents(pages)
    late = store.similarity_search("manual page", k=10, filter={"page": {"gte": 3}})
    assert {one.metadata["page"] for one in late} == {3, 4}
    assert late[0].metadata["tags"] == ["a"]
    scored = store.similarity_search_with_score("page 2", k=5)
    assert scored[0][0].metadata["page"] == 2
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)
    assert all(0 <= score <= 1 for _, score in store.similarity_search_with_relevance_scores("page 2", k=5))
    assert MemoristVectorStore(scoped, source="other").similarity_search("manual") == []
    assert MemoristVectorStore(scoped._memory.scope(user="bob")).similarity_search("manual") == []
    assert len(store.as_retriever(search_kwargs={"k": 2}).invoke("manual")) == 2


def test_an_updated_document_has_a_history(scoped):
    store = MemoristVectorStore.from_texts(["The gate is green."], memory=scoped, ids=["gate"])
    store.add_texts(["The gate is red."], ids=["gate"])
    (now,) = scoped.list()
    assert [one.cube.text for one in scoped.history(now.id)] == ["The gate is green.", "The gate is red."]


def test_a_store_needs_a_memory():
    with pytest.raises(InputError, match="memory="):
        MemoristVectorStore.from_texts(["x"])
