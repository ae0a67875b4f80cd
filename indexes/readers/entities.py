"""Entities that an XML document declares itself: `&firm;`, after `<!ENTITY firm "Acme">`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from indexes.readers.base import check_text_length, one_line, quoted_names

_NAME = r"[^\W\d][\w:.-]{0,100}"
_SUBSET = re.compile(r"""<!DOCTYPE\s(?:[^<>\["']|"[^"<>]{0,500}"|'[^'<>]{0,500}'){0,2000}\[""")
_SEARCHED = 100_000  # characters at the beginning: where the declarations begin, and how many there are at most
_COMMENT = r"<!--(?:[^-]|-(?!->))*(?:-->)?"
_DECLARED = re.compile(
    _COMMENT + rf"""|<!ENTITY\s+(?P<name>{_NAME})\s+(?:"(?P<double>[^"]{{0,5000}})"|'(?P<single>[^']{{0,5000}})')\s*>"""
    rf"""|<!ENTITY\s+(?P<outer>(?:%\s+)?{_NAME})\s+(?:SYSTEM|PUBLIC\s+(?:"[^"<>]{{0,500}}"|'[^'<>]{{0,500}}'))\s+"""
    r"""(?:"(?P<file>[^"<>]{0,500})"|'(?P<path>[^'<>]{0,500})')[^<>]{0,200}>"""
    r"""|<![A-Z](?:[^<>"']|"[^"]{0,5000}"|'[^']{0,5000}'){0,2000}>"""
    rf"|%(?P<parameter>{_NAME});|(?P<end>\]\s{{0,100}}>)"
)
_USED = re.compile(rf"{_COMMENT}|<!\[CDATA\[(?:[^\]]|\](?!\]>))*(?:\]\]>)?|&(?P<name>{_NAME});")
_NAMED = 10  # files in a warning
_LONGEST = 10_000  # characters of an entity,
_MOST = 1_000_000  # and of all


def with_entities(text: str, most: int) -> tuple[str, tuple[str, ...]]:
    """Put the text of the entities that a document declares in the place of references to them.

    Args:
        text: The document, in XML.
        most: The most characters that it may have then.

    Returns:
        The text with as many lines, and a warning about the files that it refers to. References to entities that are
        very long, declared further below or not at all stay.

    Raises:
        UnreadableFile: It has too many characters.
    """
    declared = _declarations(text)
    if declared is None:
        return text, ()
    rest, files = _with_entities(text, declared, most)
    return text[: declared.end] + rest, unread_files(files)


def without_declarations(text: str, most: int) -> tuple[str, list[str]]:
    """Replace entities, as `with_entities` does, and drop what declares them, for parsers that know neither.

    References to files are dropped, too: where nothing declares them, they are errors.

    Args:
        text: The document, in XML or XHTML.
        most: The most characters that it may have then.

    Returns:
        The text, and the names of the files that it refers to.

    Raises:
        UnreadableFile: It has too many characters.
    """
    declared = _declarations(text)
    if declared is None:
        return text, []
    rest, files = _with_entities(text, declared, most)
    if declared.files:
        rest = _replaced(rest, dict.fromkeys(declared.files, ""))
    return text[: declared.begin] + rest, files


def unread_files(names: Iterable[str]) -> tuple[str, ...]:
    """Return a warning about the files that a document refers to, and that are not read; none if there are none."""
    files = [one_line(name) for name in sorted(set(names))]
    are = "files {} that it refers to are" if len(files) > 1 else "file {} that it refers to is"
    return (f"the {are} not read".format(quoted_names(files, _NAMED)),) if files else ()


class _Declarations(NamedTuple):
    """What a document declares.

    Attributes:
        begin: Where the declarations begin.
        end: Where they end.
        values: The text of each entity.
        files: The files that others stand for.
        declaring: The files that hold further declarations.
    """

    begin: int
    end: int
    values: dict[str, str]
    files: dict[str, str]
    declaring: list[str]


def _declarations(text: str) -> _Declarations | None:
    """What a document declares; None if it declares nothing itself."""
    begin = _SUBSET.search(text, 0, _SEARCHED)
    if begin is None:
        return None
    values: dict[str, str] = {}
    files: dict[str, str] = {}
    declaring: list[str] = []
    total = 0
    end = start = begin.end()
    for found in _DECLARED.finditer(text, start, start + _SEARCHED):
        end = found.end()
        name, value = found["name"], found["double"] or found["single"] or ""
        if found["end"]:
            break
        if found["outer"]:
            files.setdefault("".join(found["outer"].split()), found["file"] or found["path"] or "")
        elif found["parameter"] and (file := files.get(f"%{found['parameter']}")):
            declaring.append(file)
        elif name and name not in values and _length(value, values) <= _LONGEST and total < _MOST:
            values[name] = " ".join(_replaced(value, values).splitlines())
            total += len(values[name])
    return _Declarations(begin.start(), end, values, files, declaring)


def _with_entities(text: str, declared: _Declarations, most: int) -> tuple[str, list[str]]:
    """What follows the declarations, with the text of entities, and the files used. Raises UnreadableFile."""
    values = declared.values
    if not values and not declared.files:
        return text[declared.end :], declared.declaring
    names = _references(text, declared.end)
    check_text_length(len(text) + sum(len(values.get(name, "")) for name in names), most)
    used = {*names}  # also by an entity whose text refers to others
    used |= {inner for name in used & values.keys() for inner in _references(values[name])}
    return _replaced(text[declared.end :], values), [
        *declared.declaring,
        *(declared.files[name] for name in used & declared.files.keys()),
    ]


def _references(text: str, start: int = 0) -> list[str]:
    return [found["name"] for found in _USED.finditer(text, start) if found["name"]]


def _length(value: str, values: dict[str, str]) -> int:
    return len(value) + sum(len(values.get(found["name"] or "", "")) for found in _USED.finditer(value))


def _replaced(text: str, values: dict[str, str]) -> str:
    return _USED.sub(lambda found: values.get(found["name"] or "", found[0]), text)
