"""Copies, renamed files, and names in composed and decomposed letters."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from written_files import write_files

from indexes import CorpusIndex, Encoder, SearchFilter

TEXT = "".join(f"The keeper of the lighthouse lights lamp {number} at six. " for number in range(20))


class Counting:
    """An encoder that counts the passages it embeds."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.embedded = encoder, 0

    def __getattr__(self, name: str):
        return getattr(self._encoder, name)

    def encode_passages(self, texts):
        self.embedded += len(texts)
        return self._encoder.encode_passages(texts)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    texts = dict.fromkeys(("a/one.txt", "b/two.txt", "three.txt"), TEXT)
    return write_files(tmp_path / "corpus", texts | {"other.txt": "Another text about the weather."})


def names(index: CorpusIndex, corpus: Path) -> list[str]:
    return [Path(document.source).relative_to(corpus).as_posix() for document in index.documents()]


def test_a_copy_is_stored_once_and_found_by_each_of_its_names(
    corpus: Path, place: str | Path, hashing: Encoder
) -> None:
    with CorpusIndex.open(place, hashing) as index:
        report = index.ingest(corpus)
        assert (report.added, report.copies) == (4, 2)
        assert names(index, corpus) == ["a/one.txt", "b/two.txt", "other.txt", "three.txt"]
        hits = index.search("keeper of the lighthouse", k=50)
        assert len({hit.chunk.text for hit in hits}) == len(hits)
        [copied] = [hit.chunk for hit in hits if hit.chunk.copies and hit.chunk.start == 0]
        assert {copied.source, *copied.copies} == {str(corpus / n) for n in ("a/one.txt", "b/two.txt", "three.txt")}
        for name in ("a/one.txt", "b/two.txt", "three.txt"):
            assert index.text(corpus / name) == TEXT
            for place in (name, f"*{Path(name).name}"):
                found = index.search("lighthouse", k=50, filters=SearchFilter(str(corpus / place)))
                assert {hit.chunk.source for hit in found} == {str(corpus / name)}
                assert {c.source for c in index.chunks(SearchFilter(str(corpus / place)))} == {str(corpus / name)}
        before, after = index.neighbours(hits[0].chunk, 50)
        assert len(before) + len(after) + 1 == index.info().chunks - 1
        assert index.ingest(corpus).unchanged == 4
        assert index.verify().problems == ()


def test_removing_one_name_keeps_the_others(corpus: Path, place: str | Path, hashing: Encoder) -> None:
    with CorpusIndex.open(place, hashing) as index:
        index.ingest(corpus)
        assert index.remove(corpus / "a") == 1  # the name that it was stored under
        assert names(index, corpus) == ["b/two.txt", "other.txt", "three.txt"]
        assert index.text(corpus / "three.txt") == TEXT
        (corpus / "b" / "two.txt").write_text("This file is changed, and the other is not.")
        assert index.ingest([corpus / "b", corpus / "three.txt"]).changed == 1
        assert index.text(corpus / "three.txt") == TEXT
        assert index.remove(corpus / "three.txt") == 1
        assert index.verify().problems == ()
        assert names(index, corpus) == ["b/two.txt", "other.txt"]
        assert all("lamp" not in hit.chunk.text for hit in index.search("lamp", k=50))


def test_a_renamed_file_is_not_embedded_again_and_its_old_name_goes(
    corpus: Path, place: str | Path, hashing: Encoder
) -> None:
    encoder = Counting(hashing)
    with CorpusIndex.open(place, encoder) as index:  # type: ignore[arg-type]
        index.ingest(corpus)
        embedded = encoder.embedded
        (corpus / "other.txt").rename(corpus / "forecast.txt")
        (corpus / "b" / "two.txt").rename(corpus / "b" / "2.txt")
        report = index.ingest(corpus)
        assert (report.renamed, report.added, report.unchanged) == (2, 0, 2)
        assert encoder.embedded == embedded
        assert names(index, corpus) == ["a/one.txt", "b/2.txt", "forecast.txt", "three.txt"]
        [hit] = index.search("forecast", mode="lexical")  # the title is the file's name
        assert (hit.chunk.title, hit.chunk.source) == ("forecast", str(corpus / "forecast.txt"))
        assert index.search("other", mode="lexical") == []
        assert index.verify().problems == ()


def test_equal_bytes_of_another_kind_are_no_copy(tmp_path: Path, place: str | Path, hashing: Encoder) -> None:
    for name in ("a.md", "a.txt"):
        (tmp_path / name).write_text("# Heading\n\nText.")
    with CorpusIndex.open(place, hashing) as index:
        assert index.ingest([tmp_path / "a.md", tmp_path / "a.txt"]).copies == 0
        assert [document.title for document in index.documents()] == ["Heading", "a"]


def test_the_same_text_in_other_bytes_is_found_once(tmp_path: Path, place: str | Path, hashing: Encoder) -> None:
    text = "霧笛は一分ごとに五秒間鳴らす。\n飲み水は貯水槽に六十日分ある。\n"
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, data in {
        "lf.txt": text.encode(),
        "crlf.txt": text.replace("\n", "\r\n").encode(),
        "bom.txt": b"\xef\xbb\xbf" + text.encode(),
        "sjis.txt": text.encode("cp932"),
        "utf16.txt": text.encode("utf-16"),
        "lf.md": text.encode(),
        "more.txt": f"{text}予備の鍵は金庫にある。".encode(),
    }.items():
        (corpus / name).write_bytes(data)
    with CorpusIndex.open(place, hashing) as index:
        assert index.ingest(corpus).added == 7
        for mode in ("hybrid", "lexical", "dense"):
            hits = index.search("霧笛", mode=mode)
            assert len(hits) == 2, "one of those with the same text, and the one with more"
            assert str(corpus / "more.txt") in {hit.chunk.source for hit in hits}


def test_a_text_that_two_documents_share_is_found_in_both(tmp_path: Path, place: str | Path, hashing: Encoder) -> None:
    for name in ("north", "south"):
        (tmp_path / f"{name}.md").write_text(f"# Breakfast\n\nIt is included.\n\n# Name\n\nHotel {name}.\n")
    with CorpusIndex.open(place, hashing) as index:
        index.ingest([tmp_path / "north.md", tmp_path / "south.md"])
        hits = index.search("breakfast included", mode="lexical")
        assert {Path(hit.chunk.source).stem for hit in hits} == {"north", "south"}


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_name_is_found_in_composed_and_in_decomposed_letters(
    on_disk: str, tmp_path: Path, place: str | Path, hashing: Encoder
) -> None:
    folder = tmp_path / unicodedata.normalize("NFC", "Ordner é")  # whose form is not that of the file
    folder.mkdir()
    (folder / unicodedata.normalize(on_disk, "ガイド é.txt")).write_text("About the lighthouse.")
    (folder / "b.txt").write_text("About the lighthouse, too.")
    with CorpusIndex.open(place, hashing) as index:
        index.ingest(folder)
        for form in ("NFC", "NFD"):
            asked = Path(unicodedata.normalize(form, str(folder / "ガイド é.txt")))
            assert index.text(asked) == "About the lighthouse."
            for place in (str(asked), unicodedata.normalize(form, str(folder / "*ド é*"))):
                [hit] = index.search("lighthouse", filters=SearchFilter(place))
                assert Path(hit.chunk.source).name == unicodedata.normalize(on_disk, "ガイド é.txt")
            assert len(index.documents(SearchFilter(unicodedata.normalize(form, str(folder))))) == 2
        assert index.remove(unicodedata.normalize("NFD", str(folder / "ガイド é.txt"))) == 1
        assert index.remove(unicodedata.normalize("NFD", str(folder))) == 1


def test_missing_files_are_listed_and_pruned_by_every_name(corpus: Path, place: str | Path, hashing: Encoder) -> None:
    with CorpusIndex.open(place, hashing) as index:
        index.ingest(corpus)
        for name in ("a/one.txt", "other.txt"):
            (corpus / name).unlink()
        assert index.missing(corpus) == [str(corpus / "a/one.txt"), str(corpus / "other.txt")]
        assert index.missing(corpus / "gone") == []
        assert index.prune(corpus) == 2
        assert names(index, corpus) == ["b/two.txt", "three.txt"]


def test_a_file_that_gets_the_usual_suffix_of_its_format_is_renamed(
    tmp_path: Path, place: str | Path, hashing: Encoder
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/README").write_text("The lamp is lit at six.")
    (tmp_path / "corpus/notes.md").write_text("# Oil")
    with CorpusIndex.open(place, hashing) as index:
        index.ingest(tmp_path / "corpus")
        (tmp_path / "corpus/README").rename(tmp_path / "corpus/README.txt")
        (tmp_path / "corpus/notes.md").rename(tmp_path / "corpus/notes.markdown")
        report = index.ingest(tmp_path / "corpus")
        assert (report.renamed, report.added, report.chunks) == (2, 0, 0)
        assert names(index, tmp_path / "corpus") == ["README.txt", "notes.markdown"]
