"""The zip packages of Office documents: their unpacked size, their parts and their properties."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from io import BytesIO
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, one_line, properties, real_title

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container
_RATIO_FROM = 10_000_000  # bytes unpacked, up to which any ratio will do
_BLOCK = 1 << 20
_CORE = "docProps/core.xml"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_STRICT = {  # the namespaces of "Strict Open XML", and the usual ones for the same elements
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/math": b"http://schemas.openxmlformats.org/officeDocument/2006/math",
}
_DC = "{http://purl.org/dc/elements/1.1/}"
_CP = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"


def check_package(suffix: str, data: bytes, limits: ReadLimits) -> None:
    """Unpack without keeping anything, so that neither a zip bomb nor a false header reaches a library."""
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFile(
            f"an encrypted or old Office file under the name of a {suffix}; save it as {suffix} without a password"
        )
    most = min(limits.max_unpacked, max(_RATIO_FROM, len(data) * limits.max_unpack_ratio))
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
            _check_size(sum(part.file_size for part in parts), most, len(data))
            total = 0
            for part in parts:
                with archive.open(part) as file:
                    while block := file.read(_BLOCK):
                        total += len(block)
                        _check_size(total, most, len(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UnreadableFile(f"not a {suffix}, or a broken one: {one_line(str(error))}") from error
    except (RuntimeError, NotImplementedError) as error:  # a password; a compression that Office does not use
        raise UnreadableFile(f"a {suffix} that cannot be unpacked: {one_line(str(error))}") from error


class Package:
    """The XML parts of a package, found by the relationships between them rather than by their usual names."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(BytesIO(data))

    def root(self, name: str) -> Any:
        """Parse a part, without entities, and without comments, which would separate pieces of text.

        Args:
            name: The part's name.

        Returns:
            The root element.

        Raises:
            KeyError: There is no such part.
            lxml.etree.XMLSyntaxError: It is not well-formed, or nested more than 256 deep.
        """
        from lxml import etree

        data = self._archive.read(name)
        for strict, usual in _STRICT.items():
            data = data.replace(strict, usual)
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        return etree.fromstring(data, parser)

    def related(self, name: str = "") -> dict[str, str]:
        """Map each kind of relationship that a part has, such as `styles`, to the name of the first such part.

        Args:
            name: The part; an empty string for the package itself, whose `officeDocument` is the main part.

        Returns:
            The names of parts, by kind.
        """
        folder, base = posixpath.split(name)
        relationships = posixpath.join(folder, "_rels", f"{base}.rels")
        found: dict[str, str] = {}
        if relationships in self._archive.namelist():
            for relationship in self.root(relationships).iter(_RELATIONSHIP):
                target = posixpath.join("/", folder, relationship.get("Target", ""))
                kind = relationship.get("Type", "").rpartition("/")[2]
                found.setdefault(kind, posixpath.normpath(target).lstrip("/"))
        return found


def core_properties(data: bytes) -> tuple[str, dict[str, str]]:
    """Return the title that a person gave the document, or an empty string, and its author, subject and keywords."""
    from lxml import etree

    try:
        root = Package(data).root(_CORE)
    except (KeyError, etree.XMLSyntaxError):  # without them, or with broken ones, it is a document all the same
        return "", {}
    about = properties(
        author=root.findtext(f"{_DC}creator"),
        subject=root.findtext(f"{_DC}subject"),
        keywords=root.findtext(f"{_CP}keywords"),
    )
    return real_title(root.findtext(f"{_DC}title") or ""), about


def _check_size(unpacked: int, most: int, packed: int) -> None:
    if unpacked > most:
        raise UnreadableFile(f"unpacks to {unpacked:,} bytes or more, which is too much for a file of {packed:,}")
