"""LangChain's vector store and retriever over someone's memory (`pip install 'memorist[langchain]'`).

Both find by words and meaning with the memory's own embedder, so they take none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from memorist.adapters.items import Item, Items, Kept, labels
from memorist.errors import InputError, ModelMissing
from memorist.results import Hit
from memorist.scoped import ScopedMemory

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore
    from pydantic import ConfigDict
except ImportError as error:
    raise ModelMissing(f"this needs {error.name}; run: pip install 'memorist[langchain]'") from None

SOURCE = "langchain"


class MemoristVectorStore(VectorStore):
    """Documents in a memory: `MemoristVectorStore(memory.scope(user="ana"))`.

    `source` parts several stores in one memory. `filter` of the searches is by metadata: a value is equality, a list
    any of, a mapping has operators, such as `{"page": {"gte": 3}}`.
    """

    def __init__(self, memory: ScopedMemory, *, source: str = SOURCE) -> None:
        self._items = Items(memory, source)

    @property
    def embeddings(self) -> Embeddings | None:
        """None: the memory embeds."""
        return None

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Keep documents under their ids, or those of `ids`; what has none gets one. The same id again is an update."""
        given = kwargs.get("ids") or [document.id for document in documents]
        if len(given) != len(documents):
            raise InputError(f"there are {len(given)} ids for {len(documents)} documents; give one for each")
        ids = [id or str(uuid4()) for id in given]
        items = [
            Item(id, one.page_content, {"text": one.page_content, "metadata": one.metadata}, labels(one.metadata))
            for id, one in zip(ids, documents)
        ]
        self._items.put(items)
        return ids

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Keep texts as documents."""
        given = list(texts)
        about = metadatas or [{} for _ in given]
        documents = [Document(page_content=text, metadata=meta) for text, meta in zip(given, about)]
        return self.add_documents(documents, ids=ids)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents under these ids that there are."""
        found = self._items.get(list(ids))
        return [document_of(found[id]) for id in ids if id in found]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Hide documents, without ids all. To destroy what they hold, erase them by the memory itself."""
        self._items.drop([one.key for one in self._items.all()] if ids is None else ids)
        return True

    def similarity_search(
        self, query: str, k: int = 4, *, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents that speak best to a query."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, with scores: more is better."""
        found = self._items.found(query, k, labels(filter or {}, "meta."))
        return [(document_of(one), one.score or 0.0) for one in found]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Scores as relevance between 0 and 1."""
        return lambda score: min(max(score, 0.0), 1.0)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> MemoristVectorStore:
        """A store with texts in it, in the memory `memory=`; `embedding` is not used. Raises InputError."""
        memory = kwargs.get("memory")
        if not isinstance(memory, ScopedMemory):
            raise InputError('name the memory to keep them in: memory=Memory.open("memory.db").scope(user="ana")')
        store = cls(memory)
        store.add_texts(texts, metadatas, ids=ids)
        return store


class MemoristRetriever(BaseRetriever):
    """Whatever a memory holds (conversations, files, notes) as LangChain's documents, best first."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    memory: ScopedMemory
    """Whose memory."""
    k: int = 4
    """The most documents."""
    where: dict[str, Any] | None = None
    """Filters on the header, as of `search`."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        """The hits of a search."""
        hits = self.memory.search(query, k=k or self.k, where=self.where)
        return [Document(page_content=hit.text, metadata=about(hit), id=hit.id) for hit in hits]


def document_of(kept: Kept) -> Document:
    """A document as LangChain has it."""
    return Document(page_content=kept.value["text"], metadata=kept.value["metadata"], id=kept.key)


def about(hit: Hit) -> dict[str, Any]:
    """The header of a hit."""
    header = {"at": hit.at.isoformat(), "speaker": hit.speaker, "trust": hit.trust, "score": hit.score}
    return {**hit.meta, **header, "episodes": list(hit.episodes)}
