"""The bytes of files that libraries make, and of zip files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from pypdf import PdfWriter


def saved(file: Any) -> bytes:
    """What a document of python-docx, python-pptx, openpyxl or pypdf is as a file."""
    stream = io.BytesIO()
    (file.write if isinstance(file, PdfWriter) else file.save)(stream)
    return stream.getvalue()


def parts_of(file: Any) -> dict[str, bytes]:
    """The parts of a document of python-docx, python-pptx or openpyxl, by name."""
    with zipfile.ZipFile(io.BytesIO(saved(file))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip file of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()
