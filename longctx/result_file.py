"""Results in a folder, a line of `results.jsonl` for each, written as they come.

Work that is stopped, or killed, goes on from here: what is in the file is not done again.
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from filelock import FileLock, Timeout

from longctx.atomic_write import write_atomically
from longctx.bounded_file import check_kind
from longctx.errors import BadRequest

RESULTS = "results.jsonl"

_LOCK = ".lock"
_LONGEST_HEADER = 1 << 20  # bytes
_SEALED = re.compile(rb'(.*),"checksum":(\d+)\}', re.DOTALL)


class Result(Protocol):
    """A pydantic model of a result, whose `key` names what was done."""

    @property
    def key(self) -> Any:
        """What was done, without its outcome."""

    def model_dump_json(self) -> str:
        """Write it as JSON, on one line."""

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> Any:
        """Read what `model_dump_json` wrote."""


R = TypeVar("R", bound=Result)


class Results(Generic[R]):
    """The results so far, and the file that they are kept in, if any.

    Attributes:
        known: The results by their keys.
        note: What to tell the user of the file; empty if there is nothing to tell.
    """

    def __init__(self, known: Mapping[Any, R], file: BinaryIO | None = None, note: str = "") -> None:
        self.known = dict(known)
        self.note = note
        self._file = file

    def add(self, result: R) -> None:
        """Keep a result, in the file too: a process that is killed after this has it. Raises BadRequest."""
        self.known[result.key] = result
        if self._file is not None:
            _write(self._file, _sealed(result.model_dump_json()))


@contextmanager
def open_results(
    folder: Path, kind: type[R], work: str, fingerprint: Mapping[str, Any], show: Callable[[Any], str] = str
) -> Iterator[Results[R]]:
    """Open the results in a folder, which is made if need be, for this process alone.

    Args:
        folder: The folder.
        kind: What a result is.
        work: What the results are of, such as "probe", for messages.
        fingerprint: What results depend on beside their keys.
        show: Writes a value of the fingerprint in a message.

    Yields:
        The results there, to be added to.

    Raises:
        BadRequest: If the folder's results depend on something else, it cannot be written to, or another process is
            writing to it.
    """
    path = folder / RESULTS
    with ExitStack() as opened:
        with writing_to(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                opened.enter_context(FileLock(folder / _LOCK, timeout=0))
            except Timeout as error:
                other = f"another {work} is writing to {folder}"
                raise BadRequest(f"{other}: wait for it, or give another --out") from error
        with writing_to(path):
            file = opened.enter_context(_opened(path))
            file.seek(0)
            data = file.read(_LONGEST_HEADER)
            if b"\n" in data:  # or it is none of ours, however long it is
                data += file.read()
        header = json.dumps(fingerprint, ensure_ascii=False)
        if f"{header}\n".encode().startswith(data):  # a new file, or one that was cut short at once
            _cut(file, 0)
            _write(file, header)
            yield Results({}, file)
            return
        whole = data[: data.rfind(b"\n") + 1]  # a kill or a full disk may have cut the last line short
        results = _parsed(whole, kind, work, path, fingerprint, show)
        _cut(file, len(whole))
        note = "" if data == whole else f"the last line of {path} was cut short, and what it was about is done again"
        yield Results({result.key: result for result in results}, file, note)


def _opened(path: Path) -> BinaryIO:
    """Open a file of results, or make it. Raises OSError for a link or what is no file."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, and is not followed")
    with suppress(FileNotFoundError):
        check_kind(path)
    unfollowed = os.O_NOFOLLOW | os.O_NONBLOCK  # should it have become a link or a pipe just now
    return open(path, "a+b", buffering=0, opener=lambda name, flags: os.open(name, flags | unfollowed, 0o600))


def write_result(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file that a user has asked for, for its owner alone; it appears whole or not at all.

    Args:
        path: The file to create or replace.
        write: Writes it, as `write_atomically` takes it.

    Raises:
        BadRequest: If it cannot be written.
    """
    with writing_to(path):
        write_atomically(path, write, private=True)


def write_result_text(path: Path, text: str) -> None:
    """Write a text as `write_result` writes a file."""
    write_result(path, lambda new: new.write_text(text, encoding="utf-8"))


@contextmanager
def writing_to(path: Path | str) -> Iterator[None]:
    """Raise BadRequest for a file or a folder that the system does not let be written."""
    try:
        yield
    except OSError as error:
        raise BadRequest(f"{path} cannot be written to: {error.strerror or error}") from error


def _parsed(
    whole: bytes, kind: type[R], work: str, path: Path, fingerprint: Mapping[str, Any], show: Callable[[Any], str]
) -> list[R]:
    """The results in the lines of a file. Raises BadRequest for those of something else."""
    try:
        first, *lines = whole.removesuffix(b"\n").split(b"\n")  # an answer may hold other line breaks
        there = json.loads(first)
        other = [name for name in (*fingerprint, *there) if there.get(name) != fingerprint.get(name)]
        results: list[R] = [kind.model_validate_json(_unsealed(line)) for line in ([] if other else lines)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest(f"{path} is damaged or no {work}'s: remove it, or give another --out") from error
    if other:
        before, now = (show(each.get(other[0])) for each in (there, fingerprint))
        raise BadRequest(
            f"{path.parent} holds results with another {', '.join(dict.fromkeys(other))} ({before}, now {now}): give "
            "another --out, or remove the folder"
        )
    return results


def _sealed(line: str) -> str:
    """The JSON of a result, with a checksum of it as its last value."""
    return f'{line[:-1]},"checksum":{zlib.crc32(line.encode())}}}'


def _unsealed(line: bytes) -> bytes:
    """The JSON of a result without its checksum, if it has one. Raises ValueError if that does not match."""
    if (sealed := _SEALED.fullmatch(line)) is None:  # an older longctx wrote none
        return line
    whole = sealed[1] + b"}"
    if zlib.crc32(whole) != int(sealed[2]):
        raise ValueError("its checksum does not match")
    return whole


def _write(file: BinaryIO, line: str) -> None:
    """Write a line, all of it or an error: a file without a buffer takes what the disk has room for."""
    data = f"{line}\n".encode()
    with writing_to(file.name):
        if file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _cut(file: BinaryIO, size: int) -> None:
    with writing_to(file.name):
        file.truncate(size)
