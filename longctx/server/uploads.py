"""The folder beside an index that holds what was uploaded. A file gets its name when all of it has arrived."""

from __future__ import annotations

import os
import unicodedata
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from indexes.readers import SUFFIXES
from indexes.storage import file_mode
from longctx.errors import BadRequest

_LONGEST_NAME = 200  # bytes: file systems take 255
_PART = ".part"


class TooLarge(BadRequest):
    """An upload is larger than the server takes."""


def file_name(given: str | None) -> str:
    """The name under which an uploaded file is kept.

    Args:
        given: The name that the client gave it, perhaps with folders.

    Returns:
        Its last part, in Unicode normal form C.

    Raises:
        BadRequest: For a name that cannot be a file's, and for a kind of file that is not read.
    """
    name = unicodedata.normalize("NFC", (given or "").replace("\\", "/").rsplit("/", 1)[-1]).strip()
    if not name or name.startswith(".") or not name.isprintable():
        raise BadRequest(f"{name!r} cannot be a file's name: give it another")
    if len(name.encode()) > _LONGEST_NAME:
        raise BadRequest(f"{name[:40]!r}… is a name of more than {_LONGEST_NAME} bytes: give it a shorter one")
    if Path(name).suffix.lower() not in SUFFIXES:
        raise BadRequest(f"{name!r} is of a kind that is not read: {' '.join(sorted(SUFFIXES))} are")
    return name


async def save(folder: Path, name: str, pieces: AsyncIterator[bytes], most: int) -> Path:
    """Write an upload to disk; one of the same name is replaced. A folder that is made is its owner's alone.

    Args:
        folder: The folder of uploads.
        name: A name from `file_name`.
        pieces: The bytes.
        most: How many bytes are taken.

    Returns:
        The file.

    Raises:
        TooLarge: If there are more bytes.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = anyio.Path(folder / f".{uuid.uuid4().hex}{_PART}")
    size = 0
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, file_mode(folder)))
        async with await part.open("wb") as file:
            async for piece in pieces:
                size += len(piece)
                if size > most:
                    raise TooLarge(f"{name!r} has more than {most:,} bytes: that is the most (--max-size)")
                await file.write(piece)
        await part.rename(folder / name)
    finally:
        await part.unlink(missing_ok=True)
    return folder / name


def remove_unfinished(folder: Path) -> None:
    """Delete what a server that was killed had not received in full.

    Args:
        folder: The folder of uploads, which need not exist.
    """
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)
