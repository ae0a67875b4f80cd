"""The child process in which risky formats are read, and how the two sides talk.

A message is a JSON object and a payload, each after its length; never a pickle. The child reads one file after
another until its input ends. Its memory and its processor time are bounded by the system, so that what a file can do
to it, it cannot do to the ingest.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText
from indexes.types import Heading

_LENGTHS = struct.Struct(">QQ")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes) -> None:
    """Write a message."""
    head = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(head), len(payload)))
    stream.write(head)
    stream.write(payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read a message. Raises EOFError when the other side has gone."""
    head, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, head)), _exactly(stream, payload)


def reading_of(message: dict[str, Any], payload: bytes) -> ReadText:
    """The Reading that `_answer` took apart."""
    headings = tuple(Heading(start, level, text) for start, level, text in message["headings"])
    return ReadText(
        payload.decode("utf-8", "surrogatepass"),
        message["title"],
        headings,
        tuple(message["pages"]),
        tuple(message["breaks"]),
        message["metadata"],
        tuple(message["warnings"]),
    )


def main() -> None:
    """Read files until the parent has gone."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    send(answers, {"ready": True}, b"")
    with suppress(EOFError):
        while True:
            request, data = receive(requests)
            send(answers, *_answer(request["suffix"], data, ReadLimits(**request["limits"])))


def request(suffix: str, limits: ReadLimits) -> dict[str, Any]:
    """What to ask the child for, beside the file's bytes."""
    return {"suffix": suffix, "limits": asdict(limits)}


def _answer(suffix: str, data: bytes, limits: ReadLimits) -> tuple[dict[str, Any], bytes]:
    from indexes.errors import UnreadableFile
    from indexes.readers.registry import read_here

    _bound(limits)
    try:
        reading = read_here(suffix, data, limits)
        marks = {"title": reading.title, "pages": reading.pages, "breaks": reading.breaks[:MOST_MARKS]}
        headings = [(heading.start, heading.level, heading.text) for heading in reading.headings[:MOST_MARKS]]
        message = {**marks, "headings": headings, "metadata": dict(reading.metadata), "warnings": reading.warnings}
        return message, reading.text.encode("utf-8", "surrogatepass")
    except UnreadableFile as error:
        return {"refused": error.reason}, b""
    except MemoryError:
        return {"refused": f"takes more than {limits.max_memory / 1e6:,.0f} MB of memory to read", "spent": True}, b""


def _bound(limits: ReadLimits) -> None:
    """For this file: so much address space and so many seconds of processor time more than were used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_AS, _address_space() + limits.max_memory)
    # The parent counts the seconds by the clock. This is for a child whose parent was killed.
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.max_seconds) + 2)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    with suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and refuses to set it
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _address_space() -> int:
    """Bytes of address space that this process has before it reads the file; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    except (OSError, ValueError):
        return 0


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
