"""Reading in a child process, whose time and memory are bounded: a hostile file costs itself only.

The child is started when the first risky file comes, reads one file after another, and is killed and replaced when a
file takes it over a limit. Knows no formats.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import BinaryIO, cast

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText
from indexes.readers.sandbox_worker import reading_of, receive, request, send

# -I: no module of the folder that the user happens to stand in is imported. The path is then the parent's own.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from indexes.readers.sandbox_worker import main; main()"
)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread would take address space


class _Child:
    """A running child; it belongs to the process that started it."""

    def __init__(self) -> None:
        path = json.dumps([os.path.abspath(entry) for entry in sys.path])
        self._owner = os.getpid()
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, and a constant)
            [sys.executable, "-I", "-c", _START, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
        )
        self._late = False

    def wait_until_ready(self) -> None:
        """Return when it waits for a file, so that its start takes none of the file's time. Raises EOFError."""
        receive(cast("BinaryIO", self._process.stdout))

    def read(self, suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
        """What the child makes of a file; raises UnreadableFile. It may be dead afterwards: see `is_usable`."""
        clock = threading.Timer(limits.max_seconds, self._too_late)
        clock.daemon = True
        clock.start()
        try:
            send(cast("BinaryIO", self._process.stdin), request(suffix, limits), data)
            answer, payload = receive(cast("BinaryIO", self._process.stdout))
        except (EOFError, OSError) as error:
            raise UnreadableFile(self._cause(limits)) from error
        except BaseException:
            self.end()  # half an answer may be under way
            raise
        finally:
            clock.cancel()
            clock.join()
        if self._late or "spent" in answer:
            self.end()
        if "refused" in answer:
            raise UnreadableFile(answer["refused"])
        return reading_of(answer, payload)

    def is_usable(self) -> bool:
        """Whether it can be given a file: it lives, and was not taken over from a process that forked this one."""
        return self._owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """Kill it, unless it is another process's, and let go of it."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was not written yet has nobody to go to
                cast("BinaryIO", pipe).close()

    def _too_late(self) -> None:
        self._late = True
        self._process.kill()

    def _cause(self, limits: ReadLimits) -> str:
        """Why there is no answer. It has the child's own status only if that is waited for."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.end()
        status = self._process.returncode
        if self._late or status == -signal.SIGXCPU:
            return f"takes more than {limits.max_seconds:g} s to read; raise --max-seconds"
        name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        return f"brought down the process that read it ({name}): a hostile file, or too little memory"


_in_use = threading.Lock()
_child: _Child | None = None


def read_in_sandbox(suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
    """The Reading of a file's bytes, made by the child. Raises UnreadableFile, also for what goes over a limit."""
    global _child
    with _in_use:
        if _child is not None and not _child.is_usable():
            _child.end()
            _child = None
        _child = _child or _start()
        return _child.read(suffix, data, limits)


def _start() -> _Child:
    try:
        child = _Child()
    except OSError as error:
        raise UnreadableFile(f"no process to read it in could be started: {error.strerror}") from error
    try:
        child.wait_until_ready()
    except BaseException as error:
        child.end()
        if isinstance(error, (EOFError, OSError)):
            raise UnreadableFile("the process to read it in ended before it began") from error
        raise
    return child


def end_sandbox() -> None:
    """End the child, if there is one; the next risky file starts another."""
    global _child
    with _in_use:
        if _child is not None:
            _child.end()
        _child = None


atexit.register(end_sandbox)
