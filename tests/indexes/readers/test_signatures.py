"""Files whose content is not what their name says: read by the content, or refused with what they are."""

import gzip
import io
import zipfile

import docx
import openpyxl
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def saved(file) -> bytes:
    out = io.BytesIO()
    (file.write if isinstance(file, PdfWriter) else file.save)(out)
    return out.getvalue()


def pdf() -> bytes:
    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = {NameObject(f"/{key}"): NameObject(f"/{value}") for key, value in FONT.items()}
    fonts = DictionaryObject({NameObject("/F"): DictionaryObject(font)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(b"BT /F 12 Tf 20 200 Td (The lamp is lit at six.) Tj ET")
    page[NameObject("/Contents")] = stream
    return saved(writer)


FONT = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica"}


def word() -> bytes:
    document = docx.Document()
    document.add_paragraph("The lamp is lit at six.")
    return saved(document)


def sheet() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["The lamp is lit at six."])
    return saved(book)


@pytest.mark.parametrize("make", [pdf, word, sheet, lambda: rb"{\rtf1 The lamp is lit at six.}"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "README"])
def test_a_document_under_the_name_of_a_text_is_read_as_what_it_is(make, name, read):
    assert read(name, make()).text.removeprefix("Sheet\n\n") == "The lamp is lit at six."


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.txt", "text")
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (archive(), "a zip archive"),
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
