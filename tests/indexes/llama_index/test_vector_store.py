"""CorpusVectorStore.from_index(): nodes go in and come out whole, live with files, and are found in each mode."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters, SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from indexes import CorpusError, CorpusIndex, Encoder, IndexDamaged, IndexMismatch, SearchFilter
from indexes.llama_index.embedding import CorpusEmbedding
from indexes.llama_index.retriever import CorpusRetriever
from indexes.llama_index.vector_store import CorpusVectorStore

TEXTS = {
    "tower": "The lighthouse tower is 31 metres high and painted red above white.",
    "lamp": "The lamp was lit with rapeseed oil until 1921.",
    "cat": "吾輩は猫である。名前はまだ無い。",
    "bread": "Knead the dough for ten minutes and let it rise.",
}


class Noting:
    """An encoder that notes what it is given."""

    def __init__(self, encoder: Encoder, given: list[str]) -> None:
        self._encoder, self._given = encoder, given

    def __getattr__(self, name: str) -> object:
        return getattr(self._encoder, name)

    def encode_passages(self, texts: list[str]) -> object:
        self._given += texts
        return self._encoder.encode_passages(texts)


@pytest.fixture
def store(index: CorpusIndex) -> CorpusVectorStore:
    return CorpusVectorStore.from_index(index)


def node(name: str, document: str | None = None, text: str | None = None, **metadata: object) -> TextNode:
    relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)} if document else {}
    return TextNode(
        id_=name, text=TEXTS.get(name, name) if text is None else text, metadata=metadata, relationships=relationships
    )


def ids(nodes: list[BaseNode]) -> list[str]:
    return [each.node_id for each in nodes]


def ask(store: CorpusVectorStore, text: str, k: int = 10, **query: object) -> VectorStoreQuery:
    embedding = store.embed_model.get_query_embedding(text)
    return VectorStoreQuery(query_str=text, query_embedding=embedding, similarity_top_k=k, **query)


WHOLE_NODES = [
    TextNode(
        id_="whole",
        text="A text.\r\nIts second line: 灯台 \N{PARTY POPPER}",
        metadata={"title": "T", "n": 1, "tags": ["x", "y"], "nested": {"a": None}},
        excluded_embed_metadata_keys=["n"],
        excluded_llm_metadata_keys=["tags"],
        start_char_idx=7,
        end_char_idx=40,
        text_template="{metadata_str}|{content}",
        metadata_template="{key}={value}",
        metadata_separator=";",
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc", metadata={"n": 1}, hash="h"),
            NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id="before"),
            NodeRelationship.CHILD: [RelatedNodeInfo(node_id="one"), RelatedNodeInfo(node_id="two")],
        },
    ),
    TextNode(id_="empty", text="", metadata={"about": "nothing"}),
    TextNode(id_="odd metadata", text="x", metadata={"x": 1e308, "half": "\ud800", "title": "\ud800"}),
    Document(id_="document", text="A whole document.", metadata={"file_name": "a.txt"}),
    Node(id_="many media", text_resource=MediaResource(text="words", mimetype="text/markdown")),
    Node(id_="no text", metadata={"a": 1}),
    ImageNode(id_="image", text="a caption", image_url="https://example.com/a.png"),
    IndexNode(id_="pointer", text="see there", index_id="elsewhere"),
]


@pytest.mark.parametrize("given", WHOLE_NODES, ids=lambda each: each.node_id)
def test_a_node_comes_back_whole(store: CorpusVectorStore, index: CorpusIndex, given: BaseNode) -> None:
    assert store.add([given]) == [given.node_id]
    [got] = store.get_nodes([given.node_id])
    assert type(got) is type(given)
    assert got.to_dict() == given.to_dict()
    assert index.verify().problems == ()


def test_what_is_added_is_a_document_of_the_index(store: CorpusVectorStore, index: CorpusIndex) -> None:
    store.add([node("tower", "light", author="K"), node("lamp", "light", author="K", page_label="2"), node("bread")])
    light, bread = sorted(index.documents(), key=lambda document: -document.chunks)
    assert (light.source, light.chunks, dict(light.metadata)) == ("llama-index:light", 2, {"author": "K"})
    assert bread.source == "llama-index:bread"
    chunks = [hit.chunk for hit in index.search("What was the lamp lit with?", k=3)]
    assert (chunks[0].text, chunks[0].page) == (TEXTS["lamp"], 2)
    assert all(index.text(chunk.source)[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    by_author = index.search("What was the lamp lit with?", filters=SearchFilter(metadata={"author": "K"}))
    assert {hit.chunk.source for hit in by_author} == {"llama-index:light"}
    for source in ("llama-index:light", "llama-index:l*"):
        by_source = index.search("What was the lamp lit with?", filters=SearchFilter(source=source))
        assert {hit.chunk.source for hit in by_source} == {"llama-index:light"}
    assert index.remove("llama-index:light") == 1
    assert ids(store.get_nodes()) == ["bread"]
    assert index.verify().problems == ()


def test_files_and_nodes_are_found_together(store: CorpusVectorStore, index: CorpusIndex, tmp_path: Path) -> None:
    file = tmp_path / "baking.md"
    file.write_text("---\nauthor: Mori\n---\n# Baking\n\nKnead the dough well.\n\n# Oven\n\nBake it hot.\n")
    index.ingest([file])
    store.add([node("bread", "book"), node("tower", "book")])
    result = store.query(ask(store, "How is dough kneaded?", k=2))
    assert {each.ref_doc_id for each in result.nodes} == {str(file), "book"}
    passage = next(each for each in result.nodes if each.ref_doc_id == str(file))
    assert index.text(file)[passage.start_char_idx : passage.end_char_idx] == passage.text
    assert passage.metadata["heading"] == "Baking"
    assert passage.metadata["author"] == "Mori"
    assert store.get_nodes([passage.node_id]) == [passage]
    for key, value in (("author", "Mori"), ("heading", "Baking"), ("source", str(file)), ("doc_id", str(file))):
        assert passage in store.get_nodes(filters=MetadataFilters(filters=[MetadataFilter(key=key, value=value)]))
    with pytest.raises(CorpusError, match="is a file with 2 passages, of which 1 would go"):
        store.delete_nodes([passage.node_id, "bread"])
    assert len(store.get_nodes()) == 4
    store.delete(str(file))
    assert ids(store.get_nodes()) == ["bread", "tower"]
    index.ingest([file])
    store.clear()
    assert (store.get_nodes(), index.documents(), index.search("dough")) == ([], [], [])


def test_an_empty_store_answers_with_nothing(store: CorpusVectorStore) -> None:
    for mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.HYBRID):
        result = store.query(ask(store, "anything", mode=mode))
        assert (result.nodes, result.similarities, result.ids) == ([], [], [])
    store.delete("nothing")
    store.delete_nodes(["nothing"])
    store.clear()
    assert store.add([]) == []
    assert store.get_nodes() == []


def test_each_mode_ranks_by_its_own_measure(store: CorpusVectorStore) -> None:
    store.add([node(name) for name in TEXTS])
    by_meaning = store.query(ask(store, "How tall is the beacon?", k=4))
    assert by_meaning.ids[0] == "tower"
    assert by_meaning.similarities == sorted(by_meaning.similarities, reverse=True)
    words = store.query(VectorStoreQuery(query_str="猫の名前", similarity_top_k=4, mode=VectorStoreQueryMode.SPARSE))
    assert words.ids == ["cat"]
    both = ask(store, "rapeseed oil", k=4, mode=VectorStoreQueryMode.HYBRID)
    assert store.query(both).ids[0] == "lamp"
    japanese = ask(store, "猫の名前は", k=4, mode=VectorStoreQueryMode.HYBRID)
    assert store.query(japanese).ids == ["cat"]  # the encoder knows no Japanese: it is left out


def test_alpha_goes_from_the_words_to_the_vector(store: CorpusVectorStore) -> None:
    store.add([node(name) for name in TEXTS])
    texts = ask(store, "oil", k=4, mode=VectorStoreQueryMode.HYBRID, alpha=0.0)
    texts.query_embedding = store.embed_model.get_query_embedding("bread and flour")
    assert store.query(texts).ids[0] == "lamp"
    texts.alpha = 1.0
    assert store.query(texts).ids[0] == "bread"
    texts.alpha = 0.5
    middle = store.query(texts)
    assert set(middle.ids[:2]) == {"lamp", "bread"}
    assert min(middle.similarities[:2]) >= 0.5 > max(middle.similarities[2:])


def test_hybrid_takes_as_many_candidates_as_it_is_told(store: CorpusVectorStore) -> None:
    store.add([node(f"n{i}", text=f"The harbour light number {'light ' * i}") for i in range(8)])
    query = ask(store, "harbour light", k=3, mode=VectorStoreQueryMode.HYBRID)
    assert len(store.query(query).ids) == 3
    query.hybrid_top_k = 6
    query.sparse_top_k = 1
    assert 3 <= len(store.query(query).ids) <= 4  # three by vector and one by words
    query.hybrid_top_k = 2
    assert len(store.query(query).ids) == 2
    words = VectorStoreQuery(query_str="light", similarity_top_k=2, sparse_top_k=5, mode=VectorStoreQueryMode.SPARSE)
    assert len(store.query(words).ids) == 5


@pytest.mark.parametrize("mode", ["default", "sparse", "hybrid"])
def test_a_choice_is_made_before_the_search(store: CorpusVectorStore, mode: str) -> None:
    """The one that may be found is the worst of many: it is found all the same."""
    store.add([node(f"n{i}", f"d{i}", text=f"harbour light {i} " + "and more " * (i // 2), n=i) for i in range(60)])
    query = ask(store, "harbour light", k=1, mode=VectorStoreQueryMode(mode))
    query.filters = MetadataFilters(filters=[MetadataFilter(key="n", value=59)])
    assert store.query(query).ids == ["n59"]
    query.filters = MetadataFilters(filters=[MetadataFilter(key="n", value=57, operator=FilterOperator.GTE)])
    query.doc_ids = ["d58", "d3"]
    assert store.query(query).ids == ["n58"]
    query.filters, query.doc_ids, query.node_ids = None, [], ["n57"]
    assert store.query(query).ids == ["n57"]
    query.doc_ids = ["d1"]
    assert store.query(query).ids == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (VectorStoreQuery(query_str="x"), "DEFAULT has no query_embedding"),
        (VectorStoreQuery(mode=VectorStoreQueryMode.SPARSE), "SPARSE has no query_str"),
        (VectorStoreQuery(query_str="x", mode=VectorStoreQueryMode.HYBRID), "HYBRID has no query_embedding"),
        (VectorStoreQuery(query_embedding=[1.0] * 384, mode=VectorStoreQueryMode.HYBRID), "HYBRID has no query_str"),
        (VectorStoreQuery(query_embedding=[1.0] * 384, mode=VectorStoreQueryMode.MMR), "MMR is not supported: use DEF"),
        (VectorStoreQuery(query_embedding=[1.0] * 3), "has 3 numbers and this index's encoder makes 384"),
        (VectorStoreQuery(query_embedding=[0.0] * 384), "has the length 0.0"),
        (VectorStoreQuery(query_embedding=[1.0] * 384, similarity_top_k=0), "similarity_top_k is 0"),
        (
            VectorStoreQuery([1.0] * 384, query_str="x", mode=VectorStoreQueryMode.HYBRID, alpha=1.5),
            "alpha is 1.5",
        ),
    ],
)
def test_a_query_that_lacks_what_it_needs_is_refused(
    store: CorpusVectorStore, query: VectorStoreQuery, reason: str
) -> None:
    store.add([node("tower")])
    with pytest.raises(CorpusError, match=reason):
        store.query(query)


@pytest.mark.parametrize("embedding", [[1.0, 0.0], [float("nan")] * 384, [0.0] * 384])
def test_an_embedding_of_another_kind_is_refused_and_nothing_is_kept(
    store: CorpusVectorStore, embedding: list[float]
) -> None:
    wrong = node("lamp")
    wrong.embedding = embedding
    with pytest.raises(CorpusError, match="the embedding of the node 'lamp' has"):
        store.add([node("tower"), wrong])
    assert store.get_nodes() == []


def test_to_delete_without_saying_what_is_refused(store: CorpusVectorStore) -> None:
    store.add([node("tower")])
    for nothing in ({}, {"filters": MetadataFilters(filters=[])}):
        with pytest.raises(CorpusError, match="clear"):
            store.delete_nodes(**nothing)
    store.delete_nodes([])
    assert ids(store.get_nodes()) == ["tower"]


def test_an_index_of_another_encoder_is_refused(store: CorpusVectorStore, place: str | Path) -> None:
    store.add([node("tower")])
    with pytest.raises(IndexMismatch, match="made with the encoder 'default'"):
        CorpusVectorStore.from_params(str(place), encoder="intfloat/multilingual-e5-small")


def test_it_is_read_back_from_what_it_is_written_as(store: CorpusVectorStore, place: str | Path) -> None:
    store.add([node("tower")])
    again = CorpusVectorStore.from_json(store.to_json())
    assert (again.class_name(), again.path) == ("CorpusVectorStore", str(place))
    with again.client:
        assert ids(again.get_nodes()) == ["tower"]
        embedding = type(again.embed_model).from_json(again.embed_model.to_json())
    np.testing.assert_array_equal(embedding.get_query_embedding("lamp"), store.embed_model.get_query_embedding("lamp"))


def test_async_twins_do_the_same_and_writers_take_turns(store: CorpusVectorStore) -> None:
    async def run() -> list[str]:
        await asyncio.gather(*(store.async_add([node(name, "doc")]) for name in TEXTS))
        await store.adelete_nodes(["cat"])
        query = ask(store, "What was the lamp lit with?", k=1)
        [sync, together] = store.query(query), await store.aquery(query)
        assert sync.ids == together.ids == ["lamp"]
        assert sorted(ids(await store.aget_nodes())) == ["bread", "lamp", "tower"]
        await store.adelete("doc")
        assert await store.aget_nodes() == []
        await store.async_add([node("cat")])
        await store.aclear()
        return ids(await store.aget_nodes())

    assert asyncio.run(run()) == []


def test_the_retriever_gives_nodes_as_they_were_added(store: CorpusVectorStore, index: CorpusIndex) -> None:
    added = node("lamp", "book", year=1921)
    store.add([added, node("tower", "book", year=1871), node("bread", year=2020)])
    new = MetadataFilters(filters=[MetadataFilter(key="year", value=1900, operator=FilterOperator.GT)])
    retriever = CorpusRetriever(index, k=3, filters=new)
    found = retriever.retrieve("the tower's lamp")
    assert found[0].node == added
    assert {each.node_id for each in found} == {"lamp", "bread"}
    assert asyncio.run(retriever.aretrieve("the tower's lamp")) == found


def test_a_damaged_node_is_an_error_and_no_answer(store: CorpusVectorStore, index: CorpusIndex) -> None:
    store.add([node("tower", year=1871)])
    with index.changing(wait=False) as (database, _):
        database.rows("UPDATE nodes SET metadata = replace(metadata, '1871', '1971')")
    new = MetadataFilters(filters=[MetadataFilter(key="year", value=1900, operator=FilterOperator.GT)])
    for read in (store.get_nodes, lambda: store.get_nodes(filters=new), lambda: store.query(ask(store, "tower"))):
        with pytest.raises(IndexDamaged, match="node 'tower' is not what it was"):
            read()
    assert index.verify().problems == ("the node 'tower' is not what it was",)


changes = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.lists(st.tuples(st.integers(0, 6), st.sampled_from([None, "d0", "d1"])), min_size=1, max_size=4),
        ),
        st.tuples(st.just("delete"), st.sampled_from(["d0", "d1", "d2"])),
        st.tuples(st.just("delete_nodes"), st.lists(st.integers(0, 6), max_size=3)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=5,
)


@settings(max_examples=settings.default.max_examples // 8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes, seed=st.integers(0, 99))
def test_any_changes_leave_what_simple_vector_store_has(store: CorpusVectorStore, changes: list, seed: int) -> None:
    random = np.random.default_rng(seed)
    simple = SimpleVectorStore()
    store.clear()
    for what, how in changes:
        if what == "add":
            nodes = [node(f"n{number}", document, text=f"words {number}") for number, document in how]
            for each in nodes:
                each.embedding = random.normal(size=384).tolist()
            arguments = [nodes]
        else:
            arguments = [] if how is None else [[f"n{i}" for i in how] if what == "delete_nodes" else how]
        getattr(store, what)(*arguments)
        getattr(simple, what)(*arguments)
    query = VectorStoreQuery(query_embedding=random.normal(size=384).tolist(), similarity_top_k=50)
    result, expected = store.query(query), simple.query(query)
    assert sorted(ids(store.get_nodes())) == sorted(simple.data.embedding_dict)
    assert result.ids == expected.ids
    np.testing.assert_allclose(result.similarities, expected.similarities, atol=1e-5)
    kept = {each.node_id: each.ref_doc_id or "None" for each in store.get_nodes()}
    assert kept == simple.data.text_id_to_ref_doc_id
    assert store.client.verify().problems == ()


def test_a_node_longer_than_the_encoder_reads_is_embedded_to_its_end(hashing) -> None:
    embedding = CorpusEmbedding(hashing)
    begin, end = "lamp " * 80, "storm " * 80  # 60 tokens are read, of six characters each
    both, first, last = embedding.get_text_embedding_batch([begin + end, begin, end])
    assert np.dot(both, last) > 0.5
    assert np.dot(both, first) > 0.5
    assert np.linalg.norm(both) == pytest.approx(1.0)


@pytest.mark.parametrize("windows", [2, 4])
def test_no_part_of_a_long_node_is_longer_than_the_encoder_reads(encoder: Encoder, windows: int) -> None:
    """A text of whole windows, cut inside of words, which then take more tokens than before."""
    text = "reconfigurations of electroencephalographically internationalised zxqvwk " * 80
    text = text[: encoder.token_offsets([text])[0][windows * encoder.max_tokens - 1][1]]
    parts: list[str] = []
    embedding = CorpusEmbedding(Noting(encoder, parts))
    embedding.get_text_embedding(text)
    assert "".join(parts) == text
    assert max(map(len, encoder.token_offsets(parts))) <= encoder.max_tokens
