"""`longctx eval` and `longctx ask --questions`, on a real index and a server that answers by a script."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import run_here
from forked_longctx import ForkedLongctx
from scripted_server import ScriptedServer, scripted_server

Command = Callable[..., tuple[str, str, int]]
DOCUMENTS = {
    "lighthouse.md": "The lighthouse was built in 1874 by Anna Holm.\n\nIts lamp turns once in forty seconds.\n",
    "toudai.txt": "灯台は一八七四年に建てられた。レンズは四十秒で一回転する。\n",
}
QUESTIONS = [
    {"question": "Who built the lighthouse?", "answers": ["Anna Holm"], "source": "lighthouse.md", "id": "built"},
    {"question": "灯台はいつ建てられましたか？", "answers": ["一八七四年"], "source": "toudai.txt"},
    {"question": "What does a ticket cost?", "answers": []},
]


@pytest.fixture(scope="module")
def folder(make_index) -> Path:
    return make_index(DOCUMENTS).parent


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `longctx` in this process: what it prints, what it says on standard error, and how it ends."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LONGCTX_INDEX", "index")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str | Path, stdin: str = "") -> tuple[str, str, int]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return run_here(monkeypatch, *map(str, arguments))

    return run


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in QUESTIONS), encoding="utf-8")
    return file


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda prompt: "It was Anna Holm [1].") as running:
        yield running


def test_a_table_of_every_combination(command: Command, questions: Path) -> None:
    printed, said, code = command("eval", questions, "--modes", "lexical,dense", "-k", "1")
    assert code == 0, said
    rows = {
        row[0]: row[1:] for line in printed.splitlines() if (row := [c.strip() for c in line.strip("│").split("│")])
    }
    assert rows["mode"] == ["lexical", "dense"]
    assert rows["recall@1"][0] == "1.00 (2)"
    assert rows["answer held"][0] == "1.00 (2)"
    assert rows["refused"][0] == "1.00 (1)"
    assert rows["errors"] == ["0 of 3", "0 of 3"]
    assert "recall and marks: questions judged 2 by the question's source" in printed
    assert "No model was given" in said


def test_the_report_as_json(command: Command, questions: Path, server: ScriptedServer) -> None:
    printed, said, code = command("eval", questions, "--model", server.address, "--json")
    report = json.loads(printed)
    assert code == 0, said
    [combination] = report["combinations"]
    assert combination["combination"]["model"] == server.address
    assert combination["held"]["value"] == 0.5
    assert [score["held"] for score in report["scores"]] == [True, False, None]
    assert "灯台はいつ建てられましたか？" in printed


def test_models_and_no_model_side_by_side(command: Command, questions: Path, server: ScriptedServer) -> None:
    printed, _, code = command(
        "eval", questions, "--models", f"none,{server.address}", "--routes", "retrieval", "--json"
    )
    assert code == 0
    assert [each["combination"]["model"] for each in json.loads(printed)["combinations"]] == [None, server.address]


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    command: Command, questions: Path, tmp_path: Path
) -> None:
    def interrupt(prompt: str) -> str:
        if len(server.asked) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return "Anna Holm [1]."

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with scripted_server(interrupt) as server:
            asked = ("eval", questions, "--model", server.address, "--out", tmp_path / "out")
            printed, said, code = command(*asked)
            assert (code, "Traceback" in said) == (130, False)
            assert said.endswith(
                f"stopped: interrupted: 1 of 3 answers are kept in {tmp_path / 'out'}, "
                "and the same command goes on from there\n"
            )
            assert "1 of 1" not in printed
            assert json.loads((tmp_path / "out" / "summary.json").read_text())["complete"] is False
            server.script = lambda prompt: "Anna Holm [1]."
            server.asked.clear()
            printed, said, code = command(*asked)
            assert (code, len(server.asked)) == (0, 2), said
            assert "0 of 3" in printed
            assert f"{tmp_path / 'out'}: results.jsonl, summary.json and report.html" in printed
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_killed_evaluation_goes_on(
    command: Command, forked_longctx: ForkedLongctx, folder: Path, questions: Path, tmp_path: Path
) -> None:
    waiting, killed = threading.Event(), threading.Event()

    def wait(prompt: str) -> str:
        if len(server.asked) == 2 and not killed.is_set():
            waiting.set()
            killed.wait()
        return "Anna Holm [1]."

    with scripted_server(wait) as server:
        asked = ("eval", questions, "--model", server.address, "--out", tmp_path / "out")
        with forked_longctx.start(*asked, cwd=folder, LONGCTX_INDEX="index") as process:
            while not waiting.wait(0.05):
                assert process.poll() is None, process.stderr
            process.kill()
        killed.set()
        server.asked.clear()
        printed, said, code = command(*asked)
        assert (code, "0 of 3" in printed) == (0, True), said
        prompts = [prompt for prompt in server.asked if QUESTIONS[2]["question"] not in prompt]
        assert prompts == [], "nothing but the question that was being asked"


def test_a_server_that_disappears_is_said_with_what_is_kept(command: Command, questions: Path, tmp_path: Path) -> None:
    def disappear(prompt: str) -> str:
        if server.asked:
            raise ConnectionError
        return "Anna Holm [1]."

    with scripted_server(disappear) as server:
        asked = ("eval", questions, "--model", server.address)
        printed, said, code = command(*asked, "--out", tmp_path / "out")
        assert code == 1
        assert f"1 of 3 answers are kept in {tmp_path / 'out'}, and the same command goes on from there" in said
        assert "0 of 1" in printed, "the table of what there is"
        server.asked.clear()
        _, said, code = command(*asked)
        assert (code, "1 of 3 answers are in the table; with --out DIR they are kept" in said) == (1, True)


def test_broken_lines_are_named_and_nothing_is_asked(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"question": "good?"}\n{"question"}\n{"answers": []}\n')
    for arguments in (("eval", file), ("ask", "--questions", file, "--json")):
        printed, said, code = command(*arguments)
        assert (printed, code, said.count("\n")) == ("", 1, 1)
        assert f"{file}: 2 of 3 lines cannot be used" in said
        assert "line 2: this is not JSON" in said
        assert "line 3: question is missing" in said


def test_questions_are_drafted_and_can_be_evaluated(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    printed, _, code = command("eval", file, "--make", "20", "--seed", "3")
    assert code == 0
    made = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert printed.startswith(f"{file}: {len(made)} questions of 20, since there are no more such sentences")
    assert {each["source"] for each in made} <= set(DOCUMENTS)
    before = file.read_bytes()
    printed, said, code = command("eval", file, "--make", "1")
    assert (code, said) == (1, f"longctx: {file} exists already: give another name, or move it away\n")
    assert file.read_bytes() == before
    printed, said, code = command("eval", file, "--json")
    assert json.loads(printed)["combinations"][0]["held"]["value"] == 1.0, said


def test_ask_answers_a_file_a_line_for_each(command: Command, questions: Path, server: ScriptedServer) -> None:
    printed, said, code = command("ask", "--questions", questions, "--model", server.address, "--json")
    assert (code, said) == (0, "")
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["id"] for line in lines] == ["built", "2", "3"]
    assert lines[0]["question"] == "Who built the lighthouse?"
    assert lines[0]["answer"]["text"] == "It was Anna Holm [1]."
    assert lines[0]["answer"]["citations"][0]["number"] == 1
    single = json.loads(command("ask", QUESTIONS[0]["question"], "--model", server.address, "--json")[0])
    assert single.keys() == lines[0]["answer"].keys()


@pytest.mark.parametrize("text", ["Who built the lighthouse?\n\n灯台はいつ建てられましたか？\n", None])
def test_ask_reads_standard_input(command: Command, questions: Path, text: str | None) -> None:
    given = text or questions.read_text(encoding="utf-8")
    printed, said, code = command("ask", "--questions", "-", stdin=given)
    assert code == 0
    assert "Who built the lighthouse?\nThe lighthouse was built in 1874 by Anna Holm. [1]\n\nSources\n" in printed
    assert "灯台はいつ建てられましたか？\n灯台は一八七四年に建てられた。 [1]\n" in printed
    assert said.count("No model was given") == 1


def test_ask_goes_on_after_an_error_and_says_so_at_the_end(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(f"{'Why? ' * 2000}\nWho built the lighthouse?\n")
    with scripted_server(lambda prompt: "Anna Holm [1].", window=1500) as server:
        printed, _, code = command("ask", "--questions", file, "--model", server.address, "--json")
        error, answer = map(json.loads, printed.splitlines())
        assert (code, set(error)) == (1, {"id", "question", "error"})
        assert error["error"].startswith("the question takes")
        assert answer["answer"]["text"] == "Anna Holm [1]."
        printed, said, code = command("ask", "--questions", file, "--model", server.address)
        assert (code, "longctx: the question takes" in said) == (1, True)
        assert "Who built the lighthouse?\nAnna Holm [1].\n" in printed


def test_ask_does_not_go_on_without_a_server(command: Command, tmp_path: Path) -> None:
    def gone(prompt: str) -> str:
        raise ConnectionError

    file = tmp_path / "questions.txt"
    file.write_text("Who?\nWhen?\nWhy?\nWhere?\nHow?\n")
    with scripted_server(gone) as server:
        printed, said, code = command("ask", "--questions", file, "--model", server.address, "--json")
    assert (code, len(printed.splitlines())) == (1, 3)
    assert said == "the server is lost: 2 questions were not asked\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("ask",), "Missing argument 'QUESTION'"),
        (("ask", "Why?", "--questions", "q.jsonl"), "QUESTION and --questions cannot be given together"),
        (("ask", "--questions", "nowhere.jsonl"), "nowhere.jsonl cannot be read: No such file or directory"),
        (("eval",), "Missing argument"),
        (("eval", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("eval", "nowhere.jsonl", "--make", "0"), "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, arguments: tuple[str, ...], problem: str) -> None:
    printed, said, code = command(*arguments)
    assert (printed, code in (1, 2)) == ("", True)
    assert problem in " ".join(said.replace("│", " ").split())
