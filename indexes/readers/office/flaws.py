"""Office files with a flaw, put into the form that the readers expect.

Strict Open XML gives elements and relationships other namespaces than the libraries know. And a part that is broken,
such as a picture, a chart or the styles, does not cost the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from io import BytesIO
from types import MappingProxyType
from zipfile import ZipFile

from indexes.errors import UnreadableFile
from indexes.readers.charset import decode_declared
from indexes.readers.entities import without_declarations
from indexes.readers.zip_files import parse_xml

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_SHOW = re.compile(  # the main part of a slide show or a template, which python-pptx refuses
    rb"application/vnd\.(?:openxmlformats-officedocument\.presentationml\.(?:slideshow|template)"
    rb"|ms-powerpoint\.(?:slideshow|template)\.macroEnabled)\.main\+xml"
)
_SLIDES = rb"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/"
_TYPES = "[Content_Types].xml"
_STRINGS = "xl/sharedStrings.xml"
_NO_STRINGS = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
_XML = (".xml", ".rels")
_OF_TEXT = re.compile(
    r"word/(?:document|footnotes|endnotes|header|footer)\d*\.xml|ppt/(?:slides|notesSlides)/\w+\.xml"
    r"|xl/(?:worksheets/\w+|sharedStrings)\.xml|content\.xml"
)
_SEARCHED = 2_000  # bytes at the beginning of a part, where its namespaces are
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,200}\?>")
_DOCTYPE, _DECLARED = b"<!DOCTYPE", 100_000  # bytes, where it may declare entities


def usual_package(data: bytes, broken: Collection[str]) -> bytes:
    """Return a package with the usual namespaces and kind, and without parts that cannot be unpacked.

    Args:
        data: The file's bytes.
        broken: The names of those parts.

    Returns:
        The same bytes where there is nothing to change.
    """
    with ZipFile(BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name not in broken and name.endswith(_XML)]
        is_strict = any(_STRICT.search(archive.open(name).read(_SEARCHED)) for name in names)
        has_backslashes = any("\\" in name for name in archive.namelist())
        is_show = _TYPES in names and _SHOW.search(archive.read(_TYPES)) is not None
    if not broken and not is_strict and not has_backslashes and not is_show:
        return data
    return _rewritten(data, broken, lambda part: _SHOW.sub(_SLIDES, _STRICT.sub(_USUAL, part)))


def without_malformed_parts(data: bytes) -> tuple[bytes, list[str], list[str]]:
    """Return a package without its parts in XML that cannot be parsed.

    Args:
        data: The file's bytes.

    Returns:
        The package, the names of the parts that are left out, and of those with text that are kept up to a flaw, such
        as a control character, or past it.
    """
    from lxml import etree

    malformed: list[str] = []
    mended: dict[str, bytes] = {}
    with ZipFile(BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(_XML):
                part = archive.read(name)
                try:
                    parse_xml(part)
                except (etree.XMLSyntaxError, ValueError):
                    root = parse_xml(part, recover=True) if _OF_TEXT.fullmatch(name) else None
                    if root is not None and any(text.strip() for text in root.itertext()):
                        mended[name] = etree.tostring(root, encoding="utf-8", xml_declaration=True)
                    else:
                        malformed.append(name)
    if not malformed and not mended:
        return data, [], []
    return _rewritten(data, malformed, lambda part: part, mended), malformed, [*mended]


def without_entities(data: bytes, most: int) -> tuple[bytes, list[str]]:
    """Return a package with the text of the entities that its parts declare, which libraries would cut texts off at.

    Args:
        data: The file's bytes.
        most: The most characters that a part may have then.

    Returns:
        The package, and the names of the files that its parts refer to.

    Raises:
        UnreadableFile: A part has too many characters.
    """
    files: list[str] = []
    changed: dict[str, bytes] = {}
    with ZipFile(BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(_XML) and _DOCTYPE in archive.open(name).read(_DECLARED).replace(b"\0", b""):  # of UTF-16
                try:
                    text = decode_declared(archive.read(name), None)
                except UnreadableFile:  # which parsers will tell of
                    continue
                plain, used = without_declarations(text, most)
                files += used
                if plain != text:
                    changed[name] = utf8_xml(plain)
    return (_rewritten(data, (), bytes, changed) if changed else data), files


def utf8_xml(text: str) -> bytes:
    """Return XML in UTF-8, without a declaration of another encoding."""
    return _DECLARATION.sub("", text.removeprefix("\ufeff")).encode("utf-8", "replace")


def without_parts(data: bytes, names: re.Pattern[str]) -> bytes:
    """Return a package without the parts whose names begin as the pattern says."""
    with ZipFile(BytesIO(data)) as archive:
        left_out = [name for name in archive.namelist() if names.match(name)]
    return _rewritten(data, left_out, bytes)


def with_shared_strings(data: bytes) -> bytes:
    """Return a workbook with the texts that its cells share: none where the part is missing that it says to have."""
    with ZipFile(BytesIO(data)) as archive:
        if _STRINGS in archive.namelist() or _TYPES not in archive.namelist():
            return data
        if _STRINGS.encode() not in archive.read(_TYPES):
            return data
    out = BytesIO(data)
    with ZipFile(out, "a") as archive:
        archive.writestr(_STRINGS, _NO_STRINGS)
    return out.getvalue()


def _rewritten(
    data: bytes,
    left_out: Collection[str],
    change: Callable[[bytes], bytes],
    mended: Mapping[str, bytes] = MappingProxyType({}),
) -> bytes:
    """A package with its XML changed, without some of its parts, with others for some, and with slashes in names."""
    out = BytesIO()
    with ZipFile(BytesIO(data)) as archive, ZipFile(out, "w") as copy:
        for name in archive.namelist():
            if name not in left_out:
                part = mended[name] if name in mended else archive.read(name)
                copy.writestr(name.replace("\\", "/"), change(part) if name.endswith(_XML) else part)
    return out.getvalue()
