r"""Names that a text defines for other text, which a reader sees in their place.

They are `\newcommand{\x}{text}` in LaTeX, `:x: text` and `{x}` in AsciiDoc, `.. |x| replace:: text` and `|x|` in
reStructuredText, and `#+MACRO: x text` in Org.
"""

from __future__ import annotations

import re

_LONGEST = 200  # characters of such a text
_MOST_ADDED = 1_000_000  # characters: a small file can use a name very often

LATEX_NAMES = re.compile(  # without arguments, and for words alone
    r"\\(?:(?:re|provide)?newcommand\*?\s*\{?|def)\s*\\(?P<name>[A-Za-z]+)\s*\}?\s*\{(?P<text>[^\\{}#\n]+)\}"
    r"|\\(?P<use>[A-Za-z]+)(?:\{\}|\\(?=\s))?"
)
ASCIIDOC_NAMES = re.compile(
    r"^:(?P<name>[A-Za-z0-9_][\w-]*):[ \t]+(?P<text>[^\s{][^\n{]*)$|(?<![\\$\w])\{(?P<use>[A-Za-z0-9_][\w-]*)\}",
    re.MULTILINE,
)
RST_NAMES = re.compile(
    r"^[ \t]*\.\.[ \t]+\|(?P<name>[^|\s][^|\n]*)\|[ \t]+replace::[ \t]*(?P<text>\S[^\n]*)$"
    r"|(?<![\w|\\])\|(?P<use>[^|\s][^|\n]*)\|_{0,2}(?![\w|])",
    re.MULTILINE,
)
ORG_NAMES = re.compile(
    r"^#\+MACRO:[ \t]+(?P<name>[\w-]+)[ \t]+(?P<text>[^\n$]+)$|\{\{\{(?P<use>[\w-]+)(?:\(\))?\}\}\}",
    re.MULTILINE | re.IGNORECASE,
)


def with_definitions(text: str, names: re.Pattern[str]) -> str:
    """Put what names are defined for in their place.

    Args:
        text: A text.
        names: How its language defines and uses them: one of the patterns here.

    Returns:
        The text with as many lines. Definitions stay, and so do names that are defined for more than a short text.
    """
    found = [match for match in names.finditer(text) if match["name"]]
    known = {match["name"]: match["text"].strip() for match in found if len(match["text"]) <= _LONGEST}
    added = 0

    def shown(match: re.Match[str]) -> str:
        nonlocal added
        replacement = known.get(match["use"] or "")
        if replacement is None or added > _MOST_ADDED:
            return match[0]
        added += len(replacement)
        return replacement

    return names.sub(shown, text) if known else text
