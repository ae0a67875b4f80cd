"""Mail text whose lines flow (RFC 3676): a space at the end of a line says that its paragraph goes on in the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

_QUOTED = re.compile(r">*")
_SIGNATURE = "-- "


def without_soft_breaks(text: str, part: Message) -> str:
    """Return the text of a part with each paragraph on one line, if it says that its lines flow.

    Args:
        text: The text, with line feeds.
        part: The part, whose `Content-Type` may say `format=flowed`, and `delsp=yes` where the space is no space, as in
            Japanese.

    Returns:
        The text.
    """
    if _parameter(part, "format") != "flowed":
        return text
    return "\n".join(_paragraphs(text, keeps_space=_parameter(part, "delsp") != "yes"))


def _paragraphs(text: str, *, keeps_space: bool) -> Iterator[str]:
    pieces: list[str] = []
    depth = ""
    for line in text.split("\n"):
        marks = _QUOTED.match(line)[0]  # type: ignore[index]  # which matches nothing, too
        inside = line[len(marks) :]
        if pieces and (marks != depth or inside in ("", _SIGNATURE)):
            yield "".join(pieces).rstrip()
            pieces = []
        is_soft = inside.endswith(" ") and inside != _SIGNATURE
        pieces.append((inside.removeprefix(" ") if pieces else line)[: -1 if is_soft and not keeps_space else None])
        depth = marks
        if not is_soft:
            yield "".join(pieces)
            pieces = []
    if pieces:
        yield "".join(pieces).rstrip()


def _parameter(part: Message, name: str) -> str:
    try:
        return str(part.get_param(name, "")).lower()
    except (ValueError, LookupError):
        return ""
