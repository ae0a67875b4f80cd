"""Word documents, made by python-docx and by hand: text, headings, lists, tables, notes."""

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from saved_file import parts_of, saved, zipped

from indexes.readers.number_formats import formatted_number

MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word_of(*elements: str) -> docx.document.Document:
    """A document whose body is this XML."""
    file = docx.Document()
    for element in elements:
        file.element.body.insert(len(file.element.body) - 1, parse_xml(element))
    return file


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_docx(read, outline, parts):
    file = docx.Document()
    file.add_heading("Report", 0)
    file.add_heading("First", 1)
    paragraph = file.add_paragraph("Some ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run(" snake_case *text*")
    table = file.add_table(2, 3)
    for row, cells in enumerate([("a", "b", "c"), ("1", "", "三")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    file.add_heading("Deeper", 3)
    file.add_paragraph("重要", style="List Bullet").add_run("な点").bold = True
    file.core_properties.author, file.core_properties.subject = "山田", "Sales"
    document = read("a.docx", saved(file))
    assert document.text == (
        "Report\n\nFirst\n\nSome bold snake_case *text*\n\na | b | c\n1 |  | 三\n\nDeeper\n\n* 重要な点"
    )
    assert outline(document) == [(1, "Report"), (1, "First"), (3, "Deeper")]
    assert [part.split("\n")[0] for part in parts(document)] == ["a | b | c", "1 |  | 三"]
    assert document.title == "Report"
    assert document.metadata == {"author": "山田", "subject": "Sales"}


def test_docx_headings_by_japanese_style_outline_level_and_base(read, outline):
    identifiers = ("1", "o2", "b1", "loop")
    paragraphs = (f'<w:p {W}><w:pPr><w:pStyle w:val="{i}"/></w:pPr>{run("style " + i)}</w:p>' for i in identifiers)
    file = word_of(*paragraphs, f'<w:p {W}><w:pPr><w:outlineLvl w:val="8"/></w:pPr>{run("direct")}</w:p>')
    for identifier, inside in zip(
        identifiers,
        (
            '<w:name w:val="見出し 1"/>',
            '<w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr>',
            '<w:name w:val="Based"/><w:basedOn w:val="1"/>',
            '<w:name w:val="Loop"/><w:basedOn w:val="loop"/>',
        ),
        strict=True,
    ):
        style = f'<w:style {W} w:type="paragraph" w:styleId="{identifier}">{inside}</w:style>'
        file.styles.element.append(parse_xml(style))
    file.core_properties.title = "From the properties"
    document = read("a.docx", saved(file))
    assert outline(document) == [(1, "style 1"), (2, "style o2"), (1, "style b1"), (6, "direct")]
    assert document.title == "From the properties"


def test_docx_text_within_other_elements(read):
    """What stands inside unknown elements is read; what the author deleted, and furigana, is not."""
    ruby = f"<w:r><w:ruby><w:rt>{run('とうきょう')}</w:rt><w:rubyBase>{run('東京')}</w:rubyBase></w:ruby></w:r>"
    file = word_of(
        f"<w:p {W}>{run('彼は')}{ruby}{run('へ行った。')}</w:p>",
        f"<w:p {W}>{run('kept')}<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run('moved')}</w:moveFrom><w:ins>{run(' and new')}</w:ins><w:moveTo>{run(', here')}</w:moveTo></w:p>",
        f"<w:p {W}><w:customXml>{run('custom')}</w:customXml><w:fldSimple>{run(' field')}</w:fldSimple></w:p>",
    )
    assert read("a.docx", saved(file)).text == "彼は東京へ行った。\n\nkept and new, here\n\ncustom field"


def field(code: str, result: str | None = None) -> str:
    """A field in runs, whose code and result may hold others."""
    code = code if code.startswith("<") else f"<w:r><w:instrText>{code}</w:instrText></w:r>"
    between = "" if result is None else f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}'
    return f'<w:r><w:fldChar w:fldCharType="begin"/></w:r>{code}{between}<w:r><w:fldChar w:fldCharType="end"/></w:r>'


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (
            run("Sum ") + field(f"<w:r><w:instrText>= </w:instrText></w:r>{field('REF a', run('12'))}", run("15")),
            "Sum 15",
        ),
        (field("HYPERLINK a", run("the ") + field("REF b", run("link"))) + run(" here"), "the link here"),
        (
            run("彼は") + field(r'EQ \* jc2 \* "Font:MS" \* hps10 \o\ad(\s\up 9(とうきょう),東京)') + run("へ"),
            "彼は東京へ",
        ),
        (field(r"eq \o\ac(○,印)"), "印"),
        (run("so ") + field(r"EQ \f(a+\b(c),2)") + field(r"EQ 10\s\up5(6)") + field(r"EQ \r(3;x)"), "so a+(c)/210^6√x"),
        (run("To ") + field("MACROBUTTON NoMacro [Type a name]"), "To [Type a name]"),
        (field("PAGE"), ""),
        ('<w:r><w:fldChar w:fldCharType="begin"/></w:r>' + run("never ended"), "never ended"),
        (
            run("a") + '<w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:instrText>b</w:instrText></w:r>' + run("c"),
            "ac",
        ),
    ],
)
def test_fields_are_what_they_show(runs, text, read):
    assert read("a.docx", saved(word_of(f"<w:p {W}>{runs}</w:p>", f"<w:p {W}>{run('end')}</w:p>"))).text.split() == (
        f"{text} end".split()
    )


def test_a_large_first_letter_is_part_of_its_word(read):
    initial = f'<w:p {W}><w:pPr><w:framePr w:dropCap="drop" w:lines="3"/></w:pPr>{run("T")}</w:p>'
    frame = f'<w:p {W}><w:pPr><w:framePr w:w="90"/></w:pPr>{run("beside")}</w:p>'
    file = word_of(initial, f"<w:p {W}>{run('he lamp is lit.')}</w:p>", frame)
    assert read("a.docx", saved(file)).text == "The lamp is lit.\n\nbeside"


def test_docx_lists_are_numbered_as_word_numbers_them(read, outline):
    """By their own words, going on after a pause, level by level, and from where a list is told to start."""
    file = docx.Document()
    numbering = file.part.numbering_part.element
    levels = {
        90: '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="第%1条"/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="japaneseCounting"/><w:suff w:val="nothing"/>'
        '<w:lvlText w:val="（%2）"/></w:lvl>',
        91: '<w:lvl w:ilvl="0"><w:start w:val="4"/><w:numFmt w:val="upperRoman"/><w:pStyle w:val="Heading1"/>'
        '<w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/>'
        '<w:lvlText w:val="%1-%2)"/></w:lvl>',
    }
    first = numbering.find(qn("w:num"))
    for number, inside in levels.items():
        first.addprevious(parse_xml(f'<w:abstractNum {W} w:abstractNumId="{number}">{inside}</w:abstractNum>'))
    restart = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>'
    for number, abstract, inside in ((90, 90, ""), (91, 91, ""), (92, 90, restart)):
        inside = f'<w:abstractNumId w:val="{abstract}"/>{inside}'
        numbering.append(parse_xml(f'<w:num {W} w:numId="{number}">{inside}</w:num>'))
    heading = file.styles["Heading 1"].element.get_or_add_pPr()
    heading.append(parse_xml(f'<w:numPr {W}><w:numId w:val="91"/></w:numPr>'))
    for text, number, level in (
        ("one", 90, 0),
        ("sub", 90, 1),
        ("sub", 90, 1),
        ("between", None, None),
        ("two", 90, 0),
        ("sub again", 90, 1),
        ("told", 92, 0),
        ("after", 92, 0),
        ("none", 0, 0),
    ):
        paragraph = file.add_paragraph(text)
        if number is not None:
            inside = f'<w:ilvl w:val="{level}"/><w:numId w:val="{number}"/>'
            paragraph._p.get_or_add_pPr().append(parse_xml(f"<w:numPr {W}>{inside}</w:numPr>"))
    file.add_heading("Title", 1)
    file.add_heading("Next", 1)
    document = read("a.docx", saved(file))
    assert [line for line in document.text.split("\n") if line] == [
        *("第1条 one", "（一）sub", "（二）sub", "between", "第2条 two", "（一）sub again"),
        *("第7条 told", "第8条 after", "none", "IV. Title", "V. Next"),
    ]
    assert outline(document) == [(1, "IV. Title"), (1, "V. Next")]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("decimalFullWidth", {1: "１", 12: "１２"}),
        ("decimalEnclosedCircle", {1: "①", 20: "⑳", 21: "21"}),
        ("japaneseCounting", {10: "十", 21: "二十一", 102: "百二"}),
        ("japaneseDigitalTenThousand", {10: "一〇", 21: "二一"}),
        ("japaneseLegal", {1: "壱", 12: "壱拾弐"}),
        ("chineseLegalSimplified", {1: "壹", 12: "壹拾贰"}),
        ("ideographLegalTraditional", {3: "參", 20: "貳拾"}),
        ("koreanCounting", {3: "삼", 12: "십이", 120: "백이십"}),
        ("hebrew1", {1: "א", 12: "יב", 15: "טו", 123: "קכג", 200: "ר"}),
        ("arabicAbjad", {2: "ب", 3: "ج"}),
        ("thaiNumbers", {12: "๑๒"}),
        ("aiueoFullWidth", {1: "ア", 6: "カ"}),
        ("iroha", {1: "イ", 4: "ニ"}),
        ("ideographTraditional", {1: "甲", 10: "癸"}),
        ("ideographZodiac", {1: "子", 12: "亥"}),
        ("ganada", {1: "가", 2: "나"}),
        ("upperLetter", {26: "Z", 27: "AA", 28: "BB"}),
        ("lowerRoman", {4: "iv", 19: "xix"}),
        ("ordinal", {1: "1st", 12: "12th", 23: "23rd"}),
        ("cardinalText", {1: "One", 45: "Forty-five", 300: "Three hundred"}),
        ("ordinalText", {3: "Third", 40: "Fortieth", 21: "Twenty-first"}),
        ("chicago", {1: "*", 2: "†", 5: "**"}),
        ("decimalZero", {7: "07"}),
        ("bahtText", {3: "3"}),
    ],
)
def test_numbers_in_the_formats_of_word(kind, texts):
    assert {number: formatted_number(number, kind) for number in texts} == texts


def test_a_level_that_is_counted_through_the_whole_document(read):
    file = docx.Document()
    numbering = file.part.numbering_part.element
    article = '<w:start w:val="1"/><w:numFmt w:val="decimal"/>'
    levels = f'<w:lvl w:ilvl="0">{article}<w:lvlText w:val="第%1章"/></w:lvl>'
    levels += f'<w:lvl w:ilvl="1">{article}<w:lvlRestart w:val="0"/><w:lvlText w:val="第%2条"/></w:lvl>'
    levels += f'<w:lvl w:ilvl="2">{article}<w:lvlText w:val="%3."/></w:lvl>'
    first = numbering.find(qn("w:num"))
    first.addprevious(parse_xml(f'<w:abstractNum {W} w:abstractNumId="90">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {W} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    for level in (0, 1, 2, 1, 0, 1, 2):
        inside = f'<w:ilvl w:val="{level}"/><w:numId w:val="90"/>'
        file.add_paragraph("x")._p.get_or_add_pPr().append(parse_xml(f"<w:numPr {W}>{inside}</w:numPr>"))
    labels = [line.split()[0] for line in read("a.docx", saved(file)).text.split("\n") if line]
    assert labels == ["第1章", "第1条", "1.", "第2条", "第2章", "第3条", "1."]


def test_docx_notes_text_boxes_breaks_and_symbols(read):
    box = f"<w:txbxContent><w:p>{run('in the box')}</w:p></w:txbxContent>"
    alternatives = (
        f'<mc:AlternateContent xmlns:mc="{MC}"><mc:Choice Requires="wps"><w:drawing>{box}</w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent>"
    )
    symbols = '<w:r><w:sym w:font="Symbol" w:char="F0B3"/><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>'
    tabs = "<w:pPr><w:tabs><w:tab w:val='left' w:pos='9'/></w:tabs></w:pPr>"
    file = word_of(
        f"<w:p {W}>{run('before')}<w:r>{alternatives}</w:r>{run(' after')}<w:r><w:br/></w:r>{run('line')}</w:p>",
        f"<w:p {W}>{tabs}{run('a')}<w:r><w:tab/></w:r>{run('b')}{symbols}</w:p>",
        f"<w:p {W}><w:pPr><w:rPr><w:del w:id='1' w:author=''/></w:rPr></w:pPr>{run('joined')}</w:p>",
        f"<w:p {W}>{tabs}{run('up')}<w:r><w:footnoteReference w:id='5'/></w:r></w:p>",
    )
    notes = f"<w:footnotes {W}><w:footnote w:id='5'><w:p>{run('A note.')}</w:p></w:footnote></w:footnotes>"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    part = Part(PackURI("/word/notes2.xml"), "application/xml", notes.encode(), file.part.package)
    file.part.relate_to(part, kind)
    assert read("a.docx", saved(file)).text == (
        "before after\nline\n\nin the box\n\na b≥☑\n\njoinedup[1]\n\n[1] A note."
    )


def test_docx_equations_in_one_line(read):
    def math(name: str, *arguments: str, properties: str = "") -> str:
        return f"<m:{name}>{properties}{''.join(arguments)}</m:{name}>"

    def argument(name: str, text: str) -> str:
        return f"<m:{name}><m:r><m:t>{text}</m:t></m:r></m:{name}>"

    root = math("rad", argument("e", "x+1"))
    fraction = math("f", argument("num", "a+b"), argument("den", "2"))
    total = math(
        *("nary", argument("sub", "i=1"), argument("sup", "n"), argument("e", "i")),
        properties='<m:naryPr><m:chr m:val="∑"/></m:naryPr>',
    )
    brackets = math("d", argument("e", "p"), argument("e", "q"))
    equation = "".join(("<m:r><m:t>y=</m:t></m:r>", root, "<m:r><m:t>+</m:t></m:r>", fraction, total, brackets))
    file = word_of(f'<w:p {W} xmlns:m="{MATH}">{run("where ")}<m:oMath>{equation}</m:oMath></w:p>')
    assert read("a.docx", saved(file)).text == "where y=√(x+1)+(a+b)/2∑_(i=1)^n i(p|q)"


def test_docx_tables_with_content_controls_spans_deleted_rows_and_tables_inside(read, parts):
    def cell(inside: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inside}</w:tc>"

    def paragraph(text: str) -> str:
        return f"<w:p>{run(text)}</w:p>"

    inner = f"<w:tbl><w:tr>{cell(paragraph('x'))}{cell(paragraph('y'))}</w:tr></w:tbl>"
    span = '<w:gridSpan w:val="2"/>'
    file = word_of(
        f"<w:tbl {W}><w:tr>{cell(paragraph('wide'), span)}{cell(paragraph('c') + paragraph('d'))}</w:tr>"
        f"<w:sdt><w:sdtContent><w:tr>{cell(inner)}{cell(paragraph('e'))}{cell(paragraph('f'))}</w:tr></w:sdtContent></w:sdt>"
        f"<w:tr><w:trPr><w:del w:id='1' w:author=''/></w:trPr>{cell(paragraph('gone'))}</w:tr></w:tbl>"
    )
    document = read("a.docx", saved(file))
    assert document.text == "wide |  | c d\nx | y | e | f"
    assert parts(document) == ["wide |  | c d\n", "x | y | e | f"]


def test_docx_as_strict_open_xml(read, outline):
    file = docx.Document()
    file.add_heading("Strict", 1)
    strict = parts_of(file)
    for name, part in strict.items():
        strict[name] = part.replace(
            b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        ).replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        )
    assert outline(read("a.docx", zipped(strict))) == [(1, "Strict")]


def test_docx_hidden_text_is_not_shown(read):
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>the lamp</w:t></w:r>'
    file = word_of(f"<w:p {W}>{hidden}{shown}{run(' is lit')}</w:p>", f"<w:p {W}>{hidden}</w:p>")
    assert read("a.docx", saved(file)).text == "the lamp is lit"
