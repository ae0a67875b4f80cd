"""What a browser shows of a web page and is not read, as frames, and what it does not show: hidden text."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from indexes.readers.base import one_line, quoted_names
from indexes.readers.html.page_parts import DROPPED, is_hidden, names
from indexes.readers.markup import names_of
from indexes.text import clean

_FRAMES = {"iframe": "src", "frame": "src", "embed": "src", "object": "data"}
_PAGES = names("application/pdf application/xhtml+xml text/html text/plain")
_PAGE = re.compile(r"\.(?:x?html?|php|aspx?|pdf|txt)\Z", re.IGNORECASE)
_TINY = re.compile(r"\s*[01](?:px)?\s*\Z")  # what counts visitors has this width and height
_FEWEST = 80  # bytes in UTF-8 of hidden text that are worth a word: less is a label
_NAMED = 3  # pages in a warning


class LeftOut:
    """What is left out of a page.

    Attributes:
        hidden: How many characters of hidden text, but for labels.
    """

    def __init__(self) -> None:
        self._pages: list[str] = []  # in its frames
        self._files: list[str] = []  # the same, beside it
        self._hidden: list[str] | None = None  # the text of the hidden element that is open
        self.hidden = 0

    def begin(self, tag: str, attributes: Any) -> None:
        """Begin an element that is left out, with all that is in it."""
        if tag in _FRAMES:
            self._add_frame(tag, attributes)
        elif tag == "template" or (tag not in DROPPED and is_hidden(attributes)):
            self._hidden = []

    def data(self, text: str, inside: str) -> None:
        """Add text of such an element, `inside` being the innermost one that is left out for its name."""
        if self._hidden is not None and (inside not in DROPPED or inside == "template"):
            self._hidden.append(text)

    def end(self) -> None:
        """End the element."""
        text = " ".join(clean("".join(self._hidden or ())).text.split())  # messages pad it with invisible characters
        self._hidden = None
        if len(text.encode("utf-8", "replace")) >= _FEWEST:
            self.hidden += len(text)

    def warnings(self) -> tuple[str, ...]:
        """Return a warning about pages of other sites in frames."""
        pages = names_of(self._pages)
        what = "pages {} that it shows in frames are" if len(pages) > 1 else "page {} that it shows in a frame is"
        return (f"the {what} not read".format(quoted_names(pages, _NAMED)),) if pages else ()

    def includes(self) -> tuple[str, ...]:
        """Return the names of the files that it shows in frames, and that are beside it."""
        return names_of(self._files)

    def _add_frame(self, tag: str, attributes: Any) -> None:
        address = attributes.get(_FRAMES[tag], "").strip()[:2_000]
        sizes = attributes.get("width", ""), attributes.get("height", "")
        if is_hidden(attributes) or all(map(_TINY.match, sizes)) or "srcdoc" in attributes:
            return
        try:
            parts = urlsplit(address)
        except ValueError:  # such as http://[
            return
        is_page = tag in ("iframe", "frame") or attributes.get("type") in _PAGES or _PAGE.search(parts.path)
        if not is_page or not (parts.path or parts.netloc):
            return
        if not parts.scheme and not parts.netloc:
            self._files.append(one_line(unquote(parts.path)))
        elif parts.scheme in ("", "http", "https", "file"):
            self._pages.append(one_line(address))
