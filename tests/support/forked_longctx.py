"""Runs `longctx` in processes forked from one that has imported everything, which takes seconds each time otherwise.

Each is a real process: it has its own arguments, folder, environment and standard streams, ends with an exit code or by
a signal, and can be killed. What is different from a start of Python: modules that read the environment when they are
imported (such as tqdm) have read that of the server. A test of what is imported, or of libraries' bars and warnings,
needs a start of its own.

This file, run as a program, is the server. It starts no thread, since a thread would not survive a fork.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import IO, Any, NoReturn


class Process:
    """A running `longctx`; as a context manager it is closed on the way out."""

    def __init__(self, connection: socket.socket, output: IO[bytes], errors: IO[bytes]) -> None:
        self._connection, self._output, self._errors = connection, output, errors
        self.pid = self._number()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal's number, as `subprocess` has it; None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for its end; returns the exit code as `poll` does."""
        if self.returncode is None:
            self.returncode = self._number()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    @property
    def stdout(self) -> str:
        """What it has printed so far, unless that went elsewhere."""
        return _text_in(self._output)

    @property
    def stderr(self) -> str:
        """What it has written to standard error so far, unless that went elsewhere."""
        return _text_in(self._errors)

    def close(self) -> None:
        """Kill it, if it has not ended."""
        self.kill()
        self._connection.close()
        self._output.close()
        self._errors.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self) -> int:
        """What the server says next: the process's id, and then how it ended."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self._connection.recv(1)
            assert byte, "the server has ended"
            line += byte
        return int(line)


class ForkedLongctx:
    """The client of the server: starts `longctx` with arguments."""

    def __init__(self, address: Path) -> None:
        self._address = address

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end with an empty standard input, as `subprocess.run` would with `capture_output`."""
        with self.start(*arguments, cwd=cwd, **environment) as process:
            code = process.wait()
            return subprocess.CompletedProcess([*map(str, arguments)], code, process.stdout, process.stderr)

    def run_code(self, code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of Python in the place of `longctx`, as `python -c` would."""
        with self.start(*arguments, code=code) as process:
            ended = process.wait()
            return subprocess.CompletedProcess([code, *map(str, arguments)], ended, process.stdout, process.stderr)

    def start(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        terminal: bool = False,
        code: str | None = None,
        **environment: str,
    ) -> Process:
        """Start it; with `terminal`, in a session of its own whose terminal is standard input.

        The streams are descriptors. Standard input is empty and the others are kept, where none is given.
        """
        output, errors = TemporaryFile(), TemporaryFile()  # noqa: SIM115 (the process closes them)
        request = {
            "arguments": [*map(str, arguments)],
            "folder": str(cwd or Path.cwd()),
            "environment": {**os.environ, **environment},
            "terminal": terminal,
            "code": code,
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._address))
        with open(os.devnull) as nothing:  # noqa: PTH123
            given = (stdin, nothing), (stdout, output), (stderr, errors)
            streams = [other.fileno() if own is None else own for own, other in given]
            message = json.dumps(request).encode()
            socket.send_fds(connection, [len(message).to_bytes(4, "big")], streams)
            connection.sendall(message)
            return Process(connection, output, errors)


def _text_in(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


@contextmanager
def forking_server() -> Iterator[ForkedLongctx]:
    """Start the server, and end it on the way out."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with TemporaryDirectory() as folder:
        address = Path(folder, "server")
        with subprocess.Popen(
            [sys.executable, __file__, str(address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads, **paths},
            start_new_session=True,  # Ctrl-C in pytest's terminal is not for it
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield ForkedLongctx(address)


def serve(address: str) -> str | None:
    """Fork for each connection, until standard input ends.

    Returns in the processes that are to be `longctx`, or to run the code that it returns.
    """
    with socket.create_server(address, family=socket.AF_UNIX) as server:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait are not waited for
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [])
            if sys.stdin in ready:
                os._exit(0)
            connection, _ = server.accept()
            with connection:
                if os.fork() == 0:
                    return fork_and_wait(connection)


def fork_and_wait(connection: socket.socket) -> str | None:
    """Fork what is to run, and say its id and how it ended. Returns in that process alone, as `serve` does."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += connection.recv(1 << 16)
    if (child := os.fork()) == 0:
        request = json.loads(message)
        become(request, streams)
        return request["code"]
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{child}\n".encode())
    connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    os._exit(0)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Take on the arguments, folder, environment and standard streams that were asked for."""
    if request["terminal"]:
        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)  # so that Ctrl-C in it is a signal
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["longctx", *request["arguments"]]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def import_everything() -> None:
    """Import what commands import, and start no thread."""
    from longctx.models.quantization import hide_bitsandbytes

    hide_bitsandbytes()  # as `longctx.cli.main` does before transformers is imported
    import faiss  # noqa: F401
    import filelock  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import prompt_toolkit  # noqa: F401
    import rich.progress  # noqa: F401
    import sentence_transformers  # noqa: F401
    import tantivy  # noqa: F401
    from transformers.models.llama import modeling_llama  # noqa: F401

    import longctx.conversation.conversation  # noqa: F401
    import longctx.evaluation.runner  # noqa: F401
    import longctx.probe.runner  # noqa: F401
    from indexes.text.analyzer import terms

    terms("日本語 and words")
    assert sys.platform != "linux" or len([*Path("/proc/self/task").iterdir()]) == 1, "a thread survives no fork"


def run_and_exit(main: Callable[[], object]) -> NoReturn:
    """Run to the end, and exit without taking apart all that was imported, which takes seconds."""
    code: object = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    from longctx.cli import main

    import_everything()
    gc.collect()
    gc.freeze()  # or the first collection in each process would copy the memory that they share
    code = serve(sys.argv[1])
    run_and_exit(main if code is None else partial(exec, code, {"__name__": "__main__"}))
