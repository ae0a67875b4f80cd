"""What stands on a page of a PDF beside its text: the values of form fields, free text, and comments."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Callable, Iterator
from typing import Any

from indexes.readers.comments import Comment

_DRAWN = ("/Square", "/Circle", "/Polygon", "/PolyLine", "/Line", "/Ink", "/Stamp")
_COMMENTS = frozenset(("/Text", "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Caret", *_DRAWN))
_DRAWN_TEXT = ("/FreeText", "/Ink", "/Stamp")
_HIDDEN = 0b100010  # of an annotation's flags: hidden, and not shown
_PASSWORD = 1 << 13  # of a field's flags
_PARENTS = 20
_OFF = ("/Off", "")
_TAG, _END = re.compile(r"<[^<>]*>"), re.compile(r"</p>|<br\s*/?>|\s*[\r\n]+\s*")


def form_lines(page: Any, drawn: Callable[[Any], str]) -> Iterator[str]:
    """Yield a line for each field that is filled in, after its name, for each piece of free text and each comment.

    Args:
        page: The page.
        drawn: A function from a drawing (a form XObject) to its text, for what says nothing but by its appearance.

    Yields:
        The lines.
    """
    for annotation in _annotations(page):
        kind = annotation.get("/Subtype")
        if "/StateModel" in annotation:  # a tick by a comment
            continue
        text = _text(annotation.get("/Contents")) or _plain(_text(annotation.get("/RC")))
        if kind == "/FreeText" or kind in _COMMENTS:
            line = text if kind == "/FreeText" else Comment(text, _text(annotation.get("/T"))).line()
        elif kind == "/Widget" and not _is_password(annotation):
            line = "\n".join(_field(annotation))
        elif kind == "/FileAttachment":
            line = Comment(text, _text(annotation.get("/T"))).line()
        else:
            continue
        may_be_drawn = kind in _DRAWN_TEXT or (kind == "/Widget" and _inherited(annotation, "/FT") != "/Btn")
        yield from filter(None, [line or (_appearance(annotation, drawn) if may_be_drawn else "")])


def attached_to(page: Any) -> list[str]:
    """Return the names of the files that are attached to places on a page."""
    found = (each.get("/FS") for each in _annotations(page) if each.get("/Subtype") == "/FileAttachment")
    files = (each.get_object() for each in found if each is not None)
    return [_text(each.get("/UF")) or _text(each.get("/F")) or "?" for each in files if hasattr(each, "get")]


def _annotations(page: Any) -> Iterator[Any]:
    """What is on a page beside its content, and is not hidden."""
    annotations = page.get("/Annots")
    for reference in annotations.get_object() if annotations is not None else ():
        annotation = reference.get_object()
        if hasattr(annotation, "get") and not int(annotation.get("/F", 0)) & _HIDDEN:
            yield annotation


def _appearance(annotation: Any, drawn: Callable[[Any], str]) -> str:
    """The text that an annotation is drawn with."""
    appearance = annotation.get("/AP")
    normal = None if appearance is None else appearance.get_object().get("/N")
    normal = None if normal is None else normal.get_object()
    return drawn(normal).strip() if hasattr(normal, "get_data") else ""


def _is_password(widget: Any) -> bool:
    return _inherited(widget, "/FT") == "/Tx" and bool(int(_inherited(widget, "/Ff") or 0) & _PASSWORD)


def _field(widget: Any) -> Iterator[str]:
    kind = _inherited(widget, "/FT")
    value = _inherited(widget, "/V")
    if kind == "/Btn":
        state = str(widget.get("/AS", value if value is not None else ""))
        text = "" if state in _OFF else _choice(widget, state.removeprefix("/"))
    else:
        shown = _shown(widget) if kind == "/Ch" else {}
        texts = [_text(each) for each in (value if isinstance(value, list) else [value])]
        text = ", ".join(shown.get(each, each) for each in texts if each) or _plain(_text(_inherited(widget, "/RV")))
    name = _text(_inherited(widget, "/TU")) or _text(_inherited(widget, "/T"))
    if text and kind in ("/Tx", "/Ch", "/Btn"):
        yield f"{name}: {text}" if name else text


def _shown(widget: Any) -> dict[str, str]:
    """What the choices of a field are shown as, which need not be their values."""
    options = _inherited(widget, "/Opt")
    pairs = [each.get_object() for each in options] if isinstance(options, list) else []
    return {_text(each[0]): _text(each[1]) for each in pairs if isinstance(each, list) and len(each) > 1}


def _choice(widget: Any, state: str) -> str:
    """What a button means that is on: many are numbered, and a list of their field says what each stands for."""
    options = _inherited(widget, "/Opt")
    names = [_text(each) for each in options] if isinstance(options, list) else []
    return (names[int(state)] or state) if state.isdecimal() and int(state) < len(names) else state


def _plain(rich: str) -> str:
    """Rich text, which is XHTML, without its marks."""
    lines = html.unescape(_TAG.sub("", _END.sub("\n", rich))).split("\n")
    return "\n".join(filter(None, (line.strip() for line in lines)))


def _inherited(widget: Any, key: str) -> Any:
    """An entry of a field, which may be its parent's."""
    for _ in range(_PARENTS):
        if key in widget:
            return widget[key].get_object()
        if "/Parent" not in widget:
            return None
        widget = widget["/Parent"].get_object()
    return None


def _decoded(data: bytes) -> str:
    is_wide = data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
    return data.decode("utf-16" if is_wide else "utf-8-sig", "replace")


def _text(value: Any) -> str:
    """A text string; a long one is kept in a stream."""
    value = None if value is None else value.get_object()
    data = getattr(value, "get_data", None)
    if data is not None:
        value = _decoded(data())
    return value.replace("\r\n", "\n").replace("\r", "\n").strip() if isinstance(value, str) else ""
