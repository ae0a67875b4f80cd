"""Forms in OpenDocument files: what their controls show, and what a sheet says of what is put into its cells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from indexes.readers.office.open_document_xml import FORM, TABLE, TEXT

_ID = "{http://www.w3.org/XML/1998/namespace}id"
_LEFT_OUT = frozenset(FORM + name for name in ("password", "hidden", "file", "image"))
_CHECKED = {f"{FORM}checkbox": "state", f"{FORM}radio": "selected"}
_ON = ("checked", "true")
_LIST = re.compile(r"\bcell-content-is-in-list\(((?:[^()\"]|\"[^\"]*\")*)\)")
_ENTRY = re.compile(r'"((?:[^"]|"")*)"')


def controls(body: Any) -> dict[str, str]:
    """Return what the controls of forms show.

    Args:
        body: The document's body.

    Returns:
        The text of each, by its identifier.
    """
    found: dict[str, str] = {}
    for form in body.iter(f"{FORM}form"):
        for control in form.iterchildren():
            name = control.get(_ID) or control.get(f"{FORM}id") or ""
            if name and control.tag not in _LEFT_OUT and (text := _shown(control)):
                found[name] = text
    return found


def validations(body: Any) -> dict[str, tuple[str, str]]:
    """Return the prompt and the choices of each validation of cells, by its name."""
    found: dict[str, tuple[str, str]] = {}
    for each in body.iter(f"{TABLE}content-validation"):
        message = each.find(f"{TABLE}help-message")
        prompt = ""
        if message is not None and message.get(f"{TABLE}display") == "true":
            lines = ("".join(line.itertext()) for line in message.iter(f"{TEXT}p"))
            prompt = ": ".join(filter(None, (message.get(f"{TABLE}title", "").strip(), _one_line(lines))))
        entries = _LIST.search(each.get(f"{TABLE}condition", ""))
        choices = _ENTRY.findall(entries[1]) if entries else ()
        found[each.get(f"{TABLE}name", "")] = prompt, ", ".join(entry.replace('""', '"') for entry in choices)
    return found


def _shown(control: Any) -> str:
    """What a control shows: whether it is ticked and its label, what is chosen in it, or its text."""
    label = control.get(f"{FORM}label", "")
    if (attribute := _CHECKED.get(control.tag)) is not None:
        state = control.get(f"{FORM}current-{attribute}") or control.get(f"{FORM}{attribute}")
        return f"{'☒' if state in _ON else '☐'} {label}".strip()
    chosen = (
        option.get(f"{FORM}label", "")
        for option in control.iterchildren(f"{FORM}option")
        if (option.get(f"{FORM}current-selected") or option.get(f"{FORM}selected")) == "true"
    )
    text = control.get(f"{FORM}current-value") or control.get(f"{FORM}value") or _one_line(chosen)
    return ": ".join(filter(None, (label, text)))


def _one_line(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())
