from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longctx.answering.citations import CitedText


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
    cited = CitedText(passages=3)
    assert cited.add(raw) + cited.finish() == cited.text == text
    assert cited.numbers == numbers


@given(st.lists(st.text(alphabet="[]`1234,9a \n", max_size=6), max_size=12))
def test_pieces_make_no_difference(pieces: list[str]) -> None:
    whole, streamed = CitedText(3), CitedText(3)
    whole.add("".join(pieces))
    whole.finish()
    given = [streamed.add(piece) for piece in pieces]
    assert "".join(given) + streamed.finish() == whole.text
    assert streamed.numbers == whole.numbers
