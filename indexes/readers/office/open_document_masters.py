"""What stands on every page or slide of an OpenDocument file: headers and footers, and what a master page shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexes.readers.office.open_document_xml import DRAW, OFFICE, PRESENTATION, STYLE

_HEADERS = [f"{STYLE}{name}{which}" for which in ("", "-left", "-first") for name in ("header", "footer")]


class Masters:
    """The master pages of a document, which others are laid out on.

    Args:
        styles: The root of the part with master pages.
        body: The document's body, which has the footers of slides.
    """

    def __init__(self, styles: Any, body: Any) -> None:
        pages = styles.iterfind(f"{OFFICE}master-styles/{STYLE}master-page")
        self._pages = {page.get(f"{STYLE}name", ""): page for page in pages}
        footers = body.iter(f"{PRESENTATION}footer-decl")
        self._footers = {each.get(f"{PRESENTATION}name", ""): each.text or "" for each in footers}

    def headers(self) -> Iterator[Any]:
        """Yield the headers and footers of texts and sheets that are shown."""
        for page in self._pages.values():
            for part in page.iterchildren(*_HEADERS):
                if part.get(f"{STYLE}display") != "false":
                    yield part

    def footer(self, slide: Any) -> str:
        """Return the footer that a slide names; empty if it names none."""
        return self._footers.get(slide.get(f"{PRESENTATION}use-footer-name", ""), "")

    def shown_on(self, slide: Any) -> list[Any]:
        """Return the elements of a slide's master page that are shown on it."""
        page = self._pages.get(slide.get(f"{DRAW}master-page-name", ""))
        return [] if page is None else [each for each in page if _is_on_slides(each)]


def _is_on_slides(element: Any) -> bool:
    """Whether an element of a master page is shown on its slides, and is no place for what is on them."""
    kind = element.get(f"{PRESENTATION}class")
    return element.tag.startswith(DRAW) and (kind is None or kind == "footer")
