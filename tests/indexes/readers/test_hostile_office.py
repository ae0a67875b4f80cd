"""The Office part of the zoo of hostile files: bombs, lies, loops and broken parts."""

import re
import struct
from pathlib import Path

import docx
import pptx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_office import workbook
from saved_file import parts_of, saved, zipped

from indexes.types import Document


def docx_with(**replaced: str | bytes) -> bytes:
    """A docx, with the parts given put in place of its own; `document` is word/document.xml."""
    file = docx.Document()
    file.add_paragraph("text")
    parts = parts_of(file)
    names = {Path(name).stem: name for name in parts if name.endswith(".xml")}
    return zipped(parts | {names.get(part, part): content for part, content in replaced.items()})


def word_xml(body: str, before: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{before}'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>"
    )


def zip_that_lies() -> bytes:
    """Headers that say ten bytes over a part that unpacks to ten million."""
    data = bytearray(docx_with(bomb=b"0" * 10_000_000))
    size = struct.pack("<I", 10_000_000)
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


def xlsx_with(rows: str, shared: str = "<si><t>text</t></si>", before: str = "", **parts: bytes) -> bytes:
    """A workbook whose one sheet has these rows, and whose shared strings are these."""
    replaced = {"xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"}
    replaced["xl/sharedStrings.xml"] = f"{before}<sst {MAIN}>{shared}</sst>"
    own = parts_of(workbook([["text"]]))
    if b"sharedStrings" not in own["[Content_Types].xml"]:
        own["[Content_Types].xml"] = own["[Content_Types].xml"].replace(b"</Types>", SHARED.encode() + b"</Types>")
    return zipped(own | replaced | parts)


def pptx_with(depth: int) -> bytes:
    """A slide with groups in groups, and text in the innermost."""
    file = pptx.Presentation()
    shapes = file.slides.add_slide(file.slide_layouts[6]).shapes
    for _ in range(depth):
        shapes = shapes.add_group_shape().shapes
    shapes.add_textbox(0, 0, 9, 9).text_frame.text = "text"
    return saved(file)


MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHARED = (
    '<Override PartName="/xl/sharedStrings.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)
TEXT = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
PARAGRAPH = "<w:p><w:r><w:t>text</w:t></w:r></w:p>"
LAUGHS = "<!DOCTYPE l [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12)
) + "]>"  # fmt: skip
FILE_ENTITY = "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"

REFUSED = {
    "not.docx": (b"PK\x03\x04 this is no zip", "not a .docx"),
    "old.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an encrypted or old Office file"),
    "cut.docx": (docx_with()[:-200], "not a .docx"),
    "bomb.docx": (docx_with(bomb=b"0" * 30_000_000), r"unpacks to 30,\d+,\d+ bytes or more"),
    "deep.docx": (docx_with(document=word_xml("<w:sdt>" * 10_000 + "</w:sdt>" * 10_000)), "a broken .docx"),
    "tables.docx": (docx_with(document=word_xml("<w:tbl><w:tr><w:tc>" * 70 + "</w:tc></w:tr></w:tbl>" * 70)), "too deeply"),
    "bad.docx": (docx_with(document="<w:document>"), "a broken .docx"),
    "not.pptx": (b"PK\x03\x04 this is no zip", "not a .pptx"),
    "not.xlsx": (b"PK\x03\x04 this is no zip", "not a .xlsx"),
    "bomb.xlsx": (xlsx_with(TEXT, bomb=b"0" * 30_000_000), r"unpacks to 30,\d+,\d+ bytes or more"),
    "index.xlsx": (xlsx_with('<row r="1"><c r="A1" t="s"><v>9999999999</v></c></row>'), "a broken .xlsx"),
    "rows.xlsx": (xlsx_with(f'{TEXT}<row r="99999999999"><c r="A99999999999" t="s"><v>0</v></c></row>'), "takes more|broken"),
    "repeated.xlsx": (
        xlsx_with("".join(f'<row r="{i}"><c r="A{i}" t="s"><v>0</v></c></row>' for i in range(1, 400)), f"<si><t>{'x' * 33_000}</t></si>"),
        "its text has over 10,000,000 characters",
    ),
    "groups.pptx": (pptx_with(300), "a broken .pptx|nested too deeply"),
}  # fmt: skip

READ = {
    "liar.docx": zip_that_lies(),  # without that part
    "types.docx": docx_with(**{"[Content_Types]": "<x/>"}),
    "table.docx": docx_with(document=word_xml(PARAGRAPH + "<w:tbl><w:tr><w:tc>" * 9 + "</w:tc></w:tr></w:tbl>" * 9)),
    "groups.pptx": pptx_with(20),
    "numbers.xlsx": xlsx_with(TEXT + '<row r="2"><c r="A2"><v>1e308</v></c><c r="B2"><v>-0</v></c></row>'),
    "far.xlsx": xlsx_with(f'{TEXT}<row r="1048576"><c r="XFD1048576" t="s"><v>0</v></c></row>'),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, outcome):
    data, reason = REFUSED[name]
    result = outcome(name, data, max_seconds=4.0 if name == "rows.xlsx" else 100.0)
    assert isinstance(result, str), result
    assert re.search(reason, result)


@pytest.mark.parametrize("name", READ)
def test_what_is_read_all_the_same(name, outcome):
    result = outcome(name, READ[name])
    assert isinstance(result, Document), result


@pytest.mark.parametrize("before", [LAUGHS, FILE_ENTITY])
def test_entities_are_not_expanded_in_xlsx(before, outcome):
    entity = "&a11;" if before is LAUGHS else "&x;"
    result = outcome("a.xlsx", xlsx_with(TEXT, f"<si><t>text{entity}</t></si>", before))
    assert isinstance(result, str) or result.text.split() == ["Sheet", "text"]


@pytest.mark.parametrize("before", [LAUGHS, FILE_ENTITY])
def test_entities_are_not_expanded_in_docx(before, outcome):
    entity = "&a11;" if before is LAUGHS else "&x;"
    data = docx_with(document=word_xml(f"<w:p><w:r><w:t>text{entity}</w:t></w:r></w:p>", before))
    result = outcome("a.docx", data)
    assert isinstance(result, str) or result.text == "text"


SEEDS = {".docx": docx_with(), ".pptx": pptx_with(1), ".xlsx": xlsx_with(TEXT)}


@given(suffix=st.sampled_from(sorted(SEEDS)), draw=st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_damaged_files(suffix, draw, outcome, damaged):
    outcome(f"a{suffix}", damaged(draw, SEEDS[suffix]))
