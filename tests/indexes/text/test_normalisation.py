"""Text that is put right, with exact places in the original, in time that is linear in the text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes import Chunk, CorpusIndex, Document, Encoder
from indexes.chunking import chunk_document
from indexes.offsets import original_span
from indexes.text import clean, join_hyphens, on_one_line, query_terms, sentence_spans, terms

PIECES = [
    "word",
    " ",
    "\n",
    "ﬁ",
    "ﷺ",
    "\u00ad",
    "\u200b",
    "\u200d",
    "⼊",
    "⻑",
    "︒",
    "\r",
    "\r\n",
    "e\u0301",
    "語",
    ".",
    "\b",
    "_",
    "\x1b",
    "[1m",
]


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        ("light\u00adhouse key\u200bword Word\u2060joiner \ufeffmid", "lighthouse keyword Wordjoiner mid"),
        ("灯\u200d台 ⼊⽉⽇ ⻑⺠", "灯台 入月日 長民"),
        ("ﬁne oﬃce ﬂow", "fine office flow"),
        ("今日は︒はい︑︙︵あ︶", "今日は。はい、…（あ）"),
        ("a\rb\r\nc", "a\nb\r\nc"),
        ("㈱ ① Ａ ｱ café", "㈱ ① Ａ ｱ café"),  # as their authors wrote them
        (
            "\x1b[1;31mred\x1b[0m, \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ and \x1b(B灯\x1b[K \x1b[\x1b",
            "red, link and 灯 [",
        ),
        ("N\bNA\bAM\bME\bE _\bs_\bi_\bv +\bo m\b_ _\b_ 灯\b灯 \b\bx", "NAME siv o m _ 灯 \b\bx"),
        ("می\u200cخواهم 👨\u200d👩", "می\u200cخواهم 👨\u200d👩"),  # joiners that belong there
    ],
)
def test_what_is_put_right_and_what_stays(raw: str, right: str) -> None:
    assert clean(raw).text == right


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_every_character_of_the_clean_text_points_at_where_it_came_from(raw: str) -> None:
    cleaned = clean(raw)
    for place in range(len(cleaned.text)):
        start, end = original_span(cleaned.shifts, place, place + 1)
        assert 0 <= start < end <= len(raw)
        assert cleaned.text[place] in {*raw[start:end], *clean(raw[start:end]).text}
    assert clean(cleaned.text).text == cleaned.text


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ("barometric infor-\nmation is here", "barometric information\nis here"),
        ("a well-\nknown rule", "a well-known\nrule"),
        ("Blut-\ndruck, hoch. Blutdruck", "Blutdruck,\nhoch. Blutdruck"),
        ("an in-\nkind gift; in kind is how", "an in-kind\ngift; in kind is how"),
        ("pages 10-\n12 and Jean-\nPaul\n- item", "pages 10-\n12 and Jean-\nPaul\n- item"),
    ],
)
def test_words_divided_at_the_end_of_a_line(lines: str, joined: str) -> None:
    assert join_hyphens(lines) == joined
    assert joined.count("\n") == lines.count("\n")


@pytest.mark.parametrize(
    ("query", "text"), [("cafe", "Café"), ("lodz", "ŁÓDŹ"), ("résumé", "resume"), ("é", "e\u0301")]
)
def test_latin_letters_are_found_with_and_without_their_accents(query: str, text: str) -> None:
    assert set(query_terms(query)) == set(query_terms(text)) == set(terms(text))


def test_accents_of_other_scripts_tell_letters_apart() -> None:
    assert set(terms("й が")).isdisjoint(terms("и か"))


def test_a_vertical_full_stop_ends_a_sentence() -> None:
    text = "当番は総務課です︒訓練は十四日です︒場所は駐車場です︒"
    assert [text[start:end] for start, end in sentence_spans(text)] == [f"{part}︒" for part in text.split("︒")[:-1]]


class Counted(str):
    """A text that counts the characters of the parts that are taken of it."""

    taken = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        Counted.taken += len(part)
        return part


SHAPES = [
    "......",
    ". . ",
    "e\u0301\u0323",
    "a\u00ad",
    "\n",
    "\n ",
    "「",
    "「」",
    '."',
    "|\n",
    "ab-\n",
    "U.S.",
    "…",
    "\r",
]


def work(shape: str, length: int) -> tuple[int, int]:
    """Steps of the interpreter, and characters copied, to find the sentences of a text."""
    import sys

    text, steps = Counted((shape * length)[:length]), 0
    Counted.taken = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += 1
        return count

    sys.settrace(count)
    try:
        spans = list(sentence_spans(text))
    finally:
        sys.settrace(None)
    assert all(start < end for start, end in spans)
    return steps, Counted.taken


@pytest.mark.parametrize("shape", SHAPES, ids=map(ascii, SHAPES))
def test_four_times_the_text_is_four_times_the_work(shape: str) -> None:
    small, large = work(shape, 1_000), work(shape, 4_000)
    assert all(after <= 4.5 * before + 500 for before, after in zip(small, large, strict=True))


def test_a_run_of_full_stops_is_tried_once() -> None:
    """Where each of its beginnings is tried, the work is in the regular expression and takes minutes here."""
    text = "." * 300_000 + "x"
    assert list(sentence_spans(text)) == [(0, len(text))]


@pytest.mark.parametrize(
    "text", ["e" + "\u0301\u0323" * 20_000, "a" + " \n" * 20_000 + "b", "\u0301" * 40_000, "x" * 40_000]
)
def test_a_chunk_has_a_limit_of_characters(text: str, hashing: Encoder) -> None:
    chunks = [passage.chunk for passage in chunk_document(Document("/x", text, "t"), hashing)]
    assert max(chunk.end - chunk.start for chunk in chunks) <= 32 * hashing.max_tokens
    assert len(unicodedata.normalize("NFKC", "".join(terms(text)))) <= len(text)


def test_citations_of_a_text_file_point_into_the_file(tmp_path: Path, hashing: Encoder) -> None:
    raw = "A first line.\rThe light\u00adhouse ⼊⼝ is ﬁne.\r\rThe key\u200bword stands on line 4."
    (tmp_path / "a.txt").write_bytes(raw.encode())
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(tmp_path / "a.txt")
        [hit] = index.search("keyword", mode="lexical")
        chunk: Chunk = hit.chunk
        assert chunk.text == "A first line.\nThe lighthouse 入口 is fine.\n\nThe keyword stands on line 4."
        place = chunk.text.index("keyword")
        start, end = chunk.span(place, place + len("keyword"))
        assert raw[start:end] == "key\u200bword"
        assert index.text(tmp_path / "a.txt")[start:end] == "key\u200bword"
        assert index.search("cats lighthouse", mode="lexical")[0].chunk == chunk
        assert index.verify().problems == ()


def test_japanese_lines_are_joined_without_a_space() -> None:
    assert on_one_line("自\n家用車を使う。\nThe  keeper\nrows\nだけ") == "自家用車を使う。 The keeper rows だけ"
    assert on_one_line("灯\n台" + "\u3000" * 1_000_000 + "守") == "灯台 守", "in linear time"
