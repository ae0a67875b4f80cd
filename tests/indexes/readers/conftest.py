"""Reading one file, as the tests of every reader do it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import strategies as st

from indexes.errors import UnreadableFile
from indexes.readers.base import ReadLimits
from indexes.readers.registry import read_document
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


@pytest.fixture(scope="session")
def outcome() -> Callable[..., Document | str]:
    """The document, sound in itself, or the reason why there is none; any other exception fails the test."""

    def outcome(name: str, data: bytes, **limits) -> Document | str:
        try:
            document = read_document(Path(name), data, ReadLimits(**limits))
        except UnreadableFile as error:
            reason = error.reason
        else:
            check(document)
            return document
        assert len(reason.splitlines()) == 1
        assert len(reason) < 1_200
        return reason

    return outcome


@pytest.fixture(scope="session")
def damaged() -> Callable[[st.DataObject, bytes], bytes]:
    """A sound file with some bytes changed, cut out or put in, as hypothesis draws them."""

    def damaged(draw: st.DataObject, sound: bytes) -> bytes:
        data = bytearray(sound)
        for _ in range(draw.draw(st.integers(1, 4))):
            at = draw.draw(st.integers(0, len(data)))
            data[at : at + draw.draw(st.integers(0, 8))] = draw.draw(st.binary(max_size=8))
        return bytes(data)

    return damaged


def check(document: Document) -> None:
    """What everything after the readers relies on."""
    length = len(document.text)
    document.text.encode()
    document.title.encode()
    assert document.text.strip()
    assert "\0" not in document.text
    assert document.title
    assert "\n" not in document.title
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    assert all(0 <= start < length for start in starts)
    assert all(heading.text and heading.level >= 1 for heading in document.headings)
    assert list(document.pages) == sorted(document.pages)
    assert all(0 <= start <= length for start in document.pages)
    assert not document.pages or document.pages[0] == 0
    assert list(document.breaks) == sorted(set(document.breaks))
    assert all(0 <= start < length for start in document.breaks)
