"""A zoo of hostile files: each costs itself only. It is refused in one line or read.

What a file may take of time and memory is in test_isolated.py.
"""

import json
import re
from pathlib import Path

import pypdf
import pytest
from hand_made_pdf import pdf_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf.generic import DecodedStreamObject, NameObject
from saved_file import saved

from indexes import CorpusIndex
from indexes.readers.registry import SUFFIXES
from indexes.types import Document


def pdf_with(content: bytes, compress: bool = False) -> bytes:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(100, 100)
    stream = DecodedStreamObject()
    stream.set_data(content)
    page[NameObject("/Contents")] = writer._add_object(stream.flate_encode() if compress else stream)
    return saved(writer)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def pdf_page(page: bytes = b"", pages: bytes = b"/Count 1 /Kids [3 0 R]") -> bytes:
    """A PDF whose one page, object 3, and whose tree of pages, object 2, have these entries; object 4 is the content."""
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages " + pages + b" >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R " + page + b" >>",
        stream(b"BT (text) Tj ET"),
    )


def pdf_of_laughs(depth: int = 40) -> bytes:
    """Forms that each draw the next one twice: 2**40 times the last one."""
    forms = [
        stream(
            b"/X Do /X Do",
            b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>" % (6 + number),
        )
        for number in range(depth)
    ]
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>",
        stream(b"/X Do"),
        *forms,
        stream(b"BT (ha) Tj ET", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"),
    )


LAUGHS = "<!DOCTYPE l [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12)
) + "]>"  # fmt: skip

REFUSED = {
    "deep.html": (b"<div>" * 100_000 + b"text", "5,000 elements in each other"),
    "unclosed.html": (b"<b><i><font>" * 50_000 + b"text", "5,000 elements in each other"),
    "ends.html": (b"<div>" * 50_000 + b"</p>" * 50_000, "5,000 elements in each other"),
    "deep.json": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "open.json": (b'{"a":' * 100_000, "nested too deeply"),
    "deep.ipynb": (b'{"cells":' + b"[" * 100_000, "nested too deeply"),
    "deep.jsonl": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "binary.txt": (b"\x7fELF\x02\x01\x01\0" * 1_000, "a program under the name of a .txt file"),
    "binary.py": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture under the name of a .py file"),
    "binary.html": (b"GIF89a\x01\0\x01\0\x80\0\0", "a GIF picture under the name of a .html file"),
    "not.pdf": (b"this is no PDF", "a broken PDF"),
    "cut.pdf": (pdf_with(b"BT (text) Tj ET")[:300], "a broken PDF|no text in it"),
    "loop.pdf": (pdf_page(pages=b"/Count 9 /Kids [2 0 R 2 0 R]"), "a broken PDF|no text in it"),
    "before.pdf": (pdf_page().replace(b"/Root", b"/Prev 9 /Root"), "a broken PDF|no text in it"),
    "count.pdf": (pdf_page(pages=b"/Count 2000000000 /Kids [3 0 R]"), "a broken PDF|no text in it|pages, over"),
    "kids.pdf": (pdf_page(pages=b"/Count 200000 /Kids [" + b"3 0 R " * 200_000 + b"]"), "a broken PDF|pages, over"),
    "lists.pdf": (pdf_page(b"/X " + b"[" * 100_000 + b"]" * 100_000), "a broken PDF|no text in it|nested too deeply"),
    "laughs.pdf": (pdf_of_laughs(), "a broken PDF|no text in it"),
    "bomb.pdf": (pdf_with(b"0 " * 38_000_000, compress=True), "a broken PDF|no text in it"),
}  # fmt: skip

READ = {
    "attribute.html": b'<a href="' + b"x" * 5_000_000 + b'">text</a>',
    "attributes.html": b"<a " + b"".join(b"a%d=1 " % i for i in range(20_000)) + b">text</a>",
    "entities.html": LAUGHS.encode() + b"<p>&a11; text",
    "characters.html": b"<p>&#xD800;&#0;&#xFFFFFFFF;&nothing; text &#x1F600;",
    "nothing closes.html": b"<p>text<!--" + b"<" * 100_000,
    "angles.html": b"<" * 500_000 + b" text",
    "ends.html": b"</div>" * 200_000 + b"text",
    "long.md": b"#" * 1_000_000 + b"\n" + b"`" * 1_000_000 + b"\n" + b" " * 1_000_000 + b"x",
    "million.html": b"<i>x</i><br>" * 500_000,
    "cells.html": b"<table>" + b"<tr><td>x" * 200_000,
    "front.md": b"---\na: x" + b" " * 1_000_000 + b"y\n---\ntext",
    "hashes.md": b"# a" + b" #" * 500_000 + b" b\n",
    "rulers.md": b"a\n---\n" * 100_000,
    "rulers.rst": b"=" * 1_000_000 + b"\na\n" + b"=" * 1_000_000,
    "many.rst": b"a\n====\n" * 50_000,
    "long.py": b"export " * 200_000 + b"\n" + b"const " * 200_000,
    "long.c": b"a" * 1_000_000 + b"(" * 1_000_000,
    "quotes.csv": b'"' * 1_000_001 + b"\n" + b'a,"\n' * 100_000,
    "field.csv": b'"' + b"x,\n" * 1_000_000 + b'"',
    "newlines.csv": b"\n" * 5_000_000 + b"x",
    "definitions.py": b"def f\n" * 1_000_000,
    "headings.md": b"# a\n" * 1_000_000,
    "outputs.ipynb": b'{"cells":[{"source":"x","outputs":[' + b'{"text":["%s"]},' % (b"y" * 1_000_000) * 20 + b"{}]}]}",
    "line.txt": b"x" * 20_000_000,
    "blanks.md": b" " * 2_000_000 + b"x",
    "words.rst": b"=- " * 1_000_000,
    "breaks.html": b"<table><tr><td>" + b" <br>" * 200_000 + b"x",
    "cells.ipynb": b'{"cells":[' + b'{"source":"x"},' * 200_000 + b"{}]}",
    "numbers.json": b"[" + b"9" * 100_000 + b", 1e99999, -Infinity, " + b"1." + b"0" * 100_000 + b"]",
    "backslashes.json": b'["' + b"\\\\" * 500_000 + b'\\u0041"]',
    "escapes.json": b'["' + b"\\u3042" * 200_000 + b"\\ud800" * 3 + b'"]',
    "deep.json": b"[" * 400 + b"1" + b",1]" * 400,
    "surrogates.jsonl": b'{"\\udc00": "\\ud83d\\ude00\\ud800"}',
    "surrogates.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": "x\ud800"}]}).encode(),
    "strange.ipynb": (
        b'{"worksheets": 3, "cells": [3, {"source": {}}, {"source": [1, "x"], "outputs": [{"data": 3}, 4]}]}'
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, outcome):
    data, reason = REFUSED[name]
    result = outcome(name, data)
    assert isinstance(result, str), result
    assert re.search(reason, result)


@pytest.mark.parametrize("name", READ)
def test_what_is_read_all_the_same(name, outcome):
    result = outcome(name, READ[name])
    assert isinstance(result, Document), result


def test_a_pdf_that_is_encrypted_with_aes_says_what_to_do(outcome):
    """Whether or not the library for it is installed, which longctx does not need otherwise."""
    zeros = b"<" + b"00" * 48 + b">"
    encryption = (
        b" /Encrypt << /Filter /Standard /V 5 /R 6 /Length 256 /P -4 /O %s /U %s"
        b" /OE <%s> /UE <%s> /Perms <%s>"
        b" /CF << /StdCF << /CFM /AESV3 /Length 32 >> >> /StmF /StdCF /StrF /StdCF >> /ID [<00> <00>]"
        % (zeros, zeros, b"00" * 32, b"00" * 32, b"00" * 16)
    )
    pdf = re.sub(rb"/Root \d+ 0 R", lambda root: root[0] + encryption, pdf_with(b"BT (x) Tj ET"))
    result = outcome("a.pdf", pdf)
    assert isinstance(result, str)
    assert "encrypted" in result


SEEDS = {
    ".pdf": pdf_with(b"BT /F1 12 Tf (text) Tj ET"),
    ".ipynb": b'{"cells": [{"cell_type": "markdown", "source": "# a"}, {"source": ["b"], "outputs": []}]}',
    ".html": "<html><meta charset=utf-8><h1>題</h1><pre>a\n</pre><table><tr><td>x<td>y</table>".encode(),
    ".json": b'{"a": ["\\u3042", 1.5, {"b": null}]}',
    ".jsonl": b'{"a": 1}\n{"b": "\\u3042"}\n',
    ".md": "---\ntitle: t\n---\n# 題\n\na\n---\n```\n# x\n```\n".encode(),
    ".rst": "====\n題名\n====\n\nb\n----\n".encode(),
    ".csv": b'a,"b\nc"\n1,2\n',
    ".py": b"@d\ndef f():\n    pass\nclass A: ...\n",
    ".c": b"/* a */\nint f(int a) {\n}\n",
    ".txt": "吾輩は猫である。".encode("cp932"),
}  # fmt: skip


# But for zero bytes, which only UTF-16 and binaries have, and the few letters that '1986年' in EUC-JP looks like: see
# test_encoding.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(
    lambda text: re.sub("[ƀ-ʯ]", "x", text)
)


@given(suffix=st.sampled_from(sorted(SUFFIXES)), data=st.binary(min_size=1, max_size=200))
@settings(max_examples=settings.default.max_examples * 3)
def test_any_bytes_in_any_reader(suffix, data, outcome):
    outcome(f"a{suffix}", data)


@given(suffix=st.sampled_from(sorted(SEEDS)), draw=st.data())
@settings(max_examples=settings.default.max_examples * 4)
def test_damaged_files_in_any_reader(suffix, draw, outcome, damaged):
    outcome(f"a{suffix}", damaged(draw, SEEDS[suffix]))


@given(suffix=st.sampled_from([".html", ".md", ".rst", ".csv", ".py", ".c", ".txt"]), text=TEXTS)
@settings(max_examples=settings.default.max_examples * 3)
def test_any_text_in_any_reader(suffix, text, outcome):
    result = outcome(f"a{suffix}", (text + "\n").encode("utf-8", "replace"))
    if isinstance(result, Document) and suffix != ".html":
        assert result.text == re.sub(r"\r(?!\n)", "\n", text + "\n").removeprefix("\ufeff")


def test_each_costs_itself_only(tmp_path, hashing):
    """All of the zoo, and a sound neighbour for each, in one ingest."""
    animals = {name: data for name, (data, _) in REFUSED.items()}
    neighbours = [f"{number} beside {Path(name).stem}.txt" for number, name in enumerate(animals)]
    for number, (name, data) in enumerate(animals.items()):
        (tmp_path / f"{number} {name}").write_bytes(data)
    for name in neighbours:
        (tmp_path / name).write_text(f"The neighbour {name} is well.")
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest(tmp_path)
        assert {Path(document.source).name for document in index.documents()} == set(neighbours)
        assert index.verify().problems == ()
    assert {Path(failure.source).name.split(" ", 1)[1] for failure in report.failed} == set(animals)
