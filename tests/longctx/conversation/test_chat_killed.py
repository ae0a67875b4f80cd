"""SIGKILL inside a running `longctx chat`, while an answer streams and between turns: the conversation goes on from there."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_longctx import ForkedLongctx, Process

from longctx.cli.terminal import escaped
from longctx.conversation.session_file import SessionFile, Turn

KILLS, MOST_KILLS = 3, 60  # an answer may come to its end before its kill, on a busy machine
Start = Callable[[], "Chat"]


class Chat:
    """A `longctx chat` whose standard input and output are a socket's other end; `shown` is what it has printed."""

    def __init__(self, connection: socket.socket, process: Process) -> None:
        self._connection, self._process = connection, process
        self.shown = ""

    def ask(self, question: str) -> None:
        self._connection.sendall(f"{question}\n".encode())

    def read(self, until: Callable[[str], bool]) -> None:
        """Read what it prints, until enough of it is there."""
        while not until(self.shown):
            got = self._connection.recv(65536)
            assert got, f"it ended, and had printed {self.shown!r}"
            self.shown += got.decode(errors="replace")

    def kill(self) -> None:
        """Kill it, and read what it had printed by then."""
        self._process.kill()
        with contextlib.suppress(ConnectionResetError):
            while got := self._connection.recv(65536):
                self.shown += got.decode(errors="replace")


@pytest.fixture
def start(tmp_path: Path, tiny_chat_llama: Path, make_index, forked_longctx: ForkedLongctx) -> Iterator[Start]:
    index = make_index({"lighthouse.md": "The lighthouse was built in 1874. Its lamp turns once in forty seconds."})
    given = {"index": index, "sessions": tmp_path, "model": tiny_chat_llama, "max-new-tokens": 150}
    arguments = ["chat", *(str(each) for name, value in given.items() for each in (f"--{name}", value))]
    with contextlib.ExitStack() as started:

        def begin() -> Chat:
            ours, theirs = map(started.enter_context, socket.socketpair())
            with theirs:
                streams = {"stdin": theirs.fileno(), "stdout": theirs.fileno()}
                process = started.enter_context(forked_longctx.start(*arguments, **streams))
            return Chat(ours, process)

        yield begin


def kept(folder: Path) -> tuple[Turn, ...]:
    store = SessionFile.open(folder / "default.session")
    turns = store.turns()
    store.close()
    return turns


def answered(folder: Path, turns: int) -> Callable[[str], bool]:
    """Whether an answer has been printed to its end, and is kept beside so many turns."""
    return lambda shown: shown.endswith("\n") and len(kept(folder)) > turns


def test_a_chat_that_is_killed_goes_on_from_its_last_finished_turn(start: Start, tmp_path: Path) -> None:
    """An answer's last piece is printed before the turn is kept, and the end of its line afterwards."""
    draw, finished, unfinished = random.Random(11), tuple[Turn, ...](), 0
    for kill in range(MOST_KILLS):
        chat, asked = start(), [turn.question for turn in finished]
        first, second = f"How was it built, {kill}?", f"How does it turn, {kill}?"
        chat.ask(first)
        chat.read(answered(tmp_path, len(finished)))
        before = kept(tmp_path)
        assert [turn.question for turn in before] == [*asked, first]
        assert before[:-1] == finished
        assert chat.shown.strip() == escaped(before[-1].answer.text)
        chat.shown = ""
        chat.ask(second)
        if kill % 3 == 0:  # while the answer streams
            enough = draw.randrange(1, 30)
            chat.read(lambda shown, enough=enough: len(shown) >= enough)
        elif kill % 3 == 1:  # between turns
            chat.read(answered(tmp_path, len(before)))
        else:  # whenever it is
            time.sleep(draw.uniform(0, 0.4))
        chat.kill()
        finished = kept(tmp_path)
        new = finished[len(before) :]
        assert finished[: len(before)] == before
        assert [(turn.question, escaped(turn.answer.text)) for turn in new] in ([], [(second, chat.shown.strip())])
        assert new or kill % 3 != 1, "what was finished is kept"
        unfinished += not new and bool(chat.shown)
        if kill + 1 >= KILLS and unfinished >= KILLS // 3:
            break
    assert unfinished >= KILLS // 3, "answers were killed as they streamed"
