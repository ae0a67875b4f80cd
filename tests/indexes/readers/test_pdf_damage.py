"""PDFs whose list of objects or whose end is wrong or missing are read, or said to be damaged."""

import re

import pytest
from hand_made_pdf import pdf_of, text_pdf

PAGES = text_pdf("one line", "second page")
OFFSETS = re.findall(rb"(\d{10}) 00000 n", PAGES)


def with_offsets(*offsets: bytes) -> bytes:
    found = iter(offsets)
    return re.sub(rb"\d{10}(?= 00000 n)", lambda old: next(found), PAGES)


@pytest.mark.parametrize(
    "data",
    [
        re.sub(rb"startxref\n\d+", b"startxref\n0", PAGES),
        re.sub(rb"startxref\n\d+", b"startxref\n999999", PAGES),
        re.sub(rb"startxref\n\d+", b"startxref\n100", PAGES),
        b"x" * 100 + b"\n" + PAGES,
        PAGES.replace(b"%PDF-1.7\n", b"%PDF-1.7\n% a line that moves everything\n"),
        PAGES.replace(b"\n", b"\r\n"),
        with_offsets(*(b"%010d" % (int(offset) + 7) for offset in OFFSETS)),
        with_offsets(*[b"0000000000"] * len(OFFSETS)),
        with_offsets(*reversed(OFFSETS)),
        with_offsets(*OFFSETS[:4], b"%010d" % (int(OFFSETS[4]) + 5), *OFFSETS[5:]),
        PAGES.replace(b" 00000 n", b" 65535 f"),
    ],
)
def test_a_wrong_list_of_objects_costs_nothing(data, read):
    document = read("a.pdf", data)
    assert (document.text, document.warnings) == ("one line\fsecond page", ())


@pytest.mark.parametrize("end", [b"startxref", b"xref\n", b"trailer"])
def test_a_pdf_without_its_end_is_read_with_a_warning(end, read):
    document = read("a.pdf", PAGES[: PAGES.index(end)])
    assert document.text == "one line\fsecond page"
    [warning] = document.warnings
    assert warning.startswith("its end is damaged or missing, and not all of its pages may be there: ")


def test_a_pdf_that_is_cut_off_says_which_pages_are_missing(read, refusal):
    in_content = read("a.pdf", PAGES[: PAGES.rindex(b"Tj")])
    assert in_content.text == "one line\f"
    assert in_content.warnings[1].startswith("page 2 is damaged, and its text not or not wholly read")
    before_page = read("a.pdf", PAGES[: PAGES.index(b"6 0 obj")])
    assert before_page.text == "one line"
    assert before_page.warnings[1] == "only 1 of its 2 pages could be found, and their numbers may be others"
    assert refusal("a.pdf", PAGES[:60]).startswith("a broken PDF: ")


RESOURCES = b"/MediaBox [0 0 612 792] /Resources << /Font << /F 3 0 R >> >> >>"
CONTENT = b"<< /Length 41 >>\nstream\nBT /F 12 Tf 72 720 Td (one line) Tj ET       \nendstream"


@pytest.mark.parametrize(
    ("place", "text", "warning"),
    [
        (4, "one line", "only 1 of its 2 pages could be found, and their numbers may be others"),
        (5, "\fone line", "page 1 is damaged, and its text not or not wholly read: its content is not in the file"),
    ],
)
def test_a_page_or_its_content_that_is_not_in_the_file_is_named(place, text, warning, read):
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R 6 0 R] /Count 2 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R " + RESOURCES,
        CONTENT,
        b"<< /Type /Page /Parent 2 0 R /Contents 7 0 R " + RESOURCES,
        CONTENT,
    ]
    objects[place - 1] = b"null"
    document = read("a.pdf", pdf_of(*objects))
    assert (document.text, document.warnings) == (text, (warning,))


def test_a_list_of_pages_that_is_empty_beside_pages_is_damaged(refusal):
    data = PAGES.replace(b"/Kids [4 0 R 6 0 R] /Count 2", b"/Kids [] /Count 0           ")
    assert refusal("a.pdf", data) == "a broken PDF: no pages in it"


def test_a_form_that_is_drawn_by_a_program_alone_is_named(read):
    form = PAGES.replace(b"/Type /Catalog", b"/NeedsRendering true /Type /Catalog")
    [warning] = read("a.pdf", form).warnings
    assert warning.startswith("a dynamic form (XFA), whose text and values are not read")
