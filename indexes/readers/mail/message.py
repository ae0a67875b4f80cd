"""E-mail messages (.eml): who wrote what to whom and when, the text, and the names of what is attached."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime

from indexes.errors import UnreadableFile
from indexes.readers.base import (
    ReadLimits,
    ReadText,
    first_warnings,
    joined_readings,
    one_line,
    properties,
    without_embedded_files,
)
from indexes.readers.charset import decode, decode_declared, is_utf8_all_the_same, python_encoding
from indexes.readers.hidden import with_hidden_named
from indexes.readers.html import web_page
from indexes.readers.mail.flowed_text import without_soft_breaks
from indexes.readers.mail.signed import within_signature
from indexes.readers.rtf import RTF, read_rtf

PAGES = frozenset({"text/html", "application/xhtml+xml"})
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_BLANK = ReadText("")
_DEEPEST = 20  # messages in messages
_LONGEST_NOTE = 300  # bytes of plain text that may only say that the message is in HTML,
_MORE = 4  # whose text is then so many times as long
_UUENCODED = re.compile(r"^begin [0-7]{3,4} (\S[^\n]*)\n(?:[!-`][ -`]{0,84}\n)+?[` ]?\n?end[ \t]*$", re.MULTILINE)
_LETTERS_TO_AN_ACCENT = 5  # of any text in a language of Western Europe; other scripts, read so, have nearly none
_LOST = "\ufffd"
_INVITATION = "text/calendar"  # which is beside the alternatives, and no other form of them
_RICH = "application/rtf"
_SAVE = "save it as a file of its own"
_OUTLOOK = ("winmail.dat", "application/ms-tnef")
_SPACE = re.compile(r"\s+")


def parsed_message(data: bytes) -> Message:
    """Return the message that bytes hold."""
    return message_from_bytes(data.removeprefix(codecs.BOM_UTF8).lstrip(), policy=policy.compat32)


def read_mail(data: bytes, limits: ReadLimits) -> ReadText:
    """Read a message: its headers, a blank line, and its text, in HTML only where there is no plain text.

    Args:
        data: The file's bytes.
        limits: What it may hold.

    Returns:
        The text, with the subject as its title.

    Raises:
        UnreadableFile: Its messages are nested too deeply, or its text cannot be read.
    """
    return with_hidden_named(message_text(parsed_message(data), limits))


def message_text(message: Message, limits: ReadLimits) -> ReadText:
    """Return the text of a message, as `read_mail` does.

    Args:
        message: The message.
        limits: Its encoding, if the user states one.

    Returns:
        The text, with the subject as the title.

    Raises:
        UnreadableFile: Its encoding is neither declared nor detected, or it is nested too deeply.
    """
    attached: list[str] = []
    doubts: list[str] = []
    reading = joined_readings(_lines(message, limits, attached, doubts, 0), "\n")
    subject, sender, date = (header(message, name, limits) for name in ("Subject", "From", "Date"))
    warnings = first_warnings(list(map(_not_read, attached)), "attachments are not read")
    warnings = (*dict.fromkeys(doubts), *warnings)
    about = properties(author=sender, date=_iso(date))
    return replace(reading, title=one_line(subject), headings=(), metadata=about, warnings=warnings)


def _not_read(name: str) -> str:
    is_packed = name.lower() in _OUTLOOK
    remedy = "unpack it, as with `tnef FILE`: Outlook puts text and files in it" if is_packed else _SAVE
    if name.lower().endswith(".p7m"):
        remedy = "it is encrypted: save the message decrypted, from the program that reads it"
    return f"the attachment '{name}' is not read: {remedy}"


def _lines(
    message: Message, limits: ReadLimits, attached: list[str], doubts: list[str], depth: int
) -> Iterator[ReadText]:
    """The headers and the text of a message, and of those that are forwarded in it."""
    if depth == _DEEPEST:
        raise UnreadableFile("messages nested too deeply to be read")
    for name in _HEADERS:
        if value := header(message, name, limits):
            yield ReadText(f"{name}: {value}")
            if _LOST in value:
                doubts.append(f"the header {name} declares no encoding that fits, and letters are lost: use --encoding")
    yield _BLANK
    names: list[str] = []
    for part in _text_parts(message, names):
        if part.get_content_type() == "message/rfc822":
            yield _BLANK
            for inner in part.get_payload():
                yield from _lines(_unpacked(part, inner), limits, attached, doubts, depth + 1)  # type: ignore[arg-type]
        else:
            yield part_text(part, limits, names, doubts)
    if names:
        yield _BLANK
        yield ReadText("Attachments: " + ", ".join(names))
        attached += names


def _unpacked(part: Message, inner: Message) -> Message:
    """A forwarded message that is packed in Base64 or quoted-printable, against the rule."""
    packing = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if packing not in ("base64", "quoted-printable") or inner.keys():  # what has headers is not packed
        return inner
    payload = inner.get_payload()
    if not isinstance(payload, str):
        return inner
    whole = Message()
    whole["Content-Transfer-Encoding"] = packing
    whole.set_payload(payload)
    data = whole.get_payload(decode=True)
    return message_from_bytes(data.lstrip(), policy=policy.compat32) if isinstance(data, bytes) else inner


def _text_parts(message: Message, attached: list[str]) -> Iterator[Message]:
    """The parts to read, in order; of alternatives, the plain one."""
    message = within_signature(message)
    kind = message.get_content_type()
    if kind == "message/rfc822":
        yield message
    elif kind == "message/delivery-status":
        said = Message()
        blocks = [part for part in message.get_payload() if isinstance(part, Message)]
        said.set_payload("".join(f"{name}: {value}\n" for part in blocks for name, value in part.items()))
        yield said
    elif kind == "message/external-body":
        attached.append(one_line(_decoded(_file_name(message) or str(message.get_param("URL", kind)))))
    elif message.is_multipart():
        parts = [part for part in message.get_payload() if isinstance(part, Message)]
        best = _best(parts) if kind == "multipart/alternative" and parts else None
        for part in parts:
            texts = list(_text_parts(part, attached))  # what is attached to another alternative is named, too
            yield from texts if best is None or part is best or part.get_content_type() == _INVITATION else ()
    elif message.get_content_maintype() == "multipart":  # that says nothing of where its parts begin
        message.set_type("text/plain")
        yield message
    elif kind == _RICH and message.get_content_disposition() != "attachment" and not _file_name(message):
        yield message
    elif message.get_content_disposition() == "attachment" or message.get_content_maintype() != "text":
        is_inline_picture = message.get("Content-ID") is not None and message.get_content_maintype() == "image"
        if not is_inline_picture:
            attached.append(one_line(_decoded(_file_name(message) or kind)))
    else:
        yield message


def _best(parts: list[Message]) -> Message:
    """The alternative to read: the plain one, unless it only says that there is more in HTML."""
    plain = next((part for part in parts if _is_plain(part)), None)
    if plain is None:
        return parts[-1]
    note = plain.get_payload(decode=True)
    said = len(b" ".join(note.split())) if isinstance(note, bytes) else 0
    if said > _LONGEST_NOTE:
        return plain
    pages = ((part, inner) for part in parts for inner in part.walk() if inner.get_content_type() == "text/html")
    for part, page in pages:
        data = page.get_payload(decode=True)
        with suppress(UnreadableFile):
            if isinstance(data, bytes) and len(web_page(data.decode("latin-1"), is_whole=True).text) > _MORE * said:
                return part
    return plain


def _is_plain(part: Message) -> bool:
    payload = part.get_payload(decode=True)
    return part.get_content_type() == "text/plain" and isinstance(payload, bytes) and bool(payload.strip())


def part_text(part: Message, limits: ReadLimits, names: list[str], doubts: list[str]) -> ReadText:
    """Return the text of a part, of a page in HTML its main text.

    Args:
        part: The part.
        limits: Its encoding, if the user states one.
        names: Where to add the names of files in the text.
        doubts: Where to add warnings, such as about its encoding.

    Returns:
        The text.

    Raises:
        UnreadableFile: Its encoding is neither declared nor detected.
    """
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    if data.lstrip().startswith(RTF):
        rich = read_rtf(data, limits)
        doubts += rich.warnings
        return rich
    declared, is_page = _declared(part), part.get_content_type() in PAGES
    encoding = declared or limits.encoding
    if is_page and encoding is None:
        with suppress(UnreadableFile):
            return _page(decode_declared(data, None), doubts)
    text = _text(data, encoding)
    if text is None and encoding is None and (text := _western(data)) is not None:
        doubts.append("the message does not declare its encoding: read as windows-1252; if wrong, use --encoding")
    elif text is None and declared is not None:
        text = data.decode(declared, "replace")
        doubts.append(f"the message declares {declared}, and {text.count(_LOST):,} characters of it are not in it")
    text = decode(data, encoding) if text is None else text  # which raises
    if is_page:
        return _page(text, doubts)
    text = without_soft_breaks(text.replace("\r\n", "\n").replace("\r", "\n"), part)
    names += (one_line(found[1]) for found in _UUENCODED.finditer(text))
    return ReadText(without_embedded_files(_UUENCODED.sub("", text)))


def _page(text: str, doubts: list[str]) -> ReadText:
    page = web_page(text, is_whole=True)
    doubts += page.warnings
    return page


def header(message: Message, name: str, limits: ReadLimits) -> str:
    """Return a header of a message, decoded and on one line; empty if it has none of that name."""
    value = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return _SPACE.sub(" ", _decoded(value, _declared(message) or limits.encoding)).strip()


def _decoded(value: str, encoding: str | None = None) -> str:
    """A header with its encoded words decoded, and its other bytes, which should be ASCII, in the text's encoding."""
    try:
        parts = decode_header(_SPACE.sub(" ", value))
    except Exception:  # HeaderParseError, binascii.Error and others, by Python's version
        parts = [(value, None)]
    pieces = []
    for piece, charset in parts:
        data = piece.encode("utf-8", "surrogateescape") if isinstance(piece, str) else piece
        name = python_encoding(charset or "") or encoding
        pieces.append(_text(data, name) or _western(data) or data.decode(name or "utf-8", "replace"))
    return "".join(pieces)


def _file_name(part: Message) -> str:
    """The name of an attachment; empty if it has none that can be decoded."""
    with suppress(ValueError, LookupError):
        return part.get_filename() or ""
    return ""


def _declared(message: Message) -> str | None:
    """The encoding that a message declares; bytes beyond ASCII are in another one than that."""
    name = ""
    with suppress(ValueError, LookupError):
        name = message.get_content_charset() or ""
    return None if name in ("us-ascii", "ascii") else python_encoding(name)


def _text(data: bytes, encoding: str | None) -> str | None:
    """Text in the encoding that is declared, else in the one that is detected; None for what is in neither."""
    if encoding is not None and is_utf8_all_the_same(data, encoding):
        encoding = None
    for name in (encoding, None):
        with suppress(UnreadableFile):
            return decode(data, name)
    return None


def _western(data: bytes) -> str | None:
    """Text in windows-1252, if that makes words in which few letters have accents."""
    with suppress(UnicodeDecodeError):
        text = data.decode("cp1252")
        letters = sum(map(str.isalpha, text))
        accented = sum(character > "\x7f" for character in text)
        return text if accented * _LETTERS_TO_AN_ACCENT <= letters else None
    return None


def _iso(date: str) -> str:
    try:
        return parsedate_to_datetime(date).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
