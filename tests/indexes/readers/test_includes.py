"""Files that others include, which are named: each is read as a file of its own, or not at all."""

import docx
import pytest
from flat_document import zipped_document
from saved_file import saved


@pytest.mark.parametrize(
    ("name", "text", "included"),
    [
        ("a.tex", "Oil.\n\\input{chapter}", "chapter"),
        ("a.tex", "Oil.\n% \\include{old}\n\\include {chapter}", "chapter"),
        ("a.tex", "\\lstinputlisting[language=C]{lamp.c}", "lamp.c"),
        ("a.tex", "\\subimport{parts/}{lamp}", "parts/lamp"),
        ("a.org", '* Oil\n#+INCLUDE: "lamp.org" src', "lamp.org"),
        ("a.adoc", "= Oil\ninclude::parts/lamp.adoc[tag=a]", "parts/lamp.adoc"),
        ("a.rst", "Oil\n\n.. include:: lamp.rst", "lamp.rst"),
        ("a.rst", ".. literalinclude:: lamp.py\n   :lines: 1-2", "lamp.py"),
        ("a.rst", ".. csv-table:: Fees\n   :file: fees.csv", "fees.csv"),
        ("a.md", '# Oil\n--8<-- "lamp.md"', "lamp.md"),
        ("a.md", "{!lamp.md!}", "lamp.md"),
        ("a.md", "{{< include _lamp.qmd >}}", "_lamp.qmd"),
        ("a.xml", '<a xmlns:x="u"><x:include parse="text" href="lamp.xml"/></a>', "lamp.xml"),
    ],
)
def test_what_a_text_includes_is_named(name, text, included, read):
    document = read(name, text)
    assert (document.text, document.includes, document.warnings) == (text, (included,), ())


def test_what_is_included_twice_is_named_once(read):
    assert read("a.tex", r"\input{c1} \input{c2} \input{c1}").includes == ("c1", "c2")


@pytest.mark.parametrize("text", ["\\includegraphics{a.png} 10\\% \\input", "include me", r"\\input{x}"])
def test_what_includes_nothing(text, read):
    assert read("a.tex", text).includes == ()


def test_documents_of_a_master_document_are_named(read):
    file = docx.Document()
    file.add_paragraph("Oil")
    file.part.relate_to(
        "chapter.docx",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/subDocument",
        is_external=True,
    )
    assert read("a.docx", saved(file)).includes == ("chapter.docx",)
    source = '<text:section-source xlink:href="chapter.odt"/>'
    sections = f"<text:section>{source}</text:section><text:section>{source}<text:p>Oil</text:p></text:section>"
    document = read("a.odt", zipped_document(f"<office:text>{sections}</office:text>"))
    assert (document.text, document.includes) == ("Oil", ("chapter.odt",))
