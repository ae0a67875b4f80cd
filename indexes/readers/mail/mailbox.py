"""Mailboxes (.mbox): many messages, each read as an .eml is, under a heading that tells it from the others."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from email.utils import parseaddr

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, ReadText, check_text_length, first_warnings, joined_readings, one_line
from indexes.readers.hidden import with_hidden_named
from indexes.readers.mail.message import header, message_text, parsed_message
from indexes.text import is_readable
from indexes.types import Heading

# The line above each message has a time, or nothing but a hyphen, as in Thunderbird; below it is a header.
_FROM = re.compile(
    rb"^From (?:[ \t-]{0,20}|[^\r\n]{0,300}?\d:\d\d[^\r\n]{0,100})\r?\n(?=(?:>?From |[!-9;-~]{1,100}:))", re.MULTILINE
)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_LONGEST_SUBJECT, _LONGEST_NAME = 120, 50  # characters in a heading


def is_mailbox(data: bytes) -> bool:
    """Tell whether there are several messages in a file, whatever its name says.

    Args:
        data: The file's bytes.

    Returns:
        Whether it is a mailbox.
    """
    return data.startswith(b"From ") and len(_split(data)) > 1


def read_mailbox(data: bytes, limits: ReadLimits) -> ReadText:
    """Read each message with its headers and its text, and `breaks` where messages begin.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with a heading for each message.

    Raises:
        UnreadableFile: None of its messages can be read.
    """
    most, length = limits.most_text(len(data)), 0
    readings: list[ReadText] = []
    warnings: list[str] = []
    unread = 0
    for number, message in enumerate(_split(data), start=1):
        try:
            reading = _message(message, number, limits)
        except UnreadableFile as error:  # which does not cost the others
            warnings.append(f"message {number} is not read: {error.reason}")
            unread += 1
            continue
        warnings += (f"message {number}: {warning}" for warning in reading.warnings)
        length += len(reading.text)
        check_text_length(length, most)
        readings.append(reading)
    if unread and not readings:
        raise UnreadableFile(warnings[0])
    found = first_warnings(warnings, "messages or attachments are not read")
    return with_hidden_named(replace(joined_readings(readings, "\n\n"), warnings=found))


def _split(data: bytes) -> list[bytes]:
    """The messages of a mailbox; any other file is one."""
    parts = (part.strip() for part in _FROM.split(data.removeprefix(codecs.BOM_UTF8)))
    return [_QUOTED_FROM.sub(rb"\1", part) for part in parts if part]


def _message(data: bytes, number: int, limits: ReadLimits) -> ReadText:
    message = parsed_message(data)
    reading = message_text(message, limits)
    if not is_readable(reading.text):
        raise UnreadableFile("its text has no meaning: control characters, or a mixture of scripts")
    name, address = parseaddr(header(message, "From", limits))
    who, when = one_line(name or address)[:_LONGEST_NAME], reading.metadata.get("date", "")[:16].replace("T", " ")
    about = ", ".join(filter(None, (who, when)))
    subject = reading.title[:_LONGEST_SUBJECT] or f"Message {number}"
    title = one_line(f"{subject} ({about})" if about else subject)
    heading = ReadText(title, headings=(Heading(0, 1, title),), breaks=(0,))
    return replace(joined_readings([heading, reading], "\n"), warnings=reading.warnings)
