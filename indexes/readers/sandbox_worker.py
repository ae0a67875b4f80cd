"""The child process in which risky formats are read, and the messages between it and its parent.

A message is the lengths of a JSON object and of a payload, then both; never a pickle. The child reads one file after
another until its input ends. The system limits its memory and its processor time.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText
from indexes.types import Heading, Table

_LENGTHS = struct.Struct(">QQ")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def send(stream: IO[bytes], message: dict[str, Any], payload: bytes) -> None:
    """Write a message."""
    head = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(head), len(payload)))
    stream.write(head)
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read a message. Raises EOFError when the other side has gone."""
    head, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, head)), _exactly(stream, payload)


def unpacked(message: dict[str, Any], payload: bytes) -> ReadText:
    """Return the `ReadText` that `_answer` packed into a message."""
    headings = tuple(Heading(start, level, text) for start, level, text in message["headings"])
    return ReadText(
        payload.decode("utf-8", "surrogatepass"),
        message["title"],
        headings,
        tuple(message["pages"]),
        tuple(message["breaks"]),
        message["metadata"],
        tuple(message["warnings"]),
        tuple(Table(start, end, header) for start, end, header in message["tables"]),
        unreadable=tuple(message["unreadable"]),
        includes=tuple(message["includes"]),
    )


def main() -> None:
    """Run the child: read files until the parent has gone."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that what a library prints is not taken for an answer
    send(answers, {"ready": True}, b"")
    with suppress(EOFError):
        while True:
            request, data = receive(requests)
            send(answers, *_answer(request["suffix"], data, ReadLimits(**request["limits"])))


def _answer(suffix: str, data: bytes, limits: ReadLimits) -> tuple[dict[str, Any], bytes]:
    from indexes.errors import UnreadableFile
    from indexes.readers.registry import read_here

    _bound(limits)
    try:
        reading = read_here(suffix, data, limits)
        marks = {"title": reading.title, "pages": reading.pages, "breaks": reading.breaks[:MOST_MARKS]}
        headings = [(heading.start, heading.level, heading.text) for heading in reading.headings[:MOST_MARKS]]
        tables = [(table.start, table.end, table.header) for table in reading.tables[:MOST_MARKS]]
        about = {
            "metadata": dict(reading.metadata),
            "warnings": reading.warnings,
            "unreadable": reading.unreadable,
            "includes": reading.includes,
        }
        message = {**marks, **about, "headings": headings, "tables": tables}
        return message, reading.text.encode("utf-8", "surrogatepass")
    except UnreadableFile as error:
        return {"refused": error.reason}, b""
    except MemoryError:
        return {"refused": f"takes more than {limits.max_memory / 1e6:,.0f} MB of memory to read", "spent": True}, b""


def _bound(limits: ReadLimits) -> None:
    """Limit the address space and the processor time for this file, beyond what was used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    set_limit(resource.RLIMIT_AS, _address_space() + limits.max_memory)
    # The parent counts the seconds by the clock. This is for a child whose parent was killed.
    set_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.max_seconds) + 2)
    set_limit(resource.RLIMIT_CORE, 0)


def set_limit(kind: int, most: int) -> None:
    """Limit a resource of this process, as far as the system lets it."""
    hard = resource.getrlimit(kind)[1]
    with suppress(ValueError, OSError):  # macOS has RLIMIT_AS and refuses to set it
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _address_space() -> int:
    """Bytes of address space that this process has so far; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    except (OSError, ValueError):
        return 0


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
