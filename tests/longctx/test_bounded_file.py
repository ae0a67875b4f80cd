"""What is no small file where one should be: a device, a pipe, a folder, or gigabytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from command_line import run_here
from hashing_encoder import HashingEncoder

from indexes import CorpusError, CorpusIndex
from longctx import BadReport, BadRequest, BadSession, Conversation, DocumentQA, LongctxError, ModelUnavailable
from longctx.conversation.session_file import SessionFile
from longctx.evaluation import read_questions
from longctx.probe import load_report
from longctx.result_file import open_results
from longctx.settings import load_settings
from longctx.trust import config_folder

HUGE = 10_000_000_000


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)  # no block of it is on the disk


ODD: dict[str, Callable[[Path], None]] = {
    "it is a device, and no file": lambda path: path.symlink_to("/dev/null"),
    "Is a directory": Path.mkdir,
    "it is a pipe": os.mkfifo,
    "it has over 100 MB": make_huge,
}


@pytest.fixture(params=[*ODD])
def odd(request: pytest.FixtureRequest) -> tuple[str, Callable[[Path], None]]:
    """What is wrong with a file, and what makes it."""
    return request.param, ODD[request.param]


@pytest.mark.parametrize("name", ["questions.jsonl", "questions.txt"])
def test_questions(tmp_path: Path, odd: tuple[str, Callable[[Path], None]], name: str) -> None:
    wrong, make = odd
    make(tmp_path / name)
    with pytest.raises(BadRequest, match=f"{name} cannot be read: {wrong}"):
        read_questions(tmp_path / name)


@pytest.mark.parametrize("is_users", [False, True])
def test_settings(
    tmp_path: Path, odd: tuple[str, Callable[[Path], None]], is_users: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    config_folder().mkdir(parents=True)
    wrong, make = odd
    make((config_folder() if is_users else tmp_path) / "longctx.toml")
    with pytest.raises(BadRequest, match=rf"longctx\.toml cannot be read: {wrong}"):
        load_settings()


def test_a_report(tmp_path: Path, odd: tuple[str, Callable[[Path], None]]) -> None:
    wrong, make = odd
    if wrong == "Is a directory":  # in which its report is looked for
        wrong = "No such file"
    make(tmp_path / "probe")
    with pytest.raises(BadReport, match=f"probe.*: {wrong}"):
        load_report(tmp_path / "probe")


def test_results(tmp_path: Path, odd: tuple[str, Callable[[Path], None]]) -> None:
    from longctx.evaluation import AnswerRecord

    wrong, make = odd
    make(tmp_path / "results.jsonl")
    if "device" in wrong:  # by a link
        wrong = "it is a link, and is not followed"
    is_long = wrong == "it has over 100 MB"  # as results may have
    expected = r"results\.jsonl is damaged or no eval's" if is_long else f"cannot be written to: {wrong}"
    with pytest.raises(BadRequest, match=expected), open_results(tmp_path, AnswerRecord, "eval", {}):
        pass
    assert not is_long or (tmp_path / "results.jsonl").stat().st_size == HUGE


def test_a_conversation(
    tmp_path: Path, make_index: Callable[[Mapping[str, str]], Path], odd: tuple[str, Callable[[Path], None]]
) -> None:
    wrong, make = odd
    make(tmp_path / "talk.session")
    expected = r"talk\.session is damaged" if wrong == "it has over 100 MB" else f"talk.session cannot be used.*{wrong}"
    with (
        DocumentQA.open(make_index({"a.txt": "The lamp turns."})) as qa,
        pytest.raises((BadSession, LongctxError), match=expected),
    ):
        Conversation.open(qa, "talk", folder=tmp_path)


@pytest.mark.parametrize("name", ["model", "model.gguf"])
def test_a_model(tmp_path: Path, odd: tuple[str, Callable[[Path], None]], name: str) -> None:
    wrong, make = odd
    if wrong == "it has over 100 MB":
        pytest.skip("as models may have")
    make(tmp_path / name)
    expected = (
        f"cannot be read \\({wrong}"
        if name == "model.gguf" and wrong != "Is a directory"
        else "holds no config|there is no folder|is a file"
    )
    with pytest.raises(ModelUnavailable, match=expected):
        DocumentQA.open(tmp_path / "index", tmp_path / name)


def test_a_pipe_that_is_written_to_is_read(tmp_path: Path) -> None:
    pipe, end = os.pipe()  # as a shell's <(command)
    os.write(end, b"Who built it?\n")
    os.close(end)
    try:
        assert [each.question for each in read_questions(f"/dev/fd/{pipe}")] == ["Who built it?"]
    finally:
        os.close(pipe)


class Endless:
    """Standard input without an end."""

    def isatty(self) -> bool:
        return False

    def read(self, size: int = -1) -> str:
        assert 0 < size <= 200_000_000
        return "\0" * size

    readline = read

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> str:
        raise AssertionError("a line without an end was asked for")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("ask", "--questions", "-"), "longctx: standard input cannot be read: it has over 100 MB\n"),
        (("chat",), "longctx: a line of standard input has over 1,000,000 characters: each line is a question\n"),
    ],
)
def test_standard_input(
    make_index: Callable[[Mapping[str, str]], Path],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    message: str,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Endless())
    output, errors, code = run_here(monkeypatch, *command, "--index", str(make_index({"a.txt": "The lamp turns."})))
    assert (output, errors[errors.index("longctx: ") :], code) == ("", message, 1)


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_beside_a_conversation_or_an_index_is_named(
    tmp_path: Path, suffix: str, make: Callable[[Path], None]
) -> None:
    """SQLite would wait for ever for a pipe's writer."""
    path, index = tmp_path / "talk.session", tmp_path / "index"
    SessionFile.open(path).close()
    CorpusIndex.open(index, HashingEncoder()).close()
    make(tmp_path / f"talk.session{suffix}")
    make(index / f"corpus.sqlite3{suffix}")
    for error, use in (
        (BadSession, lambda: SessionFile.open(path)),
        (CorpusError, lambda: CorpusIndex.open(index, HashingEncoder())),
    ):
        with pytest.raises(error, match=f"{suffix} is a link or no file, and SQLite's belongs there: move it away$"):
            use()


def test_results_are_not_written_through_a_link(tmp_path: Path) -> None:
    from longctx.evaluation import AnswerRecord

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.jsonl").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(BadRequest, match="it is a link"), open_results(tmp_path / "out", AnswerRecord, "eval", {}):
            pass
        assert not (tmp_path / "elsewhere").exists() or not (tmp_path / "elsewhere").stat().st_size
        (tmp_path / "elsewhere").touch()
