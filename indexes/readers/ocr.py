"""Pages without readable text: what is said of them, and OCR by a program of the user's.

The program gets the file in a folder of its own and writes its result there: a PDF with a text layer, or plain text.
Its time, its memory and the size of what it writes are limited, its output is read like any other file, and it is not
given the keys that are in the environment.
"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, one_line
from indexes.readers.sandbox_worker import set_limit

_REMEDY = "run OCR on it, e.g. `ocrmypdf -l jpn in.pdf out.pdf`, or give --ocr"
NO_TEXT = "no text in it (a scan?); run OCR on it first"
NOT_READABLE = f"no readable text in it (a scan, or fonts without meaning): {_REMEDY}"
_BETWEEN_PAGES = "\f"
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_MOST_OUTPUT = 2_000_000_000  # bytes
_RANGES_NAMED = 10


def with_recognised_text(
    reading: ReadText, data: bytes, limits: ReadLimits, read: Callable[[str, bytes, ReadLimits], ReadText]
) -> ReadText:
    """Fill in the pages of a PDF that hold no readable text, and warn of those that stay without.

    Args:
        reading: What was read of it.
        data: The file's bytes.
        limits: The limits, and the command, if there is one.
        read: Reads a file by its suffix.

    Returns:
        The text with what OCR found. If OCR gives another number of pages, all of the text is taken from there.
    """
    if not reading.unreadable:
        return reading
    failure = ""
    if limits.ocr is not None:
        try:
            output = _run(limits.ocr, data, limits)
            suffix = ".pdf" if output.startswith(b"%PDF") else ".txt"
            reading = _merged(reading, read(suffix, output, limits))
        except UnreadableFile as error:
            failure = error.reason
    warnings = [*reading.warnings]
    if failure:
        warnings.append(f"OCR failed: {failure}")
    if reading.unreadable:
        warnings.append(_warning(reading.unreadable))
    return replace(reading, warnings=tuple(warnings))


def _merged(reading: ReadText, recognised: ReadText) -> ReadText:
    """The pages of a file, with the unreadable ones from its recognised text."""
    found = recognised.text.split(_BETWEEN_PAGES)
    own = reading.text.split(_BETWEEN_PAGES)
    if len(found) != len(own):
        return replace(recognised, title=reading.title, metadata=reading.metadata)
    filled = [
        "\n".join(filter(None, (new.strip("\n"), old))) if number in reading.unreadable else old
        for number, (old, new) in enumerate(zip(own, found, strict=True), start=1)
    ]
    starts = tuple(accumulate((len(page) + 1 for page in filled[:-1]), initial=0))

    def moved(offset: int) -> int:
        page = bisect_right(reading.pages, offset) - 1
        return offset + starts[page] - reading.pages[page] + len(filled[page]) - len(own[page])

    still = tuple(number for number in reading.unreadable if number in recognised.unreadable)
    return replace(
        reading,
        text=_BETWEEN_PAGES.join(filled),
        pages=starts,
        headings=tuple(replace(heading, start=moved(heading.start)) for heading in reading.headings),
        breaks=tuple(map(moved, reading.breaks)),
        tables=tuple(
            replace(table, start=moved(table.start), end=moved(table.end - 1) + 1) for table in reading.tables
        ),
        unreadable=still,
    )


def _run(command: str, data: bytes, limits: ReadLimits) -> bytes:
    """Run the user's program on a file. Raises UnreadableFile if it fails or takes too long."""
    with TemporaryDirectory(prefix="longctx-ocr-") as folder:
        names = {"{input}": str(Path(folder, "input.pdf")), "{output}": str(Path(folder, "output.pdf"))}
        Path(names["{input}"]).write_bytes(data)
        words = shlex.split(command)
        for name, path in names.items():
            words = [word.replace(name, path) for word in words]
        complaint = _wait(words, folder, limits)
        output = Path(names["{output}"])
        found = next((path for path in (output, Path(f"{output}.txt"), Path(f"{output}.pdf")) if path.is_file()), None)
        if found is None:
            raise UnreadableFile(f"the program wrote no output{complaint}")
        if found.stat().st_size > limits.max_bytes:
            raise UnreadableFile(f"the program's output is over the size limit of {limits.max_bytes:,} bytes")
        result = found.read_bytes()
    if not result:
        raise UnreadableFile(f"the program's output is empty{complaint}")
    return result


def _wait(words: list[str], folder: str, limits: ReadLimits) -> str:
    """Run a program to its end, and end what it started with it. Returns its last complaint."""
    keys = [name for name in os.environ if any(secret in name.upper() for secret in _SECRET)]
    environment = {name: value for name, value in os.environ.items() if name not in keys} | {"TMPDIR": folder}
    complaints = Path(folder, "stderr")
    with complaints.open("wb") as stderr:
        try:
            process = subprocess.Popen(  # noqa: S603 (the user's own command)
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=lambda: _bound(limits),
            )
        except OSError as error:
            raise UnreadableFile(f"the program '{words[0]}' cannot be run: {error.strerror}") from error
        try:
            status = process.wait(timeout=limits.max_ocr_seconds)
        except subprocess.TimeoutExpired as error:
            raise UnreadableFile(f"it takes more than {limits.max_ocr_seconds:g} s") from error
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last = complaints.read_bytes()[-2_000:].decode("utf-8", "replace").strip().rpartition("\n")[2]
    complaint = f": {one_line(last)}" if last else ""
    if status != 0:
        raise UnreadableFile(f"the program '{words[0]}' ended with exit code {status}{complaint}")
    return complaint


def _bound(limits: ReadLimits) -> None:
    """Limit memory, processor time and files, in the program's process before it starts."""
    for kind, most in (
        (resource.RLIMIT_AS, 2 * limits.max_memory),
        (resource.RLIMIT_CPU, int(limits.max_ocr_seconds) + 1),
        (resource.RLIMIT_FSIZE, _MOST_OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        set_limit(kind, most)


def _warning(pages: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and ranges[-1][1] == page - 1:
            ranges[-1][1] = page
        else:
            ranges.append([page, page])
    named = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_RANGES_NAMED])
    is_one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    more = f" and {len(ranges) - _RANGES_NAMED:,} more ranges" if len(ranges) > _RANGES_NAMED else ""
    hold = f"page {named} holds" if is_one else f"pages {named}{more} hold"
    return f"{hold} no readable text: {_REMEDY}"
