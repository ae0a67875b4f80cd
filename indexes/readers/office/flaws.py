"""Office files with a flaw, put into the form that the readers expect.

Strict Open XML gives elements and relationships other namespaces than the libraries know. And a part that is broken,
such as a picture, a chart or the styles, does not cost the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from io import BytesIO
from zipfile import ZipFile

from indexes.readers.zip_files import parse_xml

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/"
_XML = (".xml", ".rels")
_SEARCHED = 2_000  # bytes at the beginning of a part, where its namespaces are


def usual_package(data: bytes, broken: Collection[str]) -> bytes:
    """Return a package with the usual namespaces, and without parts that cannot be unpacked.

    Args:
        data: The file's bytes.
        broken: The names of those parts.

    Returns:
        The same bytes where there is nothing to change.
    """
    with ZipFile(BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name not in broken and name.endswith(_XML)]
        is_strict = any(_STRICT.search(archive.open(name).read(_SEARCHED)) for name in names)
    if not broken and not is_strict:
        return data
    return _rewritten(data, broken, lambda part: _STRICT.sub(_USUAL, part))


def without_malformed_parts(data: bytes) -> tuple[bytes, list[str]]:
    """Return a package without its parts in XML that cannot be parsed, and their names."""
    from lxml import etree

    malformed = []
    with ZipFile(BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(_XML):
                try:
                    parse_xml(archive.read(name))
                except (etree.XMLSyntaxError, ValueError):
                    malformed.append(name)
    return _rewritten(data, malformed, bytes) if malformed else data, malformed


def without_parts(data: bytes, names: re.Pattern[str]) -> bytes:
    """Return a package without the parts whose names begin as the pattern says."""
    with ZipFile(BytesIO(data)) as archive:
        left_out = [name for name in archive.namelist() if names.match(name)]
    return _rewritten(data, left_out, bytes)


def _rewritten(data: bytes, left_out: Collection[str], change: Callable[[bytes], bytes]) -> bytes:
    """A package with its XML changed, and without some of its parts."""
    out = BytesIO()
    with ZipFile(BytesIO(data)) as archive, ZipFile(out, "w") as copy:
        for name in archive.namelist():
            if name not in left_out:
                part = archive.read(name)
                copy.writestr(name, change(part) if name.endswith(_XML) else part)
    return out.getvalue()
