"""Bytes of a file to a `Document`: one reader for each family of formats, found by the file's suffix or whole name.

A reader takes the bytes and the limits and returns a `ReadText`. Whatever is in a file, a reader either returns text or
raises UnreadableFile with one line for the user. Formats that need more than a walk along their lines are read in the
sandbox process; the libraries for them are imported there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from indexes.errors import EmptyFile, UnreadableFile
from indexes.metadata import Metadata
from indexes.readers.base import DEFAULT_LIMITS, ReadLimits, ReadText, one_line, real_title
from indexes.readers.converting import conversions
from indexes.readers.epub import read_epub
from indexes.readers.html import read_web_page
from indexes.readers.json import read_json, read_json_lines
from indexes.readers.mail import read_mail, read_mailbox, read_web_archive
from indexes.readers.markup import read_asciidoc, read_bibtex, read_latex, read_markdown, read_org, read_rst
from indexes.readers.notebook import read_notebook
from indexes.readers.ocr import NO_TEXT, NOT_READABLE, with_recognised_text
from indexes.readers.office import read_flat_document, read_open_document, read_sheets, read_slides, read_word
from indexes.readers.pdf import read_pdf
from indexes.readers.rtf import read_rtf
from indexes.readers.sandbox import read_in_sandbox
from indexes.readers.signatures import suffix_by_content
from indexes.readers.source_code import read_braces, read_settings, read_source
from indexes.readers.subtitles import read_subtitles
from indexes.readers.text import read_delimited, read_plain
from indexes.readers.xml import read_xml
from indexes.text import clean, is_readable
from indexes.types import Document, Heading, Table

# Part of a document's content hash: raise it when a reader's output changes, so that every file is read again.
READER_VERSION = b"20"

_SUFFIXES_OF: dict[Callable[[bytes, ReadLimits], ReadText], str] = {
    read_plain: ".txt .text .log .css .scss",
    read_xml: ".xml",
    read_latex: ".tex .ltx",
    read_bibtex: ".bib",
    read_org: ".org",
    read_asciidoc: ".adoc .asciidoc",
    read_subtitles: ".srt .vtt",
    read_rtf: ".rtf",
    read_mail: ".eml",
    read_mailbox: ".mbox",
    read_web_archive: ".mht .mhtml",
    read_epub: ".epub",
    read_open_document: ".odt .ods .odp .ott .ots .otp",
    read_flat_document: ".fodt .fods .fodp",
    read_markdown: ".md .markdown",
    read_rst: ".rst",
    read_web_page: ".html .htm .xhtml",
    read_pdf: ".pdf",
    read_word: ".docx .docm .dotx .dotm",
    read_slides: ".pptx .pptm .ppsx .ppsm .potx .potm",
    read_sheets: ".xlsx .xlsm .xltx .xltm",
    read_notebook: ".ipynb",
    read_delimited: ".csv .tsv",
    read_json: ".json",
    read_json_lines: ".jsonl .ndjson",
    read_braces: ".c .h .cc .cpp .cxx .hh .hpp .cu .cuh .m .mm .cs .java .dart .proto",
    read_source: (
        ".py .pyi .js .mjs .cjs .ts .tsx .jsx .vue .go .rs .rb .php .swift .kt .kts .scala .sh .bash .zsh"
        " .ps1 .sql .r .jl .lua .pl .pm .hs .ml .mli .ex .exs .erl .clj .el .lisp .scm .nim .zig .f90"
        " .ini .cfg .conf .cmake"
    ),
    read_settings: ".yaml .yml .toml",
}
_READERS = {suffix: reader for reader, suffixes in _SUFFIXES_OF.items() for suffix in suffixes.split()}
SUFFIXES = frozenset(_READERS)
# Files that by custom have no suffix, also with a word behind (LICENSE-MIT, COPYING.LESSER, README.ja, Dockerfile.dev),
# and the suffix they are read by.
_NAMES_OF = {
    ".txt": (
        "readme license licence copying copyright changelog changes news history authors contributors contributing"
        " credits maintainers codeowners notice notices patents install todo thanks security version citation manifest"
    ),
    ".mbox": "mbox",  # in the folder that Apple Mail exports
    ".sh": (
        "makefile gnumakefile dockerfile containerfile vagrantfile jenkinsfile rakefile gemfile procfile justfile"
        " brewfile podfile fastfile caddyfile earthfile tiltfile build workspace sconstruct kconfig"
    ),
}
_WORD_BEHIND = re.compile(r"[-_.]")
_WORDS_BEHIND = (  # what takes the place of a suffix behind such a name: languages, licences, and for whom it is
    "ar bg bn ca cn cs da de el en es et fa fi fr gl he hi hr hu id it ja jp ko kr lt lv ms nb nl no pl pt ro ru sk sl"
    " sr sv ta th tr tw ua uk ur vi zh 1st agpl android apache apache2 artistic asl bsd debian dev first fonts git"
    " gpl gplv2 gplv3 ios isc lesser lgpl lib linux mac macos mit mpl mpl2 ofl old orig osx runtime unix win win32"
    " windows"
)
_BEHIND = frozenset(_WORDS_BEHIND.split())
_NAMES = {name: suffix for suffix, names in _NAMES_OF.items() for name in names.split()}
# They pass along the lines once: their time and memory are bounded by the file's size.
_BY_LINES = frozenset(
    {read_plain, read_markdown, read_rst, read_latex, read_bibtex, read_org, read_asciidoc}
    | {read_subtitles, read_xml}
    | {read_delimited, read_braces, read_settings, read_source}
)

# Their text is the file's own, with escapes as characters and perhaps indented: its value stays.
_OWN_TEXT = _BY_LINES | {read_json, read_json_lines}

_LONE_RETURN = re.compile(r"\r(?!\n)")
# What they extract is judged. Text that is the file's own is taken as it is.
_EXTRACTING = frozenset(
    {read_word, read_slides, read_sheets, read_open_document, read_flat_document, read_rtf, read_epub, read_mail}
)

_EMPTY = "no text in it"
_BYTE_ORDER_MARK = re.compile(rb"\A(?:\xef\xbb\xbf|\xff\xfe\0\0|\0\0\xfe\xff|\xff\xfe|\xfe\xff)")
_NOT_IN_TEXT = re.compile("[\ud800-\udfff\0]")  # lone surrogates break every output in UTF-8


def format_suffix(path: Path) -> str | None:
    """Return the suffix of the format that a file is read as.

    Args:
        path: The file; only its name is looked at.

    Returns:
        The file's own suffix in lower case, or one for a name such as README; None if there is no reader.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return suffix
    name = _WORD_BEHIND.split(path.name.lower(), maxsplit=1)[0]
    word = _WORD_BEHIND.split(suffix.removeprefix("."), maxsplit=1)[0]  # of zh_CN and pt-br the language
    return _NAMES.get(name) if not suffix or word in _BEHIND or name.endswith("file") else None


def format_name(path: Path) -> str:
    """Return a name that is the same for all files that are read alike.

    Args:
        path: The file; only its name is looked at.

    Returns:
        The first suffix of its format, such as `.txt` for README and a .log; empty if there is no reader.
    """
    suffix = format_suffix(path)
    return "" if suffix is None else _SUFFIXES_OF[_READERS[suffix]].split()[0]


def check_suffix(path: Path) -> None:
    """Check that there is a reader for a file.

    Args:
        path: The file; only its name is looked at.

    Raises:
        UnreadableFile: There is none; the message says how to convert it, or lists the suffixes that are read.
    """
    if format_suffix(path) is None:
        kind = f"'{path.suffix}' files" if path.suffix else "files without a suffix"
        known = [f"convert it, as with `{command}`" for command in conversions([path.suffix.lower()])]
        raise UnreadableFile(f"no reader for {kind}; {''.join(known) or 'what is read: ' + ' '.join(sorted(SUFFIXES))}")


def read_document(path: Path, data: bytes, limits: ReadLimits = DEFAULT_LIMITS) -> Document:
    """Turn a file's bytes into a document.

    Args:
        path: The file, which becomes the document's source; its suffix selects the reader, unless its first bytes are
            those of another format.
        data: The file's bytes, as from `read_bytes`.
        limits: What the file may take.

    Returns:
        The document. Its title is the one that the file gives, its first heading, or the file's name.

    Raises:
        UnreadableFile: For anything that cannot be read; no other error is raised.
        EmptyFile: For a file of no bytes, of white space only, and a notebook without cells: an UnreadableFile, too.
    """
    check_suffix(path)
    if not data:
        raise EmptyFile("empty file")
    if not _BYTE_ORDER_MARK.sub(b"", data, count=1).strip():
        raise EmptyFile(_EMPTY)
    suffix = suffix_by_content(format_suffix(path) or "", data)
    reader = _READERS[suffix]
    try:
        if reader in _BY_LINES:
            reading = read_here(suffix, data, limits)
        else:
            reading = with_recognised_text(read_in_sandbox(suffix, data, limits), data, limits, read_in_sandbox)
        if reader is read_notebook and not reading.text:
            raise EmptyFile(_EMPTY)
        if reader is read_mailbox:
            reading = replace(reading, title=path.stem)  # and not the subject of the first message
        reading = _with_newlines(reading) if reader in _OWN_TEXT else _put_right(reading)
        return _document(path, reading, is_extracted=reader in _EXTRACTING)
    except MemoryError as error:
        raise UnreadableFile("takes more memory to read than there is") from error


def is_read_by_lines(path: Path, data: bytes) -> bool:
    """Tell whether a file is read in one pass along its lines, in the process that reads it.

    Args:
        path: The file; its suffix selects the reader, unless its first bytes are those of another format.
        data: Its bytes.

    Returns:
        False for what goes through the sandbox process, and may take long.
    """
    return _READERS.get(suffix_by_content(format_suffix(path) or "", data)) in _BY_LINES


def read_here(suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
    """Read a file's bytes in this process. Raises UnreadableFile and MemoryError."""
    try:
        reading = _READERS[suffix](data, limits)
    except RecursionError as error:
        raise UnreadableFile("nested too deeply to be read") from error
    most = limits.most_text(len(data))
    if len(reading.text) > most:
        raise UnreadableFile(f"its text has {len(reading.text):,} characters, over the limit of {most:,}")
    return reading


def _with_newlines(reading: ReadText) -> ReadText:
    """A file's own text, with a newline for each carriage return alone. Raises EmptyFile for white space only."""
    if not reading.text or reading.text.isspace():
        raise EmptyFile(_EMPTY)
    return replace(reading, text=_LONE_RETURN.sub("\n", reading.text)) if "\r" in reading.text else reading


def _put_right(reading: ReadText) -> ReadText:
    """Text that a reader extracted, put right: there is no original that its offsets could be in."""
    cleaned = clean(reading.text)
    if cleaned.text == reading.text:
        return reading
    at = cleaned.offset
    headings = {at(each.start): Heading(at(each.start), each.level, each.text) for each in reading.headings}
    return replace(
        reading,
        text=cleaned.text,
        headings=tuple(headings.values()),
        pages=tuple(map(at, reading.pages)),
        breaks=tuple(sorted({at(each) for each in reading.breaks} - {len(cleaned.text)})),
        tables=tuple(Table(at(each.start), at(each.end), clean(each.header).text) for each in reading.tables),
    )


def _visible(headings: tuple[Heading, ...], length: int) -> tuple[Heading, ...]:
    """Headings without those of invisible characters alone, which may begin where the text put right ends."""
    shown = [replace(each, text=clean(each.text).text) for each in headings if each.start < length]
    return tuple(each for each in shown if each.text)


def _document(path: Path, reading: ReadText, *, is_extracted: bool) -> Document:
    text = _NOT_IN_TEXT.sub("\ufffd", reading.text)  # one character for one: offsets stay
    if not text or text.isspace():
        failed = next((warning for warning in reading.warnings if warning.startswith("OCR failed")), None)
        raise UnreadableFile(failed or (NOT_READABLE if reading.unreadable else NO_TEXT if reading.pages else _EMPTY))
    if is_extracted and not is_readable(text):
        raise UnreadableFile("its text has no meaning: control characters, names of glyphs, or a mixture of scripts")
    title = clean(reading.title or (real_title(reading.headings[0].text) if reading.headings else "")).text
    return Document(
        source=str(path),
        text=text,
        title=one_line(_NOT_IN_TEXT.sub("\ufffd", title)) or path.stem,
        headings=_visible(reading.headings, len(text)),
        pages=reading.pages,
        breaks=reading.breaks,
        metadata=Metadata({name: _NOT_IN_TEXT.sub("\ufffd", value) for name, value in reading.metadata.items()}),
        warnings=tuple(map(one_line, reading.warnings)),
        tables=reading.tables,
        unreadable=reading.unreadable,
        includes=reading.includes,
    )
