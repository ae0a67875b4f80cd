"""The text of an OpenDocument file (.odt, .ods, .odp), taken from its XML element by element.

Left out are tracked deletions, furigana and hidden text, which a warning counts. A comment follows its paragraph, or
its table; headers and footers come last, and what is on all slides after the first of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import not_read
from indexes.readers.hidden import left_out
from indexes.readers.lines import Lines
from indexes.readers.markup import names_of
from indexes.readers.office.ooxml import Package
from indexes.readers.office.open_document_hidden import HidingStyles
from indexes.readers.office.open_document_masters import Masters
from indexes.readers.office.open_document_numbering import Numbering
from indexes.readers.office.open_document_objects import Objects
from indexes.readers.office.open_document_text_styles import TextStyles
from indexes.readers.office.open_document_walk import Walk
from indexes.readers.office.open_document_xml import HREF, OFFICE, TEXT

_MANIFEST, _STYLES = "META-INF/manifest.xml", "styles.xml"  # which not every program writes


def open_document_lines(data: bytes, most: int) -> Lines:
    """Return the lines of a document: paragraphs, table rows and slides in order, then its notes.

    Args:
        data: The file's bytes.
        most: The most characters of text.

    Returns:
        The lines.

    Raises:
        UnreadableFile: It is encrypted, or has no document in it, or too much text.
    """
    package = Package(data)
    if _MANIFEST in package and b"encryption-data" in package.part(_MANIFEST):
        raise UnreadableFile("encrypted with a password; save it without one")
    root = package.root("content.xml")
    styles = package.root(_STYLES) if _STYLES in package else root

    def part(href: str) -> Any:
        """The content of an object, which may be missing."""
        name = posixpath.normpath(f"{href}/content.xml")
        return package.root(name) if name in package else None

    return flat_document_lines(root, most, styles, part)


def flat_document_lines(
    root: Any, most: int, styles: Any = None, part: Callable[[str], Any] = lambda href: None
) -> Lines:
    """Return the lines of a document that is one XML file.

    Args:
        root: The root element.
        most: The most characters of text.
        styles: The root of the styles and the headers; None if they are in `root`.
        part: A function from the name of an object to its content, for objects that are not in `root`.

    Returns:
        The lines.

    Raises:
        UnreadableFile: It has no document in it, or too much text.
    """
    body = root.find(f"{OFFICE}body")
    if body is None:
        raise UnreadableFile("an OpenDocument file with no document in it")
    styles = root if styles is None else styles
    objects, numbering, masters = Objects(part), Numbering([root, styles]), Masters(styles, body)
    hiding, setting = HidingStyles([styles, root]), TextStyles([styles, root])
    walk = Walk(Lines(most), body, numbering, masters, hiding, setting, objects)
    walk.blocks(body)
    walk.notes()
    walk.headers()
    walk.lines.warnings += left_out(walk.hidden)
    walk.lines.includes = names_of(_linked(body))
    if count := walk.tables.uncomputed:
        were = "formulas have" if count > 1 else "formula has"
        walk.lines.warnings.append(
            f"{count:,} {were} no computed value in the file: open it in a spreadsheet program and save it"
        )
    walk.lines.warnings += not_read(objects.unread)
    return walk.lines


def _linked(body: Any) -> Iterator[str]:
    """The files that sections of a master document are linked to, unless their text is in the document, too."""
    for source in body.iter(f"{TEXT}section-source"):
        if not "".join(source.getparent().itertext()).strip():
            yield source.get(HREF, "")
