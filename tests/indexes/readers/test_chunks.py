"""Every reader's documents, cut in every way: the offsets are exact, and nothing that can be seen is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import docx
import pptx
import pytest
from hand_made_pdf import drawn_pdf
from hypothesis import given, settings
from hypothesis import strategies as st
from made_office import workbook
from saved_file import saved

from indexes import Encoder
from indexes.chunking.chunker import chunk_document
from indexes.chunking.chunking import Chunking
from indexes.readers.registry import SUFFIXES, read_document
from indexes.readers.sandbox import end_sandbox

PIECES = [
    "The keeper lit the lamp. ",
    "The keeper lit the lamp. The keeper lit the lamp.\n",
    "「灯台守は、灯をともした。そして眠った。」と書いてある。",
    "吾輩は猫である。名前はまだ無い。\n\n",
    "caf\u00e9, e\u0301 and 𠮟る. ",
    "x" * 700 + " ",
    "1. A list\n2. of things\n\n",
]


def plain(texts: list[str]) -> bytes:
    return "".join(texts).encode()


def headed(texts: list[str]) -> bytes:
    return "\n\n".join(f"{'#' * (1 + n % 3)} Part {n % 2}\n\n{text}" for n, text in enumerate(texts)).encode()


def underlined(texts: list[str]) -> bytes:
    return "\n\n".join(f"Part\n====\n\n{text}" for text in texts).encode()


def web_page(texts: list[str]) -> bytes:
    return ("<html><body>" + "".join(f"<h2>Part</h2><p>{text}</p>" for text in texts) + "</body></html>").encode()


def pdf(texts: list[str]) -> bytes:
    contents = []
    for text in texts:
        lines = text.encode("latin-1", "replace").replace(b"(", b"").replace(b")", b"").splitlines()
        contents.append(b"BT /F 9 Tf 12 TL 40 750 Td " + b"".join(b"(%s) Tj T* " % line for line in lines) + b"ET")
    return drawn_pdf(*contents)


def word(texts: list[str]) -> bytes:
    document = docx.Document()
    for text in texts:
        document.add_heading("Part", 2)
        document.add_paragraph(text)
    return saved(document)


def slides(texts: list[str]) -> bytes:
    presentation = pptx.Presentation()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = "Part", text
    return saved(presentation)


def sheet(texts: list[str]) -> bytes:
    return saved(workbook(["Part", text] for text in texts))


def notebook(texts: list[str]) -> bytes:
    cells = [
        {"cell_type": ("code", "markdown")[n % 2], "source": text, "metadata": {}, "outputs": []}
        for n, text in enumerate(texts)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def table(texts: list[str]) -> bytes:
    return "\n".join(["number,text", *(f'{n},"{text}"' for n, text in enumerate(texts))]).encode()


def source_code(texts: list[str]) -> bytes:
    return "\n\n".join(f'def part_{n}():\n    """{text}"""' for n, text in enumerate(texts)).encode()


def braces(texts: list[str]) -> bytes:
    return "\n\n".join(f"void part_{n}() {{\n  // {text}\n}}" for n, text in enumerate(texts)).encode()


MADE: dict[str, Callable[[list[str]], bytes]] = {
    ".txt": plain,
    ".md": headed,
    ".rst": underlined,
    ".html": web_page,
    ".pdf": pdf,
    ".docx": word,
    ".pptx": slides,
    ".xlsx": sheet,
    ".ipynb": notebook,
    ".csv": table,
    ".json": lambda texts: json.dumps([{"text": text} for text in texts]).encode(),
    ".jsonl": lambda texts: "\n".join(json.dumps({"text": text}) for text in texts).encode(),
    ".py": source_code,
    ".c": braces,
}


@pytest.fixture(scope="module", autouse=True)
def _end() -> Iterator[None]:
    yield
    end_sandbox()


@pytest.mark.parametrize("suffix", MADE)
@settings(max_examples=settings.default.max_examples // 8)
@given(
    texts=st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join), min_size=1, max_size=8),
    overlap=st.sampled_from([0, 8, 30]),
)
def test_offsets_are_exact_whatever_the_reader(suffix: str, hashing: Encoder, texts: list[str], overlap: int) -> None:
    assert suffix in SUFFIXES
    document = read_document(Path("/x/file" + suffix), MADE[suffix](texts))
    covered = bytearray(len(document.text))
    for passage in chunk_document(document, hashing, Chunking(overlap=overlap)):
        chunk = passage.chunk
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.line == document.text.count("\n", 0, chunk.start) + 1
        assert len(hashing.token_offsets([passage.embedded])[0]) <= hashing.max_tokens
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    assert any(covered)
    assert all(covered[place] or character.isspace() for place, character in enumerate(document.text))
