"""What passes a filter, beside llama-index's own SimpleVectorStore on the same nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
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

from indexes import CorpusError, CorpusIndex
from indexes.vector_store import CorpusVectorStore

WORDS = ["", "a", "b", "ab", "A b", "夏目 漱石", "夏目", "2024-05-01"]
VALUES = [*WORDS, None, 0, 1, 2, 2.5, -3, True, [], ["a"], ["a", "b"], [1, 2], ["夏目"], {"a": 1}]
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
        vector_store = index.as_vector_store()
        vector_store.add(NODES)
        yield vector_store


scalars = st.sampled_from([0, 1, 2, 2.5, -3, *WORDS, "d1"])
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


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(tree=nested)
def test_nested_filters_pass_what_their_parts_pass(store: CorpusVectorStore, tree: MetadataFilters) -> None:
    assert set(found(store, tree)) == {node.node_id for node in NODES if passes(tree, node.node_id)}


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
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
