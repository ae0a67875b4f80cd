"""`DocumentQA.open(retriever=...)`: stock llama-index in place of an index folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from indexes import CorpusError, SearchFilter
from indexes.llama_index import CorpusEmbedding
from longctx import BadRequest, Conversation, DocumentQA, load_model
from longctx.planning import Policy

pytestmark = pytest.mark.usefixtures("own_loop")

TOWER = (
    "The tower of Sørvik is 31 metres high. It was built in 1874 by the engineer Anna Holm.\n\n"
    "The lamp turns once in forty seconds. On foggy days a horn sounds every minute."
)
TOUDAI = "灯台は一八七四年に建てられた。霧の日には霧笛が毎分鳴る。"


class Words(BaseRetriever):
    """The nodes that share most words with the query: what a BM25 retriever does, at toy size and without scores."""

    def __init__(self, nodes: Sequence[TextNode]) -> None:
        self.nodes = nodes
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        wanted = set(query_bundle.query_str.lower().strip("?").split())
        ranked = sorted(self.nodes, key=lambda node: -len(wanted & set(node.text.lower().split())))
        return [NodeWithScore(node=node, score=None) for node in ranked]


class OnlyAsync(Words):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise NotImplementedError("use aretrieve")

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return Words._retrieve(self, query_bundle)


class Broken(Words):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise ConnectionError("no answer\nfrom 10.0.0.7")


@pytest.fixture(scope="module")
def stock(encoder: Any) -> VectorStoreIndex:
    """Documents as llama-index's readers and splitter leave them, in its own in-memory store."""
    documents = [
        Document(text=TOWER, metadata={"file_path": "/books/tower.pdf", "file_name": "tower.pdf", "page_label": "7"}),
        Document(text=TOUDAI, metadata={"file_name": "toudai.txt"}),
    ]
    splitter = SentenceSplitter(chunk_size=120, chunk_overlap=0)
    return VectorStoreIndex.from_documents(documents, embed_model=CorpusEmbedding(encoder), transformations=[splitter])


def test_sentences_of_a_vector_index_are_quoted_with_their_places(stock: VectorStoreIndex, encoder: Any) -> None:
    with DocumentQA.open(retriever=stock, encoder=encoder) as qa:
        [place, *_] = qa.ask("Who built the tower?").citations
        [asked_in_japanese, *_] = qa.ask("霧の日には何が鳴りますか？").citations
        beside = qa.ask("Wie viele Einwohner hat Buenos Aires?")
        counted = qa.ask("How many lamps are there in all documents?")
    sentence = "The tower of Sørvik is 31 metres high. It was built in 1874 by the engineer Anna Holm."
    assert (place.text, place.source, place.title, place.page) == (sentence, "/books/tower.pdf", "tower.pdf", 7)
    assert TOWER[place.start : place.end] == sentence
    assert (place.node, place.line) == ("", None), "the offsets are exact, and the line is not known"
    assert (asked_in_japanese.text, asked_in_japanese.source) == ("霧の日には霧笛が毎分鳴る。", "toudai.txt")
    assert beside.refused
    assert "retriever" in counted.note


def test_nodes_without_metadata_scores_or_offsets_and_twice_over(encoder: Any) -> None:
    bare, other = TextNode(text="\nThe boat comes on Friday."), TextNode(text="The oil is in the cellar.\n\n\ud800")
    again, empty = TextNode(text=other.text, metadata={"url": "https://x.test/oil"}), TextNode(text=" ")
    with DocumentQA.open(retriever=Words([bare, empty, other, again, again, bare]), encoder=encoder) as qa:
        [boat] = qa.ask("When does the boat come?").citations
        oil = qa.ask("Where is the oil?").citations
        cut = qa.ask("Where is the oil?", k=1).citations
    assert (boat.source, boat.title, boat.page) == (bare.node_id, "", None)
    assert boat.node == bare.node_id, "it is said that the offsets count in the node"
    assert bare.text[boat.start : boat.end] == "The boat comes on Friday."
    assert boat.line == 2
    assert [each.text for each in oil] == ["The oil is in the cellar."], "the same sentence is quoted once"
    assert len(cut) == 1


def test_offsets_that_do_not_fit_the_text_are_not_trusted(encoder: Any) -> None:
    node = TextNode(text="Note: the oil is in the cellar.", start_char_idx=100, end_char_idx=105)
    with DocumentQA.open(retriever=Words([node]), encoder=encoder) as qa:
        [place] = qa.ask("Where is the oil?").citations
    assert (place.node, place.start) == (node.node_id, 0)


@pytest.mark.parametrize("kind", [Words, OnlyAsync])
def test_a_model_answers_from_passages_and_is_checked(kind: type[Words], saying: Any, tmp_path: Path, encoder) -> None:
    nodes = [
        TextNode(text="The boat comes on Friday.", metadata={"file_name": "boat.txt"}),
        TextNode(text="The oil is in the cellar.", metadata={"file_name": "oil.txt"}),
    ]
    model = saying("The oil is in the cellar [1].")
    with DocumentQA.open(retriever=kind(nodes), model=model, encoder=encoder, template="plain") as qa:
        stream = qa.stream("Where is the boat?")
        assert "".join(stream) == stream.answer.text == "The oil is in the cellar [2]."
        with Conversation.open(qa, folder=tmp_path) as conversation:
            conversation.ask("Where is the boat?")
            conversation.ask("And the oil?")
            assert len(conversation.turns) == 2
        with Conversation.open(qa, folder=tmp_path) as conversation:
            assert conversation.last is not None
            kept = conversation.last.citations
    answer = stream.answer
    [cited] = answer.citations
    assert (cited.source, cited.marked_by, cited.node) == ("oil.txt", "corrected", nodes[1].node_id)
    assert [each.node for each in kept] == [nodes[1].node_id]
    assert answer.plan is not None
    assert answer.plan.route == "retrieval"
    assert "whole documents" in answer.plan.reason
    assert answer.plan.passages_found == 2


def test_passages_of_the_last_prompt_come_first(tiny_llama: Path, encoder: Any, tmp_path: Path) -> None:
    texts = ["The boat comes on Friday.", "The oil is in the cellar.", "The horn is on the roof.", "The cook is away."]
    nodes = [TextNode(text=text, metadata={"file_name": f"{text.split()[1]}.txt"}) for text in texts]
    model = load_model(tiny_llama)
    with (
        DocumentQA.open(retriever=Words(nodes), model=model, encoder=encoder) as qa,
        Conversation.open(qa, folder=tmp_path) as conversation,
    ):
        first = conversation.ask("oil horn", k=2, max_new_tokens=1)
        second = conversation.ask("horn boat oil", k=3, max_new_tokens=1)
    assert [each.source for each in first.passages] == ["horn.txt", "oil.txt"]
    assert [each.source for each in second.passages] == ["horn.txt", "oil.txt", "boat.txt"]
    assert second.usage.reused_tokens >= second.plan.reused_tokens > 0


def test_nothing_found_is_an_answer_and_no_error(saying: Any, encoder: Any) -> None:
    with DocumentQA.open(retriever=Words([]), encoder=encoder) as qa:
        assert qa.ask("Where is the oil?").refused
    with DocumentQA.open(retriever=Words([]), model=saying("In Paris."), encoder=encoder, template="plain") as qa:
        answer = qa.ask("Where is the oil?")
    assert not answer.citations


def test_a_retriever_that_fails_is_named_in_one_line(encoder: Any) -> None:
    with (
        DocumentQA.open(retriever=Broken([]), encoder=encoder) as qa,
        pytest.raises(
            CorpusError, match=r"^the retriever Broken failed: ConnectionError: no answer from 10.0.0.7$"
        ) as e,
    ):
        qa.ask("Where is the oil?")
    assert isinstance(e.value.__cause__, ConnectionError)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *(({"route": route}, f"route is '{route}'") for route in ("native", "extended", "self", "map")),
        ({"filters": SearchFilter("*.pdf")}, "filters is"),
        ({"mode": "lexical"}, "mode is 'lexical'"),
        ({"expand": 1}, "expand is 1"),
    ],
)
def test_what_only_an_index_can_do_is_refused(changes: dict[str, Any], named: str, encoder: Any) -> None:
    with DocumentQA.open(retriever=Broken([]), encoder=encoder) as qa, pytest.raises(BadRequest, match=named):
        qa.ask("Where is the oil?", **changes)


def test_what_needs_a_folder_is_refused(tmp_path: Path, encoder: Any) -> None:
    words = Words([])
    for given in ({}, {"path": tmp_path, "retriever": words}):
        with pytest.raises(BadRequest, match="give one of them"):
            DocumentQA.open(**given)
    for given in ({"reranker": "x"}, {"kv_cache_bytes": 1}):
        with pytest.raises(BadRequest, match="with a retriever"):
            DocumentQA.open(retriever=words, **given)
    with pytest.raises(CorpusError, match="is a list"):
        DocumentQA.open(retriever=[])  # type: ignore[arg-type]
    with DocumentQA.open(retriever=words, encoder=encoder, policy=Policy(route="map")) as qa:
        for refused in (lambda: qa.ingest(tmp_path), lambda: Conversation.open(qa), lambda: qa.ask("Where?")):
            with pytest.raises(BadRequest, match="retriever"):
                refused()
