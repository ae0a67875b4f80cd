"""PDF: pages, titles, damage, encryption and bounds."""

import io
import logging

import pypdf
import pytest
from hand_made_pdf import drawn_pdf, pdf_of
from pdfminer.fontmetrics import FONT_METRICS
from saved_file import saved

from indexes import CorpusIndex, Failure


def make_pdf(pages: list[str], title: str | None = None, password: str | None = None) -> bytes:
    """Pages with these lines, from their upper left corner."""
    return unicode_pdf(
        [b"BT /F 12 Tf 14 TL 50 700 Td %s ET" % b" T* ".join(map(show, page.split("\n"))) for page in pages],
        title,
        password,
    )


def show(text: str) -> bytes:
    return b"<%s> Tj" % text.encode("utf-16-be").hex().encode()


def at(x: float, y: float, text: str) -> bytes:
    return b"1 0 0 1 %d %d Tm %s" % (x, y, show(text))


def unicode_pdf(
    contents: list[bytes], title: str | None = None, password: str | None = None, encoding="Identity-H"
) -> bytes:
    """A PDF whose font F maps every UTF-16 unit to itself, as one with embedded Japanese does."""
    used = [*range(0x20, 0x7F), *range(0x3000, 0x3100), *map(ord, "吾輩猫名前無生見当何二頁目文章")]
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def 1 begincodespacerange "
        b"<0000> <FFFF> endcodespacerange %d beginbfchar %s endbfchar endcmap end end"
    ) % (len(used), b" ".join(b"<%04X> <%04X>" % (code, code) for code in used))
    count = len(contents)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b" ".join(b"%d 0 R" % (6 + 2 * i) for i in range(count))),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Made /Encoding /%s /ToUnicode 5 0 R "
        b"/DescendantFonts [4 0 R] >>" % encoding.encode(),
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Made /CIDSystemInfo << /Registry (Adobe) "
        b"/Ordering (Identity) /Supplement 0 >> /DW 500 /W [12288 65535 1000] >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap),
    ]
    for i, content in enumerate(contents):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >> >>" % (7 + 2 * i)
        )
        objects.append(
            content if b"stream" in content else b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
        )
    data = pdf_of(*objects)
    if title is None and password is None:
        return data
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    if title is not None:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, "owner", algorithm="RC4-128")
    return saved(writer)


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


def test_a_damaged_page_is_told_and_the_others_are_read(read):
    document = read(
        "a.pdf", unicode_pdf([b"BT /F 12 Tf " + content for content in (show("one"), b"<006", show("three"))])
    )
    assert document.text == "one\f\fthree"
    assert len(document.pages) == 3
    [warning] = document.warnings
    assert warning.startswith("page 2 is damaged, and its text not or not wholly read: ")


def test_a_page_that_cannot_be_unpacked_is_told(read, refusal, tmp_path, hashing):
    """pypdf gives nothing for it and goes on."""
    rubbish = b"<< /Length 60 /Filter /FlateDecode >>\nstream\n" + b"U" * 60 + b"\nendstream"
    good = b"BT /F 12 Tf 50 700 Td " + show("good") + b" ET"
    document = read("a.pdf", unicode_pdf([rubbish, good]))
    assert document.text == "\fgood"
    [warning] = document.warnings
    assert warning.startswith("page 1 is damaged")
    assert refusal("a.pdf", unicode_pdf([rubbish] * 2)).startswith("a broken PDF: Error -3 while decompressing")
    many = read("a.pdf", unicode_pdf([rubbish] * 14 + [good])).warnings
    assert (len(many), many[-1]) == (11, "4 more pages are damaged")
    (tmp_path / "a.pdf").write_bytes(unicode_pdf([rubbish, good]))
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest(tmp_path / "a.pdf")
    assert (report.added, report.failed, report.warnings) == (1, (), (Failure(str(tmp_path / "a.pdf"), warning),))


# Two columns and vertical text

LEFT = [
    "The quick brown fox jumps over it",
    "and then the lazy dog sleeps on a",
    "mat of straw, while the night now",
] * 3
RIGHT = [
    "Another story is told in the next",
    "column, where the river runs along",
    "the fields and the miller grinds a",
] * 3
BOTH = "\n".join([*LEFT, *RIGHT])


def two_columns(left: list[str], right: list[str], by_row: bool, between: bytes = b" ") -> bytes:
    ys = range(650, 0, -14)
    cells = [[at(x, y, line) for y, line in zip(ys, lines)] for x, lines in ((50, left), (320, right))]  # noqa: B905
    drawn = [cell for row in zip(*cells, strict=True) for cell in row] if by_row else [*cells[0], *cells[1]]
    return b"BT /F 12 Tf " + between.join(drawn) + b" ET"


@pytest.mark.parametrize("between", [b" ", b" ET BT /F 12 Tf "])
@pytest.mark.parametrize("by_row", [True, False])
def test_two_columns_are_read_one_after_the_other(by_row, between, read):
    assert read("a.pdf", unicode_pdf([two_columns(LEFT, RIGHT, by_row, between)])).text == BOTH


RAGGED_LEFT = [
    "The harbour master checks",
    "every lamp at six in all and",
    "writes it in a thick book that",
    "lies on the desk in the office",
    "beside the door of the tower",
    "where the keeper sleeps at day",
] * 2
RAGGED_RIGHT = [
    "Fog signals are sounded once",
    "a minute for five seconds and",
    "the water in the tank is enough",
    "for sixty days if nobody wastes",
    "a drop of it while the supply",
    "ship is late because of storms",
] * 2


@pytest.mark.parametrize("moves", ["Tm", "Td", "TD"])
def test_two_columns_of_ragged_lines_in_one_text_object(moves, read):
    drawn, x, y = [], 0, 0
    for row, lines in enumerate(zip(RAGGED_LEFT, RAGGED_RIGHT, strict=True)):
        for to, text in zip((72, 320), lines, strict=True):
            height = 700 - 12 * row
            place = (to, height) if moves == "Tm" else (to - x, height - y)
            drawn.append(f"{'1 0 0 1 ' if moves == 'Tm' else ''}{place[0]} {place[1]} {moves} ({text}) Tj")
            x, y = to, height
    document = read("a.pdf", drawn_pdf(f"BT /F 10 Tf {' '.join(drawn)} ET".encode()))
    assert document.text.split("\n") == [*RAGGED_LEFT, *RAGGED_RIGHT]


def test_two_columns_that_are_drawn_word_by_word(read):
    widths = FONT_METRICS["Helvetica"][1]
    drawn = []
    for row, lines in enumerate(zip(RAGGED_LEFT, RAGGED_RIGHT, strict=True)):
        for x, text in zip((72.0, 320.0), lines, strict=True):
            for word in text.split():
                drawn.append(f"1 0 0 1 {x:.2f} {700 - 12 * row} Tm ({word}) Tj")
                x += sum(widths[letter] for letter in f"{word} ") / 100
    document = read("a.pdf", drawn_pdf(f"BT /F 10 Tf {' '.join(drawn)} ET".encode()))
    assert document.text.split("\n") == [*RAGGED_LEFT, *RAGGED_RIGHT]


def test_what_the_fields_and_notes_of_a_form_mean(read):
    def wide(text: str) -> bytes:
        return b"<feff%s>" % text.encode("utf-16-be").hex().encode()

    widget = b"/Type /Annot /Subtype /Widget /Rect [0 0 9 9] "
    options = b"/Opt [" + wide("銀") + b" " + wide("金") + b"]"
    stream = b"\xfe\xff" + "長い文".encode("utf-16-be")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Annots [4 0 R 5 0 R 6 0 R 7 0 R] >>",
        b"<< " + widget + b"/FT /Btn /Ff 32768 /T (metal) /V /1 /AS /1 " + options + b" >>",
        b"<< " + widget + b"/FT /Tx /T (rich) /RV (<body><p>Two &amp; a half</p><p>rows</p></body>) >>",
        b"<< /Type /Annot /Subtype /FreeText /Rect [0 0 9 9] /RC (<p>Checked.</p>) >>",
        b"<< " + widget + b"/FT /Tx /T (long) /V 8 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    assert read("a.pdf", pdf_of(*objects)).text.split("\n") == [
        *("metal: 金", "rich: Two & a half", "rows", "Checked.", "long: 長い文")
    ]


DRAWN = b"BT /F 12 Tf 2 10 Td (Approved) Tj ET"


def annotated_pdf(annotation: bytes, *objects: bytes) -> bytes:
    """A page that says Body, with an annotation, which may refer to further objects, from the sixth on."""
    content = b"BT /F 12 Tf 72 720 Td (Body) Tj ET"
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 5 0 R /Resources << /Font << /F 3 0 R >> >>"
        b" /Annots [<< /Type /Annot /Rect [0 0 9 9] %s >>] >>" % annotation,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        *objects,
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (b"/Subtype /FreeText", "Body\nApproved"),
        (b"/Subtype /Stamp", "Body\nApproved"),
        (b"/Subtype /Stamp /Contents (By the keeper)", "Body\nComment: By the keeper"),
        (b"/Subtype /Widget /FT /Sig /T (s)", "Body\nApproved"),
        (b"/Subtype /Widget /FT /Tx /T (s)", "Body\nApproved"),
        (b"/Subtype /Widget /FT /Tx /Ff 8192 /T (password)", "Body"),
        (b"/Subtype /Widget /FT /Btn /T (s)", "Body"),
        (b"/Subtype /FreeText /F 2", "Body"),
    ],
)
def test_what_says_nothing_but_by_its_appearance_is_read(kind, text, read):
    form = (
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 99 9] /Resources << /Font << /F 3 0 R >> >> /Length %d >>\n"
        b"stream\n%s\nendstream" % (len(DRAWN), DRAWN)
    )
    assert read("a.pdf", annotated_pdf(b"/AP << /N 6 0 R >> " + kind, form)).text == text


def test_files_that_are_attached_to_a_page_are_named(read):
    note = b"/Subtype /FileAttachment /Contents (See it.) /FS << /F (oil.txt) >>"
    document = read("a.pdf", annotated_pdf(note))
    assert document.text == "Body\nComment: See it."
    assert document.warnings == ("the attachment 'oil.txt' is not read: save it as a file of its own",)


def test_a_line_across_both_columns_stays_where_it_is(read):
    wide = "A heading that goes from one side of this page to the other, over both"
    line = b"BT /F 12 Tf " + at(50, 720, wide) + b" ET "
    assert read("a.pdf", unicode_pdf([line + two_columns(LEFT, RIGHT, True)])).text == f"{wide}\n{BOTH}"


def test_japanese_columns(read):
    left, right = ["吾輩は猫である。名前はまだ無い。どこ"] * 8, ["見当がつぬ。何でもところでしていた。"] * 8
    assert read("a.pdf", unicode_pdf([two_columns(left, right, True)])).text == "\n".join([*left, *right])


def test_a_table_is_read_row_by_row(read):
    names, values = [f"Item number {i}" for i in range(9)], [f"{i * 100} yen" for i in range(9)]
    rows = [f"{name} {value}" for name, value in zip(names, values, strict=True)]
    assert read("a.pdf", unicode_pdf([two_columns(names, values, True)])).text == "\n".join(rows)


COLUMNS = ["　吾輩は猫である。名前は", "まだ無い。どこで生れたか", "とんと見当がつぬ。", "　何でもところで"]


@pytest.mark.parametrize("encoding", ["Identity-V", "Identity-H"])
@pytest.mark.parametrize("is_backwards", [False, True])
def test_vertical_text_drawn_character_by_character(encoding, is_backwards, read):
    columns = [[at(500 - 20 * i, 700 - 12 * j, c) for j, c in enumerate(text)] for i, text in enumerate(COLUMNS)]
    drawn = [cell for column in (columns[::-1] if is_backwards else columns) for cell in column]
    document = read("a.pdf", unicode_pdf([b"BT /F 12 Tf " + b" ".join(drawn) + b" ET"], encoding=encoding))
    assert document.text == "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつぬ。\n何でもところで"


def test_vertical_text_drawn_column_by_column(read):
    drawn = b" ".join(at(500 - 20 * i, 700, text) for i, text in enumerate(COLUMNS))
    document = read("a.pdf", unicode_pdf([b"BT /F 12 Tf " + drawn + b" ET"], encoding="Identity-V"))
    assert document.text.replace(" ", "") == "".join(COLUMNS)


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
