"""The zip packages of Office documents: their unpacked size, their parts and their properties."""

from __future__ import annotations

import posixpath
import zipfile
from io import BytesIO
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, properties, real_title
from indexes.readers.zip_files import check_zip, parse_xml

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container
_CORE = "docProps/core.xml"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_STRICT = {  # the namespaces of "Strict Open XML", and the usual ones for the same elements
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/math": b"http://schemas.openxmlformats.org/officeDocument/2006/math",
}
_DC = "{http://purl.org/dc/elements/1.1/}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_CP = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"


def check_package(suffix: str, data: bytes, limits: ReadLimits) -> None:
    """Unpack without keeping anything, so that neither a zip bomb nor a false header reaches a library."""
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFile(
            f"an encrypted or old Office file under the name of a {suffix}; save it as {suffix} without a password"
        )
    check_zip(suffix, data, limits)


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
        data = self._archive.read(name)
        for strict, usual in _STRICT.items():
            data = data.replace(strict, usual)
        return parse_xml(data)

    def part(self, name: str) -> bytes:
        """Return the bytes of a part. Raises KeyError if there is no such part."""
        return self._archive.read(name)

    def __contains__(self, name: str) -> bool:
        return name in self._archive.namelist()

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


def open_document_properties(data: bytes) -> tuple[str, dict[str, str]]:
    """Return the title of an OpenDocument file, or an empty string, and its author, subject and keywords."""
    from lxml import etree

    try:
        root = Package(data).root("meta.xml")
    except (KeyError, etree.XMLSyntaxError):
        return "", {}
    about = properties(
        author=root.findtext(f".//{_META}initial-creator") or root.findtext(f".//{_DC}creator"),
        subject=root.findtext(f".//{_DC}subject"),
        keywords=", ".join(word.text or "" for word in root.iter(f"{_META}keyword")),
    )
    return real_title(root.findtext(f".//{_DC}title") or ""), about
