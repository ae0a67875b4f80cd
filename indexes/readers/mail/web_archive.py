"""Saved web pages (.mht, .mhtml): a page and what it shows, packed as an e-mail is."""

from __future__ import annotations

from dataclasses import replace
from email.message import Message

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, joined_readings, one_line
from indexes.readers.hidden import with_hidden_named
from indexes.readers.html import read_web_page
from indexes.readers.mail.message import PAGES, header, parsed_message, part_text


def read_web_archive(data: bytes, limits: ReadLimits) -> ReadText:
    """Read the main text of the page, or of its frames if it has no other text.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with headings, and with `breaks` at table rows.

    Raises:
        UnreadableFile: There is no page in it, or the page cannot be read.
    """
    message = parsed_message(data)
    pages = [part for part in message.walk() if part.get_content_type() in PAGES]
    if not pages:
        if message.get("Content-Type") is None:
            return read_web_page(data, limits)  # a page that is not packed
        raise UnreadableFile("a saved web page with no page in it")
    start = message.get_param("start")
    main = next((page for page in pages if start is not None and page.get("Content-ID") == start), pages[0])
    doubts: list[str] = []
    reading = part_text(main, limits, [], doubts)
    frames = list(filter(None, (_frame(page, limits, doubts) for page in pages if page is not main)))
    if frames and not reading.text.strip():
        reading = replace(joined_readings(frames, "\n\n"), title=reading.title)
    elif frames:
        count = f"{len(frames):,} frames" if len(frames) > 1 else "a frame"
        doubts.append(f"the text of {count} of the page is not read: save what it shows as a file of its own")
    title = reading.title or one_line(header(message, "Subject", limits))
    return with_hidden_named(replace(reading, title=title, warnings=tuple(doubts)))


def _frame(page: Message, limits: ReadLimits, doubts: list[str]) -> ReadText | None:
    """The text of a frame; None for one that has none, or none that can be read."""
    try:
        reading = part_text(page, limits, [], [])
    except UnreadableFile as error:
        doubts.append(f"a frame of the page is not read: {error.reason}")
        return None
    return reading if reading.text.strip() else None
