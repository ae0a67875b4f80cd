"""What passes a filter, beside llama-index's own SimpleVectorStore on the same nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
)
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from indexes import Chunk, CorpusError, CorpusIndex, Document, Metadata
from indexes.llama_index.filters import check_filters, matches, node_condition
from indexes.llama_index.nodes import filterable
from indexes.llama_index.vector_store import CorpusVectorStore

WORDS = ["", "a", "b", "ab", "A b", "夏目 漱石", "夏目", "2024-05-01"]
VALUES = [
    *WORDS,
    None,
    0,
    1,
    2,
    2.5,
    -3,
    True,
    0.1 + 0.2,
    2**70,
    -(2**53),
    1e300,
    [],
    ["a"],
    ["a", "b"],
    [1, 2],
    ["夏目"],
    {"a": 1},
]
KEYS = ["colour", "count", "tags", "doc_id"]
LIST_OPERATORS = [FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL]
TEXT_OPERATORS = [FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE]
OTHER_OPERATORS = [each for each in FilterOperator if each not in (*LIST_OPERATORS, *TEXT_OPERATORS)]


def make_nodes() -> list[TextNode]:
    """A node for each value under each key, and some with several."""
    metadata = [{key: value} for key in KEYS[:3] for value in VALUES]
    metadata += [{"colour": a, "count": b, "tags": c} for a, b, c in zip(WORDS, range(8), VALUES[8:], strict=False)]
    random = np.random.default_rng(0)
    nodes = []
    for number, each in enumerate(metadata):
        node = TextNode(id_=f"n{number}", text=f"text {number}", metadata=each)
        node.embedding = random.normal(size=384).tolist()
        if number % 3:
            node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"d{number % 3}")
        nodes.append(node)
    return nodes


NODES = make_nodes()
SIMPLE = SimpleVectorStore()
SIMPLE.add(NODES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, encoder) -> Iterator[CorpusVectorStore]:
    with CorpusIndex.open(tmp_path_factory.mktemp("filters") / "index", encoder) as index:
        vector_store = CorpusVectorStore.from_index(index)
        vector_store.add(NODES)
        yield vector_store


scalars = st.sampled_from([0, 1, 2, 2.5, -3, 2**70, 1e-300, float("inf"), *WORDS, "d1"])
lists = st.one_of(
    st.lists(st.sampled_from([*WORDS, "d1", "d2"]), max_size=3), st.lists(st.integers(-3, 3), min_size=1, max_size=3)
)
leaves = st.one_of(
    st.builds(MetadataFilter, key=st.sampled_from(KEYS), value=scalars, operator=st.sampled_from(OTHER_OPERATORS)),
    st.builds(MetadataFilter, key=st.sampled_from(KEYS), value=lists, operator=st.sampled_from(LIST_OPERATORS)),
    st.builds(
        MetadataFilter,
        key=st.sampled_from(KEYS),
        value=st.sampled_from(WORDS),
        operator=st.sampled_from(TEXT_OPERATORS),
    ),
)
conditions = st.sampled_from([*FilterCondition, None])
flat = st.builds(MetadataFilters, filters=st.lists(leaves, max_size=3), condition=conditions)
nested = st.recursive(
    leaves,
    lambda inner: st.builds(MetadataFilters, filters=st.lists(inner, min_size=1, max_size=3), condition=conditions),
    max_leaves=6,
).filter(lambda tree: isinstance(tree, MetadataFilters))


def passes(tree: MetadataFilters | MetadataFilter, node_id: str) -> bool:
    """By SimpleVectorStore's rules, for one node: what they cannot compare is no match, and nesting is spelt out."""
    if isinstance(tree, MetadataFilter):
        lookup = SIMPLE.data.metadata_dict.__getitem__
        try:
            return build_metadata_filter_fn(lookup, MetadataFilters(filters=[tree]))(node_id)
        except TypeError:
            return False
    inner = [passes(each, node_id) for each in tree.filters]
    if tree.condition == FilterCondition.OR:
        return any(inner) or not inner
    return not any(inner) if tree.condition == FilterCondition.NOT else all(inner)


def found(store: CorpusVectorStore, filters: MetadataFilters) -> list[str]:
    return [node.node_id for node in store.get_nodes(filters=filters)]


@settings(max_examples=settings.default.max_examples * 3)
@given(tree=nested)
def test_nested_filters_pass_what_their_parts_pass(store: CorpusVectorStore, tree: MetadataFilters) -> None:
    assert set(found(store, tree)) == {node.node_id for node in NODES if passes(tree, node.node_id)}


@settings(max_examples=settings.default.max_examples * 2)
@given(filters=flat, seed=st.integers(0, 9), k=st.integers(1, 80))
def test_a_filtered_query_finds_what_simple_vector_store_finds(
    store: CorpusVectorStore, filters: MetadataFilters, seed: int, k: int
) -> None:
    query = VectorStoreQuery(
        query_embedding=np.random.default_rng(seed).normal(size=384).tolist(), similarity_top_k=k, filters=filters
    )
    try:
        expected = SIMPLE.query(query)
    except TypeError:  # it compares a word with a number somewhere, and gives up
        return
    result = store.query(query)
    assert result.ids == expected.ids
    np.testing.assert_allclose(result.similarities, expected.similarities, atol=1e-5)


FRONT = [
    *(
        {"author": author}
        for author in ["Natsume", "夏目 漱石", 'a "b"', "a\\b", "1901", 1901, True, None, ["a", "夏目"]]
    ),
    {"author": "Ito", "title": "夏目"},
    {"夏": "1901", "tags": ["1901", "b"]},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, hashing) -> Iterator[CorpusVectorStore]:
    """Passages of files with metadata of many kinds, and the nodes of above."""
    with CorpusIndex.open(tmp_path_factory.mktemp("files"), hashing) as index:
        with index.changing(wait=False) as (store, generation):
            index.bound_encoder(store)
            for number, front in enumerate(FRONT):
                source, text, date = f"/{number % 3}/{number}", "Words. " * 9, f"200{number % 4}-01-04T17:46:40Z"
                about = {"metadata": Metadata(front), "modified": date if number % 5 else None}
                document = Document(source, text, str(front.get("title", number)), **about)
                chunks = [Chunk("Words.", source, "", "", None, at, at + 6, at, 1) for at in (0, 7, 14)]
                document_id = store.add_document(document, source, generation)
                store.add_chunks(document_id, chunks, hashing.encode_passages(["words"] * 3))
        vector_store = CorpusVectorStore.from_index(index)
        vector_store.add([TextNode(id_=node.node_id, text=node.text, metadata=node.metadata) for node in NODES])
        yield vector_store


file_keys = st.sampled_from(["author", "夏", "tags", "title", "source", "modified", "line", "page", "colour", "doc_id"])
texts = st.sampled_from(
    ["a", "", '"', "\\b", "夏目", "夏目 漱石", "1901", "5", "Natsume", "2002-01-04T17:46:40Z", "\ud800", "/1/"]
)
of_files = st.recursive(
    st.one_of(
        st.builds(
            MetadataFilter,
            key=file_keys,
            value=texts | st.sampled_from([1901, 1, 0]),
            operator=st.sampled_from(OTHER_OPERATORS),
        ),
        st.builds(
            MetadataFilter,
            key=file_keys,
            value=st.lists(texts, max_size=3) | st.lists(st.integers(0, 2), min_size=1, max_size=2),
            operator=st.sampled_from(LIST_OPERATORS),
        ),
        st.builds(MetadataFilter, key=file_keys, value=texts, operator=st.sampled_from(TEXT_OPERATORS)),
    ),
    lambda inner: st.builds(MetadataFilters, filters=st.lists(inner, max_size=3), condition=conditions),
    max_leaves=5,
).filter(lambda tree: isinstance(tree, MetadataFilters))


@settings(max_examples=settings.default.max_examples * 3)
@given(tree=of_files)
def test_looking_in_sql_first_loses_nothing(files: CorpusVectorStore, tree: MetadataFilters) -> None:
    every = files.get_nodes()
    assert len(every) > len(FRONT) + len(NODES)
    expected = [node.node_id for node in every if matches(filterable(node.metadata, node.ref_doc_id), tree)]
    assert found(files, tree) == expected


ODD = [2**53 + 1, 2**63, 2**64 + 1, -(2**70), 10**400, 0.1, 0.1 + 2**-56, 1e-320, 1e300, -1e300, math.nan, math.inf]
ODD += [-math.inf, "a\0", "a\0b", "\ud800", "\ue000", "😀", "é", "9", "10", "[1]", "2024-05-02", *VALUES]
ODD_KEYS = ["year", "a year", 'the "year"', "back\\slash", "$.year", "[0]", "年", "😀", "y\0", ""]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, hashing) -> Iterator[CorpusVectorStore]:
    with CorpusIndex.open(tmp_path_factory.mktemp("odd"), hashing) as index:
        vector_store = CorpusVectorStore.from_index(index)
        metadata = [{key: value} for key in ODD_KEYS for value in ODD] + [{"year": 1, "x": {"a year": 1}}, {}]
        vector_store.add(
            [TextNode(id_=f"n{number}", text="words", metadata=each) for number, each in enumerate(metadata)]
        )
        yield vector_store


@settings(max_examples=settings.default.max_examples * 2)
@given(
    key=st.sampled_from(ODD_KEYS),
    value=st.sampled_from([each for each in ODD if isinstance(each, str | int | float) and each is not True]),
    operator=st.sampled_from(FilterOperator),
)
def test_comparing_in_sql_first_loses_nothing(
    odd: CorpusVectorStore, key: str, value: float | str, operator: FilterOperator
) -> None:
    if operator in TEXT_OPERATORS and not isinstance(value, str):
        return
    given = [value] if operator in LIST_OPERATORS and not isinstance(value, float) else value
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=given, operator=operator)])
    try:
        check_filters(filters)
    except CorpusError:
        return
    expected = [node.node_id for node in odd.get_nodes() if matches(filterable(node.metadata, None), filters)]
    assert found(odd, filters) == expected


@pytest.mark.parametrize(
    ("key", "operator", "value", "rows"),
    [
        ("year", FilterOperator.GT, 2020, 5),  # with 2020: only Python tells what is nearly equal
        ("date", FilterOperator.LTE, "2003-01-01", 3),
        ("year", FilterOperator.EQ, 2020, 1),
        ("year", FilterOperator.IN, [2019, 2020], 2),
    ],
)
def test_rows_that_compare_otherwise_are_not_parsed(
    hashing, tmp_path: Path, key: str, operator: FilterOperator, value: object, rows: int
) -> None:
    nodes = [
        TextNode(id_=str(year), text="words", metadata={"year": year, "date": f"{year}-05-01"})
        for year in range(2000, 2025)
    ]
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        CorpusVectorStore.from_index(index).add(nodes)
        with index.changing(wait=False) as (store, _):
            assert len(list(store.nodes.scan(node_condition(filters)))) == rows


def test_a_filter_of_more_values_than_sqlite_takes_is_answered(files: CorpusVectorStore) -> None:
    many = MetadataFilter(key="author", value=["Natsume", *map(str, range(40_000))], operator=FilterOperator.IN)
    tree = MetadataFilters(filters=[many])
    for _ in range(150):
        tree = MetadataFilters(filters=[tree])
    assert {node.metadata["author"] for node in files.get_nodes(filters=tree)} == {"Natsume", "1901"}


@pytest.mark.parametrize("operator", FilterOperator, ids=lambda each: each.name)
def test_every_operator_finds_something_and_leaves_something_out(
    store: CorpusVectorStore, operator: FilterOperator
) -> None:
    value = ["a", "b"] if operator in LIST_OPERATORS else "a"
    filters = MetadataFilters(filters=[MetadataFilter(key="tags", value=value, operator=operator)])
    assert 0 < len(found(store, filters)) < len(NODES)


@pytest.mark.parametrize(
    ("operator", "value", "remedy"),
    [
        (FilterOperator.IN, "a", "give it a list"),
        (FilterOperator.ALL, 1, "give it a list"),
        (FilterOperator.TEXT_MATCH, 1, "give it a text"),
        (FilterOperator.GT, None, "give it a number or a text"),
    ],
)
def test_a_filter_that_can_never_work_is_refused(
    store: CorpusVectorStore, operator: FilterOperator, value: object, remedy: str
) -> None:
    wrong = MetadataFilters(filters=[MetadataFilter(key="count", value=value, operator=operator)])
    with pytest.raises(CorpusError, match=f"'count'.*{remedy}"):
        store.get_nodes(filters=MetadataFilters(filters=[wrong]))
