"""Comments stand below what they are about, and say who made them."""

import docx
import pptx
import pytest
from flat_document import comment, flat, table, zipped_document
from hand_made_pdf import pdf_of
from made_office import fill_table, workbook
from openpyxl.comments import Comment
from saved_file import parts_of, saved, zipped

MADE_BY = "http://schemas.microsoft.com/office"
THREADS = f'xmlns="{MADE_BY}/spreadsheetml/2018/threadedcomments"'
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
POWERPOINT = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    ' xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
    f' xmlns:m="{MADE_BY}/powerpoint/2018/8/main"'
)


def test_comments_of_a_word_document(read, outline, parts):
    file = docx.Document()
    run = file.add_paragraph("The lamp is ").add_run("checked at six.")
    file.add_comment([run], text="灯油も。", author="")
    file.add_comment([run], text="At seven\nin winter.", author="Holm")
    cells = file.add_table(3, 2)
    fill_table(cells, [["item", "kg"], ["oil", "3"], ["wick", "4"]])
    file.add_comment(cells.cell(1, 1).paragraphs[0].runs, text="Count again.", author="Berg")
    file.add_paragraph("end")
    document = read("a.docx", saved(file))
    assert document.text == (
        "The lamp is checked at six.\nComment by Holm: At seven in winter.\nComment: 灯油も。\n\n"
        "item | kg\noil | 3\nwick | 4\nComment by Berg on the row oil | 3: Count again.\n\nend"
    )
    assert document.tables[0].header == "item | kg"
    assert parts(document) == ["item | kg\n", "oil | 3\n", document.text[document.breaks[-1] :]]


def test_comments_of_a_word_document_that_nothing_refers_to_come_last(read):
    file = docx.Document()
    runs = [file.add_paragraph(text).runs[0] for text in ("one", "two")]
    file.add_comment([runs[0]], text="Why?", author="Holm")
    reference = file.element.body.xpath("//w:commentReference")[0]
    reference.getparent().remove(reference)
    assert read("a.docx", saved(file)).text == "one\n\ntwo\nComment by Holm: Why?"


@pytest.mark.parametrize("name", ["a.odt", "a.fodt"])
def test_comments_of_an_open_document_text(name, read):
    paragraph = f"<text:p>The lamp{comment('At <text:s/>six.', 'Holm')} is lit.</text:p>"
    rows = table(("item", "kg"), ("oil", f"<text:p>3{comment('Count again.')}</text:p>"))
    body = f"<office:text>{paragraph}{rows}<text:p>end</text:p></office:text>"
    document = read(name, flat(body) if name == "a.fodt" else zipped_document(body))
    assert document.text == (
        "The lamp is lit.\nComment by Holm: At six.\n\nitem | kg\noil | 3\nComment on the row oil | 3: Count again.\n\nend"
    )


def test_comments_of_an_open_document_spreadsheet_and_presentation(read):
    rows = table(("item", "kg"), ("oil", f"{comment('Count again.', 'Berg')}<text:p>3</text:p>"), name="Stock")
    rows = rows.replace("<table:table-row>", '<table:table-row table:number-rows-repeated="3"/><table:table-row>', 1)
    document = read("a.ods", zipped_document(f"<office:spreadsheet>{rows}</office:spreadsheet>"))
    assert document.text == "Stock\n\nitem | kg\noil | 3\nComment by Berg on B5 (oil | 3): Count again."
    page = f"<draw:page><draw:frame><draw:text-box><text:p>Oil</text:p></draw:text-box></draw:frame>{comment('Why?')}"
    slides = zipped_document(f"<office:presentation>{page}</draw:page></office:presentation>")
    assert read("a.odp", slides).text == "Oil\nComment: Why?"


def test_comments_of_a_workbook(read):
    book = workbook([["item", "kg"], ["oil", 3], ["wick", "x" * 200]])
    sheet = book.active
    sheet["B2"].comment = Comment("Holm:\nCount again.", "Holm")
    sheet["A3"].comment = Comment("Long?", "")
    sheet["D9"].comment = Comment("Nothing here.", "Berg")
    document = read("a.xlsx", saved(book))
    assert document.text.split("\n")[2:] == [
        *("item | kg", "oil | 3", f"wick | {'x' * 200}"),
        "Comment by Holm on B2 (oil | 3): Count again.",
        f"Comment on A3 (wick | {'x' * 93}…): Long?",
        "Comment by Berg on D9: Nothing here.",
    ]
    assert [each.header for each in document.tables] == ["item | kg"]


def test_threads_of_comments_of_a_workbook_and_not_their_copies(read):
    book = workbook([["item", "kg"], ["oil", 3]])
    book.active["B2"].comment = Comment(
        "[Threaded comment]\n\nYour version of Excel allows you to read this …", "tc={1}"
    )
    made = parts_of(book)
    thread = "".join(
        f'<threadedComment ref="B2" personId="{{{person}}}"><text>{text}</text></threadedComment>'
        for person, text in (("1", "Count again."), ("2", "It is 3."))
    )
    made["xl/threadedComments/threadedComment1.xml"] = (
        f"<ThreadedComments {THREADS}>{thread}</ThreadedComments>".encode()
    )
    made["xl/persons/person.xml"] = (
        f'<personList {THREADS}><person displayName="Holm" id="{{1}}"/></personList>'.encode()
    )
    for rels, kind, target in (
        ("xl/worksheets/_rels/sheet1.xml.rels", "threadedComment", "../threadedComments/threadedComment1.xml"),
        ("xl/_rels/workbook.xml.rels", "person", "persons/person.xml"),
    ):
        more = (
            f'<Relationship Id="r9" Type="{MADE_BY}/2017/10/relationships/{kind}" Target="{target}"/></Relationships>'
        )
        made[rels] = made[rels].replace(b"</Relationships>", more.encode())
    assert read("a.xlsx", zipped(made)).text.split("\n")[2:] == [
        *("item | kg", "oil | 3"),
        "Comment by Holm on B2 (oil | 3): Count again.",
        "Comment on B2 (oil | 3): It is 3.",
    ]


OLD = (
    f'<p:cmLst {POWERPOINT}><p:cm authorId="0" idx="1"><p:pos x="1" y="1"/><p:text>Why six?</p:text></p:cm></p:cmLst>',
    f'<p:cmAuthorLst {POWERPOINT}><p:cmAuthor id="0" name="Holm"/></p:cmAuthorLst>',
    (f"{RELATIONSHIPS}/comments", f"{RELATIONSHIPS}/commentAuthors"),
)
NEW = (
    f'<m:cmLst {POWERPOINT}><m:cm id="{{9}}" authorId="{{1}}"><m:replyLst><m:reply authorId="{{2}}"><m:txBody><a:p><a:r>'
    "<a:t>By law.</a:t></a:r></a:p></m:txBody></m:reply></m:replyLst><m:txBody><a:p><a:r><a:t>Why six?</a:t></a:r></a:p>"
    "</m:txBody></m:cm></m:cmLst>",
    f'<m:authorLst {POWERPOINT}><m:author id="{{1}}" name="Holm"/></m:authorLst>',
    (f"{MADE_BY}/2018/10/relationships/comments", f"{MADE_BY}/2018/10/relationships/authors"),
)


@pytest.mark.parametrize(
    ("made", "said"),
    [(OLD, "Comment by Holm: Why six?"), (NEW, "Comment by Holm: Why six?\nComment: By law.")],
    ids=["old", "new"],
)
def test_comments_of_a_presentation(made, said, read):
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text = "Lamp"
    slide.notes_slide.notes_text_frame.text = "Say it twice."
    comments, authors, kinds = made
    for owner, content, kind, name in (
        (slide.part, comments, kinds[0], "/ppt/comments/comment1.xml"),
        (file.part, authors, kinds[1], "/ppt/authors.xml"),
    ):
        part = pptx.opc.package.Part(
            pptx.opc.packuri.PackURI(name), "application/xml", file.part.package, content.encode()
        )
        owner.relate_to(part, kind)
    assert read("a.pptx", saved(file)).text == f"Lamp\n\nNotes:\nSay it twice.\n{said}"


def test_comments_on_a_page_of_a_pdf(read):
    note = b"<< /Type /Annot /Rect [0 0 9 9] /Subtype "
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Annots [4 0 R 5 0 R 6 0 R 7 0 R 8 0 R] >>",
        note + b"/Text /T (Holm) /Contents (Count\\nagain.) >>",
        note + b"/Highlight /RC (<p>Why &amp; how?</p>) >>",
        note + b"/Text /T (Berg) /StateModel (Review) /State (Accepted) /Contents (Accepted set by Berg) >>",
        note + b"/Link /Contents (a link) >>",
        note + b"/Square /F 2 /Contents (hidden) >>",
    ]
    assert read("a.pdf", pdf_of(*objects)).text == "Comment by Holm: Count again.\nComment: Why & how?"


def test_comments_in_rich_text(read):
    holm = r"{\*\atnid H}{\*\atnauthor Holm \u28783?}\chatn{\*\annotation{\*\atnref 1}{\*\atndate 7}\pard\plain Count\par again.}"
    assert read("a.rtf", rf"{{\rtf1 The lamp{holm} is lit{{\*\annotation Why?}}.\par end}}").text == (
        "The lamp [Comment by Holm 灯: Count again.] is lit [Comment: Why?].\nend"
    )
