"""CorpusIndex.add(): text in memory goes through the pipeline that files go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexes import CorpusError, CorpusIndex, Document, IndexBusy, IngestReport, Metadata, SearchFilter
from indexes.types import Heading

TOWER = Document(
    "notes/tower",
    "# The tower\n\nThe tower is forty metres high.",
    "Tower",
    headings=(Heading(0, 1, "The tower"),),
    metadata=Metadata({"year": 1904}),
)
HARBOUR = Document("harbour", "Ships wait in the harbour for the tide.", "Harbour")


@pytest.fixture
def index(place: str | Path, hashing) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(place, hashing) as index:
        yield index


def counts(report: IngestReport) -> tuple[int, int, int]:
    return report.added, report.changed, report.unchanged


def test_added_documents_are_found_listed_and_removed_by_their_names(index: CorpusIndex) -> None:
    report = index.add([TOWER, HARBOUR])
    assert counts(report) == (2, 0, 0)
    assert (report.chunks, report.failed, report.warnings) == (2, (), ())
    for mode in ("dense", "lexical", "hybrid"):
        [best, *_] = index.search("forty metres", mode=mode)
        assert (best.chunk.source, best.chunk.heading, best.chunk.title) == ("notes/tower", "The tower", "Tower")
    assert [document.source for document in index.documents()] == ["harbour", "notes/tower"]
    assert index.text("notes/tower") == TOWER.text
    for named in ("notes", "notes/tower", "n*"):
        assert [hit.chunk.source for hit in index.search("the", filters=SearchFilter(named))] == ["notes/tower"], named
    assert [d.source for d in index.documents(SearchFilter(metadata={"year": 1904}))] == ["notes/tower"]
    assert index.verify().problems == ()
    assert index.remove("harbour") == 1
    assert [document.source for document in index.documents()] == ["notes/tower"]
    assert {hit.chunk.source for hit in index.search("harbour")} == {"notes/tower"}


def test_unchanged_documents_do_not_wait_for_another_writer(index: CorpusIndex, place: str | Path, hashing) -> None:
    index.add([TOWER, HARBOUR])
    with (
        CorpusIndex.open(place, hashing) as other,
        other._storage.writing(False) as writer,
        writer.batch([TOWER.source]),
    ):
        assert counts(index.add([HARBOUR, TOWER])) == (0, 0, 2)
        with pytest.raises(IndexBusy):
            index.add([replace(TOWER, text="The tower is fifty metres high.", headings=())], wait=0.01)


def test_unchanged_documents_are_skipped_and_changed_ones_replaced(index: CorpusIndex) -> None:
    index.add([TOWER, HARBOUR])
    generation = [chunk.id for chunk in index.chunks()]
    assert counts(index.add([TOWER, HARBOUR])) == (0, 0, 2)
    assert [chunk.id for chunk in index.chunks()] == generation
    for changed in (
        replace(TOWER, text="The tower is fifty metres high.", headings=()),
        replace(TOWER, title="The old tower"),
        replace(TOWER, metadata=Metadata({"year": 1905})),
        replace(TOWER, headings=()),
        replace(TOWER, breaks=(5,)),
    ):
        assert counts(index.add([changed])) == (0, 1, 0)
        assert counts(index.add([changed])) == (0, 0, 1)
    assert counts(index.add([HARBOUR])) == (0, 0, 1)
    assert [document.title for document in index.documents()] == ["Harbour", "Tower"]


def test_of_two_with_one_source_the_later_stays(index: CorpusIndex) -> None:
    report = index.add(iter([HARBOUR, replace(HARBOUR, text="The harbour is empty.")]))
    assert counts(report) == (1, 1, 0)
    assert [chunk.text for chunk in index.chunks()] == ["The harbour is empty."]
    assert index.verify().problems == ()


def test_a_document_without_text_is_there_and_has_no_chunk(index: CorpusIndex) -> None:
    assert counts(index.add([Document("empty", "", "")])) == (1, 0, 0)
    assert [(document.source, document.chunks) for document in index.documents()] == [("empty", 0)]
    assert index.text("empty") == ""
    assert index.search("anything") == []
    assert counts(index.add([Document("empty", "", ""), HARBOUR])) == (1, 0, 1)


def test_a_document_is_chunked_as_files_were_and_again_when_that_changes(index: CorpusIndex, tmp_path: Path) -> None:
    long = Document("long", "Ships wait in the harbour for the tide. " * 20, "")
    index.add([long])
    chunks = len(index.chunks())
    index.ingest(tmp_path / "none.txt", chunk_tokens=32)
    (tmp_path / "some.txt").write_text("Some text.")
    index.ingest(tmp_path / "some.txt", chunk_tokens=32)
    assert counts(index.add([long])) == (0, 1, 0)
    assert len(index.chunks(SearchFilter("long"))) > chunks


def test_a_file_and_a_document_replace_each_other(index: CorpusIndex, tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("Text of the file.")
    index.ingest(file)
    assert counts(index.add([Document(str(file), "Text from memory.", "some")])) == (0, 1, 0)
    assert index.text(file) == "Text from memory."
    assert index.ingest(file).changed == 1
    assert index.text(file) == "Text of the file."


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (Document("", "Text.", ""), "has the source ''"),
        (Document("llama-index:a", "Text.", ""), "CorpusVectorStore"),
        (Document("half", "a \ud800 b", ""), "'half' is not valid Unicode"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_documents_beside_it(
    index: CorpusIndex, document: Document, said: str
) -> None:
    with pytest.raises(CorpusError, match=said):
        index.add([HARBOUR, document])
    assert index.documents() == []
