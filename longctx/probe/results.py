"""The results of a probe, one line of a file for each question, written as they come.

A probe that is stopped, or killed, goes on from here: nothing that is in the file is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from longctx.errors import BadRequest

_FORMAT = 2  # 1: the prompts were not those of `ask`
_FILE, _LOCK = "results.jsonl", ".lock"


class ResultKey(NamedTuple):
    """What was asked, whatever came out: question `question` about text `trial`, or window `trial` of perplexity."""

    task: str
    language: str
    method: str
    length: int
    trial: int
    question: int


class Result(BaseModel):
    """The answer to question `question` of text `trial`, and its `score` from 0 to 1.

    For perplexity, `trial` is a window and `score` the mean loss of its tokens, in nats.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    language: str
    method: str
    length: int
    trial: int
    question: int
    depth: float | None
    score: float
    answer: str = ""
    expected: tuple[str, ...] = ()
    read: int
    seconds: float

    @property
    def key(self) -> ResultKey:
        """What was asked, whatever came out."""
        return ResultKey(self.task, self.language, self.method, self.length, self.trial, self.question)


class Results:
    """The results in a file, and those that are added to it."""

    def __init__(self, results: Mapping[ResultKey, Result], file: BinaryIO) -> None:
        self.known = dict(results)
        self._file = file

    def __contains__(self, key: object) -> bool:
        return key in self.known

    def add(self, result: Result) -> None:
        """Keep a result, in the file too: a process that is killed after this has it."""
        self.known[result.key] = result
        self._file.write(f"{result.model_dump_json()}\n".encode())
        self._file.flush()


@contextmanager
def open_results(folder: Path, fingerprint: Mapping[str, Any]) -> Iterator[Results]:
    """Open the results in a folder, which is made if need be, for this process alone.

    Args:
        folder: The folder that a probe writes to.
        fingerprint: What results depend on beside their keys.

    Yields:
        The results there, to be added to.

    Raises:
        BadRequest: If the folder's results depend on something else, or another process is writing.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / _FILE).touch(mode=0o600)
        with FileLock(folder / _LOCK, timeout=0), (folder / _FILE).open("a+b") as file:
            yield Results(_read(file, folder, {"format": _FORMAT, **fingerprint}), file)
    except Timeout as error:
        raise BadRequest(f"another probe is writing to {folder}: wait for it, or give another --out") from error
    except OSError as error:
        raise BadRequest(f"{folder} cannot be written to: {error.strerror or error}") from error


def _read(file: BinaryIO, folder: Path, fingerprint: Mapping[str, Any]) -> dict[ResultKey, Result]:
    """The results in a file that is open; a new one gets its first line, and a line cut short by a kill goes."""
    file.seek(0)
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]  # a full disk may have cut the last line inside a character
    file.truncate(len(whole))
    first, *lines = whole.removesuffix(b"\n").split(b"\n")  # an answer may hold other line breaks
    if not first:
        file.write(f"{json.dumps(fingerprint, ensure_ascii=False)}\n".encode())
        return {}
    try:
        there = json.loads(first)
        other = [name for name in fingerprint if there.get(name) != fingerprint[name]]
        results = [Result.model_validate_json(line) for line in ([] if other else lines)]
    except (ValueError, AttributeError) as error:
        raise BadRequest(f"{folder / _FILE} is damaged or no probe's: remove it, or give another --out") from error
    if other:
        raise BadRequest(
            f"{folder} holds a probe with another {', '.join(other)} "
            f"({there.get(other[0])!r}, now {fingerprint[other[0]]!r}): give another --out, or remove the folder"
        )
    return {result.key: result for result in results}
