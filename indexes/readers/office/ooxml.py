"""The zip packages of Office documents: their unpacked size, their parts and their properties."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from indexes.readers.base import not_read, properties, real_title
from indexes.readers.zip_files import parse_xml

_CORE = "docProps/core.xml"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_EMBEDDED = frozenset({"aFChunk", "chartEx", "oleObject", "package"})
_DC = "{http://purl.org/dc/elements/1.1/}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_CP = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"


def chosen(alternatives: Any) -> Any:
    """Return which of several alternatives (`mc:AlternateContent`) is read: the first that holds something.

    Args:
        alternatives: The element with all of them.

    Returns:
        The element with what is read; an empty one if all are empty.
    """
    return next((each for each in alternatives if len(each)), ())


class Package:
    """The XML parts of a package, found by the relationships between them rather than by their usual names."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(BytesIO(data))
        self._known: dict[str, list[tuple[Any, str]]] = {}  # the relationships of the parts that were asked for

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
        return parse_xml(self._archive.read(name))

    def part(self, name: str) -> bytes:
        """Return the bytes of a part. Raises KeyError if there is no such part."""
        return self._archive.read(name)

    def __contains__(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def related(self, name: str = "") -> dict[str, str]:
        """Map each kind of relationship that a part has, such as `styles`, to the name of the first such part.

        Args:
            name: The part; an empty string for the package itself, whose `officeDocument` is the main part.

        Returns:
            The names of parts, by kind.
        """
        found: dict[str, str] = {}
        for kind, target in self.relationships(name):
            found.setdefault(kind, target)
        return found

    def relationships(self, name: str = "") -> Iterator[tuple[str, str]]:
        """Yield the kind and the other part of each relationship that a part has; see `related`."""
        for relationship, target in self._relationships(name):
            yield relationship.get("Type", "").rpartition("/")[2], target

    def part_of(self, name: str, identifier: str) -> Any:
        """Return the root of the part that another part refers to.

        Args:
            name: The part that refers to it.
            identifier: How it does so.

        Returns:
            The root element; None if there is no such part.
        """
        found = self.name_of(name, identifier)
        return self.root(found) if found in self else None

    def name_of(self, name: str, identifier: str) -> str:
        """Return the name of the part that another part refers to, as `part_of` does; empty if it refers to none."""
        known = {relationship.get("Id", ""): target for relationship, target in self._relationships(name)}
        return known.get(identifier, "")

    def roots(self, name: str, kind: str) -> Iterator[Any]:
        """Yield the roots of the parts of that kind that a part refers to."""
        for each, target in self.relationships(name):
            if each == kind and target in self:
                yield self.root(target)

    def _relationships(self, name: str) -> list[tuple[Any, str]]:
        if name not in self._known:
            self._known[name] = list(self._read_relationships(name))
        return self._known[name]

    def _read_relationships(self, name: str) -> Iterator[tuple[Any, str]]:
        folder, base = posixpath.split(name)
        relationships = posixpath.join(folder, "_rels", f"{base}.rels")
        if relationships in self:
            for relationship in self.root(relationships).iter(_RELATIONSHIP):
                target = posixpath.join("/", folder, relationship.get("Target", ""))
                yield relationship, posixpath.normpath(target).lstrip("/")


def embedding_warnings(kinds: Iterable[str], where: str = "") -> list[str]:
    """Return a warning that what is embedded in a part is not read.

    Args:
        kinds: The kinds of the part's relationships.
        where: The part, such as "slide 2: "; empty for the document.

    Returns:
        A warning; none if nothing is embedded.
    """
    return not_read(sum(kind in _EMBEDDED for kind in kinds), where)


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
        return flat_document_properties(Package(data).root("meta.xml"))
    except (KeyError, etree.XMLSyntaxError):
        return "", {}


def flat_document_properties(root: Any) -> tuple[str, dict[str, str]]:
    """Return the properties of an OpenDocument file that is one XML file, as `open_document_properties` does."""
    root = next(root.iter(f"{_OFFICE}meta"), root)
    about = properties(
        author=root.findtext(f".//{_META}initial-creator") or root.findtext(f".//{_DC}creator"),
        subject=root.findtext(f".//{_DC}subject"),
        keywords=", ".join(word.text or "" for word in root.iter(f"{_META}keyword")),
    )
    return real_title(root.findtext(f".//{_DC}title") or ""), about
