"""Mailboxes and saved web pages: what is read of each message and page, and what is said not to be."""

import mailbox
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest


def message(subject: str, text: str, minute: int) -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Keeper Ångström <keeper@example.org>"
    made["Subject"] = subject
    made["Date"] = f"Mon, 23 Nov 2026 09:{minute:02}:00 +0900"
    made.set_content(text)
    return made


@pytest.fixture
def box(tmp_path):
    """The bytes of a mailbox, as Python's library writes it."""

    def box(*messages: Message) -> bytes:
        (tmp_path / "box").unlink(missing_ok=True)
        file = mailbox.mbox(tmp_path / "box")
        for each in messages:
            file.add(each)
        file.close()
        return (tmp_path / "box").read_bytes()

    return box


def test_each_message_of_a_mailbox_is_read_under_its_heading(read, box, outline):
    second = message("灯台の当番", "次の当番は山田です。", 31)
    second.add_attachment(b"xx", maintype="application", subtype="pdf", filename="menu.pdf")
    data = box(message("Café hours", "It opens at 9.\n\nFrom here on, all are welcome.\n", 30), second)
    document = read("2026.mbox", data)
    headings = ["Café hours (Keeper Ångström, 2026-11-23 09:30)", "灯台の当番 (Keeper Ångström, 2026-11-23 09:31)"]
    assert outline(document) == [(1, heading) for heading in headings]
    assert document.breaks == tuple(map(document.text.index, headings))
    assert document.text.startswith(
        f"{headings[0]}\nFrom: Keeper Ångström <keeper@example.org>\nDate: Mon, 23 Nov 2026 09:30:00 +0900\n"
        "Subject: Café hours\n\nIt opens at 9.\n\nFrom here on, all are welcome.\n"
    )
    assert document.text.endswith("次の当番は山田です。\n\n\nAttachments: menu.pdf")
    assert document.title == "2026"
    assert document.warnings == ("message 2: the attachment 'menu.pdf' is not read: save it as a file of its own",)


def test_messages_begin_where_programs_write_that_they_do(read, outline):
    data = (
        b"From - Mon Nov 23 09:30:00 2026\r\nX-Mozilla-Status: 0001\r\nSubject: one\r\n\r\nFrom 9:30 on, it rained.\r\n\r\n"
        b"From \r\nSubject: two\r\n\r\n>From there.\r\n>>From here.\r\n\r\n"
        b"From 18@xxx Mon Nov 23 09:30:00 +0000 2026\r\nSubject: three\r\n\r\nend\r\n"
    )
    document = read("Inbox.mbox", data)
    assert [text for _, text in outline(document)] == ["one", "two", "three"]
    assert "From 9:30 on, it rained." in document.text
    assert "\nFrom there.\n>From here.\n" in document.text


def test_several_messages_in_an_eml_are_a_mailbox(read, box, outline):
    assert len(outline(read("a.eml", box(message("one", "a", 1), message("two", "b", 2))))) == 2
    single = read("a.eml", box(message("one", "a", 1)))
    assert (single.title, single.headings) == ("one", ())


def test_a_mailbox_may_be_named_mbox_alone_or_hold_one_message(read):
    assert read("mbox", b"Subject: one\n\nHello.").text == "one\nSubject: one\n\nHello."
    assert read("a.mbox", b"From: a@b\n\nHello.").text == "Message 1 (a@b)\nFrom: a@b\n\nHello."


def test_a_message_that_cannot_be_read_does_not_cost_the_others(read, refusal):
    russian = b"Subject: one\n\n" + "Собрание жильцов дома состоится завтра в десять часов утра.".encode("koi8-r")
    line = b"From a@b Mon Nov 23 09:30:00 2026\n"
    document = read("a.mbox", line + russian + b"\n\n" + line + b"Subject: two\n\nHello.")
    assert document.text == "two\nSubject: two\n\nHello."
    [warning] = document.warnings
    assert warning.startswith("message 1 is not read: ")
    assert "--encoding" in refusal("a.mbox", line + russian)


def test_warnings_of_a_mailbox_and_its_text_are_bounded(read, refusal):
    line = b"From a@b Mon Nov 23 09:30:00 2026\nContent-Type: application/pdf; name=x.pdf\n\nxx\n\n"
    document = read("a.mbox", line * 50)
    assert document.warnings[-1] == "40 more messages or attachments are not read"
    assert refusal("a.mbox", line * 50, max_text=999).startswith("its text has over 999 characters")


def saved_page(*pages: str, charset: str = "utf-8", subject: str = "", page_type: str = "html") -> bytes:
    """A page and its frames, as browsers save them."""
    made = MIMEMultipart("related", type="text/html")
    made["From"] = "<Saved by a browser>"
    made["Subject"] = subject
    for number, page in enumerate(pages):
        part = MIMEText(page, page_type, charset)
        part["Content-ID"] = f"<frame-{number}@x>"
        made.attach(part)
    made.attach(MIMEText("p { color: red }", "css"))
    return made.as_bytes()


@pytest.mark.parametrize("suffix", ["mht", "mhtml"])
@pytest.mark.parametrize("charset", ["utf-8", "shift_jis", "iso-2022-jp"])
def test_a_saved_page_is_read_as_its_page_is(suffix, charset, read, outline):
    page = "<title>灯台</title><nav>menu</nav><h1>点検</h1><p>毎朝六時に点検する。</p><script>no</script>"
    document = read(f"a.{suffix}", saved_page(page, charset=charset, subject="no"))
    assert document.text == "点検\n毎朝六時に点検する。"
    assert (document.title, outline(document), document.warnings) == ("灯台", [(1, "点検")], ())


def test_a_saved_page_may_declare_its_encoding_itself(read):
    page = "<meta charset=koi8-r><p>Смотритель маяка".encode("koi8-r")
    data = b"Subject: =?utf-8?Q?Caf=C3=A9?=\nContent-Type: text/html\nContent-Transfer-Encoding: binary\n\n" + page
    document = read("a.mht", data)
    assert (document.text, document.title) == ("Смотритель маяка", "Café")


def test_the_start_of_a_saved_page_is_its_page_and_its_frames_are_named(read):
    data = saved_page("<p>a frame", "<p>the page", "<script>no</script>", page_type="html")
    data = data.replace(b'type="text/html"', b'type="text/html"; start="<frame-1@x>"', 1)
    document = read("a.mhtml", data)
    assert document.text == "the page"
    assert document.warnings == (
        "the text of a frame of the page is not read: save what it shows as a file of its own",
    )


def test_frames_of_a_saved_page_without_a_text_of_its_own_are_read(read):
    document = read(
        "a.mht", saved_page("<title>T</title><frameset><frame src=a><frame src=b></frameset>", "<p>a", "<p>b")
    )
    assert (document.text, document.title, document.warnings) == ("a\n\nb", "T", ())


def test_saved_pages_that_are_not_packed_or_hold_no_page(read, refusal):
    assert read("a.mht", "<p>plain page").text == "plain page"
    assert refusal("a.mht", b"Content-Type: image/png\n\nxx") == "a saved web page with no page in it"
