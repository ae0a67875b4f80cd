"""What documents, file names and servers bring is shown on a terminal with its control characters escaped."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import unicodedata
from pathlib import Path

import pytest
from forked_longctx import ForkedLongctx
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import scripted_server

from longctx import Thought
from longctx.cli.output import print_pieces
from longctx.cli.terminal import echo_json, escaped

CLIPBOARD, CLEAR, CSI, REVERSED = "\x1b]52;c;aGk=\x07", "\x1b[2J", "\x9b31m", "\u202eevil\u2066"
HOSTILE = CLIPBOARD + CLEAR + CSI + REVERSED
LINK = "\x1b]8;;http://elsewhere\x1b\\here\x1b]8;;\x1b\\"
NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb]")


@given(st.text() | st.text(alphabet="\x1b\x9b\r\n\u202e\u206aa\ufff9\u2028\ud800[]m\\"))
def test_no_control_or_direction_is_left(text: str) -> None:
    for lines in (True, False):
        shown = escaped(text, lines=lines)
        shown.encode()
        assert not NOT_SHOWN.search(shown.replace("\r\n", "\n"))
        assert escaped(shown, lines=lines) == shown
    assert "\n" not in escaped(text, lines=False)
    kept = [c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    shown_characters = iter(escaped(text))
    assert all(c in shown_characters for c in kept), "nothing else is changed"


def test_japanese_arabic_and_emoji_are_left_alone() -> None:
    for text in ("灯台は一八七四年に建てられた。\n\tabc", "مرحبا بالعالم", "👩\u200d🚀 naïve — “x”", "a\r\nb"):
        assert escaped(text) == text


@given(st.lists(st.text(alphabet="a\r\n\x1b[2J\u202e") | st.text(alphabet="b\r\n").map(Thought)))
def test_pieces_are_shown_as_the_whole_is(pieces: list[str]) -> None:
    with (
        contextlib.redirect_stdout(io.StringIO()) as answer,
        contextlib.redirect_stderr(io.StringIO()) as thoughts,
    ):
        print_pieces(pieces)
    assert answer.getvalue() == escaped("".join(piece for piece in pieces if not isinstance(piece, Thought)))
    apart, line = "", ""  # the answer begins on a line of its own
    for piece in pieces:
        if isinstance(piece, Thought):
            line += piece
        elif piece and line:
            apart, line = apart + escaped(line) + "\n" * (not line.endswith("\n")), ""
    assert thoughts.getvalue() == apart + escaped(line)


@given(st.recursive(st.text() | st.text(alphabet='\x9b\u202e\ud800"\\'), st.lists))
def test_json_stays_json_and_means_the_same(value: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        echo_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(printed.getvalue()) == value
    assert not NOT_SHOWN.search(printed.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, forked_longctx: ForkedLongctx) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "docs").mkdir()
    title = f"Lighthouse{CLEAR}{CSI}"
    text = f"# {title}\n\nThe lighthouse was built in 1874{HOSTILE} by Anna{LINK} Holm.\n"
    (folder / "docs" / f"tower{CLEAR}\u202e\nfaked.md").write_text(text)
    (folder / "docs" / f"broken{CSI}.pdf").write_bytes(b"%PDF-1.7\nno")
    done = forked_longctx.run("ingest", "docs", cwd=folder)
    assert (done.returncode, "1 added" in done.stdout) == (3, True), done.stderr
    check(done.stdout + done.stderr)
    assert r"broken\x9b31m.pdf" in done.stderr
    return folder


def check(shown: str) -> None:
    """Nothing but the styles that longctx itself prints."""
    found = NOT_SHOWN.search(re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n"))
    assert found is None, shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "Who built the lighthouse?"),
        ("ask", "Who built the lighthouse?", "--explain"),
        ("search", "lighthouse"),
        ("index", "list"),
        ("index", "show", "nothing\x1b[2J"),
        ("ingest", f"--{HOSTILE}.md"),  # as of `longctx ingest *`
        ("ingest", f"-{REVERSED}.md"),
        (f"--{REVERSED}",),
        (f"{HOSTILE}search",),
        ("index", "show", "one.md", f"{HOSTILE}.md"),
        ("ask", "Who built the lighthouse?", "--json"),
        ("search", "lighthouse", "--json"),
        ("index", "list", "--json"),
    ],
)
def test_no_command_lets_them_through(home: Path, forked_longctx: ForkedLongctx, arguments: tuple[str, ...]) -> None:
    done = forked_longctx.run(*arguments, cwd=home)
    check(done.stdout + done.stderr)
    if "--json" in arguments:
        assert CLEAR in json.dumps(json.loads(done.stdout), ensure_ascii=False).replace("\\u001b", "\x1b")
    elif done.returncode == 0:
        assert r"\x1b[2J" in done.stdout
        assert not any(line.startswith("faked") for line in done.stdout.splitlines())


def test_a_document_is_shown_as_it_is_in_a_pipe_and_escaped_on_a_terminal(
    home: Path, forked_longctx: ForkedLongctx
) -> None:
    [file] = (home / "docs").glob("*.md")
    assert forked_longctx.run("index", "show", str(file), cwd=home).stdout == file.read_text()
    ours, theirs = pty.openpty()
    with forked_longctx.start("index", "show", str(file), cwd=home, stdout=theirs) as process:
        os.close(theirs)
        assert process.wait() == 0
        shown = os.read(ours, 65536).decode()
    os.close(ours)
    check(shown)
    assert r"\x1b]52;c;aGk=\x07" in shown


def test_what_a_server_says_is_escaped(home: Path, forked_longctx: ForkedLongctx) -> None:
    with scripted_server(lambda _: f"It was built in 1874{HOSTILE}{LINK} [1].") as server:
        done = forked_longctx.run("ask", "When was it built?", "--model", server.address, cwd=home)
        assert r"1874\x1b]52;c" in done.stdout, done.stderr
        check(done.stdout + done.stderr)
