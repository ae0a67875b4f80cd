"""Reading in a child process with limits on time and memory, so that a hostile file harms nothing but itself.

The child is started for the first risky file, reads one file after another, and is killed and replaced when a file
exceeds a limit.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import asdict

from indexes.child_process import isolated_command
from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText
from indexes.readers.sandbox_worker import receive, send, unpacked

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread would take address space


class _Child:
    """A child process that is ready to read files; it belongs to the process that started it."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._is_late = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, and a constant)
                isolated_command("indexes.readers.sandbox_worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
            )
        except OSError as error:
            raise UnreadableFile(f"no process to read it in could be started: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        try:
            receive(self._answers)  # it is ready: its start takes none of the first file's time
        except (EOFError, OSError) as error:
            self.end()
            raise UnreadableFile("the process to read it in ended before it began") from error
        except BaseException:
            self.end()
            raise

    def read(self, suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
        """Read a file. Raises UnreadableFile, and may end the child: see `is_usable`."""
        clock = threading.Timer(limits.max_seconds, self._too_late)
        clock.daemon = True
        clock.start()
        try:
            send(self._requests, {"suffix": suffix, "limits": asdict(limits)}, data)
            answer, payload = receive(self._answers)
        except (EOFError, OSError) as error:
            raise UnreadableFile(self._cause(limits)) from error
        except BaseException:
            self.end()  # half an answer may be under way
            raise
        finally:
            clock.cancel()
            clock.join()
        if self._is_late or "spent" in answer:
            self.end()
        if "refused" in answer:
            raise UnreadableFile(answer["refused"])
        return unpacked(answer, payload)

    def is_usable(self) -> bool:
        """Whether it can read a file: it is alive, and was started by this process, not by one that forked this one."""
        return self._owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """Kill it, unless another process started it, and close the pipes."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._requests, self._answers):
            with suppress(OSError):  # there is nobody left to flush the rest to
                pipe.close()

    def _too_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _cause(self, limits: ReadLimits) -> str:
        """Why there is no answer, for which the child's exit status has to be waited for."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.end()
        status = self._process.returncode
        if self._is_late or status == -signal.SIGXCPU:
            return f"takes more than {limits.max_seconds:g} s to read; raise --max-seconds"
        name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        return f"brought down the process that read it ({name}): a hostile file, or too little memory"


_in_use = threading.Lock()
_child: _Child | None = None


def read_in_sandbox(suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
    """Read a file's bytes in the child. Raises UnreadableFile, also for a file that exceeds a limit."""
    global _child
    with _in_use:
        if _child is not None and not _child.is_usable():
            _child.end()
            _child = None
        _child = _child or _Child()
        return _child.read(suffix, data, limits)


def end_sandbox() -> None:
    """End the sandbox process, if there is one; the next file that needs it starts another."""
    global _child
    with _in_use:
        if _child is not None:
            _child.end()
        _child = None


atexit.register(end_sandbox)
