"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import re

from indexes.errors import UnreadableFile
from indexes.readers.mail import is_mailbox

_PDF = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}%PDF-\d\.\d")
_PDF_OBJECT = re.compile(rb"\d[ \t\r\n]+obj\b")
_ZIP = b"PK\x03\x04"
_MIME_TYPES = {  # the first part of the file, which is not compressed
    b"application/epub+zip": ".epub",
    b"application/vnd.oasis.opendocument.text": ".odt",
    b"application/vnd.oasis.opendocument.spreadsheet": ".ods",
    b"application/vnd.oasis.opendocument.presentation": ".odp",
}
_PARTS = {b"word/document": ".docx", b"xl/workbook": ".xlsx", b"ppt/presentation": ".pptx"}
_FLAT = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}<(?:\?xml|office:document)\b")
_OF_THE_SAME_FAMILY = (  # templates, slide shows, and files with macros
    *(".docm", ".dotx", ".dotm", ".xlsm", ".xltx", ".xltm"),
    *(".pptm", ".ppsx", ".ppsm", ".potx", ".potm", ".ott", ".ots", ".otp"),
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FORMATS = {
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF87a": "a GIF picture",
    b"GIF89a": "a GIF picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"RIFF": "a picture, sound or film",
    b"OggS": "a sound or film",
    b"ID3": "a sound",
    b"\x1f\x8b\x08": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x7fELF": "a program",
    b"SQLite format 3\0": "an SQLite database",
}
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x80-\xff]")
_SEARCHED = 512  # bytes


def suffix_by_content(suffix: str, data: bytes) -> str:
    """Return the suffix of the format that a file is in.

    Args:
        suffix: The suffix by its name.
        data: The file's bytes.

    Returns:
        Another suffix for a PDF, RTF, Office file or EPUB that is named as something else, and for several messages
        in an .eml; otherwise the same.

    Raises:
        UnreadableFile: It is a picture, an archive or the like, which no reader reads.
    """
    if _PDF.match(data) and _PDF_OBJECT.search(data):
        return ".pdf"
    if data.startswith(b"{\\rtf1"):
        return ".rtf"
    if suffix == ".eml" and is_mailbox(data):
        return ".mbox"
    if suffix in _MIME_TYPES.values() and _FLAT.match(data):
        return ".fodt"
    if data.startswith(_ZIP):
        return _zip_suffix(suffix, data)
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFile(
            f"an encrypted or old Office file under the name of a {suffix} file: save it without a password, "
            "and in a newer format"
        )
    for signature, name in _FORMATS.items():
        if data.startswith(signature) and _BINARY.search(data, 0, _SEARCHED):
            raise UnreadableFile(f"{name} under the name of a {suffix} file: nothing reads it as text")
    return suffix


def _zip_suffix(suffix: str, data: bytes) -> str:
    if data[30:38] == b"mimetype":
        of_type = (each for mime, each in _MIME_TYPES.items() if data[38:200].startswith(mime))
        return next(of_type, suffix)
    places = {each: data.rfind(part) for part, each in _PARTS.items()}  # the list of parts is at the end
    found = max(places, key=lambda each: places[each])
    if places[found] >= 0:
        return found
    if suffix in (*_PARTS.values(), *_MIME_TYPES.values(), *_OF_THE_SAME_FAMILY):
        return suffix
    raise UnreadableFile(f"a zip archive under the name of a {suffix} file: unpack it")
