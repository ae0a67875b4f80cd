"""Formats that are not read, and the commands that convert files in them to some that are."""

from __future__ import annotations

from collections.abc import Iterable

_SUFFIXES_OF = {
    "soffice --headless --convert-to docx FILE": ".doc .dot .odm .wpd .wps .wri .lwp .sxw .pages .hwp",
    "soffice --headless --convert-to xlsx FILE": (
        ".xls .xlt .xlsb .wk1 .wks .wk3 .wk4 .123 .dbf .dif .slk .sxc .numbers"
    ),
    "soffice --headless --convert-to pptx FILE": ".ppt .pps .pot .sxi .key",
    "soffice --headless --convert-to pdf FILE": ".odg .vsd .vsdx .pub",
    "msgconvert FILE": ".msg",
    "readpst -e FILE": ".pst",
    "ebook-convert FILE OUTPUT.epub": ".mobi .prc .azw .azw3 .fb2 .lit .lrf .pdb .chm",
    "ps2pdf FILE": ".ps .eps",
    "mutool convert -o OUTPUT.pdf FILE": ".xps .oxps",
    "ddjvu -format=pdf FILE OUTPUT.pdf": ".djvu .djv",
}
_COMMANDS = {suffix: command for command, suffixes in _SUFFIXES_OF.items() for suffix in suffixes.split()}


def conversions(suffixes: Iterable[str]) -> dict[str, list[str]]:
    """Return how files of formats that are not read can be converted.

    Args:
        suffixes: The suffixes of files, in lower case.

    Returns:
        The suffixes of those that can be, by the command, which takes a file's name in the place of FILE.
    """
    found: dict[str, list[str]] = {}
    for suffix in suffixes:
        if suffix in _COMMANDS:
            found.setdefault(_COMMANDS[suffix], []).append(suffix)
    return found
