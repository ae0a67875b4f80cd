"""`longctx chat`: in a real terminal (a pty), and with questions from standard input."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_here
from forked_longctx import ForkedLongctx

from longctx.conversation.session_file import SessionFile

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
LIGHTHOUSE = "The lighthouse was built in 1874 by Anna Holm. The lamp of the lighthouse turns once in forty seconds.\n"

Chat = Callable[..., tuple[str, str, int]]


@pytest.fixture(scope="module")
def index(make_index) -> Path:
    return make_index({"lighthouse.md": LIGHTHOUSE})


@pytest.fixture
def chat(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """What `longctx chat` prints for some lines on standard input, what it says on standard error, and how it ends."""

    def run(*lines: str, options: tuple[str, ...] = (), stdin: type[io.StringIO] = io.StringIO) -> tuple[str, str, int]:
        monkeypatch.setattr(sys, "stdin", stdin("".join(f"{line}\n" for line in lines)))
        monkeypatch.setenv("COLUMNS", "120")
        return run_here(monkeypatch, "chat", "--index", str(index), "--sessions", str(tmp_path), *options)

    return run


def test_questions_from_standard_input_are_answered_line_by_line_and_kept(chat: Chat, tmp_path: Path) -> None:
    output, errors, code = chat("Who built the lighthouse?", "", "And its lamp: how often does it turn?")
    built, lamp = (
        "The lighthouse was built in 1874 by Anna Holm.",
        "The lamp of the lighthouse turns once in forty seconds.",
    )
    assert output == f"{built} [1]\n{lamp} [1]\n"
    assert code == 0
    assert errors.count("No model was given") == 1
    output, _, code = chat("/sources", "/plan")
    assert code == 0
    assert re.search(r"Sources\n\[1\] .*lighthouse\.md, line 1, characters 47-102\n", output)
    assert "searched for: And its lamp: how often does it turn? built lighthouse" in " ".join(output.split())
    other, _, _ = chat("/sources", "/plan", options=("--session", "another"))
    assert other == "Nothing has been answered in this conversation yet.\n" * 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["another.session", "default.session"]


@pytest.mark.parametrize("locale", ["ja_JP.UTF-8", ""])
def test_commands_in_japanese(chat: Chat, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    if not locale:
        chat("灯台は誰が建てましたか？")
    output, errors, _ = chat("/help", "/route", "/sources", "/plan", "/reset", "/help")
    shown = re.sub(r"/\w+|Ctrl-[CD]|auto|native|extended|retrieval|self|map", "", output)
    until = shown.index("回分の会話を消しました") if locale == "" else len(shown)  # then nothing was asked
    assert not re.search("[a-z]{4}", shown[:until].replace("lighthouse.md", "")), output
    assert ("モデルの指定がない" in errors) == ("No model" not in errors)
    assert "/quit     終了します。会話は残ります。" in output


def test_commands(chat: Chat) -> None:
    output, errors, code = chat("/help", "/route", "/route retrieval", "/reset", "/quit", "What comes after the end?")
    for command in ("/sources", "/plan", "/route", "/reset", "/help", "/quit"):
        assert re.search(rf"^{command} +\S+", output, re.MULTILINE)
    assert output.endswith("The route is auto.\nThe route is retrieval.\n0 turns are forgotten.\n")
    assert (code, "longctx:" in errors) == (0, False)


def test_what_cannot_be_answered_is_said_in_one_line_and_the_session_goes_on(chat: Chat) -> None:
    lines = ("Who built the lighthouse?", "word " * 9000, "/route best", "/nothing", "/plan", "Who built it?", "/reset")
    output, errors, code = chat(*lines, options=("--model", str(DEMO), "--max-new-tokens", "8"))
    said = [line for line in errors.splitlines() if line.startswith("longctx: ")]
    assert len(said) == 3
    assert re.search(r"the question takes [\d,]+ tokens.*the largest window here holds 256", said[0])
    assert "no route 'best': use auto, native, extended, retrieval, self" in said[1]
    assert "no command /nothing: use /sources, /plan, /route, /reset, /help, /quit" in said[2]
    assert "route native, window 256" in output
    assert output.endswith("2 turns are forgotten.\n")
    assert code == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--session", "../x"), "'../x' cannot name a conversation"),
        (("--session", "spoilt"), "spoilt.session is damaged, or is no conversation of longctx's"),
        (("--index", "nowhere"), "there is no index in"),
    ],
)
def test_a_conversation_that_cannot_be_opened(
    chat: Chat, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "spoilt.session").write_text("spoilt")
    output, errors, code = chat("Who built it?", options=options)
    assert (output, code) == ("", 1)
    [said] = [line for line in errors.splitlines() if line.startswith("longctx: ")]
    assert message in said


class Terminal:
    """A command in a terminal of its own: keys go in, and what is shown comes out."""

    def __init__(self, forked_longctx: ForkedLongctx, *arguments: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = forked_longctx.start(
            *arguments, **streams, terminal=True, PROMPT_TOOLKIT_NO_CPR="1", TERM="xterm"
        )
        os.close(theirs)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until it is shown, after what was waited for before."""
        while text not in self.shown:
            try:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                pytest.fail(f"it ended, and {text!r} was not in {self.shown!r}")
        self.shown = self.shown[self.shown.index(text) + len(text) :]

    def close(self) -> None:
        self.process.close()
        os.close(self._ours)


PROMPT = "\x1b[?2004h"  # text that is pasted may come: the prompt is ready


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("moment", "said", "kept"),
    [("print_pieces", "Stopped: this turn is not kept.", 0), ("note_answer", "Stopped: this turn is kept.", 1)],
)
def test_ctrl_c_says_whether_the_turn_is_kept(
    moment: str, said: str, kept: int, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"longctx.cli.chat.{moment}", interrupted)
    _, errors, code = chat("Who built the lighthouse?", stdin=Keyboard)
    assert (said in errors, code, len(turns(tmp_path))) == (True, 0, kept)


LEFT, BACKSPACE, UP, CTRL_C, CTRL_D = "\x1b[D", "\x7f", "\x1b[A", "\x03", "\x04"


def test_a_terminal_edits_japanese_recalls_questions_and_stops_answers(
    index: Path, tmp_path: Path, tiny_chat_llama: Path, forked_longctx: ForkedLongctx
) -> None:
    options = ("--sessions", tmp_path, "--index", index, "--model", tiny_chat_llama, "--max-new-tokens", "1300")
    terminal = Terminal(forked_longctx, "chat", *options)
    try:
        terminal.wait_for("default: 0 turns so far")
        terminal.wait_for(PROMPT)
        terminal.type("thrown away" + CTRL_C)
        terminal.wait_for(PROMPT)
        terminal.type("/route native\r")
        terminal.wait_for("The route is native.")
        terminal.wait_for(PROMPT)
        terminal.type("灯台と港は" + LEFT + LEFT + BACKSPACE + "や" + "\r")
        terminal.wait_for("reading the prompt")
        terminal.type(CTRL_C)
        terminal.wait_for("停止しました。この質問は会話に残りません")
        terminal.wait_for(PROMPT)
        assert not turns(tmp_path)
        terminal.type(UP + UP + UP + CTRL_C)
        terminal.wait_for("/route native")
        terminal.type(UP)
        terminal.wait_for("灯台や港は")
        terminal.type(CTRL_C + CTRL_D)
        assert terminal.process.wait() == 0
    finally:
        terminal.close()


def turns(folder: Path) -> list[str]:
    store = SessionFile.open(folder / "default.session")
    asked = [turn.question for turn in store.turns()]
    store.close()
    return asked
