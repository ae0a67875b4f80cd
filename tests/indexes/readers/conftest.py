"""Reading one file, as the tests of every reader do it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from indexes.errors import UnreadableFile
from indexes.readers import ReadLimits, read_document
from indexes.types import Document


@pytest.fixture(scope="session")
def read() -> Callable[..., Document]:
    """The document of a file of that name with that content, under those limits."""

    def read(name: str, content: str | bytes, **limits) -> Document:
        data = content.encode() if isinstance(content, str) else content
        document = read_document(Path("/corpus") / name, data, ReadLimits(**limits))
        assert document.source == f"/corpus/{name}"
        return document

    return read


@pytest.fixture(scope="session")
def refusal(read) -> Callable[..., str]:
    """The reason why such a file is not read."""

    def refusal(name: str, content: str | bytes, **limits) -> str:
        with pytest.raises(UnreadableFile) as caught:
            read(name, content, **limits)
        assert "\n" not in caught.value.reason
        return caught.value.reason

    return refusal


@pytest.fixture(scope="session")
def outline() -> Callable[[Document], list[tuple[int, str]]]:
    """The headings as (level, text), each of which is found in the text where it says it is."""

    def outline(document: Document) -> list[tuple[int, str]]:
        for heading in document.headings:
            assert heading.text in " ".join(document.text[heading.start :].split())[: len(heading.text) + 80]
        return [(heading.level, heading.text) for heading in document.headings]

    return outline


@pytest.fixture(scope="session")
def parts() -> Callable[[Document], list[str]]:
    """The text cut at `breaks`."""

    def parts(document: Document) -> list[str]:
        edges = [*document.breaks, len(document.text)]
        return [document.text[start:end] for start, end in pairwise(edges)]

    return parts
