"""Chunks that share sentences, and searches that show no text twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes import CorpusError, CorpusIndex, Encoder
from indexes.chunking.chunker import chunk_document
from indexes.chunking.chunking import Chunking
from indexes.llama_index import CorpusVectorStore
from indexes.text.sentences import sentence_spans
from indexes.types import Chunk, Document

SENTENCES = [
    "The lamp was lit. ",
    "A storm rose in the night. ",
    "灯台守は眠らなかった。",
    "Why?\n\n",
    "x" * 500 + ". ",
]
sentences = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=60).map("".join)


def cut(text: str, encoder: Encoder, chunking: Chunking) -> list[Chunk]:
    return [passage.chunk for passage in chunk_document(Document("/x", text, ""), encoder, chunking)]


@settings(max_examples=settings.default.max_examples // 2)
@given(text=sentences, overlap=st.integers(1, 30))
def test_neighbours_share_whole_sentences_and_no_more_than_asked_for(hashing: Encoder, text: str, overlap: int) -> None:
    starts = {start for start, _ in sentence_spans(text)}
    for before, after in pairwise(cut(text, hashing, Chunking(overlap=overlap))):
        assert before.start < after.start
        assert before.end < after.end
        if after.start < before.end:
            shared = [text[s:e] for s, e in sentence_spans(text, after.start, before.end)]
            assert after.start in starts
            assert sum(len(hashing.token_offsets([sentence])[0]) for sentence in shared) <= overlap


def test_as_much_is_shared_as_fits(hashing: Encoder) -> None:
    text = "".join(f"Sentence {number:03} of many. " for number in range(60))  # 4 tokens each
    chunks = cut(text, hashing, Chunking(overlap=9))
    shared = [before.text[after.start - before.start :] for before, after in pairwise(chunks)]
    assert len(shared) > 2
    assert all(text.count(".") == 2 for text in shared)


def test_a_chunk_has_the_tokens_that_were_asked_for(encoder: Encoder) -> None:
    text = "The lamp was lit again. " * 300
    longest = {n: max(chunk.tokens for chunk in cut(text, encoder, Chunking(n))) for n in (32, 100, encoder.max_tokens)}
    assert all(tokens - 6 <= most <= tokens for tokens, most in longest.items())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in "ab":
        text = "".join(f"Night {n} of log {name}: the lamp was lit. " for n in range(80))
        (folder / f"{name}.txt").write_text(text)
    return folder


def spans(index: CorpusIndex) -> list[tuple[str, int, int]]:
    nodes = CorpusVectorStore.from_index(index).get_nodes()
    return sorted((node.metadata["source"], node.start_char_idx, node.end_char_idx) for node in nodes)


def test_the_index_remembers_how_documents_are_cut(corpus: Path, tmp_path: Path, hashing: Encoder) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(corpus)
        apart = spans(index)
        assert all(before[2] <= after[1] for before, after in pairwise(apart) if before[0] == after[0])
        assert index.ingest(corpus, chunk_tokens=40, overlap=18).changed == 2, "cut anew"
        assert index.ingest(corpus).unchanged == 2
        (corpus / "a.txt").write_text((corpus / "a.txt").read_text() + "One more night.")
        assert index.ingest(corpus).changed == 1
        shared = spans(index)
        assert all(after[1] < before[2] for before, after in pairwise(shared) if before[0] == after[0])
        with CorpusIndex.open(tmp_path / "afresh", hashing) as afresh:
            afresh.ingest(corpus, chunk_tokens=40, overlap=18)
            assert spans(afresh) == shared
        (corpus / "a.txt").write_text("".join(f"Night {n} of log a: the lamp was lit. " for n in range(80)))
        assert index.ingest(corpus, chunk_tokens=60, overlap=0).changed == 2
        assert spans(index) == apart


@pytest.mark.parametrize("expand", [0, 1, 3])
@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
def test_a_search_shows_all_of_the_text_and_none_of_it_twice(
    corpus: Path, tmp_path: Path, hashing: Encoder, mode: str, expand: int
) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(corpus, overlap=25)
        assert len(index.search("night 7", 2, mode, expand=expand)) == 2
        seen: dict[str, bytearray] = {}
        for hit in index.search("night 7", 1000, mode, expand=expand):
            chunk, text = hit.chunk, index.text(hit.chunk.source)
            assert chunk.text == chunk.text.strip() == text[chunk.start : chunk.end]
            assert chunk.line == text.count("\n", 0, chunk.start) + 1
            assert chunk.start in {start for start, _ in sentence_spans(text)}
            shown = seen.setdefault(chunk.source, bytearray(len(text)))
            assert not any(shown[chunk.start : chunk.end])
            shown[chunk.start : chunk.end] = b"\1" * len(chunk.text)
        assert len(seen) == 2
        for source, shown in seen.items():
            assert all(s or c.isspace() for s, c in zip(shown, index.text(source), strict=True))


@pytest.mark.parametrize(
    ("chunking", "reason"),
    [
        ({"overlap": -1}, "the overlap is -1"),
        ({"overlap": 31}, "more than half of a chunk of 60: ask for at most 30"),
        ({"chunk_tokens": 10}, "ask for at least 32"),
        ({"chunk_tokens": 61}, "reads 60 tokens.*at most 60"),
        ({"chunk_tokens": 40, "overlap": 21}, "more than half of a chunk of 40"),
    ],
)
def test_sizes_that_cannot_be_are_refused_and_nothing_is_remembered(
    corpus: Path, tmp_path: Path, hashing: Encoder, chunking: dict[str, int], reason: str
) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        with pytest.raises(CorpusError, match=reason):
            index.ingest(corpus, **chunking)
        assert index.ingest(corpus).added == 2
        assert index.verify().problems == ()
