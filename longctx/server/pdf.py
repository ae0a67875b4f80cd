"""Pages of PDF files as pictures, and where a passage stands on them.

PDFium runs in a process of its own, with limits on memory and time, since files are not trusted.
"""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import PurePath

from indexes.child_process import isolated_command
from longctx.errors import BadRequest, LongctxError, extra

_SECONDS = 20.0
_AT_ONCE = 2
_LARGEST = 200_000_000  # bytes


class NoPage(BadRequest):
    """A page that cannot be shown."""


async def picture(name: str, data: bytes, page: int, width: int) -> bytes:
    """Draw a page.

    Args:
        name: The name of the PDF file.
        data: Its bytes.
        page: The page, from 1.
        width: The width in pixels.

    Returns:
        A PNG. Raises as `marks` does.
    """
    return await _run(name, data, {"do": "picture", "page": page, "width": width})


async def marks(name: str, data: bytes, page: int, passage: str) -> tuple[int, list[tuple[float, float, float, float]]]:
    """Find a passage on a page.

    Args:
        name: The name of the PDF file.
        data: Its bytes.
        page: The page, from 1.
        passage: The passage, as the index has it.

    Returns:
        How many pages the file has, and rectangles (left, top, width, height) as shares of the page.

    Raises:
        NoPage: If there is no such page, or the file cannot be drawn.
        LongctxError: If the package for it is missing.
    """
    found = json.loads(await _run(name, data, {"do": "marks", "page": page, "passage": passage}))
    return found["pages"], [tuple(each) for each in found["rectangles"]]


_slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


async def _run(name: str, data: bytes, request: dict[str, object]) -> bytes:
    if PurePath(name).suffix.lower() != ".pdf" or len(data) > _LARGEST:
        raise NoPage(f"{name} is no PDF that can be drawn: read its text")
    slot = _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))
    asked = json.dumps(request).encode()
    async with slot:
        process = await asyncio.create_subprocess_exec(
            *isolated_command("longctx.server.pdf_worker"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            given = struct.pack(">I", len(asked)) + asked + data
            out, _ = await asyncio.wait_for(process.communicate(given), _SECONDS)
        except (asyncio.TimeoutError, BrokenPipeError) as error:
            raise NoPage(f"{name} took too long to draw: read its text") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == 2:
        raise NoPage(f"{name} has no page {request['page']}")
    if process.returncode == 3:
        raise LongctxError(f"pages cannot be drawn without pypdfium2: install {extra('server')}")
    if process.returncode != 0:
        raise NoPage(f"{name} cannot be drawn: read its text")
    return out
