"""Bytes of a file to a `Document`: one reader for each family of formats, found by the file's suffix.

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
from indexes.readers.base import DEFAULT_LIMITS, ReadLimits, ReadText, one_line
from indexes.readers.html import read_web_page
from indexes.readers.json import read_json, read_json_lines
from indexes.readers.markdown import read_markdown
from indexes.readers.notebook import read_notebook
from indexes.readers.office import read_sheets, read_slides, read_word
from indexes.readers.pdf import read_pdf
from indexes.readers.restructuredtext import read_rst
from indexes.readers.sandbox import read_in_sandbox
from indexes.readers.source_code import read_braces, read_source
from indexes.readers.text import read_delimited, read_plain
from indexes.text import clean
from indexes.types import Document, Heading, Table

# Part of a document's content hash: raise it when a reader's output changes, so that every file is read again.
READER_VERSION = b"5"

_SUFFIXES_OF: dict[Callable[[bytes, ReadLimits], ReadText], str] = {
    read_plain: ".txt .text .log .bib .css .scss .xml",
    read_markdown: ".md .markdown",
    read_rst: ".rst",
    read_web_page: ".html .htm .xhtml",
    read_pdf: ".pdf",
    read_word: ".docx",
    read_slides: ".pptx",
    read_sheets: ".xlsx",
    read_notebook: ".ipynb",
    read_delimited: ".csv .tsv",
    read_json: ".json",
    read_json_lines: ".jsonl .ndjson",
    read_braces: ".c .h .cc .cpp .cxx .hh .hpp .cu .cuh .m .mm .cs .java .dart .proto",
    read_source: (
        ".py .pyi .js .mjs .cjs .ts .tsx .jsx .vue .go .rs .rb .php .swift .kt .kts .scala .sh .bash .zsh"
        " .ps1 .sql .r .jl .lua .pl .pm .hs .ml .mli .ex .exs .erl .clj .el .lisp .scm .nim .zig .f90"
        " .yaml .yml .toml .ini .cfg .conf .tex .cmake"
    ),
}
_READERS = {suffix: reader for reader, suffixes in _SUFFIXES_OF.items() for suffix in suffixes.split()}
SUFFIXES = frozenset(_READERS)
# They pass along the lines once: their time and memory are bounded by the file's size.
_BY_LINES = frozenset({read_plain, read_markdown, read_rst, read_delimited, read_braces, read_source})

_LONE_RETURN = re.compile(r"\r(?!\n)")
_NOT_IN_TEXT = re.compile("[\ud800-\udfff\0]")  # lone surrogates break every output in UTF-8


def check_suffix(path: Path) -> None:
    """Check that there is a reader for a file's suffix.

    Args:
        path: The file; only its name is looked at.

    Raises:
        UnreadableFile: There is none; the message lists the suffixes that are read.
    """
    if path.suffix.lower() not in SUFFIXES:
        kind = f"'{path.suffix}' files" if path.suffix else "files without a suffix"
        raise UnreadableFile(f"no reader for {kind}; what is read: {' '.join(sorted(SUFFIXES))}")


def read_document(path: Path, data: bytes, limits: ReadLimits = DEFAULT_LIMITS) -> Document:
    """Turn a file's bytes into a document.

    Args:
        path: The file, which becomes the document's source; its suffix selects the reader.
        data: The file's bytes, as from `read_bytes`.
        limits: What the file may take.

    Returns:
        The document. Its title is the one that the file gives, its first heading, or the file's name.

    Raises:
        UnreadableFile: For anything that cannot be read; no other error is raised.
        EmptyFile: For a file of no bytes, and a text file of white space only: an UnreadableFile, too.
    """
    check_suffix(path)
    if not data:
        raise EmptyFile("empty file")
    suffix = path.suffix.lower()
    is_own_text = _READERS[suffix] in _BY_LINES
    try:
        if is_own_text:
            return _document(path, _with_newlines(read_here(suffix, data, limits)))
        return _document(path, _put_right(read_in_sandbox(suffix, data, limits)))
    except MemoryError as error:
        raise UnreadableFile("takes more memory to read than there is") from error


def read_here(suffix: str, data: bytes, limits: ReadLimits) -> ReadText:
    """Read a file's bytes in this process. Raises UnreadableFile and MemoryError."""
    try:
        reading = _READERS[suffix](data, limits)
    except RecursionError as error:
        raise UnreadableFile("nested too deeply to be read") from error
    if len(reading.text) > limits.max_text:
        raise UnreadableFile(f"its text has {len(reading.text):,} characters, over the limit of {limits.max_text:,}")
    return reading


def _with_newlines(reading: ReadText) -> ReadText:
    """A file's own text, with a newline for each carriage return alone. Raises EmptyFile for white space only."""
    if not reading.text or reading.text.isspace():
        raise EmptyFile("no text in it")
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
        tables=tuple(Table(at(each.start), at(each.end), each.header) for each in reading.tables),
    )


def _document(path: Path, reading: ReadText) -> Document:
    text = _NOT_IN_TEXT.sub("\ufffd", reading.text)  # one character for one: offsets stay
    if not text or text.isspace():
        raise UnreadableFile("no text in it")
    title = clean(reading.title or (reading.headings[0].text if reading.headings else "")).text
    return Document(
        source=str(path),
        text=text,
        title=one_line(_NOT_IN_TEXT.sub("\ufffd", title)) or path.stem,
        headings=tuple(replace(each, text=clean(each.text).text or each.text) for each in reading.headings),
        pages=reading.pages,
        breaks=reading.breaks,
        metadata=Metadata({name: _NOT_IN_TEXT.sub("\ufffd", value) for name, value in reading.metadata.items()}),
        warnings=tuple(map(one_line, reading.warnings)),
        tables=reading.tables,
    )
