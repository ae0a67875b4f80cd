"""Characters that a text in a markup language writes in ASCII: `&uuml;`, `&#28783;`, and LaTeX's accents."""

from __future__ import annotations

import re
import unicodedata
from html.entities import html5

_REFERENCE = r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,30}));"
_IN_XML = re.compile(_REFERENCE)
_IN_MARKDOWN = re.compile(  # not in code, which comes first
    r"(?P<code>^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*(?:\n(?![ ]{0,3}(?P=fence))[^\n]*)*(?:\n[ ]{0,3}(?P=fence)[^\n]*)?"
    r"|(?<!`)`+[^`\n]+`+|^(?:[ ]{4}|\t)[^\n]*)"
    rf"|{_REFERENCE}",
    re.MULTILINE,
)
_FIRST = "\xa0"  # below it are ASCII, which can be markup, and control characters

_ACCENTS = {
    **{'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307"},
    **{"c": "\u0327", "u": "\u0306", "v": "\u030c", "H": "\u030b", "k": "\u0328", "r": "\u030a", "d": "\u0323"},
}
_LETTERS = {
    **{"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł"},
    **{"L": "Ł", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "i": "ı", "j": "ȷ"},
}
_LATEX = re.compile(  # not in formulas and listings, which come first
    r"\\begin\{(?P<listing>verbatim\*?|lstlisting|minted|Verbatim|(?:equation|align|gather|multline|eqnarray)\*?)\}"
    r"(?:(?!\\begin\{)[^\0])*?\\end\{(?P=listing)\}"
    r"|\\\[(?:(?!\\\[)[^\0])*?\\\]|\\(?:verb\*?|lstinline)(?P<mark>[^\w\s{])[^\n]*?(?P=mark)|\\\\|(?<!\\)\$[^$\n]*\$"
    r"|(?P<hyphen>(?<=[^\W\d_])\\-(?=[^\W\d_]))"
    r"""|(?P<open>\{)?\\(?P<accent>["'`^~=.]\s?|[cuvHkrd](?=\{)|[cuvH][ ](?=[A-Za-z]\b))"""
    r"(?:\{\s?(?P<braced>\\[ij]|[A-Za-z])\s?\}|(?P<bare>\\[ij](?![A-Za-z])|[A-Za-z]))(?(open)\})"
    r"|(?:\{\\(?P<inside>ss|ae|AE|oe|OE|aa|AA|[oOlLij]|dh|DH|th|TH|dj|DJ)\s?\}"
    r"|\\(?P<letter>ss|ae|AE|oe|OE|aa|AA|[oOlL]|dh|DH|dj|DJ)(?:\{\}|[ ](?=[a-z])|(?=[^A-Za-z\s_^{])))"
)


def with_references(text: str) -> str:
    """Put the characters in the place of XML's and HTML's references to them.

    Args:
        text: The text.

    Returns:
        The text with as many lines. References to ASCII characters, which can be markup, and to nothing known stay.
    """
    return _IN_XML.sub(_character, text) if "&" in text else text


def with_references_outside_code(text: str) -> str:
    """Put the characters in the place of references to them, as `with_references` does, in Markdown.

    Args:
        text: The text.

    Returns:
        The text with as many lines.
    """
    if "&" not in text:
        return text
    return _IN_MARKDOWN.sub(lambda found: found[0] if found["code"] else _character(found), text)


def with_accents(text: str) -> str:
    r"""Put letters in the place of LaTeX's commands for them, such as `\"u` and `{\ss}`, and drop `\-` within words.

    Args:
        text: The text.

    Returns:
        The text with as many lines.
    """
    return _LATEX.sub(_letter, text) if "\\" in text else text


def _character(reference: re.Match[str]) -> str:
    """The character; the reference itself for ASCII and for what is no character."""
    decimal, hexadecimal, name = reference.groups()[-3:]
    if name:
        text = html5.get(f"{name};", "")
        return text if text >= _FIRST else reference[0]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    is_character = ord(_FIRST) <= number < 0xD800 or 0xE000 <= number <= 0x10FFFF
    return chr(number) if is_character else reference[0]


def _letter(command: re.Match[str]) -> str:
    if command["hyphen"]:
        return ""
    if name := command["inside"] or command["letter"]:
        return _LETTERS[name]
    if not command["accent"]:
        return command[0]
    letter = (command["braced"] or command["bare"]).removeprefix("\\")
    text = unicodedata.normalize("NFC", letter + _ACCENTS[command["accent"].strip()])
    return text if len(text) == 1 and "\n" not in command[0] else command[0]
