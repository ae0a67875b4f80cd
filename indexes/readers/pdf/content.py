"""Rewriting the content of a PDF's page, and of the forms on it, before its text is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pypdf.generic import ArrayObject, ContentStream, DictionaryObject, NameObject, StreamObject

Operation = tuple[Any, bytes]
"""The operands of an operator, and the operator."""
Rewriting = Callable[[Any, DictionaryObject, ContentStream], Sequence[Operation] | None]
"""From a page or a form, its resources and its content to what it is to draw instead; None to leave it as it is."""
SHOWS = frozenset({b"Tj", b"TJ", b"'", b'"'})
OPENS = frozenset({b"BDC", b"BMC"})
_DEEPEST = 10  # forms in forms


def rewrite(page: Any, rewriting: Rewriting) -> None:
    """Rewrite the content of a page and of the forms that it draws.

    Args:
        page: The page, which is changed.
        rewriting: Says what each is to draw; it may change the resources of its page or form, too.
    """
    _rewrite(page, page.get("/Contents"), NameObject("/Contents"), page.pdf, rewriting, set(), 0)


def resolved(value: Any) -> Any:
    """Return what a reference refers to; None for None."""
    return None if value is None else value.get_object()


def _rewrite(
    owner: Any,
    stream: Any,
    key: NameObject | None,
    pdf: Any,
    rewriting: Rewriting,
    seen: set[int],
    depth: int,
) -> None:
    """Rewrite the content of a page, or of a form for a key of None, and of the forms that it draws."""
    resources = resolved(owner.get("/Resources"))
    stream = resolved(stream)
    if not isinstance(resources, DictionaryObject) or not isinstance(stream, ArrayObject | StreamObject):
        return
    content = ContentStream(stream, pdf, "bytes")
    operations = rewriting(owner, resources, content)
    if operations is not None:
        content.operations = list(operations)
        if key is None:
            _replace_data(owner, content.get_data())
        else:
            owner[key] = content
    forms = resolved(resources.get("/XObject"))
    for form in list(forms.values()) if isinstance(forms, DictionaryObject) and depth < _DEEPEST else ():
        form = resolved(form)
        if isinstance(form, StreamObject) and form.get("/Subtype") == "/Form" and id(form) not in seen:
            seen.add(id(form))
            if resolved(form.get("/Resources")) is None:  # it uses those of what draws it, as old programs had it
                form[NameObject("/Resources")] = resources
            _rewrite(form, form, None, pdf, rewriting, seen, depth + 1)


def _replace_data(form: Any, data: bytes) -> None:
    """Give a form other content; what it was decoded to is kept beside it."""
    decoded = getattr(form, "decoded_self", None)
    (form if decoded is None else decoded).set_data(data)
