"""Zip files with XML in them (Office, EPUB): checked before they are unpacked, and parsed without entities."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from typing import Any

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits, one_line

_BLOCK = 1 << 20


def check_zip(suffix: str, data: bytes, limits: ReadLimits) -> list[str]:
    """Unpack without keeping anything, so that neither a zip bomb nor a false header reaches a library.

    Args:
        suffix: The format, for the message.
        data: The file's bytes.
        limits: What it may unpack to.

    Returns:
        The names of the parts that are damaged.

    Raises:
        UnreadableFile: It is no zip file, one with nothing but damaged parts, or over the limit.
    """
    most = limits.most_unpacked(len(data))
    damaged: dict[str, Exception] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
            _check_size(sum(part.file_size for part in parts), most, len(data))
            total = 0
            for part in parts:
                try:
                    with archive.open(part) as file:
                        while block := file.read(_BLOCK):
                            total += len(block)
                            _check_size(total, most, len(data))
                except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                    damaged[part.filename] = error
            if damaged and len(damaged) == len(parts):
                first = next(iter(damaged.values()))
                raise UnreadableFile(f"not a {suffix}, or a broken one: {one_line(str(first))}")
            return list(damaged)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UnreadableFile(f"not a {suffix}, or a broken one: {one_line(str(error))}") from error
    except (RuntimeError, NotImplementedError) as error:  # a password; a compression that Office does not use
        raise UnreadableFile(f"a {suffix} that cannot be unpacked: {one_line(str(error))}") from error


def parse_xml(data: bytes, *, recover: bool = False) -> Any:
    """Parse XML, without references to entities, and without comments, which would separate pieces of text.

    Args:
        data: The bytes of the XML.
        recover: Whether to go on at an error, such as a lone `&`.

    Returns:
        The root element.

    Raises:
        lxml.etree.XMLSyntaxError: It is not well-formed, or nested more than 256 deep.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True, recover=recover
    )
    root = etree.fromstring(data, parser)
    if root is not None and (recover or root.getroottree().docinfo.internalDTD is not None):
        etree.strip_elements(root, etree.Entity, with_tail=False)  # which readers would take for elements
    return root


def _check_size(unpacked: int, most: int, packed: int) -> None:
    if unpacked > most:
        raise UnreadableFile(f"unpacks to {unpacked:,} bytes or more, which is too much for a file of {packed:,}")
