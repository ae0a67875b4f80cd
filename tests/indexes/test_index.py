from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hashing_encoder import OtherEncoder
from written_files import write_files

from indexes import (
    CorpusError,
    CorpusIndex,
    EncoderUnavailable,
    IndexMismatch,
    IndexNotFound,
    IngestProgress,
    ReadLimits,
)

TEXTS = {
    "rope.md": "# RoPE\n\nRotary position embedding turns queries and keys by an angle that grows with the position.\n",
    "cats.txt": "Cats sleep for most of the day and hunt at dawn.\n\nA kitten needs milk.\n",
    "tokyo.txt": "東京タワーは港区にある電波塔である。高さは三百三十三メートルである。\n",
    "neko.txt": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n",
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_files(tmp_path / "corpus", TEXTS)


def sources(hits) -> list[str]:
    return [Path(hit.chunk.source).name for hit in hits]


def test_what_was_ingested_is_found_in_every_mode(index: CorpusIndex, corpus: Path) -> None:
    report = index.ingest([corpus])
    assert (report.added, report.failed, report.chunks) == (4, (), 4)
    assert report.tokens > 40
    for mode in ("dense", "lexical", "hybrid"):
        assert sources(index.search("when do cats hunt", mode=mode))[0] == "cats.txt"
    assert sources(index.search("東京タワーの高さ"))[0] == "tokyo.txt"
    assert sources(index.search("猫の名前"))[0] == "neko.txt"
    assert sources(index.search("felines resting", mode="dense"))[0] == "cats.txt", "no word in common"


def test_a_hit_says_exactly_where_it_stands(index: CorpusIndex, corpus: Path) -> None:
    index.ingest(corpus)
    [hit, *_] = index.search("angle that grows with the position")
    chunk = hit.chunk
    assert chunk.source == str(corpus / "rope.md")
    assert (corpus / "rope.md").read_text()[chunk.start : chunk.end] == chunk.text
    assert (chunk.title, chunk.heading, chunk.line, chunk.page) == ("RoPE", "RoPE", 1, None)
    assert index.text(chunk.source) == TEXTS["rope.md"]


def test_scores_fall_and_k_bounds_them(index: CorpusIndex, corpus: Path) -> None:
    index.ingest(corpus)
    hits = index.search("cats", k=3)
    assert len(hits) <= 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_unchanged_files_are_skipped_and_changed_ones_replaced(index: CorpusIndex, corpus: Path) -> None:
    index.ingest([corpus])
    again = index.ingest([corpus])
    assert (again.added, again.changed, again.unchanged, again.chunks) == (0, 0, 4, 0)

    (corpus / "cats.txt").write_text("Dogs bark at the postman every single morning.\n")
    report = index.ingest([corpus])
    assert (report.added, report.changed, report.unchanged) == (0, 1, 3)
    assert sources(index.search("dogs bark", mode="lexical")) == ["cats.txt"]
    assert index.search("kitten", mode="lexical") == []
    assert index.verify().problems == ()


def test_prune_removes_what_has_gone_and_nothing_else(index: CorpusIndex, corpus: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("A file outside of the folder.\n")
    index.ingest([corpus, elsewhere])
    (corpus / "cats.txt").unlink()
    elsewhere.unlink()
    assert index.ingest([corpus]).removed == 0
    assert index.ingest([corpus], prune=True).removed == 1
    assert [Path(d.source).name for d in index.documents()] == [
        "neko.txt",
        "rope.md",
        "tokyo.txt",
        "elsewhere.txt",
    ]
    assert index.verify().problems == ()


def test_prune_of_a_folder_that_is_not_there_removes_nothing(index: CorpusIndex, corpus: Path) -> None:
    index.ingest([corpus])
    shutil.rmtree(corpus)
    report = index.ingest([corpus], prune=True)
    assert (report.removed, len(report.failed), len(index.documents())) == (0, 1, 4)


def test_remove_takes_out_a_document_or_a_folder(index: CorpusIndex, corpus: Path) -> None:
    index.ingest([corpus])
    assert index.remove(corpus / "cats.txt") == 1
    assert index.remove(corpus / "cats.txt") == 0
    assert "cats.txt" not in sources(index.search("cats", mode="lexical") + index.search("cats", mode="dense"))
    assert index.remove(corpus) == 3
    assert index.search("cats") == []
    assert index.verify().problems == ()


def test_remove_of_a_folder_leaves_those_alone_that_are_called_alike(index: CorpusIndex, tmp_path: Path) -> None:
    inside = ["a/b.txt", "a/日本.txt", "a/\U0010ffff.txt", "a/c/d.txt"]
    beside = ["a!/b.txt", "a.txt", "a0.txt", "aa/b.txt", "b.txt"]
    index.ingest(write_files(tmp_path / "alike", dict.fromkeys([*inside, *beside], "about cats")))
    assert index.remove(tmp_path / "alike" / "a") == 4
    left = [Path(document.source).relative_to(tmp_path / "alike").as_posix() for document in index.documents()]
    assert sorted(left) == sorted(beside)
    assert index.remove("/") == len(beside)


def test_an_index_survives_being_closed(tmp_path: Path, corpus: Path, encoder) -> None:
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        index.ingest([corpus])
        before = index.search("cats hunt")
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        assert index.search("cats hunt") == before
        assert index.verify().documents == 4


def test_a_file_that_fails_is_reported_and_the_rest_is_in(index: CorpusIndex, corpus: Path) -> None:
    (corpus / "bad.txt").write_bytes(b"\x00\x01\x02binary" * 50)
    (corpus / "empty.md").touch()
    report = index.ingest([corpus, corpus / "missing.txt"])
    assert report.added == 4
    assert sorted(Path(f.source).name for f in report.failed) == ["bad.txt", "missing.txt"]
    assert report.empty == 1
    assert all(f.reason and "\n" not in f.reason for f in report.failed)


def test_a_file_that_fails_after_a_change_keeps_its_last_good_text(index: CorpusIndex, corpus: Path) -> None:
    index.ingest([corpus])
    (corpus / "cats.txt").write_bytes(b"\x00" * 100)
    report = index.ingest([corpus], prune=True)
    assert (len(report.failed), report.removed) == (1, 0)
    assert sources(index.search("kitten"))[0] == "cats.txt"


def test_progress_reaches_the_total(index: CorpusIndex, corpus: Path) -> None:
    seen: list[IngestProgress] = []
    index.ingest([corpus], progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].chunks) == (4, 4, 4)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_the_index_does_not_ingest_itself(corpus: Path, encoder) -> None:
    with CorpusIndex.open(corpus / "index", encoder) as index:
        assert index.ingest([corpus]).added == 4
        assert index.ingest([corpus]).unchanged == 4


def test_an_index_made_with_another_encoder_is_refused(tmp_path: Path, corpus: Path) -> None:
    with CorpusIndex.open(tmp_path / "index", OtherEncoder()) as index:
        index.ingest([corpus])
    with pytest.raises(IndexMismatch, match=r"made with the encoder 'other', not 'default'.*--encoder"):
        CorpusIndex.open(tmp_path / "index", "default")
    changed = OtherEncoder()
    changed.fingerprint = "1"
    with CorpusIndex.open(tmp_path / "index", changed) as index:
        with pytest.raises(IndexMismatch, match="other weights"):
            index.search("cats", mode="dense")
        assert index.ingest([corpus]).unchanged == 4
        (corpus / "cats.txt").write_text("Dogs bark at the postman.\n")
        with pytest.raises(IndexMismatch, match="other weights"):
            index.ingest([corpus])


def test_an_index_without_documents_takes_any_encoder(tmp_path: Path, corpus: Path, encoder) -> None:
    with CorpusIndex.open(tmp_path / "index", OtherEncoder()) as index:
        index.ingest([corpus / "missing.txt"])
        index.ingest([corpus / "cats.txt"])
        index.remove(corpus)
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        assert index.info().encoder is None
        index.ingest([corpus])
        assert sources(index.search("when do cats hunt", mode="dense"))[0] == "cats.txt"
        assert index.info().encoder == "default"
        assert index.verify().problems == ()


def test_a_folder_that_is_no_index_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound, match="is no index"):
        CorpusIndex.open(corpus)
    with pytest.raises(IndexNotFound, match="longctx ingest"):
        CorpusIndex.open(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (" ", {}, "query is empty"),
        ("cats", {"k": 0}, "k is 0"),
        ("cats", {"mode": "lexicla"}, "did you mean 'lexical'"),
    ],
)
def test_a_search_that_cannot_be_served_says_why(index: CorpusIndex, query: str, options: dict, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        index.search(query, **options)


@pytest.mark.parametrize("query", ["cats", "東京", "\U0001f600", '((( " OR NOT *'])
def test_an_empty_index_and_odd_queries_find_nothing_and_break_nothing(index: CorpusIndex, query: str) -> None:
    assert index.search(query) == []


def test_an_encoder_that_is_nowhere_says_so(tmp_path: Path, corpus: Path) -> None:
    with (
        CorpusIndex.open(tmp_path / "index", "no-such/encoder") as index,
        pytest.raises(EncoderUnavailable, match="hub"),
    ):
        index.ingest([corpus])
    (tmp_path / "empty").mkdir()
    with (
        CorpusIndex.open(tmp_path / "index2", str(tmp_path / "empty")) as index,
        pytest.raises(EncoderUnavailable, match="safetensors"),
    ):
        index.ingest([corpus])


def test_a_default_encoder_that_was_altered_is_refused(tmp_path: Path, corpus: Path, encoder) -> None:
    from indexes.encoders.sentence_encoder import SentenceEncoder

    copy = tmp_path / "model"
    shutil.copytree(encoder.folder, copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    altered = SentenceEncoder("default", lambda: copy, encoder.fingerprint)
    with (
        CorpusIndex.open(tmp_path / "index", altered) as index,
        pytest.raises(EncoderUnavailable, match="reinstall"),
    ):
        index.ingest([corpus])


def test_a_named_encoding_reads_files_again(index: CorpusIndex, tmp_path: Path) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes("Ärger mit Überlänge".encode("cp850"))
    assert len(index.ingest([file]).failed) == 1
    for encoding in ("cp850", "latin-1", "cp850"):
        index.ingest([file], limits=ReadLimits(encoding=encoding))
        assert index.text(file) == file.read_bytes().decode(encoding)
    assert index.ingest([file]).unchanged == 1


def test_many_small_documents_go_in_together(index: CorpusIndex, tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.txt").write_text(f"note {number} of three hundred")
    report = index.ingest([tmp_path])
    assert (report.added, report.chunks) == (300, 300)
    assert sources(index.search("note 217", k=1, mode="lexical")) == ["217.txt"]


def test_a_file_that_vanishes_midway_is_reported(index: CorpusIndex, corpus: Path) -> None:
    """The first file's progress removes the last, which has been listed by then."""
    index.ingest([corpus / "cats.txt"])
    report = index.ingest([corpus], progress=lambda now: now.done and (corpus / "tokyo.txt").unlink(missing_ok=True))
    assert [(Path(f.source).name, f.reason) for f in report.failed] == [
        ("tokyo.txt", "vanished before it could be read")
    ]
    assert (report.added, report.unchanged) == (2, 1)
