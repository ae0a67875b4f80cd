from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.text.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        (
            "Dr. Smith met J. R. Tolkien, e.g. in the U.S. Army. Then he left.",
            ["Dr. Smith met J. R. Tolkien, e.g. in the U.S. Army.", "Then he left."],
        ),
        ("It costs 3.14 euros. See v2.0 now.", ["It costs 3.14 euros.", "See v2.0 now."]),
        ('He said "Stop!" Then he ran.', ['He said "Stop!"', "Then he ran."]),
        ("吾輩は猫である。名前はまだ無い。", ["吾輩は猫である。", "名前はまだ無い。"]),
        ("彼は「行く。帰る。」と言った。以上！", ["彼は「行く。帰る。」と言った。", "以上！"]),
        ("（注。これは一文。）である。次。", ["（注。これは一文。）である。", "次。"]),
        ("「終わり。」\n次の行。", ["「終わり。」", "次の行。"]),
        ("first\nstill first\n\nsecond", ["first\nstill first", "second"]),
        ("- one\n- two\n* three\n1. four", ["- one", "- two", "* three", "1. four"]),
        ("1. Open the valve.\n2. Close it.", ["1. Open the valve.", "2. Close it."]),
        ("1. 英国では7年かかる。\n２．米国では3年である。", ["1. 英国では7年かかる。", "２．米国では3年である。"]),
        ("He lived in room 7. It was cold.", ["He lived in room 7.", "It was cold."]),
        ("| a | b |\n| c | d |", ["| a | b |", "| c | d |"]),
        ("नदी में नाव है। क्या यह सच है? हाँ।", ["नदी में नाव है।", "क्या यह सच है?", "हाँ।"]),
        ("أين الكتاب؟ هو هنا. نعم.", ["أين الكتاب؟", "هو هنا.", "نعم."]),
        ("یہ کتاب ہے۔ وہ قلم ہے۔", ["یہ کتاب ہے۔", "وہ قلم ہے۔"]),
        ("នេះជាសៀវភៅ។ នោះជាប៊ិច។", ["នេះជាសៀវភៅ។", "នោះជាប៊ិច។"]),
        (
            "It opened on 1 Sept. 1929. See fig. 3 of no. 5. It is.",
            ["It opened on 1 Sept. 1929.", "See fig. 3 of no. 5.", "It is."],
        ),
        (
            "Art. 5 and vol. 3, pp. 4-5. Is it no. 5? It ended in Dec. Then we left.",
            ["Art. 5 and vol. 3, pp. 4-5.", "Is it no. 5?", "It ended in Dec.", "Then we left."],
        ),
        (
            "Siehe Abb. 3, z. B. Seite 3, d. h. hier. Der 3. Mai war warm. Am 5. Danach.",
            ["Siehe Abb. 3, z. B. Seite 3, d. h. hier.", "Der 3. Mai war warm.", "Am 5.", "Danach."],
        ),
        (
            "Vino el Sr. García. ¿Cómo? Él vive en la pág. 5. ¡Bien!",
            ["Vino el Sr. García.", "¿Cómo?", "Él vive en la pág. 5.", "¡Bien!"],
        ),
        ("Это т. е. так. См. рис. 3. «Далее» сказал он.", ["Это т. е. так.", "См. рис. 3.", "«Далее» сказал он."]),
        ("Он ушёл в 5. она осталась.", ["Он ушёл в 5. она осталась."]),
        ("Gen. Lee and Mt. Fuji. Option b. The next.", ["Gen. Lee and Mt. Fuji.", "Option b.", "The next."]),
        (
            "2024/05/01(水)\n19:02\t田中\t集合場所は\n19:05\t佐藤\t三崎口駅です\n[19:06] 佐藤: 四時半\nに集合",
            ["2024/05/01(水)", "19:02\t田中\t集合場所は", "19:05\t佐藤\t三崎口駅です", "[19:06] 佐藤: 四時半\nに集合"],
        ),
        ("The bus leaves at\n7:40 from the gate.", ["The bus leaves at\n7:40 from the gate."]),
        (
            "See fig.\n3 for oils, e.g.\nlinseed. Siehe Abb.\n5 hier. Es brennt.\nIt burns.\n1.\nOpen it.\n\nMark it with an X.\nthen rest",
            [
                "See fig.\n3 for oils, e.g.\nlinseed.",
                "Siehe Abb.\n5 hier.",
                "Es brennt.",
                "It burns.",
                "1.\nOpen it.",
                "Mark it with an X.",
                "then rest",
            ],
        ),
        (
            "It sank in 1911.[1][2] All swam.^3 They lived.[citation needed]\nThen [4] e.g. two.[a]\nthree",
            ["It sank in 1911.[1][2]", "All swam.^3", "They lived.[citation needed]", "Then [4] e.g. two.[a]", "three"],
        ),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_bracket_that_is_never_closed_costs_a_paragraph_at_most() -> None:
    assert sentences("「壊れた。\n\n次の段落。最後。") == ["「壊れた。", "次の段落。", "最後。"]


@given(st.text(alphabet="ab。.「」（）\n !?　A1-", max_size=200))
def test_spans_are_ordered_disjoint_trimmed_and_hold_every_visible_character(text: str) -> None:
    spans = list(sentence_spans(text))
    assert spans == sorted(spans)
    assert all(a_end <= b_start for (_, a_end), (b_start, _) in pairwise(spans))
    assert all(text[s:e] == text[s:e].strip() and s < e for s, e in spans)
    assert "".join("".join(text[s:e].split()) for s, e in spans) == "".join(text.split())


def test_each_line_of_json_is_a_sentence() -> None:
    text = '{"lamp": "bronze"}\n{"lamp": "brass"}\n{"lamp": "teal"}'
    assert [text[start:end] for start, end in sentence_spans(text)] == text.split("\n")


@pytest.mark.parametrize(
    "heading",
    [
        *("## Fees", "== Fees", "== Fees ==", r"\section{Fees}", r"\subsection*{Fees}", "**Fees**", "**Fees**:"),
        *("## 料金", "【料金】", "■ 料金", "●料金", "-----", "=====", "~~~"),
    ],
)
def test_a_heading_is_a_sentence_without_a_blank_line_below(heading: str) -> None:
    assert sentences(f"{heading}\nThe mooring fee is 14 euros\na night.") == [
        heading,
        "The mooring fee is 14 euros\na night.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#5 is the boat\nthat leaks.",
        "**Never** moor\nin fog.",
        r"As \section{} says,\nhere.",
        "●係留料は、\n一泊14ユーロです。",
    ],
)
def test_what_begins_like_a_heading_goes_on_in_the_next_line(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    "fields",
    [
        ["日時：5月10日（金）14:00", "場所：第2会議室", "議題：予算"],
        ["Date: 10 May", "Place: Room 2", "To be decided: the budget"],
        ["  Phone number: 204", "  Room: 5"],
    ],
)
def test_lines_with_a_name_and_a_colon_are_sentences(fields: list[str]) -> None:
    assert sentences("\n".join(fields)) == [field.strip() for field in fields]


def test_a_colon_in_one_of_two_lines_divides_nothing() -> None:
    for text in ("Note: the lamp is\ntrimmed at six", "The ratio of\noil to water: 3", "At 12:30 the\nboat leaves"):
        assert sentences(text) == [text]
