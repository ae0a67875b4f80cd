"""Whole searches in Chinese and Korean, by bigrams, and Japanese in one enormous line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes import CorpusIndex
from indexes.text.analyzer import query_terms, terms

DOCUMENTS = {
    "zh-灯塔": "灯塔建于一八七二年，高三十五米。守塔人每天晚上点亮油灯，为过往的渔船指路。",
    "zh-茶": "绿茶采摘以后不发酵，用热锅炒干，因此保留了新鲜的香气和颜色。",
    "zh-铁路": "这条铁路穿过七座隧道，把山里的煤运到港口，一九二四年通车。",
    "ko-등대": "등대는 천팔백칠십이년에 세워졌고 높이가 삼십오 미터이다. 등대지기는 매일 밤 기름등을 켰다.",
    "ko-녹차": "녹차는 찻잎을 발효시키지 않고 뜨거운 솥에 덖어 말리기 때문에 향이 신선하다.",
    "ko-철도": "이 철도는 터널 일곱 개를 지나 산에서 캔 석탄을 항구까지 나른다.",
    "en": "The lighthouse of the harbour was built of stone, and its keeper lit an oil lamp each night.",
}
QUESTIONS = {
    "谁每天晚上点亮油灯？": "zh-灯塔",
    "为什么绿茶保留了香气？": "zh-茶",
    "煤是怎样运到港口的？": "zh-铁路",
    "등대의 높이는 얼마인가?": "ko-등대",
    "녹차는 왜 향이 신선한가?": "ko-녹차",
    "석탄을 항구까지 나르는 것은 무엇인가?": "ko-철도",
}


@pytest.fixture(scope="module")
def index(make_index, encoder) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(make_index({f"{name}.txt": text for name, text in DOCUMENTS.items()}), encoder) as index:
        yield index


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_finds_its_document_first(index: CorpusIndex, question: str) -> None:
    assert Path(index.search(question)[0].chunk.source).stem == QUESTIONS[question]


def test_it_needs_no_dictionary(index: CorpusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.text.analyzer.morphemes", lambda run: iter(()))
    for question, name in QUESTIONS.items():
        assert Path(index.search(question)[0].chunk.source).stem == name


def test_one_enormous_line_of_japanese(tmp_path: Path, hashing) -> None:
    """Sudachi refuses more than 49,149 bytes at once."""
    line = "灯台守は夜ごとに灯をともし海をゆく船を導いたので" * 1500 + "鯨が現れた"
    assert len(line.encode()) > 2 * 49_149
    assert {"鯨", "現れる", "_鯨が"} <= set(terms(line))
    assert "鯨" in query_terms(line)
    (tmp_path / "line.txt").write_text(line, encoding="utf-8")
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        assert index.ingest(tmp_path / "line.txt").added == 1
        assert "鯨が現れた" in index.search("鯨", 1, "lexical")[0].chunk.text
        assert index.search(line, 1, "lexical")
