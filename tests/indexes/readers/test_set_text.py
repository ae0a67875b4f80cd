"""What the way that text is set says: raised numbers, text that is struck out, fonts of symbols, numbers of lists."""

import io

import docx
import pptx
import pytest
import xlsxwriter
from docx.oxml import parse_xml
from flat_document import NAMES
from hand_made_pdf import drawn_pdf
from pptx.oxml import parse_xml as parse_slide_xml
from saved_file import saved

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'


def word_of(runs: str) -> bytes:
    """A document with a paragraph, and a style that strikes text out."""
    file = docx.Document()
    file.styles.element.append(
        parse_xml(f'<w:style {W} w:type="character" w:styleId="Gone"><w:rPr><w:strike/></w:rPr></w:style>')
    )
    file.element.body.insert(0, parse_xml(f"<w:p {W}>{runs}</w:p>"))
    return saved(file)


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def slide_of(*runs: tuple[str, str, str]) -> bytes:
    """A slide with a line of (text, attributes, elements) each."""
    file = pptx.Presentation()
    box = file.slides.add_slide(file.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9)
    paragraph = box.text_frame.paragraphs[0]._p
    for text, attributes, elements in runs:
        paragraph.append(parse_slide_xml(f"<a:r {A}><a:rPr {attributes}>{elements}</a:rPr><a:t>{text}</a:t></a:r>"))
    return saved(file)


def flat_text(body: str) -> str:
    """An OpenDocument text with styles for text: Up, Out, based on it, and Sign."""
    properties = {
        "Up": 'style:text-position="super 58%"',
        "Out": 'style:text-line-through-style="solid"',
        "Sign": 'style:font-name="Wingdings"',
        "Plain": 'style:text-line-through-style="none"',
    }
    styles = "".join(
        f'<style:style style:name="{name}" style:family="text"><style:text-properties {each}/></style:style>'
        for name, each in properties.items()
    )
    styles += '<style:style style:name="Based" style:family="text" style:parent-style-name="Out"/>'
    return (
        f"<office:document {NAMES}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f"<office:text>{body}</office:text></office:body></office:document>"
    )


def span(style: str, text: str) -> str:
    return f'<text:span text:style-name="{style}">{text}</text:span>'


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (run("100", "<w:strike/>") + run(" €", "<w:strike/>") + run(" 120 €"), "~~100 €~~ 120 €"),
        (run("two", "<w:dstrike/>") + run("three", '<w:strike w:val="0"/>'), "~~two~~three"),
        (run("old", '<w:rStyle w:val="Gone"/>') + run(" new"), "~~old~~ new"),
        (
            run("10", "<w:strike/>") + run("6", '<w:strike/><w:vertAlign w:val="superscript"/>') + run(" cd"),
            "~~10^6~~ cd",
        ),
        (run("ü", '<w:rFonts w:ascii="Wingdings" w:hAnsi="Wingdings"/>') + run(" done"), "✓ done"),
        (run("a\uf062 ", '<w:rFonts w:ascii="Symbol"/>') + run("rays"), "αβ rays"),
    ],
)
def test_word_documents(runs, text, read):
    assert read("a.docx", word_of(runs)).text == text


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([("100 ", 'strike="sngStrike"', ""), ("120", 'strike="noStrike"', "")], "~~100~~ 120"),
        ([("Kiel ", "", ""), ("à", "", '<a:sym typeface="Wingdings"/>'), (" Oslo", "", "")], "Kiel → Oslo"),
        ([("à Oslo", "", '<a:sym typeface="Wingdings"/>')], "→ Oslo"),
        ([("\uf0fc", "", '<a:latin typeface="Wingdings"/>'), (" seal", "", "")], "✓ seal"),
        ([("voilà", "", '<a:latin typeface="Segoe UI Symbol"/>')], "voilà"),
    ],
)
def test_slides(runs, text, read):
    assert read("a.pptx", slide_of(*runs)).text == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (f"The lamp has 10{span('Up', '6')} candela and x{span('Up', '2')}.", "The lamp has 10^6 candela and x2."),
        (
            f"{span('Out', '100 €')} 120 € {span('Based', 'net')}{span('Plain', ' gross')}",
            "~~100 €~~ 120 € ~~net~~ gross",
        ),
        (f"{span('Sign', chr(0xF0FE))} seal", "☑ seal"),
        (
            "The lamp\n      burns oil <text:s/>\n  until dawn.<text:line-break/>Then",
            "The lamp burns oil until dawn.\nThen",
        ),
    ],
)
def test_open_documents(body, text, read):
    assert read("a.fodt", flat_text(f"<text:p>{body}</text:p>")).text == text


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (
            r"10{\super 6} candela, 10{\super -}{\super 3}, x{\super 2}, 10\up6 7\up0  end",
            "10^6 candela, 10^-3, x2, 10^7 end",
        ),
        (r"{\strike 100}{\strike  \u8364?} {\striked1 net}{\strike0  gross}", "~~100~~ ~~€~~ ~~net~~ gross"),
        (r"{\f1 \'fc} done {\f1\u-3842 ?} {\f2 a}", "✓ done ☑ α"),
        (r"lamp{\super\chftn{\footnote {\super\chftn}1999 was dry.}} end", "lamp [1999 was dry.] end"),
    ],
)
def test_rtf(rtf, text, read):
    fonts = r"{\fonttbl{\f0 Times;}{\f1\fnil\fcharset2 Wingdings;}{\f2\fnil\fcharset2 Symbol;}}"
    assert read("a.rtf", rf"{{\rtf1\ansi{fonts}{rtf}\par}}").text == text


def test_sheets(read):
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        struck, sheet = book.add_format({"font_strikeout": True}), book.add_worksheet()
        sheet.write_row(0, 0, ["Oil", 12], struck)
        sheet.write(0, 2, "Gas")
        sheet.write_rich_string(0, 3, "The ", struck, "old", " lamp")
    assert read("a.xlsx", stream.getvalue()).text == "Sheet1\n\n~~Oil~~ | ~~12~~ | Gas | The ~~old~~ lamp"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<s>12 <b>€</b></s> 10 €", "~~12~~ ~~€~~ 10 €"),
        ("<del>Monday</del><ins>Friday</ins>", "~~Monday~~Friday"),
        ('<span style="color: red; text-decoration: line-through">12</span> 10', "~~12~~ 10"),
        ("<s>10<sup>6</sup></s> candela", "~~10^6~~ candela"),
        ('done <span style="font-family:Wingdings">J</span> and <font face="Wingdings">ü</font>', "done ☺ and ✓"),
        ('<span style="font-family: Symbol">a<span style="font-family: Arial">a</span></span>', "αa"),
        ("<ol start=3><li>Open<li><p>Wait</p><p>long</p></ol>end", "3. Open\n4. Wait\nlong\nend"),
        ("<ol><li>Open<ol type=a><li>lid</ol><li value=9>Go<ul><li>up</ul></ol>", "1. Open\na. lid\n9. Go\nup"),
        ("<ol start=2 reversed><li>Open<li>Go</ol>", "2. Open\n1. Go"),
        ("<ol><li><pre>make\nrun</pre><li><pre>\nstop</pre></ol>end", "1. make\nrun\n2. stop\nend"),
        ("<ol><li></ol><table><tr><td>a<td>b</table>", "a | b"),
        ("<ol><li>2. Open<li>第3条 Go<li>(3) Up</ol>", "2. Open\n第3条 Go\n(3) Up"),
        ("<ol><li>4.5 l<li>(Or) 9:30<li>4 eggs</ol>", "1. 4.5 l\n2. (Or) 9:30\n3. 4 eggs"),
        ("<ol class=list-unstyled><li>Open</ol>", "Open"),
        ("<ol style='list-style: none'><li>Open</ol><ol reversed><li>Go</ol>", "Open\nGo"),
        (
            'It burns.<a epub:type="noteref" href="#n">1</a> Oil.<a role="doc-noteref" href="#m">2</a>',
            "It burns.^1 Oil.^2",
        ),
    ],
)
def test_pages(page, text, read):
    assert read("a.html", f"<body>{page}</body>").text == text


def drawn(*pieces: tuple[float, float, float, str]) -> bytes:
    """A page with text at these places, in these sizes."""
    return b"\n".join(
        b"BT /F %g Tf 1 0 0 1 %g %g Tm (%s) Tj ET" % (size, x, y, text.encode("latin-1")) for x, y, size, text in pieces
    )


TABLE = [
    (x, y, 10, text)
    for y, row in ((600, "ABC"), (580, "123"), (560, "456"))
    for x, text in zip((72, 200, 300), row, strict=True)
]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (drawn((72, 700, 10, "10"), (83.1, 704, 7, "6"), (87, 700, 10, " candela")), "10^6 candela"),
        (drawn((72, 700, 10, "10"), (83.1, 704, 7, "-"), (85.5, 704, 7, "3"), (90, 700, 10, " m")), "10^-3 m"),
        (b"BT /F 10 Tf 72 700 Td (10) Tj /F 7 Tf 11.12 3.6 Td (6) Tj /F 10 Tf 3.9 -3.6 Td ( cd) Tj ET", "10^6 cd"),
        (b"BT /F 10 Tf 72 700 Td (The lamp) Tj 7 0 0 7 110.9 704 Tm /F 1 Tf (2) Tj ET", "The lamp^2"),
        (b"BT /F 10 Tf 72 700 Td (10) Tj /F 7 Tf 4 Ts (6) Tj /F 10 Tf 0 Ts ( cd) Tj ET", "10^6 cd"),
        (drawn((72, 700, 10, "CO"), (87, 698, 7, "2"), (91, 700, 10, " is 5")), "CO2 is 5"),
        (drawn((72, 700, 12, "5"), (72, 705, 8, "7")), "57"),  # one above the other
    ],
)
def test_raised_numbers_on_pages_of_pdf(content, text, read):
    assert read("a.pdf", drawn_pdf(content)).text.split() == text.split()


def test_a_raised_number_stays_in_its_line_beside_a_table_of_a_pdf(read):
    line = b"BT /F 10 Tf 72 700 Td (It has 10) Tj /F 7 Tf 4 Ts (6) Tj /F 10 Tf 0 Ts ( candela.) Tj ET\n"
    document = read("a.pdf", drawn_pdf(line + drawn(*TABLE)))
    assert document.text.split("\n")[0] == "It has 10^6 candela."
    assert [table.header for table in document.tables] == ["A | B | C"]


def test_a_raised_number_beside_text_that_the_page_states_for_its_glyphs(read):
    stated = b"/Span <</ActualText (office)>> BDC (oce) Tj EMC"
    content = b"BT /F 10 Tf 72 700 Td %s ( has 10) Tj /F 7 Tf 4 Ts (6) Tj /F 10 Tf 0 Ts ( lamps) Tj ET" % stated
    assert read("a.pdf", drawn_pdf(content)).text == "office has 10^6 lamps"
