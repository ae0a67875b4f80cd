"""A program that forks processes which are to be killed: a line of JSON in, a line of JSON out.

The program is the file of a test, run as one. It imports what they need and starts no thread, since a thread would not
survive a fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ForkingProgram:
    """A program that runs as long as the `with` block; `ask` gives it a line."""

    def __init__(self, *command: str | Path) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, **paths},
        )

    def ask(self, *asked: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> ForkingProgram:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes its pipes, which ends it, and waits
            pass
        assert self._process.returncode == 0


def serve(answer: Callable[..., Any]) -> None:
    """Be such a program: answer what is asked, until standard input ends."""
    alone = sys.platform != "linux" or len([*Path("/proc/self/task").iterdir()]) == 1
    assert alone, "a thread survives no fork"
    for line in sys.stdin:
        print(json.dumps(answer(*json.loads(line))), flush=True)


def end_of(child: int, deadline: float) -> int:
    """Wait for a process, and kill it at that time; its exit code, or minus the signal's number."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.0005)
