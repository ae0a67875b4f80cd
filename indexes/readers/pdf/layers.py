"""Layers of a PDF (optional content): what stands on one that is switched off is left out, as hidden text is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pypdf.generic import ArrayObject, ContentStream, DictionaryObject, NameObject

from indexes.readers.base import first_warnings, one_line
from indexes.readers.pdf.content import OPENS, SHOWS, Operation, resolved, rewrite

_DEEPEST = 10  # of an expression of layers
_POLICIES = {  # of which layers' states what belongs to several of them is shown, as `/P` says
    "/AllOn": lambda states: all(states),
    "/AnyOn": lambda states: any(states),
    "/AnyOff": lambda states: not all(states),
    "/AllOff": lambda states: not any(states),
}


class Layers:
    """The layers of a document, as they are when it is opened.

    Args:
        catalog: The document's root.
    """

    def __init__(self, catalog: Any) -> None:
        about = _dictionary(catalog.get("/OCProperties"))
        shown = _dictionary(about.get("/D"))
        groups, off, on = (_array(each) for each in (about.get("/OCGs"), shown.get("/OFF"), shown.get("/ON")))
        base = groups if shown.get("/BaseState") == "/OFF" else []
        numbers = ({*map(_number, base)} - {*map(_number, on)}) | {*map(_number, off)}
        for group in _array(shown.get("/AS")):  # those that are switched by what they are for
            usage = _dictionary(group)
            if usage.get("/Event") == "/View" and "/View" in _array(usage.get("/Category")):
                for each in _array(usage.get("/OCGs")):
                    state = _dictionary(_dictionary(_dictionary(each).get("/Usage")).get("/View")).get("/ViewState")
                    numbers = numbers | {_number(each)} if state == "/OFF" else numbers - {_number(each)}
        self._off = numbers - {None}
        self._has_layers = bool(groups)
        self._left_out: dict[str, None] = {}  # names of layers, in order

    def leave_out(self, page: Any) -> None:
        """Take what is not shown out of a page and of the forms on it, and the annotations that are not."""
        if not self._has_layers:
            return
        rewrite(page, self._shown)
        notes = resolved(page.get("/Annots"))
        if isinstance(notes, ArrayObject):
            kept = [each for each in notes if not self._is_off(_dictionary(each).get("/OC"))]
            page[NameObject("/Annots")] = ArrayObject(kept)

    def warnings(self) -> tuple[str, ...]:
        """Return a warning for each layer that held text which was left out."""
        lines = [
            f"the layer '{name}' is switched off, and its text left out: switch it on, and save the file"
            for name in self._left_out
        ]
        return first_warnings(lines, "layers are switched off")

    def _shown(self, owner: Any, resources: DictionaryObject, content: ContentStream) -> Sequence[Operation] | None:
        del owner
        marks = _dictionary(resources.get("/Properties"))
        forms = _dictionary(resources.get("/XObject"))
        operations = content.operations
        kept = list(self._kept(operations, marks, forms))
        return kept if len(kept) < len(operations) else None

    def _kept(self, operations: Sequence[Operation], marks: Any, forms: Any) -> Iterator[Operation]:
        """The operations without the marked content that is not shown, but with what changes the state after it."""
        hidden: Any = None  # the layer
        depth = 0  # marks that are open in what is hidden
        for operands, operator in operations:
            if depth:
                depth += (operator in OPENS) - (operator == b"EMC")
                if operator in SHOWS or (operator == b"Do" and _is_form(forms, operands)):
                    self._note(hidden)
                yield from _state(operands, operator)
                continue
            layer = _layer(operands, operator, marks, forms)
            if layer is None or not self._is_off(layer):
                yield operands, operator
            elif operator == b"BDC":
                hidden, depth = layer, 1
            elif _is_form(forms, operands):
                self._note(layer)

    def _is_off(self, layer: Any) -> bool:
        """Whether a layer, or what belongs to several, is not shown."""
        group = _dictionary(layer)
        if group.get("/Type") != "/OCMD":
            return _number(layer) in self._off
        if _array(group.get("/VE")):
            return not self._holds(group.get("/VE"), 0)
        states = [_number(each) not in self._off for each in _groups(group.get("/OCGs"), 0)]
        return bool(states) and not _POLICIES.get(str(group.get("/P")), any)(states)

    def _holds(self, expression: Any, depth: int) -> bool:
        """Whether an expression of layers holds, such as [/And a [/Not b]]."""
        parts = _array(expression)
        if not parts or depth > _DEEPEST:
            return _number(expression) not in self._off
        values = [self._holds(each, depth + 1) for each in parts[1:]]
        return not any(values) if parts[0] == "/Not" else any(values) if parts[0] == "/Or" else all(values)

    def _note(self, layer: Any) -> None:
        group = _dictionary(layer)
        several = [*_groups(group.get("/OCGs") or group.get("/VE") or layer, 0)]
        off = [each for each in several if _number(each) in self._off] or several
        self._left_out.update((one_line(str(_dictionary(each).get("/Name", "?"))), None) for each in off)


def _groups(value: Any, depth: int) -> Iterator[Any]:
    """The layers in a list or an expression."""
    parts = _array(value)
    if not parts and isinstance(resolved(value), DictionaryObject):
        yield value
    for each in parts if depth <= _DEEPEST else ():
        yield from _groups(each, depth + 1)


def _state(operands: Any, operator: bytes) -> Iterator[Operation]:
    """What of an operation that is not shown holds for those behind it."""
    if operator == b'"' and len(operands) > 1:
        yield operands[:1], b"Tw"
        yield operands[1:2], b"Tc"
    if operator in (b"'", b'"'):
        yield [], b"T*"
    elif operator not in SHOWS and operator not in OPENS and operator not in (b"EMC", b"Do", b"INLINE IMAGE"):
        yield operands, operator


def _layer(operands: Any, operator: bytes, marks: Any, forms: Any) -> Any:
    """The layer on which an operation draws; a reference, since layers are told apart by their numbers."""
    if operator == b"Do" and operands:
        return _dictionary(forms.get(operands[0])).get("/OC")
    is_mark = operator == b"BDC" and len(operands) > 1 and operands[0] == "/OC" and isinstance(operands[1], NameObject)
    return marks.get(operands[1]) if is_mark else None


def _is_form(forms: Any, operands: Any) -> bool:
    return bool(operands) and _dictionary(forms.get(operands[0])).get("/Subtype") == "/Form"


def _number(reference: Any) -> int | None:
    """The number of the object that a layer is."""
    if not hasattr(reference, "idnum"):
        reference = getattr(reference, "indirect_reference", None)
    return getattr(reference, "idnum", None)


def _dictionary(value: Any) -> Any:
    value = resolved(value)
    return value if isinstance(value, DictionaryObject) else DictionaryObject()


def _array(value: Any) -> list[Any]:
    value = resolved(value)
    return list(value) if isinstance(value, ArrayObject) else []
