"""SIGKILL inside a running `longctx chat`, while an answer streams and between turns: the conversation goes on from there.

This file, run as a program, forks the chats: it has imported what they need, and starts no thread.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longctx import DocumentQA
from longctx.session_store import SessionStore, Turn

KILLS = 6
Start = Callable[[], "Chat"]


class Chat:
    """A `longctx chat` whose standard input and output are a socket's other end; `shown` is what it has printed."""

    def __init__(self, connection: socket.socket, process: int) -> None:
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
        os.kill(self._process, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            while got := self._connection.recv(65536):
                self.shown += got.decode(errors="replace")


@pytest.fixture
def start(tmp_path: Path, tiny_chat_llama: Path, encoder) -> Iterator[Start]:
    (tmp_path / "lighthouse.md").write_text("The lighthouse was built in 1874. Its lamp turns once in forty seconds.")
    with DocumentQA.open(tmp_path / "index", encoder=encoder) as qa:
        qa.ingest(tmp_path / "lighthouse.md")
    given = {"index": tmp_path / "index", "sessions": tmp_path, "model": tiny_chat_llama, "max-new-tokens": 150}
    arguments = ["chat", *(str(each) for name, value in given.items() for each in (f"--{name}", value))]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (
        socket.create_server(str(tmp_path / "socket"), family=socket.AF_UNIX) as server,
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path / "socket"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as forking,
        contextlib.ExitStack() as connections,  # a chat ends when its standard input does
    ):

        def begin() -> Chat:
            assert forking.stdin is not None
            assert forking.stdout is not None
            print("begin", file=forking.stdin, flush=True)
            process = int(forking.stdout.readline())
            return Chat(connections.enter_context(server.accept()[0]), process)

        yield begin


def kept(folder: Path) -> tuple[Turn, ...]:
    store = SessionStore.open(folder / "default.session")
    turns = store.turns()
    store.close()
    return turns


def answered(folder: Path, turns: int) -> Callable[[str], bool]:
    """Whether an answer has been printed to its end, and is kept beside so many turns."""
    return lambda shown: shown.endswith("\n") and len(kept(folder)) > turns


def test_a_chat_that_is_killed_goes_on_from_its_last_finished_turn(start: Start, tmp_path: Path) -> None:
    """An answer's last piece is printed before the turn is kept, and the end of its line afterwards."""
    draw, finished, unfinished = random.Random(11), tuple[Turn, ...](), 0
    for kill in range(KILLS):
        chat, asked = start(), [turn.question for turn in finished]
        first, second = f"How was it built, {kill}?", f"How does it turn, {kill}?"
        chat.ask(first)
        chat.read(answered(tmp_path, len(finished)))
        before = kept(tmp_path)
        assert [turn.question for turn in before] == [*asked, first]
        assert before[:-1] == finished
        assert chat.shown.strip() == before[-1].answer.text
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
        assert [(turn.question, turn.answer.text) for turn in new] in ([], [(second, chat.shown.strip())])
        assert new or kill % 3 != 1, "what was finished is kept"
        unfinished += not new and bool(chat.shown)
    assert unfinished >= KILLS // 3, "answers were killed as they streamed"


def forking(address: str, arguments: list[str]) -> None:
    """For each line of standard input, a chat: its process id goes out, and it is waited for."""
    from longctx import cli
    from longctx.quantizing import hide_bitsandbytes

    hide_bitsandbytes()
    import sentence_transformers  # noqa: F401
    from transformers.models.llama import modeling_llama  # noqa: F401

    import longctx.conversation  # noqa: F401

    sys.argv = ["longctx", *arguments]
    for _ in sys.stdin:
        process = os.fork()
        if process == 0:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(address)
                os.dup2(connection.fileno(), 0)
                os.dup2(connection.fileno(), 1)
            cli.main()
        print(process, flush=True)
        os.waitpid(process, 0)


if __name__ == "__main__":
    forking(sys.argv[1], sys.argv[2:])
