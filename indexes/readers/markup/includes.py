"""Files that a document includes, and that are not part of it: each is read as a file of its own, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from indexes.readers.base import one_line

_MOST = 1_000
LATEX = re.compile(
    r"(?<!\\)\\(?:input|include|subfile|verbatiminput|lstinputlisting(?:\[[^\]\n]{0,200}\])?"
    r"|(?:sub)?import\*?\{(?P<folder>[^{}\n]{0,200})\})\s?\{(?P<name>[^{}\n#\\]{1,200})\}"
)
ASCIIDOC = re.compile(r"^include::(?P<name>[^\[\n]{1,200})\[", re.MULTILINE)
ORG = re.compile(r"^[ \t]{0,40}#\+include:[ \t]*\"?(?P<name>[^\"\s]{1,200})", re.MULTILINE | re.IGNORECASE)
RST = re.compile(
    r"^[ \t]{0,40}(?:\.\.[ \t]+(?:literal)?include::|:file:)[ \t]+(?P<name>\S{1,200})[ \t]*$", re.MULTILINE
)
MARKDOWN = re.compile(
    r"^[ \t]{0,40}(?:-{1,4}8<-{1,4}[ \t]+[\"'](?P<name>[^\"'\n]{1,200})[\"']"
    r"|\{!(?P<other>[^!{}\n]{1,200})!\}|\{\{<[ \t]*include[ \t]+(?P<shortcode>[^\s<>]{1,200}))",
    re.MULTILINE,
)
XINCLUDE = re.compile(r"<(?:\w{1,20}:)?include\s[^<>]{0,300}?href\s*=\s*[\"'](?P<name>[^\"'<>]{1,200})[\"']")


def included(text: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return the names of the files that a text includes, each once.

    Args:
        text: The text.
        pattern: How its format includes files.

    Returns:
        The names, as they stand there; the first thousand.
    """
    found = ("/".join(filter(None, match.groups())).replace("//", "/") for match in pattern.finditer(text))
    return names_of(found)


def names_of(found: Iterable[str]) -> tuple[str, ...]:
    """Return names of files, each once and on one line; the first thousand.

    Args:
        found: The names, as a document writes them.

    Returns:
        The names, in their order.
    """
    return tuple(islice(dict.fromkeys(filter(None, map(one_line, found))), _MOST))
