"""The command line, as a user runs it: in a subprocess, on real files, with the real encoder."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked_longctx import ForkedLongctx
from hand_made_pdf import text_pdf
from written_files import write_files

from longctx.cli.terminal import escaped

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LIGHTHOUSE = (
    "# The lighthouse\n\nThe lighthouse was built in 1874 by Anna Holm.\n\nIts lamp turns once in forty seconds.\n"
)
TOUDAI = "灯台は一八七四年に建てられた。レンズは四十秒で一回転する。\n"


@pytest.fixture(scope="session")
def run_in(forked_longctx: ForkedLongctx) -> Run:
    """Runs `longctx` in a folder, with arguments, and variables of the environment."""
    return lambda folder, *arguments, **environment: forked_longctx.run(*arguments, cwd=folder, **environment)


@pytest.fixture
def longctx(tmp_path: Path, run_in: Run) -> Run:
    return lambda *arguments, **environment: run_in(tmp_path, *arguments, **environment)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, run_in: Run) -> Path:
    """A working folder with a corpus that one `longctx ingest` has read."""
    documents = {"lighthouse.md": LIGHTHOUSE, "toudai.txt": TOUDAI.encode("euc-jp"), "picture.png": b"\x89PNG"}
    folder = tmp_path_factory.mktemp("home")
    write_files(folder / "docs", documents)
    done = run_in(folder, "ingest", "docs")
    assert done.returncode == 0, done.stderr
    assert "2 added, 0 changed, 0 unchanged, 0 removed, 0 failed; 1 files of other kinds skipped" in done.stdout
    assert "2 chunks" in done.stdout
    return folder


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """A copy of `home` whose documents are its own."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / ".longctx")
    return tmp_path


def test_ask_quotes_and_cites_file_line_and_characters(home: Path, run_in: Run) -> None:
    done = run_in(home, "ask", "Who built the lighthouse?")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "The lighthouse was built in 1874 by Anna Holm. [1]"
    assert "[1] docs/lighthouse.md, line 3, characters 18-64" in done.stdout
    assert done.stderr.count("\n") == 2
    assert "No model was given" in done.stderr
    assert "--model" in done.stderr


def test_ask_in_japanese_as_json(home: Path, run_in: Run) -> None:
    done = run_in(home, "ask", "灯台はいつ建てられましたか？", "--json")
    answer = json.loads(done.stdout)
    citation = answer["citations"][0]
    named = {"text", "citations", "plan", "usage", "passages", "search_query", "refused", "unsupported"}
    assert set(answer) == named | {"thinking", "note"}
    assert set(citation) >= {"source", "title", "page", "start", "end", "text"}
    assert citation["text"] == "灯台は一八七四年に建てられた。"
    assert "灯台は" in done.stdout, "Japanese is printed as it is, not escaped"
    assert TOUDAI[citation["start"] : citation["end"]] == citation["text"]


def test_ask_with_a_model_lists_the_passages_in_its_prompt(home: Path, tiny_chat_llama: Path, run_in: Run) -> None:
    done = run_in(home, "ask", "Who built it?", "--model", tiny_chat_llama, "--max-new-tokens", "6")
    assert done.returncode == 0, done.stderr
    assert "Passages in the prompt\n[1] docs/lighthouse.md, line 1, characters 0-" in done.stdout
    assert done.stderr == "", "and no bar where nobody looks"
    answer = json.loads(
        run_in(home, "ask", "Who built it?", "--model", tiny_chat_llama, "--json", LONGCTX_MAX_NEW_TOKENS="6").stdout
    )
    assert done.stdout.startswith(escaped(answer["text"]))
    assert answer["plan"]["max_new_tokens"] == 6
    assert answer["usage"]["completion_tokens"] == 6


def test_ask_explains_its_route(home: Path, tiny_chat_llama: Path, run_in: Run) -> None:
    model = ("--model", tiny_chat_llama, "--max-new-tokens", "6")
    shown = run_in(home, "ask", "Who built it?", *model, "--explain", "--route", "native", COLUMNS="120").stdout
    assert "route native, window 2,048" in shown
    for row in (
        "system prompt",
        "docs/lighthouse.md",
        "docs/toudai.txt",
        "question",
        "room for the answer",
        "not used",
    ):
        assert row in shown
    refused = run_in(home, "ask", "Who built it?", *model, LONGCTX_ROUTE="extended")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    last = refused.stderr.splitlines()[-1]  # those before it show the weights being loaded
    assert last.startswith("longctx: route extended cannot be taken: no scaling extends the window")
    assert run_in(home, "ask", "Who built it?", *model, "--route", "best").returncode == 1
    quoted = run_in(home, "ask", "Who built the lighthouse?", "--explain").stdout
    assert "\nroute retrieval: there is no model" in quoted, "and no table of a window that is not there"


def test_search_in_every_mode(home: Path, run_in: Run) -> None:
    done = run_in(home, "search", "lamp", "-k", "1")
    assert done.stdout.startswith("1. docs/lighthouse.md, line 1, characters 0-")
    hits = json.loads(run_in(home, "search", "灯台", "--mode", "lexical", "--json").stdout)
    assert set(hits[0]) == {"chunk", "score"}
    assert set(hits[0]["chunk"]) >= {"text", "source", "title", "heading", "page", "start", "end"}
    assert hits[0]["chunk"]["text"] == TOUDAI.strip()
    assert run_in(home, "search", "lamp", "--mode", "fuzzy").returncode == 2
    many = run_in(home, "search", " ".join(f"l{number}*" for number in range(1000)))
    assert "has 1,000 beginnings of words and single kanji: the first 64 count" in many.stderr


def test_search_and_ask_take_filters(home: Path, run_in: Run) -> None:
    flags = ("--source", "docs/lighthouse.md", "--title", "*", "--after", "2000-01-01", "--json")
    hits = json.loads(run_in(home, "search", "灯台 lighthouse", *flags, "--expand", "1").stdout)
    assert {Path(hit["chunk"]["source"]).name for hit in hits} == {"lighthouse.md"}
    assert hits[0]["chunk"]["metadata"] == {}
    none = run_in(home, "ask", "Who built the lighthouse?", "--before", "2000-01-01", "--json")
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr.startswith("longctx: no document fits the filter (before 2000-01-01")
    assert none.stderr.count("\n") == 1
    wrong = run_in(home, "search", "lamp", "--metadata", "author")
    assert (wrong.returncode, "NAME=VALUE" in wrong.stderr) == (2, True)
    missing = run_in(home, "search", "lamp", "--reranker", "no/such/model")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


def test_index_commands(home: Path, run_in: Run) -> None:
    assert "2 documents, 2 chunks" in run_in(home, "index", "info").stdout
    listed = json.loads(run_in(home, "index", "list", "--json").stdout)
    assert [Path(d["source"]).name for d in listed] == ["lighthouse.md", "toudai.txt"]
    assert run_in(home, "index", "show", "docs/toudai.txt").stdout == TOUDAI
    verified = run_in(home, "index", "verify")
    assert (verified.returncode, verified.stdout) == (0, "2 documents, 2 chunks: the index is whole\n")


def test_a_second_ingest_changes_only_what_changed(copy: Path, run_in: Run) -> None:
    first = json.loads(run_in(copy, "ingest", "docs", "--json").stdout)
    assert (first["added"], first["skipped"], first["failed"]) == (2, 1, [])
    assert [text["characters"] for text in first["texts"]][1] == len(TOUDAI)
    (copy / "docs" / "toudai.txt").unlink()
    (copy / "docs" / "lighthouse.md").write_text("# New\n\nSomething else stands here now.\n")
    (copy / "docs" / "bad.pdf").write_bytes(b"%PDF-1.7\nnot really")
    done = run_in(copy, "ingest", "docs", "--prune", "--verbose")
    assert done.returncode == 3
    assert "0 added, 1 changed, 0 unchanged, 1 removed, 1 failed" in done.stdout
    assert "docs/lighthouse.md: 39 characters\n" in done.stdout
    assert "failed: docs/bad.pdf: " in done.stderr
    assert "Traceback" not in done.stderr
    gone = run_in(copy, "index", "remove", "docs/lighthouse.md")
    assert (gone.returncode, gone.stdout) == (0, "1 removed\n")
    missing = run_in(copy, "index", "remove", "docs/lighthouse.md")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


def run_on_a_terminal(folder: Path, *arguments: str | Path) -> tuple[bytes, bytes]:
    """What a command prints, and what it shows where standard error is a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "longctx", *map(str, arguments)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # the other end was closed
                break
            shown += block
            if not block:
                break
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    return printed, shown


def test_a_terminal_sees_the_model_read_the_prompt(home: Path, short_llama: Path, run_in: Run) -> None:
    asked = ("ask", "When was the lighthouse built?", "--model", short_llama, "--scaling", "yarn")
    printed, shown = run_on_a_terminal(home, *asked, "--max-new-tokens", "3")
    assert b"Passages in the prompt" in printed
    assert b"loading the model" in shown
    assert b"reading the prompt" in shown
    assert b"Loading weights" not in shown
    assert b"it/s" not in shown, "no bar of a library"
    assert b"reading the prompt" not in printed
    plain = run_in(home, *asked, "--max-new-tokens", "3")
    assert plain.stdout.encode() == printed
    assert "reading the prompt" not in plain.stderr


def test_a_scaling_without_a_model_is_refused(home: Path, run_in: Run) -> None:
    done = run_in(home, "ask", "When was the lighthouse built?", "--scaling", "yarn")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "scaling is 'yarn', and there is no model" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ask", "why?"], 1, "there is no index in"),
        (["search", "why?", "--index", "nowhere"], 1, "make one with `longctx ingest PATH --index"),
        (["index", "info"], 1, "there is no index in"),
        (["ingest", "missing.txt"], 1, "there is no such file"),
        (["ingest", "ful"], 1, "full?"),
        (["ingest", "fulll/a.txt"], 1, "full/a.txt?"),
        (["ingest", "folder"], 1, "nothing to ingest"),
        (["ingest", "full", "--index", "full"], 1, "is no index"),
        (["ask"], 2, "Missing argument"),
        (["ingest", "full", "--max-size", "0"], 1, "setting max_size is 0"),
        (["ingest", "full", "--ocr", "ocrmypdf in out"], 1, "'ocrmypdf in out' needs {input} and {output}"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(longctx: Run, tmp_path: Path, arguments, code, message) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("text")
    done = longctx(*arguments)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_errors_of_models_and_encoders_take_one_line_and_debug_shows_more(home: Path, run_in: Run) -> None:
    for arguments in (["--model", "./nowhere"], ["--model", "owner/nothing"], ["--encoder", "owner/nothing"]):
        done = run_in(home, "ask", "why?", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert done.stderr.startswith("longctx: ")
    assert "Traceback" in run_in(home, "ask", "why?", "--model", "./nowhere", "--debug").stderr


def test_an_unexpected_error_takes_one_line_too(home: Path, tmp_path: Path, run_in: Run) -> None:
    shutil.copytree(home / ".longctx", tmp_path / "index")
    database = tmp_path / "index" / "corpus.sqlite3"
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    done = run_in(home, "index", "verify", "--index", tmp_path / "index")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_bad_files_are_reported_each_with_its_reason_and_the_rest_is_in(longctx: Run, tmp_path: Path) -> None:
    folder = tmp_path / "zoo"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "good.txt").write_text("A good file among the bad.")
    (folder / "empty.txt").touch()
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 8)
    (folder / "latin.txt").write_bytes("déjà vu, très élégant à Besançon".encode("latin-1"))
    (folder / "large.txt").write_text("x" * 200_000)
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "broken.docx").write_bytes(b"PK\x03\x04 broken")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "nothing.md").symlink_to("missing.md")
    done = longctx("ingest", folder, "--max-size", "150000", "--json", LONGCTX_INDEX="index")
    report = json.loads(done.stdout)
    reasons = {Path(failure["source"]).name: failure["reason"] for failure in report["failed"]}
    assert (done.returncode, report["added"]) == (3, 1)
    assert set(reasons) == {
        *("binary.txt", "latin.txt", "large.txt", "deep.json", "broken.pdf", "broken.docx"),
        *("out.txt", "loop", "nothing.md"),
    }
    assert report["empty"] == 1
    assert "binary" in reasons["binary.txt"]
    assert "--encoding" in reasons["latin.txt"]
    assert "--max-size" in reasons["large.txt"]
    assert "deep" in reasons["deep.json"]
    assert "out of the folder" in reasons["out.txt"]
    again = longctx("ingest", folder / "latin.txt", "--encoding", "latin-1", "--json", LONGCTX_INDEX="index")
    assert (again.returncode, json.loads(again.stdout)["added"]) == (0, 1)


def test_a_pdf_is_cited_by_its_page(longctx: Run, tmp_path: Path) -> None:
    """A PDF made here by hand: two pages, one line of text on each."""
    (tmp_path / "manual.pdf").write_bytes(text_pdf("The pump is oiled on Mondays.", "The valve opens at seven bar."))
    assert longctx("ingest", "manual.pdf").returncode == 0
    done = longctx("ask", "At what pressure does the valve open?")
    assert done.stdout.splitlines()[0] == "The valve opens at seven bar. [1]"
    assert "[1] manual.pdf, page 2, characters " in done.stdout


def test_what_a_model_has_read_is_shown_and_removed(copy: Path, tiny_llama: Path, run_in: Run) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = run_in(copy, *arguments)
        assert done.returncode == 0, done.stderr
        return done

    (copy / "docs" / "lighthouse.md").write_text(LIGHTHOUSE * 12, encoding="utf-8")
    run("ingest", "docs")
    asked = ("ask", "Who built it?", "--model", str(tiny_llama), "--window", "8192", "--route", "native")
    run(*asked, "--max-new-tokens", "2", "--kv-cache-size", "0")
    assert json.loads(run("index", "cache", "info", "--json").stdout)["files"] == 0
    run(*asked, "--max-new-tokens", "2", "--kv-cache-size", "50MB")
    kept = json.loads(run("index", "cache", "info", "--json").stdout)
    assert kept["files"] == 1
    assert "read before" in run(*asked, "--max-new-tokens", "2", "--explain").stdout
    assert json.loads(run("index", "cache", "clear", "--json").stdout) == {"removed": 1, "bytes": kept["bytes"]}
    assert run("index", "cache", "info").stdout.endswith("0 files, 0.0 MB\n")


@pytest.mark.parametrize(
    "question", ["灯台はいつ建てられましたか？", "レンズの回転は？", "E17 とは何ですか", "２０２４年の灯台"]
)
def test_a_japanese_question_has_everything_around_its_answer_in_japanese(
    home: Path, run_in: Run, question: str
) -> None:
    asked = run_in(home, "ask", question, "--explain")
    said = asked.stdout + asked.stderr
    for english in ("Sources", "line ", "characters", "No model", "route ", "sentences"):
        assert english not in said.replace("longctx/", ""), said
    assert "モデルの指定がないため" in asked.stderr


def test_the_places_of_a_japanese_question_are_in_japanese(home: Path, tiny_chat_llama: Path, run_in: Run) -> None:
    asked = run_in(home, "ask", "灯台はいつ建てられましたか？").stdout
    assert asked == "灯台は一八七四年に建てられた。 [1]\n\n出典\n[1] docs/toudai.txt 1 行目、文字 0-15\n"
    model = ("--model", tiny_chat_llama, "--max-new-tokens", "6")
    explained = run_in(home, "ask", "灯台はいつ建てられましたか？", *model, "--explain").stdout
    for japanese in (
        "プロンプトに含めた箇所\n[1] docs/",
        "質問の種類 事実",
        "指示と質問",
        "最初のトークンまで",
        "すべての文書は",
    ):
        assert japanese in explained
    assert "docs/toudai.txt 1 行目、文字 0-" in run_in(home, "search", "灯台").stdout
