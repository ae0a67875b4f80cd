"""That looking for documents in SQL first finds those that the filter itself allows, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes import CorpusIndex, Document, DocumentInfo, Metadata, SearchFilter

SOURCES = [
    *(f"/c/{folder}/{name}" for folder, name in product(["north", "n[o]", "*", "!x", "灯台"], ["1.md", "a?.txt", "]"])),
    *("llama-index:north", "llama-index:c/1.md", "/c/north", "/c"),
    *("north", "c/1.md"),  # names
]
TITLES = ["Log 1", "ＬＯＧ　１", "log [1]", "STRASSE", "Straße", "ﬁre*", "灯台の日誌", "ﾄｳﾀﾞｲ", ""]
VALUES = ["1901", 1901, 1901.0, 1e16, 10**16, -0.0, 0, True, None, "true", 'a "b"', "a\\b", "灯台", [1, "1901"], {"a": [1]}, ["灯台"], ""]  # fmt: skip
WANTED = [*VALUES, "null", "0", "-0.0", "1e+16", "[1]", '[1, "1901"]', '{"a": [1]}', '["\\u706f\\u53f0"]', 0.5, False]
NAMES = ["year", 'a"b', "灯"]
MODIFIED = [None, "1970-01-01T00:00:00Z", "2026-11-23T09:30:00Z", "2026-11-24T00:00:00Z"]


@pytest.fixture(scope="module")
def index(new_place, hashing) -> Iterator[CorpusIndex]:
    """A document for each source and metadata value; titles, names and dates by turns."""
    with CorpusIndex.open(new_place(), hashing) as index:
        with index.changing(wait=False) as (store, generation):
            for number, (source, value) in enumerate(product(SOURCES, VALUES)):
                metadata = {NAMES[number % len(NAMES)]: value, "other": "north"} if number % 5 else {}
                about = (TITLES[number % len(TITLES)], MODIFIED[number // 3 % len(MODIFIED)])
                document = Document(f"{source}{number % 7 or ''}/{number}", "text", about[0], metadata=Metadata(metadata), modified=about[1])  # fmt: skip
                store.add_document(document, "", generation)
        yield index


@pytest.fixture(scope="module")
def documents(index: CorpusIndex) -> list[DocumentInfo]:
    return index.documents()


def patterns(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*pieces, "*", "?", "[", "]", "!", "1"]), min_size=1, max_size=6).map("".join)


parts = {
    "source": st.sampled_from(SOURCES) | patterns("/c/", "north", "/", "llama-index:", "*/*", "o]"),
    "title": st.sampled_from(TITLES) | patterns("log", "ＬＯＧ", " ", "[ 1]", "strasse", "fi", "台"),
}


@given(
    source=st.lists(parts["source"], max_size=2),
    title=st.lists(parts["title"], max_size=2),
    metadata=st.dictionaries(st.sampled_from([*NAMES, "other"]), st.sampled_from([*WANTED, "north"]), max_size=2),
    after=st.sampled_from([None, "1970-01-01", "2026-11-23T09:30:01"]),
    before=st.sampled_from([None, "1970-01-02", "2026-11-24"]),
)
def test_what_is_found_is_what_is_allowed(index, documents, source, title, metadata, after, before) -> None:
    wanted = SearchFilter(source, title, metadata, after, before)
    assert index.documents(wanted) == [document for document in documents if wanted.allows(document)]


def test_a_filter_may_name_more_than_sqlite_takes_at_once(index, documents) -> None:
    chosen = documents[::2]
    many = SearchFilter(
        source=[*(document.source for document in chosen), *(f"/none/{n}*" for n in range(2000))],
        title=["*", *(f"none {n}" for n in range(2000))],
    )
    assert index.documents(many) == chosen
    none = SearchFilter(source="/c*" + "*c" * 2000, metadata={f"name {n}": "x" for n in range(2000)})
    assert index.documents(none) == []
