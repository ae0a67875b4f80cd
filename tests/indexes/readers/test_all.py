"""What holds for every reader."""

import codecs
import json

import pytest

from indexes.errors import EmptyFile
from indexes.readers.registry import SUFFIXES


def test_no_text(refusal):
    assert refusal("a.txt", b"") == "empty file"
    assert refusal("a.txt", " \n\t　\n") == "no text in it"
    assert refusal("a.html", "<html><script>x</script></html>") == "no text in it"
    assert refusal("a.ipynb", '{"cells": []}') == "no text in it"


def test_the_limit_on_text(refusal):
    assert refusal("a.txt", "x" * 11, max_text=10) == "its text has 11 characters, over the limit of 10"
    assert "over the limit of 5,000" in refusal("a.json", json.dumps(["x" * 3_000, *range(1_000)]), max_text=5_000)


NO_PLAIN_TEXT = {".pdf", ".docx", ".pptx", ".xlsx", ".ipynb", ".json", ".jsonl", ".ndjson", ".epub"}
NO_PLAIN_TEXT |= {".odt", ".ott", ".ods", ".odp", ".fodt", ".fods", ".fodp", ".ots", ".otp"}
NO_PLAIN_TEXT |= {
    f".{name}" for name in ["docm", "dotx", "dotm", "xlsm", "xltx", "xltm", "pptm", "ppsx", "ppsm", "potx", "potm"]
}


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - NO_PLAIN_TEXT))
def test_every_suffix_has_a_reader(suffix, read):
    assert "text" in read(f"a{suffix}", "text\n").text


def test_a_suffix_that_no_reader_reads(refusal):
    assert refusal("a.xyz", "text").startswith("no reader for '.xyz' files; what is read: .adoc .asciidoc .bash ")
    assert refusal("a.PPT", "text") == (
        "no reader for '.PPT' files; convert it, as with `soffice --headless --convert-to pptx FILE`"
    )


@pytest.mark.parametrize("name", ["a.json", "a.html", "a.eml", "a.rtf", "a.xml", "a.csv", "a.srt", "a.jsonl"])
def test_a_file_of_white_space_is_empty_in_every_format(name, read):
    for content in (" \n\t\r\n", "\ufeff\n", codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE):
        with pytest.raises(EmptyFile):
            read(name, content)


def test_a_notebook_without_cells_is_empty(read):
    with pytest.raises(EmptyFile):
        read("a.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "LICENSE",
        "LICENSE-MIT",
        "CHANGELOG",
        "Makefile",
        "Dockerfile",
        "authors",
        "README.ja",
        "README_de",
        "README.zh-CN",
        "INSTALL.Debian",
        "COPYING.LESSER",
        "LICENSE.APACHE",
        "Dockerfile.dev",
        "Makefile.am",
    ],
)
def test_files_that_have_no_suffix_by_custom_are_read(name, read):
    document = read(name, "Oil the hinges.\n")
    assert (document.text, document.title) == ("Oil the hinges.\n", name.partition(".")[0])


@pytest.mark.parametrize(
    "name", ["a.out", "core", "readme.zip", "id_rsa", "license.key", "install.exe", "build.db", "notes.ja"]
)
def test_other_names_have_no_reader(name, refusal):
    assert refusal(name, "text").startswith("no reader for ")
