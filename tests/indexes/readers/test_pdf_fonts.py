"""PDF: fonts that do not say what their characters mean, form fields, and pages without readable text."""

import io

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)
from saved_file import saved

from indexes import CorpusIndex, FileText, ReadLimits
from indexes.errors import CorpusError

LINES = ["灯台守は毎朝六時に灯具を点検する。", "霧笛は一分ごとに五秒間鳴らす。"]


def names(**entries: object) -> DictionaryObject:
    """A dictionary of a PDF; text that begins with a slash is a name."""
    return DictionaryObject({NameObject(f"/{key}"): item(value) for key, value in entries.items()})


def item(value: object):
    if isinstance(value, str):
        return NameObject(value) if value.startswith("/") else TextStringObject(value)
    if isinstance(value, list):
        return ArrayObject(map(item, value))
    return NumberObject(value) if isinstance(value, int) else value


def pdf(*pages: tuple[DictionaryObject | None, bytes], annotations: list[DictionaryObject] | None = None) -> bytes:
    """A page for each font F and its content."""
    writer = pypdf.PdfWriter()
    for font, content in pages:
        page = writer.add_blank_page(600, 800)
        stream = DecodedStreamObject()
        stream.set_data(content)
        page[NameObject("/Contents")] = writer._add_object(stream)
        picture = DecodedStreamObject()
        picture.update(names(Type="/XObject", Subtype="/Image", Width=1, Height=1))
        page[NameObject("/Resources")] = names(
            Font=names(**({"F": font} if font is not None else {})), XObject=names(Im=writer._add_object(picture))
        )
        page[NameObject("/Annots")] = item(annotations or [])
    return saved(writer)


def shown(*codes: bytes) -> bytes:
    return b"BT /F 12 Tf 14 TL 50 700 Td %s ET" % b" T* ".join(b"<%s> Tj" % code.hex().encode() for code in codes)


def composite(encoding: str, ordering: str) -> DictionaryObject:
    system = names(Registry="Adobe", Ordering=ordering, Supplement=6)
    descendant = names(Type="/Font", Subtype="/CIDFontType0", BaseFont="/Made", CIDSystemInfo=system, DW=1000)
    return names(
        Type="/Font", Subtype="/Type0", BaseFont="/Made", Encoding=f"/{encoding}", DescendantFonts=[descendant]
    )


def simple(*glyphs: str) -> DictionaryObject:
    differences = item([33, *glyphs])
    return names(Type="/Font", Subtype="/Type1", BaseFont="/Made", Encoding=names(Differences=differences))


def seven_bits(text: str) -> bytes:
    return bytes(byte & 0x7F for byte in text.encode("euc_jp"))


GOOD = (names(Type="/Font", Subtype="/Type1", BaseFont="/Helvetica"), b"BT /F 12 Tf 50 700 Td (A good page.) Tj ET")
SCAN = (None, b"q 600 0 0 800 0 0 cm /Im Do Q")


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("H", seven_bits),
        ("V", seven_bits),
        ("EUC-H", "euc_jp"),
        ("90msp-RKSJ-H", "cp932"),
        ("90pv-RKSJ-H", "cp932"),
        ("90ms-RKSJ-V", "cp932"),
        ("83pv-RKSJ-H", "cp932"),
        ("UniJIS-UTF8-H", "utf-8"),
        ("UniJIS2004-UTF16-H", "utf-16-be"),
        ("UniJIS-UTF32-H", "utf-32-be"),
        ("UniJIS-UCS2-HW-H", "utf-16-be"),
    ],
)
def test_japanese_fonts_without_a_map_to_unicode(encoding, codec, read):
    codes = [codec(line) if callable(codec) else line.encode(codec) for line in LINES]
    document = read("a.pdf", pdf((composite(encoding, "Japan1"), shown(*codes))))
    text = document.text.translate(str.maketrans("︒", "。"))
    assert text.split() == LINES
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("encoding", "ordering", "codec", "text"),
    [
        ("Identity-H", "Japan1", None, "あいう"),
        ("GBK-EUC-H", "GB1", "gbk", "灯塔管理员每天检查灯具"),
        ("GBKp-EUC-H", "GB1", "gbk", "灯塔管理员每天检查灯具"),
        ("ETen-B5-H", "CNS1", "big5", "燈塔管理員每天檢查燈具"),
        ("B5pc-H", "CNS1", "big5", "燈塔管理員每天檢查燈具"),
        ("KSCms-UHC-H", "Korea1", "cp949", "등대지기는매일점검한다"),
        ("KSC-EUC-H", "Korea1", "euc_kr", "등대지기는매일점검한다"),
        ("UniKS-UTF16-H", "Korea1", "utf-16-be", "등대지기는매일점검한다"),
    ],
)
def test_other_collections_of_characters(encoding, ordering, codec, text, read):
    codes = text.encode(codec) if codec else b"".join(n.to_bytes(2, "big") for n in (843, 845, 847))
    assert read("a.pdf", pdf((composite(encoding, ordering), shown(codes)))).text.strip() == text


def to_unicode(*characters: tuple[bytes, str]) -> DecodedStreamObject:
    stream = DecodedStreamObject()
    pairs = "\n".join(f"<{code.hex()}> <{text.encode('utf-16-be').hex()}>" for code, text in characters)
    space = "1 begincodespacerange <0000> <FFFF> endcodespacerange"
    stream.set_data(f"begincmap {space} {len(characters)} beginbfchar\n{pairs}\nendbfchar endcmap".encode())
    return stream


ONE, TWO, THREE = (number.to_bytes(2, "big") for number in (843, 845, 847))  # あいう in Japan1


@pytest.mark.parametrize(
    ("encoding", "own", "codes", "text"),
    [
        ("Identity-H", "/Identity-H", ONE + TWO + THREE, "あいう"),
        ("Identity-H", to_unicode(), ONE + TWO + THREE, "あいう"),
        ("Identity-V", to_unicode((TWO, "X")), ONE + TWO + THREE, "あXう"),
        ("Identity-H", to_unicode((b"\0\5", "灯"), (b"\0\6", "台")), b"\0\5\0\6", "灯台"),
        ("H", to_unicode(), seven_bits("灯台"), "灯台"),
        ("90msp-RKSJ-H", to_unicode(("灯".encode("cp932"), "灯"), (b"A", "A")), "A灯".encode("cp932"), "A灯"),
    ],
)
def test_a_map_to_unicode_that_lacks_characters(encoding, own, codes, text, read):
    font = composite(encoding, "Japan1")
    font[NameObject("/ToUnicode")] = item(own)
    assert read("a.pdf", pdf((font, shown(codes)))).text.strip() == text


UNREADABLE = {
    "names of glyphs": (simple("/g12", "/g13", "/g14", "/H11011"), shown(b"!!##$$!!#$!#$!#$")),
    "numbers of glyphs": (composite("Identity-H", "Identity"), shown(b"\0\x24\0\x52\0\x4f" * 9)),
    "control characters": (simple("/a"), shown(bytes(range(1, 30)))),
    "a scan": SCAN,
}


@pytest.mark.parametrize("page", UNREADABLE.values(), ids=UNREADABLE)
def test_a_page_without_meaning_is_left_out_and_said(page, read, refusal):
    document = read("a.pdf", pdf(GOOD, page, GOOD))
    assert document.text.split("\f") == ["A good page.", "", "A good page."]
    assert document.unreadable == (2,)
    [warning] = document.warnings
    assert warning.startswith("page 2 holds no readable text: run OCR on it, e.g. `ocrmypdf -l jpn in.pdf out.pdf`")
    assert refusal("a.pdf", pdf(page)).startswith("no readable text in it (a scan, or fonts without meaning): run OCR")


def test_pages_without_meaning_are_named_together(read):
    [warning] = read("a.pdf", pdf(GOOD, SCAN, SCAN, GOOD, SCAN)).warnings
    assert warning.startswith("pages 2-3, 5 hold no readable text")
    assert read("a.pdf", pdf(GOOD, (None, b""))).warnings == (), "a page on which there is nothing"


def test_names_of_glyphs_that_have_a_meaning(read):
    page = (simple("/L", "/i.alt", "/uni0067", "/h", "/t", "/f_i", "/s", "/.notdef"), shown(b"!\"#$%('&"))
    assert read("a.pdf", pdf(page)).text.startswith("Light s")


def test_ligatures_small_capitals_and_old_figures_have_a_meaning(read):
    font = simple(
        *["/T_h", "/e", "/space", "/f_f_i", "/c_t", "/Asmall", "/Aacutesmall", "/oneoldstyle", "/nineoldstyle"]
    )
    assert read("a.pdf", pdf((font, b"BT /F 12 Tf 9 9 Td <2122232425232627232829> Tj ET"))).text == "The ffict AÁ 19"


def test_western_characters_of_a_font_without_an_encoding(read):
    font = names(Type="/Font", Subtype="/TrueType", BaseFont="/Made")
    document = read("a.pdf", pdf((font, b"BT /F 12 Tf 9 9 Td (M\374ller \223yes\224 \226 \200 5) Tj ET")))
    assert document.text == "Müller “yes” – € 5"


def test_fields_and_free_text_stand_after_their_page(read):
    parent = names(FT="/Tx", T="keeper", V="Solveig Tangen")
    annotations = [
        names(Subtype="/Widget", Parent=parent),
        names(Subtype="/Widget", FT="/Ch", TU="Kind of lamp", T="x", V=["Bronze", "Brass"]),
        names(Subtype="/Widget", FT="/Ch", T="berth", V="n", Opt=[["n", "North pier"], ["s", "South pier"]]),
        names(Subtype="/Widget", FT="/Btn", T="insured", V="/Yes", AS="/Yes"),
        names(Subtype="/Widget", FT="/Btn", T="sold", AS="/Off"),
        names(Subtype="/Widget", FT="/Tx", T="pin", V="1234", Ff=1 << 13),
        names(Subtype="/Widget", FT="/Tx", T="hidden", V="no", F=2),
        names(Subtype="/FreeText", Contents="Checked by the harbour master"),
        names(Subtype="/Highlight", Contents="a remark"),
    ]
    assert read("a.pdf", pdf(GOOD, annotations=annotations)).text.split("\n") == [
        "A good page.",
        "keeper: Solveig Tangen",
        "Kind of lamp: Bronze, Brass",
        "berth: North pier",
        "insured: Yes",
        "Checked by the harbour master",
        "Comment: a remark",
    ]


def test_files_that_are_attached_are_said(read):
    writer = pypdf.PdfWriter(io.BytesIO(pdf(GOOD)))
    writer.add_attachment("fees.csv", b"a,b")
    document = read("a.pdf", saved(writer))
    assert document.text == "A good page."
    assert document.warnings == ("the attachment 'fees.csv' is not read: save it as a file of its own",)


def program(tmp_path, body: str) -> str:
    """The command of an OCR program with that body, in which $1 is the input and $2 the output."""
    script = tmp_path / "ocr program.sh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o700)
    return f"'{script}' {{input}} {{output}}"


def test_ocr_fills_in_the_pages_that_cannot_be_read(tmp_path, read, monkeypatch):
    (tmp_path / "done.pdf").write_bytes(pdf(SCAN, GOOD, SCAN))
    command = program(tmp_path, f'test -s "$1" && test -z "$OPENAI_API_KEY" && cp "{tmp_path}/done.pdf" "$2"')
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    document = read("a.pdf", pdf(GOOD, SCAN, SCAN), ocr=command)
    assert document.text == "A good page.\fA good page.\f"
    assert document.pages == (0, 13, 26)
    assert document.unreadable == (3,)
    assert len(document.warnings) == 1


def test_ocr_moves_the_tables_below_a_page_that_it_fills_in(tmp_path, read):
    rows = [("Boat", "Fee"), *((f"Boat{n}", f"{n} crowns") for n in range(5))]
    cells = ((50 + 300 * x, 780 - 16 * y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row))
    drawn = " ".join(f"BT /F 12 Tf 1 0 0 1 {x} {y} Tm ({cell}) Tj ET" for x, y, cell in cells)
    table = (GOOD[0], drawn.encode())
    (tmp_path / "done.pdf").write_bytes(pdf(GOOD, table))
    document = read("a.pdf", pdf(SCAN, table), ocr=program(tmp_path, f'cp "{tmp_path}/done.pdf" "$2"'))
    (found,) = document.tables
    assert document.text[found.start : found.end].splitlines()[0] == "Boat0 | 0 crowns"
    assert document.text[found.start : found.end].splitlines()[-1] == "Boat4 | 4 crowns"


def test_ocr_that_writes_text(tmp_path, read):
    document = read("a.pdf", pdf(SCAN), ocr=program(tmp_path, 'printf "The lamp is lit." > "$2"'))
    assert (document.text, document.warnings) == ("The lamp is lit.", ())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo no page >&2; exit 3", "ended with exit code 3: no page"),
        ("sleep 60", "takes more than 0.3 s"),
        ("exit 0", "wrote no output"),
    ],
)
def test_ocr_that_fails(body, reason, tmp_path, read, refusal):
    limits = {"ocr": program(tmp_path, body), "max_ocr_seconds": 0.3 if "sleep" in body else 60.0}
    said = refusal("a.pdf", pdf(SCAN), **limits)
    assert said.startswith("OCR failed: ")
    assert reason in said
    assert reason in read("a.pdf", pdf(GOOD, SCAN), **limits).warnings[0]


@pytest.mark.parametrize("command", ["ocrmypdf in out", "ocr {input}", "ocr '{input} {output}"])
def test_an_ocr_command_that_lacks_something(command):
    with pytest.raises(CorpusError, match="OCR command"):
        ReadLimits(ocr=command)


def test_a_file_with_unreadable_pages_is_read_again_with_ocr_and_not_without(tmp_path, hashing):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(GOOD, SCAN))
    command = program(tmp_path, 'printf "The lamp is lit." > "$2"')
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        first = index.ingest(path)
        assert first.texts == (FileText(str(path), 13, (2,)),)
        assert index.ingest(path).unchanged == 1
        limits = ReadLimits(ocr=command)
        assert index.ingest(path, limits=limits).changed == 1
        assert index.ingest(path, limits=limits).unchanged == 1
        assert index.ingest(path).unchanged == 1
