"""Every format, from real files: the text, the title, the headings, and where pages and records begin."""

import io
import json
import logging
from itertools import pairwise
from pathlib import Path

import docx
import pypdf
import pytest
from docx.oxml import parse_xml
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import UnreadableFile
from indexes.readers import SUFFIXES, ReadLimits, read_document
from indexes.types import Document

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def read(name: str, content: str | bytes, **limits) -> Document:
    data = content.encode() if isinstance(content, str) else content
    document = read_document(Path("/corpus") / name, data, ReadLimits(**limits))
    assert document.source == f"/corpus/{name}"
    return document


def refusal(name: str, content: str | bytes, **limits) -> str:
    with pytest.raises(UnreadableFile) as caught:
        read(name, content, **limits)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def outline(document: Document) -> list[tuple[int, str]]:
    """The headings as (level, text), each of which is found in the text where it says it is."""
    for heading in document.headings:
        assert heading.text in " ".join(document.text[heading.start :].split())[: len(heading.text) + 80]
    return [(heading.level, heading.text) for heading in document.headings]


def parts(document: Document) -> list[str]:
    """The text cut at `breaks`."""
    edges = [*document.breaks, len(document.text)]
    return [document.text[start:end] for start, end in pairwise(edges)]


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
    return saved(writer)


def saved(file) -> bytes:
    stream = io.BytesIO()
    (file.write if isinstance(file, pypdf.PdfWriter) else file.save)(stream)
    return stream.getvalue()


def make_notebook(*cells: dict) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)})


# Text


@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ".py", ".c", ".csv", ".tsv", ".yaml", ".TXT"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932", "euc_jp", "iso2022_jp"])
def test_the_text_of_a_text_file_is_its_own(suffix, encoding):
    text = "一行目です。\r\n  二行目\tは\r\n\r\n\f最後。　\n\n"
    document = read(f"a{suffix}", text.encode(encoding))
    assert document.text == text
    assert document.title == "a"


def test_the_users_encoding_is_taken():
    assert read("a.txt", "café".encode("latin-1"), encoding="latin-1").text == "café"
    assert read("a.html", "<p>café".encode("latin-1"), encoding="latin-1").text == "café"


def test_markdown_headings():
    document = read(
        "a.md",
        "# 題名 #\n\ntext\n\nUnder\nlined\n===\n\nSecond\n---\n\n"
        "```python\n# no heading\n```\n\n~~~\n## nor this\n```\n~~~\n\n    # code\n\n- item\n---\n\n"
        "#no\n\n> quoted\n---\n\n| a |\n---\n\n###\n\n###### six\n#######seven\n",
    )
    assert outline(document) == [(1, "題名"), (1, "lined"), (2, "Second"), (6, "six")]
    assert document.title == "題名"
    assert document.text[document.headings[2].start :].startswith("Second\n---")


def test_a_fence_that_never_closes_hides_the_rest():
    assert outline(read("a.md", "# A\n```\n# b\n")) == [(1, "A")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_markdown_front_matter_and_line_ends(newline):
    text = '---\ntitle: "本の題"\nauthor: x\n---\n# One\nTwo\n---\n'.replace("\n", newline)
    document = read("a.md", text)
    assert document.title == "本の題"
    assert outline(document) == [(1, "One"), (2, "Two")]


def test_rst_titles():
    document = read(
        "a.rst",
        "========\n Manual\n========\n\n使い方\n------\n\ntext\n\nMore\n~~~~\n\nBack\n----\n\n"
        "::\n\n  code\n  ----\n\n...\n\nshort\n--\n\n=====  =====\na      b\n=====  =====\n",
    )
    assert outline(document) == [(1, "Manual"), (2, "使い方"), (3, "More"), (2, "Back")]
    assert document.title == "Manual"
    assert document.headings[0].start == 0


# Code and tables


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        (
            "a.py",
            "import x\n\n§# why\n@wraps(f)\ndef f():\n    def g(): ...\n\n§async def h(): ...\n"
            "§class A:\n    def m(self): ...\n",
        ),
        (
            "a.js",
            "import a from 'a';\n§export default function f() {\n}\n§export const g = async (x) => {\n};\n"
            "§class B {}\n",
        ),
        (
            "a.c",
            "#include <a.h>\n\n§/* doc */\nint main(int argc,\n         char **argv)\n{\n  if (x) y();\n}\n"
            "int z = f(1);\n§struct s {\n};\n",
        ),
        ("a.go", "§package a\n\n§func F() {\n}\n"),
        ("a.rs", "§/// Doc.\npub(crate) fn f() {\n}\n\n§#[derive(Debug)]\nstruct S;\n"),
        ("a.toml", "§[a]\nx = 1\n\n§[b.c]\ny = 2\n"),
        ("a.yaml", "§a:\n  b: 1\n§c: 2\n"),
        ("a.csv", '§a,b\n§"two\nlines ""q""",2\r\n§3,4'),
        ("a.tsv", '§a\t5" disk\n§b\tc\n'),
        ("a.jsonl", '§{"a": 1}\n\n§{"b": "日"}\n'),
    ],
)
def test_breaks(name, marked):
    """Each § stands where a break should be."""
    document = read(name, marked.replace("§", ""))
    assert parts(document) == marked.split("§")[1:]


# JSON


def test_json_that_people_can_read_is_left_as_it_is():
    text = '{"b": [1.0, 1e999, NaN],\n  "a": "日本",  "a": 2}\n'
    assert read("a.json", text).text == text


def test_hidden_text_in_json_becomes_readable():
    text = r'{"a": "\u65e5\u672c\ud83d\ude00", "b": "\\u65e5 \"\u0022\n\u0000\u000a", "c": "\ud800"}'
    assert read("a.json", text).text == r'{"a": "日本😀", "b": "\\u65e5 \"\"\n\u0000\n", "c": "�"}'


def test_json_on_one_line_is_indented():
    value = {"n": ["x" * 3_000, 1.5, {}, [], {"k": None}], "[": "{,:}", "big": int("9" * 4_000)}
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace('"big":9', '"big":-9' + "9" * 5_000)
    document = read("a.json", text)
    assert document.text == json.dumps(value, indent=2).replace('"big": 9', '"big": -9' + "9" * 5_000)


SCALARS = st.none() | st.booleans() | st.text() | st.floats(allow_nan=False)


@given(st.recursive(SCALARS, lambda values: st.lists(values) | st.dictionaries(st.text(), values)))
def test_json_keeps_its_value(value):
    padded = ["x" * 2_001, value]
    text = read("a.json", json.dumps(padded)).text
    assert json.loads(text) == json.loads(json.dumps(padded))
    assert "\\ud" not in text


def test_json_that_is_none():
    assert refusal("a.json", '{"a":\n 1,}').startswith("not valid JSON: ")
    assert refusal("a.json", '{"a":\n 1,}').endswith("at line 2, column 4")
    assert refusal("a.jsonl", '{"a": 1}\n\n{bad}\n').endswith("at line 3, column 2")


# HTML


def test_html():
    document = read(
        "a.html",
        """<!DOCTYPE html><html><head><title> The
        title </title><style>p {}</style><script>var x = "<p>no</p>";</script></head><body>
        <nav><ul><li>Home</ul></nav><!-- comment --><h1>Main <em>heading</em></h1>
        <p>One&nbsp;&amp; two<br>three &#x65e5;&#26412;</p><div>loose<p>para</div>
        <table><tr><th>k<th>v</tr><tr><td>a</td><td>b</td></tr></table>
        <pre>
def f():
    return 1


x</pre><h3>Sub</h3><noscript>no</noscript><template>no</template><svg><text>no</text></svg>end<footer>no</footer>
        </body></html>""",
    )
    assert document.text == (
        "Main heading\nOne\xa0& two\nthree 日本\nloose\npara\nk | v\na | b\n\ndef f():\n    return 1\n\nx\nSub\nend"
    )
    assert document.title == "The title"
    assert outline(document) == [(1, "Main heading"), (3, "Sub")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "shift_jis", "euc_jp", "iso2022_jp"])
@pytest.mark.parametrize(
    "declared",
    ["", '<meta charset="{}">', '<meta http-equiv="content-type" content="text/html; charset={}">'],
)
def test_html_in_every_encoding(encoding, declared):
    head = declared.format(encoding.removesuffix("-sig"))
    document = read("a.html", f"<html>{head}<title>題</title><p>日本語の文章です。</p></html>".encode(encoding))
    assert (document.title, document.text) == ("題", "日本語の文章です。")


def test_html_by_what_it_declares():
    assert read("a.html", '<meta charset="iso-8859-1"><p>caf\xe9 \x93q\x94'.encode("latin-1")).text == "café “q”"
    assert read("a.xhtml", '<?xml version="1.0" encoding="koi8-r"?><p>мир</p>'.encode("koi8-r")).text == "мир"
    assert read("a.html", '<meta charset="utf-8"><p>日本語です。'.encode("cp932")).text == "日本語です。"
    assert read("a.html", '<meta charset="utf-7"><p>日本+AGE-').text == "日本+AGE-"
    assert read("a.html", '<meta charset="no such"><p>日本').text == "日本"


def test_html_longer_than_a_piece():
    page = "".join(f"<p>段落{i}😀</p>" for i in range(20_000))
    assert read("a.html", f"<meta charset=utf-8>{page}").text.split("\n") == [f"段落{i}😀" for i in range(20_000)]


# Notebooks


def test_notebook():
    document = read(
        "a.ipynb",
        make_notebook(
            {"cell_type": "markdown", "source": ["# 題\n", "text"]},
            {"cell_type": "raw", "source": "  \n"},
            {
                "cell_type": "code",
                "source": "# no heading\nx = 1",
                "outputs": [
                    {"output_type": "stream", "name": "stdout", "text": ["loss ", "0.5"]},
                    {"output_type": "display_data", "data": {"text/plain": "42", "image/png": "iVBOR"}},
                    {"output_type": "stream", "text": "x" * 2_001},
                    {"output_type": "error", "ename": "E", "traceback": ["trace"]},
                ],
            },
            {"cell_type": "markdown", "source": "end\n\n## Sub"},
        ),
    )
    assert document.text == "# 題\ntext\n\n# no heading\nx = 1\n\nloss 0.5\n\n42\n\nend\n\n## Sub"
    assert outline(document) == [(1, "題"), (2, "Sub")]
    assert [part[:3] for part in parts(document)] == ["# 題", "# n", "end"]
    assert document.title == "題"


def test_an_old_notebook():
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {"cell_type": "code", "input": "x", "outputs": [{"output_type": "stream", "text": "y"}]},
    ]
    document = read("a.ipynb", json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
    assert document.text == "## Old\n\nx\n\ny"


@pytest.mark.parametrize("text", ["[]", "{}", '{"nbformat": 4}', "1"])
def test_what_is_no_notebook(text):
    assert refusal("a.ipynb", text) == "not a notebook: it has no cells"


# PDF


def test_pdf():
    document = read("a.pdf", make_pdf(["First page\nof text", "二頁目の文章。", "Third"], title="A Title"))
    assert document.text == "First page\nof text\f二頁目の文章。\fThird"
    assert [document.text[start:][:3] for start in document.pages] == ["Fir", "二頁目", "Thi"]
    assert document.title == "A Title"


@pytest.mark.parametrize("title", [None, "", "  ", "Microsoft Word - x.doc", "untitled", "12-34"])
def test_a_dull_pdf_title_gives_way_to_the_files_name(title):
    assert read("paper.pdf", make_pdf(["text"], title=title)).title == "paper"


def test_a_pdf_without_text_keeps_the_empty_page():
    document = read("a.pdf", make_pdf(["one", "", "three"]))
    assert document.text == "one\f\fthree"
    assert document.pages == (0, 4, 5)
    assert refusal("a.pdf", make_pdf(["", ""])) == "no text in it (a scan?); run OCR on it first"


def test_a_damaged_page_is_left_empty_and_the_others_are_read():
    data = make_pdf(["one", "two", "three"])
    broken = data.replace(b"/Contents 9 0 R", b"/Contents (bad)")
    document = read("a.pdf", broken)
    assert document.text == "one\f\fthree"
    assert len(document.pages) == 3


def test_an_encrypted_pdf():
    assert read("a.pdf", make_pdf(["open"], password="")).text == "open"
    assert (
        refusal("a.pdf", make_pdf(["x"], password="secret"))
        == "encrypted, and it asks for a password; save it without one"
    )


def test_pdf_bounds():
    data = make_pdf(["text"] * 5)
    assert refusal("a.pdf", data, max_pages=4) == "has 5 pages, over the limit of 4"
    assert refusal("a.pdf", data, max_text=10) == "its text has over 10 characters, which is the limit"


def test_pypdf_says_nothing_and_its_logger_is_as_before(caplog, capsys):
    logging.getLogger("pypdf").setLevel(logging.INFO)
    damaged = make_pdf(["text"]).replace(b"startxref\n", b"startxref\n9")
    assert read("a.pdf", damaged).text == "text"
    refusal("a.pdf", b"%PDF-1.4 rubbish")
    assert not caplog.records
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("pypdf").level == logging.INFO
    logging.getLogger("pypdf").setLevel(logging.NOTSET)


# Word


def test_docx():
    file = docx.Document()
    file.add_heading("Report", 0)
    file.add_heading("First", 1)
    paragraph = file.add_paragraph("Some ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run("\ttext")
    table = file.add_table(2, 3)
    for row, cells in enumerate([("a", "b", "c"), ("1", "", "三")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    file.add_heading("Deeper", 3)
    file.add_paragraph("終わり。")
    document = read("a.docx", saved(file))
    assert document.text == "Report\nFirst\nSome bold\ttext\na | b | c\n1 |  | 三\nDeeper\n終わり。"
    assert outline(document) == [(1, "First"), (3, "Deeper")]
    assert document.title == "Report"


def test_docx_headings_by_japanese_style_outline_level_and_base():
    file = docx.Document()
    for identifier, inside in (
        ("j1", '<w:name w:val="見出し 1"/>'),
        ("o2", '<w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr>'),
        ("b1", '<w:name w:val="Based"/><w:basedOn w:val="j1"/>'),
        ("loop", '<w:name w:val="Loop"/><w:basedOn w:val="loop"/>'),
    ):
        file.styles.element.append(
            parse_xml(f'<w:style {W} w:type="paragraph" w:styleId="{identifier}">{inside}</w:style>')
        )
        file.element.body.insert(
            len(file.element.body) - 1,
            parse_xml(
                f'<w:p {W}><w:pPr><w:pStyle w:val="{identifier}"/></w:pPr><w:r><w:t>{identifier}</w:t></w:r></w:p>'
            ),
        )
    file.core_properties.title = "From the properties"
    document = read("a.docx", saved(file))
    assert outline(document) == [(1, "j1"), (2, "o2"), (1, "b1")]
    assert document.title == "From the properties"


def test_docx_deleted_and_moved_text_is_gone():
    file = docx.Document()
    file.element.body.insert(
        0,
        parse_xml(
            f"<w:p {W}><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
            "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
            "<w:ins><w:r><w:t> and new</w:t></w:r></w:ins></w:p>"
        ),
    )
    assert read("a.docx", saved(file)).text == "kept and new"


# All of them


def test_no_text(tmp_path):
    assert refusal("a.txt", b"") == "empty file"
    assert refusal("a.txt", " \n\t　\n") == "no text in it"
    assert refusal("a.html", "<html><script>x</script></html>") == "no text in it"
    assert refusal("a.docx", saved(docx.Document())) == "no text in it"
    assert refusal("a.ipynb", make_notebook()) == "no text in it"


def test_the_limit_on_text():
    assert refusal("a.txt", "x" * 11, max_text=10) == "its text has 11 characters, over the limit of 10"
    assert "over the limit of 5,000" in refusal("a.json", json.dumps(["x" * 3_000, *range(1_000)]), max_text=5_000)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".pdf", ".docx", ".ipynb", ".json", ".jsonl", ".ndjson"}))
def test_every_suffix_has_a_reader(suffix):
    assert "text" in read(f"a{suffix}", "text\n").text


def test_a_suffix_that_no_reader_reads():
    assert refusal("a.xyz", "text").startswith("no reader for '.xyz' files; what is read: .bash .bib .c ")
