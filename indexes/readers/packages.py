"""The zip packages that Office documents are: what they unpack to, checked first, and the properties in them."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO

from indexes.errors import UnreadableFile
from indexes.readers.limits import ReadLimits
from indexes.readers.reading import one_line, properties, real_title

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an OLE container
_RATIO_FROM = 10_000_000  # bytes unpacked, up to which any ratio will do
_BLOCK = 1 << 20
_CORE = "docProps/core.xml"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CP = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"


def check_package(suffix: str, data: bytes, limits: ReadLimits) -> None:
    """Unpack without keeping anything, so that neither a bomb nor a false header reaches a library."""
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


def core_properties(data: bytes) -> tuple[str, dict[str, str]]:
    """The title that a person gave it, or nothing, and author, subject and keywords."""
    from lxml import etree

    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            root = etree.fromstring(archive.read(_CORE), etree.XMLParser(resolve_entities=False, no_network=True))
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
