"""What stands on a layer of a PDF that is switched off is left out, and said."""

import pytest
from hand_made_pdf import pdf_of

LEFT_OUT = "the layer '{}' is switched off, and its text left out: switch it on, and save the file"
LINE = b"BT /F 12 Tf 72 %d Td (%s) Tj ET "


def line(height: int, text: str, mark: str = "") -> bytes:
    drawn = LINE % (height, text.encode())
    return b"/OC /%s BDC %s EMC " % (mark.encode(), drawn) if mark else drawn


def layered(
    config: bytes, content: bytes, *, extra: tuple[bytes, ...] = (), xobjects: bytes = b"", rest: bytes = b""
) -> bytes:
    """A page with the layers Draft (/A), Final (/B) and Legend (/C), which are the objects 6 to 8."""
    properties = b"/A 6 0 R /B 7 0 R /C 8 0 R /M 9 0 R"
    resources = b"<< /Font << /F 3 0 R >> /Properties << %s >> /XObject << %s >> >>" % (properties, xobjects)
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [6 0 R 7 0 R 8 0 R] /D << %s >> >> >>" % config,
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources %s %s >>" % (resources, rest),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /OCG /Name (Draft) /Usage << /View << /ViewState /OFF >> >> >>",
        b"<< /Type /OCG /Name <FEFF5B8C6210> >>",
        b"<< /Type /OCG /Name (Legend) >>",
        *(extra or (b"<< /Type /OCMD /OCGs [6 0 R 7 0 R] /P /AllOn >>",)),
    )


PAGE = line(720, "The plan") + line(700, "a draft", "A") + line(680, "a final", "B") + line(660, "a legend", "C")


@pytest.mark.parametrize(
    ("config", "text", "names"),
    [
        (b"", "The plan\na draft\na final\na legend", ()),
        (b"/OFF [6 0 R]", "The plan\na final\na legend", ("Draft",)),
        (b"/OFF [6 0 R 8 0 R]", "The plan\na final", ("Draft", "Legend")),
        (b"/BaseState /OFF /ON [8 0 R]", "The plan\na legend", ("Draft", "完成")),
        (b"/AS [<< /Event /View /Category [/View] /OCGs [6 0 R] >>]", "The plan\na final\na legend", ("Draft",)),
        (b"/AS [<< /Event /Print /Category [/Print] /OCGs [6 0 R] >>]", "The plan\na draft\na final\na legend", ()),
        (b"/OFF 12", "The plan\na draft\na final\na legend", ()),
    ],
)
def test_text_on_layers_that_are_switched_off_is_left_out(config, text, names, read):
    document = read("a.pdf", layered(config, PAGE))
    assert document.text.rstrip() == text
    assert document.warnings == tuple(map(LEFT_OUT.format, names))


def test_what_belongs_to_several_layers_is_shown_as_their_states_say(read):
    content = line(720, "The plan") + line(700, "both", "M")
    assert read("a.pdf", layered(b"", content)).text == "The plan\nboth"
    document = read("a.pdf", layered(b"/OFF [7 0 R]", content))
    assert document.text.rstrip() == "The plan"
    not_both = (b"<< /Type /OCMD /VE [/And 6 0 R [/Not 7 0 R]] >>",)
    document = read("a.pdf", layered(b"", content, extra=not_both))
    assert document.text.rstrip() == "The plan"
    assert document.warnings == (LEFT_OUT.format("Draft"), LEFT_OUT.format("完成"))
    assert read("a.pdf", layered(b"/OFF [7 0 R]", content, extra=not_both)).text == "The plan\nboth"


def test_marks_in_what_is_left_out_and_what_follows_on_its_line(read):
    content = (
        b"BT /F 12 Tf 14 TL 72 720 Td (shown) Tj /OC /A BDC 0 -20 Td (off) Tj /Span << /ActualText (stated) >> BDC (x) Tj EMC "
        b"(next) ' EMC 0 -20 Td (on again) Tj ET"
    )
    assert read("a.pdf", layered(b"/OFF [6 0 R]", content)).text == "shown\non again"


def test_forms_and_notes_on_a_layer_that_is_switched_off_are_left_out(read):
    drawn = line(600, "in a form")
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] %s /Length %d >>\nstream\n%s\nendstream"
    inner = line(500, "deep", "A")
    extra = (
        b"null",
        form % (b"/OC 6 0 R", len(drawn), drawn),
        form % (b"", len(inner), inner),
        b"<< /Subtype /FreeText /Rect [0 0 9 9] /Contents (a note) /OC 6 0 R >>",
        b"<< /Subtype /FreeText /Rect [0 0 9 9] /Contents (another) /OC 7 0 R >>",
    )
    content = line(720, "The plan") + b"/X Do /Y Do"
    parts = {"extra": extra, "xobjects": b"/X 10 0 R /Y 11 0 R", "rest": b"/Annots [12 0 R 13 0 R]"}
    shown = read("a.pdf", layered(b"", content, **parts))
    assert shown.text == "The plan\nin a form\ndeep\na note\nanother"
    document = read("a.pdf", layered(b"/OFF [6 0 R]", content, **parts))
    assert document.text == "The plan\nanother"
    assert document.warnings == (LEFT_OUT.format("Draft"),)


def test_a_picture_on_a_layer_that_is_switched_off_is_not_spoken_of(read):
    picture = b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /OC 6 0 R /Length 1 >>\nstream\n0\nendstream"
    content = line(720, "The plan") + b"/X Do"
    document = read("a.pdf", layered(b"/OFF [6 0 R]", content, extra=(b"null", picture), xobjects=b"/X 10 0 R"))
    assert (document.text, document.warnings) == ("The plan", ())
