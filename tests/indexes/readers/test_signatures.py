"""Files whose content is not what their name says: read by the content, or refused with what they are."""

import gzip

import docx
import pytest
from hand_made_pdf import text_pdf
from made_office import workbook
from saved_file import saved, zipped


def pdf() -> bytes:
    return text_pdf("The lamp is lit at six.")


def word() -> bytes:
    document = docx.Document()
    document.add_paragraph("The lamp is lit at six.")
    return saved(document)


def sheet() -> bytes:
    return saved(workbook([["The lamp is lit at six."]]))


@pytest.mark.parametrize("make", [pdf, word, sheet, lambda: rb"{\rtf1 The lamp is lit at six.}"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "README"])
def test_a_document_under_the_name_of_a_text_is_read_as_what_it_is(make, name, read):
    assert read(name, make()).text.removeprefix("Sheet\n\n") == "The lamp is lit at six."


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (zipped({"a.txt": "text"}), "a zip archive"),
        (gzip.compress(b"text"), "a gzip file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
    ],
    ids=["zip", "gzip", "png", "jpeg"],
)
def test_what_no_reader_reads_is_named(data, what, name, refusal):
    assert refusal(name, data).startswith(f"{what} under the name of a {name[1:]} file")


def test_a_text_about_a_format_is_a_text(read):
    for text in ("%PDF-1.7 is how such a file begins.", "GIF89a and RIFF are signatures.", "BZh is bzip2's"):
        assert read("a.txt", text).text == text
