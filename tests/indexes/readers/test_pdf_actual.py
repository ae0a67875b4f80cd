"""Text that a PDF states for what it draws takes the place of the glyphs."""

import pytest
from hand_made_pdf import drawn_pdf, pdf_of

MARK = b"/Span << /ActualText %s >> BDC "


def page(content: bytes) -> bytes:
    return drawn_pdf(b"BT /F 12 Tf 14 TL 72 720 Td " + content + b" ET")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"(the of) Tj " + MARK % b"(fi)" + b"(X) Tj EMC (ce opens) Tj", "the office opens"),
        (b"(infor) Tj " + MARK % b"<FEFF00AD>" + b"(-) Tj EMC T* (mation here) Tj", "information\nhere"),
        (b"(a) Tj " + MARK % b"<FEFF706F53F0D83DDE00>" + b"[(X) -20 (Y)] TJ T* (Z) Tj EMC T* (b) Tj", "a灯台😀\nb"),
        (MARK % b"<EFBBBFC3A9>" + b"(X) Tj EMC (b) Tj", "éb"),
        (MARK % b"(caf\\351)" + b"(X) Tj EMC (b) Tj", "caféb"),
        (
            MARK % b"(first)" + b"(1) Tj EMC (line) ' " + MARK % b"(second)" + b"(2) ' EMC 1 0 (3) \"",
            "first\nline\nsecond\n3",
        ),
        (MARK % b"(same text)" + b"(same) Tj /Span BMC ( text) Tj EMC EMC", "same text"),
        (MARK % b"(outer)" + b"(X) Tj " + MARK % b"(inner)" + b"(Y) Tj EMC EMC (b) Tj", "outerb"),
        (MARK % b"(open)" + b"(X) Tj", "open"),
        (b"(b) Tj " + MARK % b"()" + b"(*) Tj EMC", "b"),
        (MARK % b"()" + b"(a whole line) Tj EMC", "a whole line"),
        (MARK % b"[(no text)]" + b"(drawn) Tj EMC", "drawn"),
    ],
)
def test_stated_text_takes_the_place_of_glyphs(content, text, read):
    document = read("a.pdf", page(content))
    assert (document.text.strip(), document.warnings) == (text, ())


def test_stated_text_for_a_drawing_is_read(read):
    drawing = b"BT /F 12 Tf 72 720 Td (a) Tj ET /Figure << /ActualText (E = mc2) >> BDC 0 0 m 9 9 l S EMC "
    assert read("a.pdf", drawn_pdf(drawing + b"BT /F 12 Tf 72 700 Td (b) Tj ET")).text == "aE = mc2\nb"


def test_words_keep_their_spaces_beside_stated_text(read):
    """The room that it takes is that of the glyphs."""
    line = MARK % b"(The very old)" + b"(XX) Tj EMC 1 0 0 1 92 720 Tm (lamp) Tj 1 0 0 1 118.1 720 Tm (shade) Tj"
    assert read("a.pdf", page(line)).text == "The very old lampshade"
    line = MARK % b"(I)" + b"(XXXXXXX) Tj EMC 1 0 0 1 128.1 720 Tm (n) Tj 1 0 0 1 140 720 Tm (time) Tj"
    assert read("a.pdf", page(line)).text == "In time"


def test_stated_text_in_a_table_and_in_a_form_and_by_name(read):
    rows = b"".join(
        b"1 0 0 1 72 %d Tm (%s) Tj 1 0 0 1 300 %d Tm %s" % (700 - 14 * i, name, 700 - 14 * i, value)
        for i, (name, value) in enumerate(
            (
                (b"item", b"(kg) Tj "),
                (b"oil", MARK % b"(3 kg)" + b"(X) Tj EMC "),
                (b"wick", b"(4) Tj "),
                (b"rope", b"(5) Tj "),
            )
        )
    )
    assert read("a.pdf", page(rows)).text == "item | kg\noil | 3 kg\nwick | 4\nrope | 5"
    fonts = b"/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    form = b"BT /F 12 Tf 72 720 Td /Span /P0 BDC (X) Tj EMC ( opens) Tj ET"
    drawn = b"/M Do"
    data = pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /XObject << /M 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Length %d /Resources << %s /Properties << /P0"
        b" << /ActualText (office) >> >> >> >>\nstream\n%s\nendstream" % (len(form), fonts, form),
    )
    assert read("a.pdf", data).text.strip() == "office opens"


def tagged(content: bytes, *elements: bytes, parents: bytes) -> bytes:
    """A page of a tagged document, whose elements are the objects from 7 on."""
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R /StructTreeRoot 6 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /StructParents 3"
        b" /Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /StructTreeRoot /ParentTree << /Kids [<< /Nums [3 %s] >>] >> >>" % parents,
        *elements,
    )


def test_text_that_the_structure_states_is_that_of_all_marks_of_an_element(read):
    marks = (
        b"/Span << /MCID %d >> BDC (%s) Tj EMC" % each for each in enumerate((b"a ", b"drop", b"cap ", b"X", b" z"))
    )
    content = b"BT /F 12 Tf 72 720 Td " + b" ".join(marks) + b" ET"
    elements = (
        b"<< /S /P >>",
        b"<< /S /Span /ActualText (Dropcap ) >>",
        b"<< /S /Span /P 10 0 R >>",
        b"<< /S /Formula /ActualText (x = 1) >>",
    )
    data = tagged(content, *elements, parents=b"[7 0 R 8 0 R 8 0 R 9 0 R 7 0 R]")
    document = read("a.pdf", data)
    assert (document.text, document.warnings) == ("a Dropcap x = 1 z", ())


def drawn_form(form: bytes, about: bytes, parents: bytes = b"", page: bytes = b"/M Do") -> bytes:
    """A page that draws a form, and an element of the structure that states a text."""
    fonts = b"/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R /StructTreeRoot 6 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << %s /XObject << /M 5 0 R >> >> >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Length %d %s >>\nstream\n%s\nendstream"
        % (len(form), about.replace(b"FONTS", fonts), form),
        b"<< /Type /StructTreeRoot /ParentTree << /Nums [1 %s] >> >>" % (parents or b"null"),
        b"<< /S /Span /ActualText (office) >>",
    )


@pytest.mark.parametrize("resources", [b"/Resources << FONTS >>", b""])
@pytest.mark.parametrize(
    ("about", "parents", "text"),
    [
        (b"/StructParents 1", b"[7 0 R]", "office opens"),
        (b"/StructParent 1", b"7 0 R", "office"),
        (b"/StructParent 9", b"7 0 R", "X opens"),
        (b"/StructParent [1]", b"99 0 R", "X opens"),
    ],
)
def test_text_that_the_structure_states_for_a_form_and_for_marks_in_it(about, parents, text, resources, read):
    form = b"BT /F 12 Tf 72 720 Td /Span << /MCID 0 >> BDC (X) Tj EMC ( opens) Tj ET"
    document = read("a.pdf", drawn_form(form, about + b" " + resources, parents))
    assert (document.text.strip(), document.warnings) == (text, ())


def test_a_form_without_fonts_of_its_own_has_those_of_the_page(read):
    line = b"BT /F 12 Tf 72 %d Td (%s) Tj ET "
    data = drawn_form(line % (720, b"in the form"), b"", page=line % (740, b"on the page") + b"/M Do")
    assert read("a.pdf", data).text == "on the page\nin the form"


@pytest.mark.parametrize("parents", [b"7 0 R", b"[99 0 R null (text) 7 0 R]", b"[7 0 R"])
def test_a_damaged_structure_costs_nothing(parents, read):
    content = b"BT /F 12 Tf 72 720 Td /Span << /MCID 0 >> BDC (text) Tj EMC ET"
    assert read("a.pdf", tagged(content, b"<< /S /Span /P 7 0 R /ActualText 7 0 R >>", parents=parents)).text == "text"


WORDS = [
    "anchor",
    "beacon",
    "cable",
    "dinghy",
    "engine",
    "flare",
    "galley",
    "hatch",
    "island",
    "jetty",
    "keel",
    "lantern",
    "mast",
    "nets",
    "oars",
    "pilot",
]


def columns(*, down: bool, words: list[str]) -> bytes:
    half = len(words) // 2
    places = [(72 + 228 * (i // half), 720 - 14 * (i % half), word) for i, word in enumerate(words)]
    places = places if down else sorted(places, key=lambda place: (-place[1], place[0]))
    return page(b"".join(b"1 0 0 1 %d %d Tm (%s) Tj " % (x, y, word.encode()) for x, y, word in places))


def test_columns_of_words_that_are_drawn_one_after_the_other_are_no_table(read):
    document = read("a.pdf", columns(down=True, words=WORDS))
    assert (document.text.split("\n"), document.tables) == (WORDS, ())
    assert read("a.pdf", columns(down=False, words=WORDS)).text.startswith("anchor | island\nbeacon | jetty\n")
    numbers = [*WORDS[:8], "metres", *map(str, range(1, 8))]
    assert read("a.pdf", columns(down=True, words=numbers)).tables[0].header == "anchor | metres"
