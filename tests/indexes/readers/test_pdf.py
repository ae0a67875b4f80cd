"""PDF: pages, titles, damage, encryption and bounds."""

import io
import logging

import pypdf
import pytest


def make_pdf(pages: list[str], title: str | None = None, password: str | None = None) -> bytes:
    """A PDF whose font maps every UTF-16 unit to itself, as one with embedded Japanese does."""
    used = sorted({ord(character) for page in pages for character in page})
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def 1 begincodespacerange "
        b"<0000> <FFFF> endcodespacerange %d beginbfchar %s endbfchar endcmap end end"
    ) % (len(used), b" ".join(b"<%04X> <%04X>" % (code, code) for code in used))
    count = len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b" ".join(b"%d 0 R" % (6 + 2 * i) for i in range(count))),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Made /Encoding /Identity-H /ToUnicode 5 0 R "
        b"/DescendantFonts [4 0 R] >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Made /CIDSystemInfo << /Registry (Adobe) "
        b"/Ordering (Identity) /Supplement 0 >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap),
    ]
    for i, page in enumerate(pages):
        shown = b" T* ".join(b"<%s> Tj" % line.encode("utf-16-be").hex().encode() for line in page.split("\n"))
        content = b"BT /F 12 Tf 14 TL 50 700 Td %s ET" % shown
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >> >>" % (7 + 2 * i)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    if title is None and password is None:
        return bytes(out)
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(bytes(out)))
    if title is not None:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, "owner", algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def test_pdf(read):
    document = read("a.pdf", make_pdf(["First page\nof text", "二頁目の文章。", "Third"], title="A Title"))
    assert document.text == "First page\nof text\f二頁目の文章。\fThird"
    assert [document.text[start:][:3] for start in document.pages] == ["Fir", "二頁目", "Thi"]
    assert document.title == "A Title"


@pytest.mark.parametrize("title", [None, "", "  ", "Microsoft Word - x.doc", "untitled", "12-34"])
def test_a_dull_pdf_title_gives_way_to_the_files_name(title, read):
    assert read("paper.pdf", make_pdf(["text"], title=title)).title == "paper"


def test_a_pdf_without_text_keeps_the_empty_page(read, refusal):
    document = read("a.pdf", make_pdf(["one", "", "three"]))
    assert document.text == "one\f\fthree"
    assert document.pages == (0, 4, 5)
    assert refusal("a.pdf", make_pdf(["", ""])) == "no text in it (a scan?); run OCR on it first"


def test_a_damaged_page_is_left_empty_and_the_others_are_read(read):
    data = make_pdf(["one", "two", "three"])
    broken = data.replace(b"/Contents 9 0 R", b"/Contents (bad)")
    document = read("a.pdf", broken)
    assert document.text == "one\f\fthree"
    assert len(document.pages) == 3


def test_an_encrypted_pdf(read, refusal):
    assert read("a.pdf", make_pdf(["open"], password="")).text == "open"
    assert (
        refusal("a.pdf", make_pdf(["x"], password="secret"))
        == "encrypted, and it asks for a password; save it without one"
    )


def test_pdf_bounds(refusal):
    data = make_pdf(["text"] * 5)
    assert refusal("a.pdf", data, max_pages=4) == "has 5 pages, over the limit of 4"
    assert refusal("a.pdf", data, max_text=10) == "its text has over 10 characters, which is the limit"


def test_pypdf_says_nothing_and_its_logger_is_as_before(caplog, capsys, read, refusal):
    logging.getLogger("pypdf").setLevel(logging.INFO)
    damaged = make_pdf(["text"]).replace(b"startxref\n", b"startxref\n9")
    assert read("a.pdf", damaged).text == "text"
    refusal("a.pdf", b"%PDF-1.4 rubbish")
    assert not caplog.records
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("pypdf").level == logging.INFO
    logging.getLogger("pypdf").setLevel(logging.NOTSET)
