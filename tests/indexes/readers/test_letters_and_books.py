"""E-mail, EPUB, RTF and OpenDocument: their text, headings, properties, and what is left out."""

import base64
import binascii

import pytest
import saved_file

MAIL = b"""From: =?iso-2022-jp?B?GyRCRXRCZjxpGyhC?= <keeper@example.org>
To: board@example.org
Date: Mon, 23 Nov 2026 09:30:00 +0900
Subject: =?UTF-8?Q?Caf=C3=A9?=
 hours
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="X"

--X
Content-Type: multipart/alternative; boundary="Y"

--Y
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

The caf=E9 opens at 9.
--Y
Content-Type: text/html

<p>The same in HTML</p>
--Y--
--X
Content-Type: application/pdf; name="menu.pdf"
Content-Disposition: attachment; filename="menu.pdf"

xx
--X
Content-Type: message/rfc822

From: cook@example.org
Subject: Menu
Content-Type: text/html; charset=shift_jis
Content-Transfer-Encoding: base64

PHA+k/qWeyA8Yj5uYW1lPC9iPjwvcD4=
--X--
"""


def test_an_email(read):
    document = read("a.eml", MAIL)
    assert document.text.split("\n") == [
        "From: 灯台守 <keeper@example.org>",
        "To: board@example.org",
        "Date: Mon, 23 Nov 2026 09:30:00 +0900",
        *("Subject: Café hours", "", "The café opens at 9.", "", "From: cook@example.org", "Subject: Menu", ""),
        *("日本 name", "", "Attachments: menu.pdf"),
    ]
    assert document.title == "Café hours"
    assert document.metadata == {"author": "灯台守 <keeper@example.org>", "date": "2026-11-23T09:30:00+09:00"}
    assert document.warnings == ("the attachment 'menu.pdf' is not read: save it as a file of its own",)


def test_an_email_with_a_picture_in_its_text_and_raw_japanese(read):
    data = (
        "From: a@b\nSubject: 件名\nContent-Type: multipart/related; boundary=X\n\n"
        "--X\nContent-Type: text/html; charset=no-such\n\n<p>本文です。</p>\n"
        "--X\nContent-Type: image/png\nContent-ID: <1>\n\nxx\n--X--\n"
    )
    document = read("a.eml", data)
    assert document.text == "From: a@b\nSubject: 件名\n\n本文です。"
    assert document.warnings == ()


GREETING = "Sehr geehrte Frau Müller, die Sitzung beginnt um zehn Uhr im Rathaus."


@pytest.mark.parametrize(
    ("header", "encoding", "warned"),
    [
        ("", "utf-8", ""),
        ("Content-Type: text/plain; charset=us-ascii\n", "utf-8", ""),
        ("Content-Type: text/plain; charset=iso-8859-1\n", "utf-8", ""),
        ("Content-Type: text/plain; charset=iso-8859-1\n", "iso-8859-1", ""),
        ("", "windows-1252", "the message does not declare its encoding: read as windows-1252"),
    ],
)
def test_an_email_is_in_what_it_declares_or_else_says_what_it_was_read_as(read, header, encoding, warned):
    document = read("a.eml", f"From: a@b\nSubject: Sitzung über Gebühren\n{header}\n{GREETING}".encode(encoding))
    assert document.text == f"From: a@b\nSubject: Sitzung über Gebühren\n\n{GREETING}"
    assert [warned in warning for warning in document.warnings] == ([True] if warned else [])


def test_letters_of_a_header_in_an_encoding_that_nobody_can_tell_are_said_to_be_lost(read):
    [warning] = read("a.eml", "From: a@b\nSubject: Грузия\n\nHello.".encode("koi8-r")).warnings
    assert warning.startswith("the header Subject declares no encoding that fits")


def test_an_email_whose_encoding_nobody_can_tell_is_refused_or_says_what_is_lost(read, refusal):
    russian = "Собрание жильцов дома состоится завтра в десять часов утра."
    assert "--encoding" in refusal("a.eml", b"From: a@b\n\n" + russian.encode("koi8-r"))
    assert russian in read("a.eml", b"From: a@b\n\n" + russian.encode("koi8-r"), encoding="koi8-r").text
    broken = b"From: a@b\nContent-Type: text/plain; charset=euc-jp\n\n" + "灯台".encode("euc_jp") + b"\xff\xff"
    [warning] = read("a.eml", broken).warnings
    assert "2 characters of it are not in it" in warning


def zipped(**parts: str) -> bytes:
    """A zip file; underscores in the names stand for slashes, and double ones for dots."""
    return saved_file.zipped({name.replace("__", ".").replace("_", "/"): part for name, part in parts.items()})


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
BOOK = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>The lamp</dc:title><dc:creator>K</dc:creator><dc:language>en</dc:language></metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/><item id="c" href="c.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a%20.xhtml" media-type="application/xhtml+xml"/><item id="p" href="p.png" media-type="image/png"/>
</manifest><spine><itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/></spine></package>"""
CHAPTER = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><h1>{0}</h1><p>Chapter of {0}.</p></body></html>'


def test_a_table_in_an_email_has_its_header(read):
    rows = "<tr><th>品名</th><th>数量</th></tr><tr><td>鉛筆</td><td>10</td></tr><tr><td>定規</td><td>3</td></tr>"
    document = read("a.eml", f"Subject: x\nContent-Type: text/html; charset=utf-8\n\n<table>{rows}</table>")
    [table] = document.tables
    assert (table.header, document.text[table.start : table.end]) == ("品名 | 数量", "鉛筆 | 10\n定規 | 3")


def test_a_forwarded_email_that_is_packed_is_unpacked(read):
    inner = base64.encodebytes("Subject: Oil\nContent-Type: text/plain; charset=utf-8\n\n灯油\n".encode()).decode()
    head = 'Content-Type: multipart/mixed; boundary="X"\n\n--X\nContent-Type: message/rfc822\n'
    assert read("a.eml", f"{head}Content-Transfer-Encoding: base64\n\n{inner}\n--X--\n").text.split() == [
        "Subject:",
        "Oil",
        "灯油",
    ]


@pytest.mark.parametrize("kind", ["text/rtf", "application/rtf", "text/plain; charset=utf-8"])
def test_a_message_in_rich_text_is_read_without_its_markup(kind, read):
    data = f"From: keeper@example.org\nContent-Type: {kind}\n\n{{\\rtf1\\ansi Oil is \\b low\\b0 . {{\\v (hidden)}}}}\n"
    document = read("a.eml", data.encode())
    assert document.text == "From: keeper@example.org\n\nOil is low."
    assert document.warnings == ("hidden text is left out (8 characters): show it, and save the file",)


def test_rich_text_that_is_attached_stays_an_attachment(read):
    data = b"From: a@example.org\nContent-Type: application/rtf; name=a.rtf\n\n{\\rtf1 Oil}\n"
    assert read("a.eml", data).warnings == ("the attachment 'a.rtf' is not read: save it as a file of its own",)


def test_a_name_of_an_attachment_that_cannot_be_decoded_costs_no_email(read):
    head = b"Content-Type: multipart/mixed; boundary=X\n\n--X\n\nIt is lit.\n--X\nContent-Type: image/png\n"
    data = head + b"Content-Disposition: attachment; filename*=a\0b''%41.png\n\nxx\n--X--\n"
    assert "It is lit." in read("a.eml", data).text


def test_a_charset_with_a_null_character_costs_no_forwarded_email(read):
    head = b"Content-Type: message/rfc822\n\nSubject: Menu\nContent-Type: text/plain; charset=u\0tf\n\n"
    assert "Café at noon" in read("a.eml", head + "Café at noon\n".encode()).text


def test_a_file_in_the_text_of_an_email_is_an_attachment(read):
    packed = "".join(binascii.b2a_uu(bytes(range(45))).decode() for _ in range(20))
    document = read("a.eml", f"Subject: x\n\nHello.\nbegin 644 menu.pdf\n{packed}`\nend\nBye.\n")
    assert document.text.split() == ["Subject:", "x", "Hello.", "Bye.", "Attachments:", "menu.pdf"]
    assert document.warnings == ("the attachment 'menu.pdf' is not read: save it as a file of its own",)


@pytest.mark.parametrize(("page", "read_as"), [("The lamp is checked at six. " * 12, "HTML"), ("See below.", "plain")])
def test_plain_text_that_only_refers_to_html_gives_way_to_it(page, read_as, read):
    head = 'Content-Type: multipart/alternative; boundary="X"\n\n--X\nContent-Type: text/plain\n\nPlease read this in HTML.\n'
    text = read("a.eml", f"{head}--X\nContent-Type: text/html\n\n<p>{page}</p>\n--X--\n").text.strip()
    assert text == (page.strip() if read_as == "HTML" else "Please read this in HTML.")


def test_an_email_in_html_is_in_the_encoding_that_its_page_declares(read):
    page = "<meta charset=koi8-r><p>Смотритель маяка".encode("koi8-r")
    assert read("a.eml", b"Content-Type: text/html\n\n" + page).text == "\nСмотритель маяка"


def epub(**more: str) -> bytes:
    parts = {"META-INF_container__xml": CONTAINER, "OPS_book__opf": BOOK, "OPS_nav__xhtml": "<ol><li>Contents</ol>"}
    chapters = {"OPS_text_a __xhtml": CHAPTER.format("Oil"), "OPS_b__xhtml": CHAPTER.format("火")}
    return zipped(**(parts | chapters | more))


def test_an_epub_in_its_reading_order(read, outline, parts):
    document = read("a.epub", epub())
    assert document.text == "Oil\nChapter of Oil.\n\n火\nChapter of 火."
    assert outline(document) == [(1, "Oil"), (1, "火")]
    assert [part[:3] for part in parts(document)] == ["Oil", "火\nC"]
    assert document.title == "The lamp"
    assert document.metadata == {"author": "K", "language": "en"}
    assert document.warnings == ("the chapter 'OPS/c.xhtml' is not in the file",)


def test_the_tables_of_a_book_have_their_headers(read):
    rows = "<tr><th>港</th><th>深さ</th></tr><tr><td>Kiel</td><td>12</td></tr><tr><td>Emden</td><td>9</td></tr>"
    [table] = read("a.epub", epub(OPS_c__xhtml=f"<h1>Depths</h1><table>{rows}</table>")).tables
    assert table.header == "港 | 深さ"


def test_notes_and_boxes_beside_the_text_of_a_book_are_read(read):
    prose = "The lamp is trimmed every evening before dusk. " * 9
    note = '<aside epub:type="footnote" id="n1"><p>With scissors.</p></aside>'
    chapter = f"<article><p>{prose}</p></article>{note}<aside><p>Oil burns.</p></aside><footer>K, 1903</footer>"
    text = read("a.epub", epub(OPS_c__xhtml=f"<body><nav>no</nav>{chapter}</body>")).text
    assert text.endswith(f"{prose.strip()}\nWith scissors.\nOil burns.\nK, 1903")


def test_what_is_attached_to_an_alternative_that_is_not_read_is_named(read):
    mixed = "multipart/mixed; boundary=c\n\n--c\nContent-Type: text/html\n\n<p>page\n"
    mixed += "--c\nContent-Type: application/pdf; name=lamp.pdf\n\nx\n--c--\n"
    mail = "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n"
    mail += f"--b\nContent-Type: text/plain\n\nplain text\n--b\nContent-Type: {mixed}\n--b--\n"
    document = read("a.eml", mail)
    assert document.text.split() == ["Subject:", "x", "plain", "text", "Attachments:", "lamp.pdf"]
    assert document.warnings == ("the attachment 'lamp.pdf' is not read: save it as a file of its own",)


def test_an_invitation_beside_the_alternatives_of_an_email_is_read(read):
    parts = ("text/plain\n\nCome.", "text/html\n\n<p>Come.</p>", "text/calendar; method=REQUEST\n\nSUMMARY:Lamp")
    mail = "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n"
    mail += "".join(f"--b\nContent-Type: {part}\n" for part in parts) + "--b--\n"
    assert read("a.eml", mail).text == "Subject: x\n\nCome.\nSUMMARY:Lamp"


def test_an_email_in_parts_that_are_nowhere_said_to_begin_is_read(read):
    assert read("a.eml", "Subject: x\nContent-Type: multipart/mixed\n\nLit at dusk.\n").text.endswith("Lit at dusk.\n")


def test_files_of_outlook_and_elsewhere_are_named_with_what_helps(read):
    part = "Content-Type: application/ms-tnef; name=winmail.dat\n\nx"
    outside = 'Content-Type: message/external-body; access-type=URL; URL="http://x/oil"\n\nContent-Type: text/plain\n\n'
    mail = f"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b\n{outside}\n--b--\n"
    document = read("a.eml", mail)
    assert document.text.endswith("Attachments: winmail.dat, http://x/oil")
    assert document.warnings == (
        "the attachment 'winmail.dat' is not read: unpack it, as with `tnef FILE`: Outlook puts text and files in it",
        "the attachment 'http://x/oil' is not read: save it as a file of its own",
    )


def test_a_report_about_the_delivery_of_an_email_is_read(read):
    parts = ("text/plain\n\nNot delivered.", "message/delivery-status\n\nReporting-MTA: dns; b\n\nStatus: 5.1.1\n")
    mail = "Subject: x\nContent-Type: multipart/report; boundary=b\n\n"
    mail += "".join(f"--b\nContent-Type: {part}\n" for part in parts) + "--b--\n"
    assert read("a.eml", mail).text == "Subject: x\n\nNot delivered.\nReporting-MTA: dns; b\nStatus: 5.1.1\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/>', ""),
        ("application/xhtml+xml", "text/x-unknown"),
        ("b.xhtml", "B.XHTML#top"),
        ("The lamp", "The lamp & the wick"),
    ],
)
def test_a_flaw_in_the_list_of_a_book_costs_no_chapter(old, new, read):
    document = read("a.epub", epub(OPS_book__opf=BOOK.replace(old, new)))
    assert set(document.text.split("\n\n")) == {"Oil\nChapter of Oil.", "火\nChapter of 火."}


def test_pages_of_a_book_that_only_links_lead_to_come_last(read):
    document = read("a.epub", epub(OPS_book__opf=BOOK.replace('<itemref idref="a"/>', "")))
    assert document.text.split("\n\n") == ["火\nChapter of 火.", "Oil\nChapter of Oil."]


def test_what_a_book_lists_and_is_no_page_is_named_or_has_a_page_that_stands_in_for_it(read):
    items = '<itemref idref="p"/><itemref idref="s"/><itemref idref="x"/><itemref idref="none"/></spine>'
    more = '<item id="s" href="s.svg" media-type="image/svg+xml"/><item id="x" href="x.pdf" fallback="f"/>'
    more += '<item id="f" href="f.xml" media-type="application/x-dtbook+xml"/></manifest>'
    book = BOOK.replace("</spine>", items).replace("</manifest>", more)
    files = {"OPS_s__svg": "<svg><text>The drawn lamp</text></svg>", "OPS_f__xml": "<dtbook><p>Of wicks.</p></dtbook>"}
    document = read("a.epub", epub(OPS_book__opf=book, **files))
    assert document.text.split("\n\n")[2:] == ["The drawn lamp", "Of wicks."]
    assert document.warnings == (
        "'p.png' is no page of text, and not read",
        "the chapter 'none' is not in the book's list of files",
        "the chapter 'OPS/c.xhtml' is not in the file",
    )


def test_notes_of_a_book_that_are_hidden_until_they_are_asked_for_are_read(read):
    note = '<p>It is lit.</p><aside epub:type="footnote" hidden="hidden"><p>At dusk.</p></aside><p hidden="">no</p>'
    assert read("a.epub", epub(OPS_c__xhtml=f"<body>{note}</body>")).text.endswith("It is lit.\nAt dusk.")


HIDDEN = "The lamp of the old tower was taken down in the spring of that year, and it never came back."


def test_hidden_text_of_messages_and_books_is_left_out_and_said(read):
    page = f"<p>It is lit.</p><div style='display: none'>{HIDDEN}{'&zwnj;&nbsp;' * 90}</div>"
    said = "hidden text is left out ({} characters): show it, and save the file"
    mail = f"From: keeper@example.org\nSubject: Oil\nContent-Type: text/html\n\n{page}\n"
    document = read("a.eml", mail)
    assert (document.text.split("\n")[-1], document.warnings) == ("It is lit.", (said.format(len(HIDDEN)),))
    box = "".join(f"From a Mon Jan  1 00:00:00 2024\n{mail}\n" for _ in range(2))
    assert read("a.mbox", box).warnings == (said.format(2 * len(HIDDEN)),)
    document = read("a.epub", epub(OPS_b__xhtml=page, OPS_c__xhtml=page))
    assert document.warnings == (said.format(2 * len(HIDDEN)),)


def test_a_book_without_a_container_and_one_whose_chapters_are_all_missing(read, refusal):
    assert "Chapter of Oil." in read("a.epub", epub(**{"META-INF_container__xml": "<container/>"})).text
    one = BOOK.replace('<itemref idref="a"/><itemref idref="b"/>', "")
    document = read("a.epub", epub(OPS_book__opf=one))
    assert ("Chapter of Oil." in document.text, document.warnings) == (
        True,
        ("the chapter 'OPS/c.xhtml' is not in the file",),
    )
    none = one.replace('"b.xhtml', '"gone.xhtml').replace("text/a%20", "text/gone")
    assert refusal("a.epub", epub(OPS_book__opf=none)) == "the chapter 'OPS/c.xhtml' is not in the file"


def test_epubs_that_cannot_be_read(refusal):
    locked = '<encryption><EncryptionMethod Algorithm="{}"/></encryption>'
    fonts = locked.format("http://www.idpf.org/2008/embedding")
    assert "copy protection" in refusal("a.epub", epub(**{"META-INF_encryption__xml": locked.format("aes128")}))
    assert refusal("a.epub", epub(**{"META-INF_encryption__xml": fonts}), max_text=5).startswith("its text has over 5")
    assert refusal("a.epub", zipped(a="b")) == "an .epub with no book in it"
    assert refusal("a.epub", epub(**{"META-INF_container__xml": "<"})).startswith("a broken .epub: ")
    assert refusal("a.epub", b"no zip").startswith("not a .epub, or a broken one")
    assert "unpacks to" in refusal("a.epub", epub(big="x" * 20_000_000))


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (r"\ansicpg932 \'93\'94\'91\'e4\'8e\'e7\par\u28783?\u21488?", "灯台守\n灯台"),
        (
            r"\ansicpg1252{\fonttbl{\f0 A;}{\f1\fcharset204 A;}{\f2\fcharset128 A;}}\f1 \'ef\'f0 \f0 \'e9 \f2\'88\'ea",
            "пр é 一",
        ),
        (r"\uc2\u-10179??\u-8704 ??ok \emdash\~\{x\}", "😀ok —\u00a0{x}"),
        (r"\trowd\pard\intbl a\par b\cell\cell c\cell\row\pard after", "a b |  | c\nafter"),
        (
            r"one{\footnote {\b two}} three{\private no}{\*\unknown no}{\pict 00ff}{\v no}{\info{\company no}}",
            "one [two] three",
        ),
        (r"to {\field{\*\fldinst EQ \\o\\ac(O,{K})}{\fldrslt X}} {\field{\*\fldinst REF}{\fldrslt b}}", "to K b"),
        (r"{\field{\*\fldinst IF {\field{\*\fldinst EQ \\f(1,2)}{\fldrslt 3}} = 3 x}{\fldrslt yes}}", "yes"),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}{\listtext 1.\tab}item", "link1. item"),
        ("a\\bin4 }}}}b", "ab"),
        (r"\ansicpg932{\fonttbl{\f0\fcharset128 A;}{\f1\fcharset0 B;}}\f0\'93\'94 \f1 M\'fcller", "灯 Müller"),
        (r"\mac M\'9fller", "Müller"),
        (
            r"a{\shp{\*\shpinst{\sp{\sn shapeType}{\sv 202}}{\sp{\sn wzDescription}{\sv A pump}}{\shptxt box\par}}}",
            "a A pump box",
        ),
        (
            r"a{\*\shppict{\pict{\*\picprop{\sp{\sn wzDescription}{\sv A pump}}{\sp{\sn pib}{\sv x}}}00ff}} b",
            "a A pump b",
        ),
        (r"\pc M\'81ller", "Müller"),
    ],
)
def test_rtf(rtf, text, read):
    assert read("a.rtf", "{\\rtf1" + rtf + "}").text == text


def test_the_second_byte_of_a_character_in_rtf_is_no_markup(read):
    text = "灯台の表能ソ{欺}"
    data = rb"{\rtf1\ansicpg932 " + text.replace("{", "").replace("}", "").encode("cp932") + rb"\par next}"
    assert read("a.rtf", data).text == "灯台の表能ソ欺\nnext"


def test_objects_in_rtf_are_named(read):
    document = read("a.rtf", r"{\rtf1 one{\object{\*\objdata 00ff}{\result  (shown)}} two}")
    assert document.text == "one (shown) two"
    assert document.warnings == ("an embedded document or object is not read: save them as files of their own",)


def test_headings_and_properties_of_rtf(read, outline):
    document = read(
        "a.rtf",
        r"{\rtf1{\stylesheet{\s0 Normal;}{\s1\b heading 1;}}{\info{\title The lamp}{\author K}}\pard\s1 Oil\par\pard text\par"
        r"\pard\outlinelevel1 Wick\par\pard end}",
    )
    assert document.text == "Oil\ntext\n\nWick\nend"
    assert outline(document) == [(1, "Oil"), (2, "Wick")]
    assert (document.title, document.metadata) == ("The lamp", {"author": "K"})


NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        *(("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style")),
        *(("presentation", "presentation"), ("svg", "svg-compatible"), ("meta", "meta")),
    )
)
STYLES = (
    '<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/>'
    '</text:list-style><text:list-style style:name="L2"><text:list-level-style-bullet text:level="1"/></text:list-style>'
)


def open_document(body: str, **more: str) -> bytes:
    content = f"<office:document-content {NAMES}><office:automatic-styles>{STYLES}</office:automatic-styles>"
    content += f"<office:body>{body}</office:body></office:document-content>"
    parts = {
        "content__xml": content,
        "styles__xml": f"<office:document-styles {NAMES}/>",
        "META-INF_manifest__xml": "<m/>",
    }
    return zipped(**{**parts, **more})


def test_a_heading_of_invisible_characters_alone_is_none(read, outline):
    assert outline(read("a.rtf", rb"{\rtf1 text\par\pard\outlinelevel0 Oil\par\pard\outlinelevel0 \'ad\par}")) == [
        (1, "Oil")
    ]
    assert outline(read("a.md", "# Oil\n\n# \u200b\n\ntext")) == [(1, "Oil")]


def test_an_open_document_text(read, outline):
    body = (
        '<office:text><text:tracked-changes><text:p>no</text:p></text:tracked-changes><text:h text:outline-level="2">Oil</text:h>'
        "<text:p>One<text:s/>two<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p>"
        "</text:note-body></text:note><text:line-break/><text:ruby><text:ruby-base>灯</text:ruby-base><text:ruby-text>ひ"
        "</text:ruby-text></text:ruby><office:annotation><text:p>no</text:p></office:annotation></text:p>"
        '<text:list text:style-name="L1"><text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>sub</text:p>'
        "</text:list-item></text:list></text:list-item></text:list><text:p>between</text:p>"
        '<text:list text:style-name="L1" text:continue-numbering="true"><text:list-item><text:p>second</text:p></text:list-item>'
        '</text:list><text:list text:style-name="L2"><text:list-item><text:p>point</text:p></text:list-item></text:list>'
        '<text:list text:style-name="L1"><text:list-item text:start-value="7"><text:p>seventh</text:p></text:list-item></text:list>'
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>c</text:p></table:table-cell>'
        '<table:table-cell table:number-columns-repeated="9999"/></table:table-row></table:table>'
        "<text:p><draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box><svg:desc>a picture</svg:desc></draw:frame>"
        "end</text:p></office:text>"
    )
    meta = (
        f'<office:document-meta {NAMES} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>The lamp</dc:title>'
        "<meta:initial-creator>K</meta:initial-creator></office:meta></office:document-meta>"
    )
    document = read("a.odt", open_document(body, meta__xml=meta))
    assert [line for line in document.text.split("\n") if line] == [
        *(
            "Oil",
            "One two[1]",
            "灯",
            "Comment: no",
            "1. first",
            "(a) sub",
            "between",
            "2. second",
            "* point",
            "7. seventh",
            "a b |  |  | c",
        ),
        *("end", "in a box", "a picture", "[1] A note."),
    ]
    assert outline(document) == [(2, "Oil")]
    assert (document.title, document.metadata) == ("The lamp", {"author": "K"})


def test_an_open_document_spreadsheet(read, outline, parts):
    row = "<table:table-row{}><table:table-cell><text:p>{}</text:p></table:table-cell></table:table-row>"
    rows = row.format("", "lamp") + row.format(' table:number-rows-repeated="2"', "oil") + "<table:table-row/>"
    body = f'<office:spreadsheet><table:table table:name="Stock">{rows}</table:table></office:spreadsheet>'
    document = read("a.ods", open_document(body))
    assert document.text == "Stock\n\nlamp\noil\noil"
    assert outline(document) == [(2, "Stock")]
    assert parts(document) == ["lamp\n", "oil\n", "oil"]


def test_an_open_document_presentation(read, outline):
    title = '<draw:frame presentation:class="title"><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>'
    box = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    notes = f"<presentation:notes>{box.format('Say it twice.')}</presentation:notes>"
    pages = "".join(
        f"<draw:page>{box.format(f'text {i}')}{title.format(f'Slide {i}')}{notes}</draw:page>" for i in (1, 2)
    )
    document = read("a.odp", open_document(f"<office:presentation>{pages}</office:presentation>"))
    assert [document.text[start:].split("\n")[0] for start in document.pages] == ["Slide 1", "Slide 2"]
    assert outline(document) == [(1, "Slide 1"), (3, "Notes:"), (1, "Slide 2"), (3, "Notes:")]
    assert "text 2\n\nNotes:\nSay it twice." in document.text


def test_an_open_document_may_have_no_part_but_its_content(read):
    content = f"<office:document-content {NAMES}><office:body><office:text><text:p>The lamp.</text:p>"
    document = read("a.odt", zipped(content__xml=content + "</office:text></office:body></office:document-content>"))
    assert document.text == "The lamp."


def test_numbers_of_open_document_headings_are_those_of_the_outline(read, outline):
    levels = (
        '<text:outline-style><text:outline-level-style text:level="1" style:num-prefix="第" style:num-suffix="章"'
        ' style:num-format="一, 二, 三, ..."/><text:outline-level-style text:level="2" style:num-format="1"'
        ' text:display-levels="2"/><text:outline-level-style text:level="3" style:num-format=""/></text:outline-style>'
    )
    styles = f"<office:document-styles {NAMES}><office:styles>{levels}</office:styles></office:document-styles>"
    words = ((1, "総則"), (2, "目的"), (3, "別"), (1, "雑則"), (2, "期日"))
    body = "".join(f'<text:h text:outline-level="{level}">{word}</text:h><text:p>x</text:p>' for level, word in words)
    document = read("a.odt", open_document(f"<office:text>{body}</office:text>", styles__xml=styles))
    assert [text for _, text in outline(document)] == ["第一章 総則", "一.1 目的", "別", "第二章 雑則", "二.1 期日"]


def test_values_of_an_open_document_spreadsheet_without_text(read):
    def cell(kind: str, more: str) -> str:
        return f'<table:table-cell office:value-type="{kind}" {more}/>'

    values = cell("float", 'office:value="2.5"') + cell("percentage", 'office:value="0.07"')
    values += cell("date", 'office:date-value="2026-04-01"') + cell("string", 'office:string-value="灯"')
    formula = '<table:table-cell table:formula="of:=1+1"/>'
    rows = f"<table:table-row>{values}</table:table-row><table:table-row>{formula}</table:table-row>"
    body = f'<office:spreadsheet><table:table table:name="A">{rows}</table:table></office:spreadsheet>'
    document = read("a.ods", open_document(body))
    assert document.text == "A\n\n2.5 | 7% | 2026-04-01 | 灯"
    assert document.warnings[0].startswith("1 formula has no computed value")


def test_open_documents_that_cannot_be_read(refusal):
    locked = {"META-INF_manifest__xml": "<m><encryption-data/></m>"}
    assert refusal("a.odt", open_document("", **locked)).startswith("encrypted with a password")
    repeated = (
        '<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="1000">'
    )
    bomb = (
        f"<office:spreadsheet><table:table>{repeated}<text:p>{'x' * 99}</text:p></table:table-cell></table:table-row>"
    )
    bomb += "</table:table></office:spreadsheet>"
    assert refusal("a.ods", open_document(bomb)) == "its text has over 10,000,000 characters, which is the limit"


FLOWED = "Subject: oil\nContent-Type: text/plain; charset=utf-8; format=flowed{}\n\n"


@pytest.mark.parametrize(
    ("more", "body", "text"),
    [
        ("", "The oil of the \nlamp is low.\nSo.\n", "The oil of the lamp is low.\nSo."),
        ("; delsp=yes", "油は残り少ないので明日 \n補給します。\n以上", "油は残り少ないので明日補給します。\n以上"),
        ("", "> The oil \n> is low. \nYes, \n it is.\n", "> The oil is low.\nYes, it is."),
        ("", "So \n-- \nHolm\n", "So\n-- \nHolm"),
        ("; delsp=no", "It ends \n\nhere ", "It ends\n\nhere"),
    ],
)
def test_lines_that_flow_are_paragraphs(more, body, text, read):
    assert read("a.eml", FLOWED.format(more) + body).text.split("\n\n", 1)[1].rstrip("\n") == text


def test_lines_that_do_not_flow_stay(read):
    assert read("a.eml", "Subject: oil\n\nThe oil \nis low.").text == "Subject: oil\n\nThe oil \nis low."


def test_breaks_of_lines_in_subrip(read):
    assert (
        read("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}The oil\\Nis\\hlow.\n").text
        == "00:00:00\nThe oil is low."
    )


def element(tag: int, *inside: bytes) -> bytes:
    """An element of DER."""
    content = b"".join(inside)
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")) + content


SIGNED, DATA = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
LETTER = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe vault opens at nine.\r\n"


def p7m(*content: bytes) -> str:
    """A message whose one part is signed data with this content."""
    algorithms, signers = element(0x31), element(0x31)
    version = element(0x02, b"\1")
    signed = element(0x30, version, algorithms, element(0x30, DATA, *content), signers)
    data = base64.encodebytes(element(0x30, SIGNED, element(0xA0, signed))).decode()
    kind = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n"
    return f"Subject: Vault\n{kind}Content-Transfer-Encoding: base64\n\n{data}"


@pytest.mark.parametrize(
    "content",
    [
        element(0xA0, element(0x04, LETTER)),
        element(0xA0, element(0x04, LETTER * 2)),  # a length of more than a byte
        b"\xa0\x80\x24\x80"
        + element(0x04, LETTER[:50])
        + element(0x04, LETTER[50:])
        + bytes(4),  # as OpenSSL writes it
    ],
)
def test_a_message_within_its_signature_is_read(content, read):
    document = read("a.eml", p7m(content))
    assert "The vault opens at nine." in document.text
    assert document.warnings == ()
    assert "smime" not in document.text


@pytest.mark.parametrize("content", [b"", b"\xa0", element(0xA0, b"\x24\x80" + element(0x04, b"x")[:1])])
def test_an_encrypted_or_damaged_message_is_said_to_be_missing(content, read):
    [warning] = read("a.eml", p7m(content)).warnings
    assert warning.startswith("the attachment 'smime.p7m' is not read: it is encrypted")
