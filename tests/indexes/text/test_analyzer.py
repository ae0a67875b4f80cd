from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sudachipy import Dictionary, SplitMode
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from indexes.chunking.chunker import chunk_document
from indexes.text.analyzer import MOST_PATTERNS, phrase_terms, query_patterns, query_terms, terms
from indexes.text.codes import codes
from indexes.text.numbered_parts import other_numerals
from indexes.text.words import identifiers
from indexes.types import Document

KINDS = CJK, HANGUL, WORDS, REST = "々〇をはがたアヴー東京都漢字学习何誰𠮟", "한국어를", "abcdeginrst019é", "_- 。、"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("scaling", "Scaled"),
        ("ＹａＲＮ", "yarn"),
        ("ｻｰﾊﾞｰ", "サーバー"),
        ("附属", "付属"),
        ("澤", "沢"),
        ("廣島", "広島"),
    ],
)
def test_spellings_of_one_word_share_a_term(one: str, other: str) -> None:
    assert set(terms(one)) & set(terms(other))


def test_japanese_gives_morphemes_and_marked_bigrams() -> None:
    assert sorted(terms("東京都に住む")) == sorted(
        ["東京", "都", "に", "住む", "_東京", "_京都", "_都に", "_に住", "_住む"]
    )


def test_a_word_that_a_line_end_divides_is_one_word() -> None:
    whole = terms("片道四時間を超える場合は航空機を利用できる自家用車を使うときは")
    assert sorted(terms("片道四時間を超える場合は航空機を利用できる自\n家用車を使うときは")) == sorted(whole)
    assert "_費新" not in terms("交通費\n新幹線は普通車指定席を利用する"), "a heading is no part of the line below it"


def test_chinese_and_korean_are_found_by_bigrams() -> None:
    assert {"_机器", "_学习"} <= set(query_terms("机器学习"))
    assert set(query_terms("机器学习").values()) == {1.0}, "without kana a bigram is as good as a word"
    assert terms("한국어") == ["한국", "국어"]
    assert query_terms("한국어") == {"한국": 1.0, "국어": 1.0}


def test_a_question_looks_for_what_it_is_about() -> None:
    wanted = query_terms("誰がこの塔をいつ建てたのか")
    assert {"塔", "建てる"} <= set(wanted)
    assert not {"誰", "が", "を", "いつ", "た", "か"} & set(wanted)
    assert wanted["塔"] == 1.0 > wanted["_塔を"] > 0.0


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("ラオスの正式名称は何ですか", {"名称"}),
        ("ラオスの首都は？", {"首都"}),
        ("首都は？", set()),
        ("ラオスの首都はビエンチャンか", set()),
        ("ラオスとは何か", set()),
    ],
)
def test_the_noun_that_a_japanese_question_asks_for_weighs_less(question: str, asked: set[str]) -> None:
    words = {"ラオス", "名称", "首都", "ビエンチャン"}
    weights = {term: weight for term, weight in query_terms(question).items() if term in words}
    assert {term for term, weight in weights.items() if weight < 1} == asked


def test_a_query_of_function_words_alone_still_looks_for_them() -> None:
    assert {"何", "が"} <= set(query_terms("何が"))


@given(st.text(max_size=60))
def test_whatever_has_terms_can_be_looked_for(text: str) -> None:
    spellings = {term for code in codes(text) for term in (code.term, *code)}  # in which a document may have it
    spellings |= set(terms(" ".join(other_numerals(text))))
    assert bool(query_terms(text)) == bool(terms(text))
    assert set(query_terms(text)) - spellings <= set(terms(text))


@pytest.mark.parametrize(
    "query", [" ".join(f"w{number}" for number in range(60_000)), "あいう" * 60_000, f"a_b {'a' * 300_000}"]
)
def test_a_long_query_is_taken_apart_in_linear_time(query: str) -> None:
    """Where every code or bigram is looked for among all others, and a name in every word, this takes minutes."""
    assert query_terms(query)


@pytest.mark.parametrize("each", ["w{}*", "{}"])
def test_a_query_is_compared_with_every_term_of_an_index_a_bounded_number_of_times(each: str) -> None:
    """Sixteen thousand beginnings of words took eight seconds."""
    query = " ".join(each.format(number if "w" in each else chr(0x4E00 + number)) for number in range(16_000))
    assert query_patterns(query) == query_patterns(query, most=None)[:MOST_PATTERNS]
    assert len(query_patterns("light* lamp* light*")) == 2


@pytest.mark.parametrize("text", ["w1 w2 w1", "E-17 or E17, HN-100", "AB-1 AB-12 AB-12 12"])
def test_a_code_weighs_what_its_parts_do_and_comes_before_them(text: str) -> None:
    weights = query_terms(text)
    for code in codes(text):
        if len(code.digits) > 1:
            assert weights[code.term] >= max(weights[code.digits], 1.0)


def test_a_run_longer_than_sudachi_accepts_is_no_error() -> None:
    assert len(terms("東京都" * 20_000)) > 90_000


def test_what_is_no_word_gives_no_term() -> None:
    assert terms("… 。、 --- \n") == []
    assert terms("x" * 1000) == []


@given(st.text(max_size=100))
def test_terms_never_hold_white_space(text: str) -> None:
    assert all(term and len(term.split()) == 1 for term in terms(text))


def test_a_long_japanese_text_without_a_sentence_end_is_chunked_and_has_terms(encoder) -> None:
    text = "海辺の灯台守は夜ごとに灯を守り" * 13_334
    assert len(text) > 200_000
    chunks = [passage.chunk for passage in chunk_document(Document("/x", text, ""), encoder)]
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert terms(text).count("灯台") > 13_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("max_position_embeddings", ["maxpositionembeddings"]),
        ("maxRetries", ["max", "Retries"]),
        ("HTTPServer", ["HTTP", "Server"]),
        ("plain words, and a list - of them", []),
    ],
)
def test_an_identifier_has_its_parts_and_its_whole(text: str, found: list[str]) -> None:
    assert identifiers(text) == found


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("What UN secretary went there?", "the U.N. Secretary General"),
        ("Which U.N. body met?", "bodies of the UN"),
        ("What has an influence over the US economy?", "in the U.S. it fell"),
        ("Who funds the WHO?", "a W.H.O. report"),
        ("Wer leitet die U.N.O.?", "der Sitz der UNO"),
    ],
)
def test_an_abbreviation_is_found_with_and_without_full_stops(asked: str, written: str) -> None:
    assert [term for term in query_terms(asked) if len(term) in (2, 3) and term in terms(written)]


def test_an_abbreviation_is_no_function_word_and_no_function_word_an_abbreviation() -> None:
    assert "US" not in terms("Write to us.") + terms("CONTACT US")
    assert set(query_terms("Write to us.")) == {"write", "write-"}
    assert query_terms("CONTACT US").keys() == query_terms("contact us").keys()
    assert phrase_terms("CONTACT US", "en") <= set(terms("contact us"))


@pytest.fixture(scope="module")
def sudachi():
    return Dictionary(dict="core").tokenizer(mode=SplitMode.A)


@pytest.fixture(scope="module")
def stemmer():
    return TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stemmer("english")).build()


@given(text=st.text("".join(KINDS), max_size=80))
def test_the_terms_are_those_of_each_stretch_of_one_kind(sudachi, stemmer, text: str) -> None:
    """By their definition, one stretch after another."""
    expected: Counter[str] = Counter()
    for kind, group in groupby(text, lambda character: next(kind for kind in KINDS if character in kind)):
        run = "".join(group)
        if kind in (CJK, HANGUL):
            mark = "_" if kind == CJK else ""
            expected.update(mark + run[i : i + 2] for i in range(max(1, len(run) - 1)))
        if kind == CJK:
            expected.update(morpheme.normalized_form() for morpheme in sudachi.tokenize(run))
        if kind == WORDS:
            plain = run.replace("é", "e")
            expected.update(stemmer.analyze(plain))
            expected.update([plain[:5] + "-"] if len(plain) >= 5 and plain[:5].isalpha() else [])
    parts = [each.replace("é", "e") for each in identifiers(text)]
    expected.update(stemmer.analyze(" ".join(parts)))
    expected.update(each[:5] + "-" for each in parts if len(each) >= 5 and each[:5].isalpha())
    assert Counter(terms(text)) == expected


def test_threads_analyse_at_the_same_time() -> None:
    """Sudachi lets other threads run, and refuses one that comes while it works for another."""
    text = "東京都に住む人々は、灯台守が夜ごとに灯を守るのを見ていた。" * 40
    expected = terms(text)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(terms, [text] * 40))


def test_an_abbreviation_is_not_stemmed_to_a_letter() -> None:
    """Stemmed like "used", AED would be the article that is in every English passage."""
    assert "aed" in terms("AEDは一階にある。", "ja")
    assert "a" not in query_terms("Where is the AED?")


def test_beside_a_word_of_an_alphabet_function_words_are_not_searched_for() -> None:
    found = query_terms("AEDの連絡先はどこにありますか", "ja")
    assert "_連絡" in found
    assert found.keys().isdisjoint({"_どこ", "_りま", "_すか"})
    assert query_terms("連絡先はどこにありますか", "ja")["_どこ"] < query_terms("どこですか", "ja")["_どこ"]


def test_a_code_in_one_piece_counts_as_much_as_its_parts() -> None:
    found = query_terms("E-23とは", "ja")
    assert found["e23"] == found["e"] + found["23"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("HN100", "HN-100"),
        ("12000円", "12,000円"),
        ("12,000円", "12000円"),
        ("第12条", "第十二条"),
        ("第1042条", "第千四十二条"),
        ("第1042条", "第一〇四二条"),
        ("第千四十二条", "第1042条"),
        ("第百二十条", "第120条"),
        ("第20条", "第二十条"),
    ],
)
def test_a_number_is_searched_for_in_its_other_spellings(query: str, text: str) -> None:
    assert set(terms(text, "ja")) - {"円", "_円", "第", "_第", "条", "_条", "目"} <= query_terms(query, "ja").keys()


@pytest.mark.parametrize("query", ["2024年", "1,5", "第一次", "v2"])
def test_a_number_that_is_written_in_one_way_has_no_other_spelling(query: str) -> None:
    assert query_terms(query, "ja").keys() <= {*terms(query, "ja")}


@pytest.mark.parametrize(("query", "noun"), [("青い扉", "青"), ("丸い窓", "丸")])
def test_a_colour_or_shape_is_searched_for_as_a_noun_too(query: str, noun: str) -> None:
    assert noun in terms(f"{noun}の扉", "ja")
    assert query_terms(query, "ja").get(noun) == query_terms(query, "ja")[f"{noun}い"]
