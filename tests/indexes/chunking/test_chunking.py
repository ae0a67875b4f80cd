from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.chunking.chunker import chunk_document
from indexes.chunking.chunking import Chunking
from indexes.readers.registry import read_document
from indexes.types import Document, Heading


def markdown(text: str) -> Document:
    return read_document(Path("/x/guide.md"), text.encode())


def test_chunks_carry_the_path_of_headings_and_the_line(encoder) -> None:
    text = "# Guide\n\nIntro text here.\n\n## Install\n\nRun it.\n\n## Use\n\n### Ask\n\nAsk it.\n"
    chunks = [passage.chunk for passage in chunk_document(markdown(text), encoder)]
    assert [(c.heading, c.line) for c in chunks] == [
        ("Guide", 1),
        ("Guide > Install", 5),
        ("Guide > Use > Ask", 9),
    ]
    assert all(c.title == "Guide" and c.text == text[c.start : c.end] for c in chunks)


def test_a_heading_without_text_goes_with_the_section_below(encoder) -> None:
    [passage] = chunk_document(markdown("# A\n\n## B\n\nbody text\n"), encoder)
    assert passage.chunk.text == "# A\n\n## B\n\nbody text"
    assert passage.chunk.heading == "A > B"


def test_a_chunk_never_crosses_a_page(encoder) -> None:
    document = Document("/x.pdf", "First page.\n\nSecond page.\n\n\n\nFourth.", "x", pages=(0, 13, 27, 29))
    chunks = [passage.chunk for passage in chunk_document(document, encoder)]
    assert [(c.page, c.text) for c in chunks] == [(1, "First page."), (2, "Second page."), (4, "Fourth.")]


def test_what_the_encoder_is_given_fits_its_window(encoder) -> None:
    text = "word " * 3000 + "吾輩は猫である" * 500 + " " + "x" * 20_000 + " e" * 500
    document = Document("/x.txt", text, "title " * 100, headings=(Heading(0, 1, "heading " * 100),))
    passages = list(chunk_document(document, encoder))
    counts = [len(offsets) for offsets in encoder.token_offsets([p.embedded for p in passages])]
    assert max(counts) <= encoder.max_tokens
    assert len(passages) > 20
    assert max(len(p.chunk.text) for p in passages) < 256 * 33, "a run without spaces is cut, too"


def test_chunks_are_filled_not_one_a_sentence(encoder) -> None:
    text = "\n\n".join("A short paragraph of several words stands here." for _ in range(200))
    chunks = [passage.chunk for passage in chunk_document(Document("/x", text, ""), encoder)]
    assert sum(c.tokens for c in chunks) / len(chunks) > 150


def test_a_file_of_one_enormous_line_is_cut_like_any_other(encoder) -> None:
    text = "word" * 50_000 + "," + "no end in sight " * 10_000
    chunks = [passage.chunk for passage in chunk_document(Document("/x", text, ""), encoder)]
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text.rstrip())
    assert all(a.end <= b.start <= a.end + 1 for a, b in pairwise(chunks))
    assert max(len(c.text) for c in chunks) < 256 * 33


def test_quotes_are_kept_whole_where_they_fit(encoder) -> None:
    quotes = ["「" + "灯をともせ。" * n + "」" for n in (3, 9, 15, 21, 12, 6)]
    text = "、".join(f"{'灯台守は長い夜に' * 6}{quote}と言い" for quote in quotes * 4)
    chunks = [passage.chunk for passage in chunk_document(Document("/x", text, ""), encoder)]
    assert len(chunks) > 12
    for quote in quotes:
        assert sum(chunk.text.count(quote) for chunk in chunks) == text.count(quote)


def test_a_long_sentence_is_cut_where_it_pauses(encoder) -> None:
    text = "and then, when the lamp was lit, the keeper slept and dreamt of a harbour; " * 40
    chunks = [passage.chunk.text for passage in chunk_document(Document("/x", text, ""), encoder)]
    assert len(chunks) > 2
    assert all(chunk.endswith((",", ";")) for chunk in chunks)


def test_breaks_are_respected_when_a_chunk_is_full_enough(encoder) -> None:
    rows = [f"row {i}; value {i * 7} some words to fill the row a little" for i in range(100)]
    text = "\n".join(rows)
    starts = tuple(text.index(row) for row in rows)
    chunks = [p.chunk for p in chunk_document(Document("/x.csv", text, "", breaks=starts), encoder)]
    assert all(c.start in starts for c in chunks)


paragraph = st.sampled_from(
    [
        "Hello world. ",
        "吾輩は猫である。",
        "「はい。」",
        "a b c\n",
        "\n\n",
        "same words again. ",
        "x" * 300,
        "é\u3000",
        "\x07",
    ]
)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(paragraph, max_size=80), st.data())
def test_offsets_are_exact_and_nothing_visible_is_lost(encoder, pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    places = st.integers(0, max(0, len(text) - 1))
    headings = tuple(
        Heading(start, level, "h")
        for start, level in sorted(data.draw(st.dictionaries(places, st.integers(1, 3), max_size=3)).items())
        if text
    )
    pages = tuple(sorted({0, *data.draw(st.lists(places, max_size=3))})) if text else ()
    chunks = [p.chunk for p in chunk_document(Document("/x", text, "t", headings, pages), encoder)]
    covered = bytearray(len(text))
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.line == text.count("\n", 0, chunk.start) + 1
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    assert all(covered[i] or character.isspace() for i, character in enumerate(text))


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_document_of_nothing_has_no_chunks(encoder, text: str) -> None:
    assert list(chunk_document(Document("/x", text, ""), encoder)) == []


RUSSIAN = "Ночью над гаванью поднялся ветер, и смотритель маяка до утра не гасил огня. "


def test_text_in_a_script_that_the_encoder_does_not_read_is_not_cut_into_scraps(encoder) -> None:
    [passage] = chunk_document(Document("/x.txt", RUSSIAN * 10, ""), encoder)
    [tokens] = encoder.token_offsets([RUSSIAN * 10])
    assert passage.chunk.tokens < encoder.max_tokens < len(tokens)


def test_an_encoder_that_was_trained_for_a_language_sees_its_chunks_to_the_end(encoder, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "languages", frozenset({"ru"}))
    passages = [*chunk_document(Document("/x.txt", RUSSIAN * 10, ""), encoder)]
    assert len(passages) > 1
    assert max(map(len, encoder.token_offsets([each.embedded for each in passages]))) <= encoder.max_tokens


@pytest.mark.parametrize("overlap", [0, 20])
@pytest.mark.parametrize("between", [" ", "\n\n\n\n", "\n \n\t", " " * 40, "\n" * 300])
def test_white_space_that_the_tokenizer_counts_is_counted(hashing, between: str, overlap: int) -> None:
    class ByteLevel(type(hashing)):
        def token_offsets(self, texts):
            return [[found.span() for found in re.finditer(r"\s|\w+|[^\w\s]", text)] for text in texts]

    encoder = ByteLevel()
    text = between.join(f"Bell {number} rings at noon." for number in range(300))
    chunks = [each.chunk for each in chunk_document(Document("/x.txt", text, ""), encoder, Chunking(60, overlap))]
    counts = [len(found) for found in encoder.token_offsets([chunk.text for chunk in chunks])]
    assert max(counts) <= 60
    assert all(chunk.tokens >= count for chunk, count in zip(chunks, counts, strict=True))
    assert {number for chunk in chunks for number in re.findall(r"Bell (\d+)", chunk.text)} == {*map(str, range(300))}
