"""llama-index's own indexes, pipelines and query engines on an index of ours, with a real encoder and a real model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from indexes import CorpusIndex
from indexes.llama_index.retriever import CorpusRetriever
from indexes.llama_index.vector_store import CorpusVectorStore
from longctx.engine.engine import Engine
from longctx.engine.sampling import GenerationOptions
from longctx.models.loading import load_model

BOOK = """The lighthouse of Minamihama was built in 1871. Its tower is 31 metres high, and painted red above white.

The lamp was lit with rapeseed oil until 1921. After that it was electric, and the keeper had less to carry.

The village has forty houses. In summer the school holds its sports day on the beach."""


class EngineLLM(CustomLLM):
    """The engine as llama-index asks a model: completion of a prompt."""

    engine: Any
    prompts: list[str] = []  # noqa: RUF012 - pydantic copies it for each instance

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=self.engine.loaded.native_window, num_output=16)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        *_, last = self.stream_complete(prompt)
        return last

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        self.prompts.append(prompt)
        suffix = self.engine.loaded.tokenizer.encode(prompt)
        text = ""
        for piece in self.engine.stream([], suffix, options=GenerationOptions(max_new_tokens=8)):
            text += piece
            yield CompletionResponse(text=text, delta=piece)


@pytest.fixture
def llm(tiny_llama: Path) -> EngineLLM:
    return EngineLLM(engine=Engine(load_model(tiny_llama, native_window=8192)))


@pytest.fixture
def store(index: CorpusIndex) -> CorpusVectorStore:
    return CorpusVectorStore.from_index(index)


SPLITTER = SentenceSplitter(chunk_size=40, chunk_overlap=10)


def book_index(store: CorpusVectorStore) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(
        [Document(text=BOOK, id_="book", metadata={"year": 1931}), Document(text="Knead the dough.", id_="bread")],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=store.embed_model,
        transformations=[SPLITTER],
    )


def test_a_stock_index_is_made_asked_added_to_and_cut(store: CorpusVectorStore, index: CorpusIndex) -> None:
    stock = book_index(store)
    assert {document.source for document in index.documents()} == {"llama-index:book", "llama-index:bread"}
    question = "What was the lamp lit with?"
    [found] = stock.as_retriever(similarity_top_k=1).retrieve(question)
    assert "rapeseed oil" in found.text
    assert found.text == index.search(question, k=1)[0].chunk.text
    assert BOOK[found.node.start_char_idx : found.node.end_char_idx] == found.text
    stock.insert(Document(text="Whale oil was dearer.", id_="oil", metadata={"year": 1850}))
    old = MetadataFilters(filters=[MetadataFilter(key="year", value=1900, operator="<")])
    assert [n.node.ref_doc_id for n in stock.as_retriever(filters=old).retrieve(question)] == ["oil"]
    hybrid = stock.as_retriever(vector_store_query_mode="hybrid", similarity_top_k=1, doc_ids=["bread"])
    assert [n.text for n in asyncio.run(hybrid.aretrieve(question))] == ["Knead the dough."]
    stock.delete_ref_doc("book")
    assert {n.node.ref_doc_id for n in stock.as_retriever(similarity_top_k=9).retrieve(question)} == {"bread", "oil"}


def test_a_stock_index_is_opened_on_what_is_there(store: CorpusVectorStore, index: CorpusIndex, tmp_path: Path) -> None:
    (tmp_path / "keepers.md").write_text("# Keepers\n\nThe last keeper was Mr Onoda.\n")
    index.ingest([tmp_path / "keepers.md"])
    stock = VectorStoreIndex.from_vector_store(store, embed_model=store.embed_model)
    [found] = stock.as_retriever(similarity_top_k=1).retrieve("Who was the last keeper?")
    assert "Mr Onoda" in found.text
    assert stock.as_retriever(similarity_top_k=1).retrieve("keeper")[0].metadata["title"] == "Keepers"


def test_a_node_that_points_elsewhere_is_kept_in_an_index_beside_others(store: CorpusVectorStore) -> None:
    book_index(store).insert_nodes(
        [IndexNode(text="An index of ships.", index_id="ships", obj=TextNode(text="The Akatsuki."))]
    )
    stock = VectorStoreIndex.from_vector_store(store, embed_model=store.embed_model)
    assert [n.text for n in stock.as_retriever(similarity_top_k=1).retrieve("ships")] == ["The Akatsuki."]


@pytest.mark.parametrize("strategy", [DocstoreStrategy.UPSERTS, DocstoreStrategy.UPSERTS_AND_DELETE])
def test_a_pipeline_brings_documents_up_to_date(
    store: CorpusVectorStore, index: CorpusIndex, strategy: DocstoreStrategy
) -> None:
    pipeline = IngestionPipeline(
        transformations=[SPLITTER, store.embed_model],
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
        vector_store=store,
    )
    book, bread = Document(text=BOOK, id_="book"), Document(text="Knead the dough.", id_="bread")
    first = pipeline.run(documents=[book, bread])
    assert {node.node_id for node in first} == {node.node_id for node in store.get_nodes()}
    assert pipeline.run(documents=[book, bread]) == []
    untouched = store.get_nodes(filters=MetadataFilters(filters=[MetadataFilter(key="ref_doc_id", value="bread")]))
    changed = Document(text=BOOK.replace("rapeseed oil", "gas"), id_="book")
    again = pipeline.run(documents=[changed])
    if strategy == DocstoreStrategy.UPSERTS:
        assert {node.node_id for node in again} == {n.node_id for n in store.get_nodes()} - {untouched[0].node_id}
    else:
        assert [document.source for document in index.documents()] == ["llama-index:book"]
    assert "rapeseed" not in index.text("llama-index:book")
    assert "lit with gas" in index.search("What was the lamp lit with?", k=1)[0].chunk.text
    assert index.verify().problems == ()


def test_query_engines_put_what_is_found_before_the_model(store: CorpusVectorStore, llm: EngineLLM) -> None:
    question = "How high is the tower?"
    stock = book_index(store)
    for engine in (
        stock.as_query_engine(llm=llm, similarity_top_k=2),
        RetrieverQueryEngine.from_args(stock.as_retriever(similarity_top_k=2), llm=llm),
        RetrieverQueryEngine.from_args(CorpusRetriever(store.client, k=2), llm=llm),
    ):
        response = engine.query(question)
        assert response.source_nodes[0].node.ref_doc_id == "book"
        assert "31 metres high" in llm.prompts[-1]
        assert str(response) == llm.complete(llm.prompts[-1]).text


def test_citations_lead_to_the_document(store: CorpusVectorStore, llm: EngineLLM) -> None:
    engine = CitationQueryEngine.from_args(
        book_index(store), llm=llm, similarity_top_k=2, citation_chunk_size=64, citation_chunk_overlap=8
    )
    response = asyncio.run(engine.aquery("How high is the tower?"))
    assert "Source 1:" in llm.prompts[-1]
    assert [source.text.startswith(f"Source {n}:") for n, source in enumerate(response.source_nodes, 1)] == [True, True]
    assert all(source.text.split(":\n", 1)[1].strip() in BOOK for source in response.source_nodes)
