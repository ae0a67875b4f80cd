"""A probe goes on from whatever a full disk or a kill has left of its results."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from longctx.probe.results import Result
from longctx.result_file import Results, open_results

FINGERPRINT = {"model": "灯台"}


def result(question: int, answer: str) -> Result:
    about = {"task": "needle", "language": "ja", "method": "none", "length": 64, "trial": 0}
    return Result(**about, question=question, depth=0.5, score=1.0, answer=answer, read=9, seconds=0.1)


def opened(folder: Path) -> AbstractContextManager[Results[Result]]:
    return open_results(folder, Result, "probe", FINGERPRINT)


@pytest.mark.parametrize("answer", ["灯台は🚀", "a\u0085b\u2028c\u2029d\x0b\x1c", "a\r\nb\rc", ""])
def test_every_place_where_a_line_may_be_cut(tmp_path: Path, answer: str) -> None:
    with opened(tmp_path) as results:
        results.add(result(0, answer))
    file = tmp_path / "results.jsonl"
    whole = file.read_bytes()
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        with opened(tmp_path) as results:
            assert [kept.answer for kept in results.known.values()] == ([answer] if length == len(whole) else [])
            results.add(result(1, answer))
        with opened(tmp_path) as results:
            assert results.known[result(1, answer).key].answer == answer
