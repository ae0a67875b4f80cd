"""A probe goes on from whatever a full disk or a kill has left of its results."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from limited_files import files_up_to

from longctx import BadRequest
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


def test_a_line_that_was_changed_is_no_result(tmp_path: Path) -> None:
    with opened(tmp_path) as results:
        for question in range(3):
            results.add(result(question, "灯台は1"))
    file = tmp_path / "results.jsonl"
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    for place in range(first, len(whole) - 1):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadRequest, match="damaged"), opened(tmp_path):
            pass
    file.write_bytes(re.sub(rb',"checksum":\d+', b"", whole))
    with opened(tmp_path) as results:
        assert len(results.known) == 3, "longctx 0.1 wrote no checksums"
    file.write_bytes(whole + b"[" * 100_000 + b"\n")
    with pytest.raises(BadRequest, match="damaged"), opened(tmp_path):
        pass


def test_results_for_which_there_is_no_room_are_named(tmp_path: Path) -> None:
    with opened(tmp_path) as results, files_up_to(100), pytest.raises(BadRequest, match=r"/results\.jsonl cannot be"):
        results.add(result(0, "1"))
