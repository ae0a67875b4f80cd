"""Messages within their signatures (S/MIME, `smime.p7m`), as Outlook sends them."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message

_KINDS = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_SIGNED = bytes.fromhex("06092a864886f70d010702")  # that what follows is signed, and that it is data
_DATA = bytes.fromhex("06092a864886f70d010701")
_EXPLICIT, _OCTETS, _IN_PIECES = 0xA0, 0x04, 0x24


def within_signature(part: Message) -> Message:
    """Return the message that a part holds within its signature.

    Args:
        part: The part.

    Returns:
        The message; the part itself if it is of another kind, encrypted or damaged.
    """
    data = part.get_payload(decode=True) if part.get_content_type() in _KINDS else None
    if not isinstance(data, bytes):
        return part
    try:
        content = _content(data)
    except IndexError:  # it is cut off
        return part
    return message_from_bytes(content, policy=policy.compat32) if content else part


def _content(data: bytes) -> bytes:
    signed = data.find(_SIGNED)
    at = data.find(_DATA, signed) + len(_DATA)
    if signed < 0 or at < len(_DATA) or data[at] != _EXPLICIT:
        return b""
    _, at = _length(data, at + 1)
    kind = data[at]
    length, at = _length(data, at + 1)
    if kind == _OCTETS:
        return data[at : at + length]
    pieces: list[bytes] = []
    while kind == _IN_PIECES and data[at] == _OCTETS:
        length, at = _length(data, at + 1)
        pieces.append(data[at : at + length])
        at += length
    return b"".join(pieces)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length in BER, 0 for one that is not stated, and the place behind it."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    end = at + 1 + (first & 0x7F)
    return int.from_bytes(data[at + 1 : end], "big"), end
