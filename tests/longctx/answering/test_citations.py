from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longctx.answering.citations import CitedText
from longctx.answering.evidence import Evidence
from longctx.types import Citation


def evidence(*texts: str) -> Evidence:
    return Evidence({}, [Citation("notes.md", "Notes", None, 0, len(text), text) for text in texts])


@pytest.mark.parametrize(
    ("raw", "text", "numbers"),
    [
        ("Built in 1874 [2], by Holm [1][2].", "Built in 1874 [2], by Holm [1][2].", [2, 1]),
        ("Nobody knows [9].", "Nobody knows [9?].", []),
        ("Both [1, 7].", "Both [1, 7?].", [1]),
        ("In 1874[1].", "In 1874[1].", [1]),
        ("建てられた［2］【9】。", "建てられた［2］【9?】。", [2]),
        ("`a[9]` and x[9]", "`a[9]` and x[9]", []),
        ("```\nb = [1, 9]\n``` then [9]", "```\nb = [1, 9]\n``` then [9?]", []),
        ("[PYTHON]\nreturn [9][/PYTHON] [0]", "[PYTHON]\nreturn [9][/PYTHON] [0?]", []),
        ("an open [1", "an open [1", []),
        ("[x] [10000] []", "[x] [10000] []", []),
    ],
)
def test_marks_are_mapped_and_those_made_up_are_marked(raw: str, text: str, numbers: list[int]) -> None:
    # passages in another script, whose words say nothing about these sentences
    cited = CitedText(evidence(*3 * ["한국어"]))
    assert cited.add(raw) + cited.finish() == cited.text == text
    assert list(cited.marks) == numbers


@given(st.lists(st.text(alphabet="[]`1234,9aA \n.)(*。２．-", max_size=6), max_size=12))
def test_pieces_make_no_difference(pieces: list[str]) -> None:
    whole, streamed = CitedText(evidence(*3 * ["aa ab"])), CitedText(evidence(*3 * ["aa ab"]))
    whole.add("".join(pieces))
    whole.finish()
    given = [streamed.add(piece) for piece in pieces]
    assert "".join(given) + streamed.finish() == whole.text
    assert streamed.marks == whole.marks


TOWER = evidence(
    "The bridge was opened in 1932 by the mayor of Sydney.",
    "The tower was built by Erik Holm in 1874. It burnt down in 1901.",
)


@pytest.mark.parametrize(
    ("raw", "text", "marks"),
    [
        ("Erik Holm built it in 1874 [2].", "Erik Holm built it in 1874 [2].", {2: "model"}),
        ("Erik Holm built it in 1874 [1].", "Erik Holm built it in 1874 [2].", {2: "corrected"}),
        ("Erik Holm built it in 1874 [7].", "Erik Holm built it in 1874 [2].", {2: "corrected"}),
        ("Erik Holm built it in 1874.", "Erik Holm built it in 1874 [2].", {2: "added"}),
        (
            "Erik Holm built it. [2] It burnt down in 1901.",
            "Erik Holm built it. [2] It burnt down in 1901 [2].",
            {2: "model"},
        ),
        (
            "Opened in 1932 [1], burnt down in 1901 [1].",
            "Opened in 1932 [1], burnt down in 1901 [2].",
            {1: "model", 2: "corrected"},
        ),
        ("It burnt down in 1901. [", "It burnt down in 1901 [2].", {2: "added"}),
        ("Green cheese covers the moon.", "Green cheese covers the moon [?].", {}),
        ("The moon is cheese. It burnt down in 1901!", "The moon is cheese. It burnt down in 1901 [2]!", {2: "added"}),
        ("1. Built in 1874.\n2. Burnt in 1901.", "1. Built in 1874 [2].\n2. Burnt in 1901 [2].", {2: "added"}),
        (
            "The facts are the following:\n1. It burnt down in 1901.",
            "The facts are the following:\n1. It burnt down in 1901 [2].",
            {2: "added"},
        ),
        ("その条件は以下の通りです。", "その条件は以下の通りです。", {}),
        ("The passages do not say.", "The passages do not say.", {}),
        ("`Green cheese` covers the moon.", "`Green cheese` covers the moon.", {}),
    ],
)
def test_marks_are_compared_with_the_words_of_their_passages(raw: str, text: str, marks: dict[int, str]) -> None:
    cited = CitedText(TOWER)
    assert "".join(map(cited.add, raw)) + cited.finish() == cited.text == text
    assert cited.marks == marks
    assert cited.unsupported == (["Green cheese covers the moon."] if "[?]" in text else [])


SHAPES = [
    " lamp",
    " lamp [1]",
    " The lamp turns [1].",
    "a",
    "\n- item",
    "`x",
    "[",
    "  ",
    "「あ",
    "```a",
    "灯台",
    " [1",
    "a, ",
]


@pytest.mark.parametrize("piece", SHAPES)
def test_the_work_grows_with_the_length_of_the_answer(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import longctx.answering.citations as module

    looked_at = 0
    spans = module.sentence_spans

    def counting(text: str) -> object:
        nonlocal looked_at
        looked_at += len(text)
        return spans(text)

    def work(pieces: int) -> int:
        nonlocal looked_at
        looked_at, cited = 0, CitedText(evidence("the lamp turns", "b"))
        shown = "".join(cited.add(piece) for _ in range(pieces)) + cited.finish()
        assert shown == cited.text
        return looked_at

    monkeypatch.setattr(module, "sentence_spans", counting)
    assert work(2400) <= 5 * work(600) + 1000


def test_marks_in_a_row_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    support = Evidence.support
    monkeypatch.setattr(Evidence, "support", lambda self, said: looked_at.append(len(said)) or support(self, said))
    cited = CitedText(evidence("the lamp turns", "b"))
    assert cited.add("The lamp turns" + " [1]" * 500) + cited.finish() == "The lamp turns" + " [1]" * 500
    assert sum(looked_at) < 100
