"""Which elements of a web page belong to its text: not navigation, banners and buttons, but folded answers."""

from __future__ import annotations

import re
from typing import Any


def names(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


DROPPED = names("audio canvas datalist footer iframe nav object rp rt rtc script select style template textarea video")
_DROPPED_ROLES = names("alertdialog banner contentinfo dialog navigation search")
_PANEL_ROLES = names("region tabpanel")
_DROPPED_CLASSES = names(  # skip links, links at headings, and menus of pages from before there was `nav`
    "anchor-link anchorjs-link breadcrumb breadcrumbs header-anchor headerlink mathjax mathjax_chtml mathjax_display"
    " mathjax_preview mathjax_svg mw-editsection nav navbar navigation"
    " noprint site-footer site-nav skip-link skip-to-content skiplink"
)
_CONSENT = re.compile(
    r"(?:cookie|consent|gdpr)s?[-_]?(?:banner|bar|consent|dialog|law|message|modal|notice|overlay|popup)|onetrust|cookiebot",
    re.IGNORECASE,
)
# What a script folds and unfolds: the answers of a list of questions, the tabs of a page.
_PANEL = re.compile(r"accordion|answer|collaps|faq|math|panel|tab-?pane", re.IGNORECASE)
_TOGGLE = re.compile(r"accordion|collaps|faq|question|toggle", re.IGNORECASE)
_NO_TOGGLE = re.compile(r"\bnav|menu|search|share|cart|lang", re.IGNORECASE)
_SHORTEST_LABEL = 12  # bytes in UTF-8: two words, or four kanji
_SHORTEST_TEXT = 80  # bytes in UTF-8: more than a button says that does something
_QUESTION = re.compile(r"(?:[?？؟]|[すたるのいんう]か。?)\W*$")  # perhaps with an arrow behind it
_REFERENCES = ("aria-controls", "data-bs-target", "data-target")
_NOTE_NUMBER = re.compile(r"\b(?:doc-)?noteref\b|\bfootnote-?ref\b", re.IGNORECASE)
_NOTES = re.compile(r"footnotes?\b|endnotes?\b", re.IGNORECASE)
_FORMULA = re.compile(r"\b(?:la)?tex\b|\bmath", re.IGNORECASE)
_FOR_SCRIPTS = re.compile(r"script|スクリプト|脚本|腳本|скрипт|스크립트|cookies?\b", re.IGNORECASE)
_LONGEST_MESSAGE = 1_000  # characters that only say to turn something on
_NOT_SHOWN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_KEPT = names("article body head html main")  # whatever their attributes: scripts often make them visible later


def is_beside_the_text(tag: str, attributes: Any, *, is_in_text: bool) -> bool:
    """Whether an element is left out for its attributes.

    Args:
        tag: The element's name.
        attributes: Its attributes.
        is_in_text: Whether it is inside the page's main text.

    Returns:
        True for navigation, dialogs, cookie banners and what is hidden, unless it can be unfolded.
    """
    if tag in _KEPT:
        return False
    if tag == "aside" and not is_in_text:
        return True
    if not attributes:
        return False
    classes = attributes.get("class", "").lower()[:1_000]
    named = f"{classes} {attributes.get('id', '')[:200]}"
    role = attributes.get("role", "").lower()
    if role in _DROPPED_ROLES or not _DROPPED_CLASSES.isdisjoint(classes.split()) or _CONSENT.search(named):
        return True
    is_unseen = is_hidden(attributes) or attributes.get("aria-hidden") == "true"
    return is_unseen and role not in _PANEL_ROLES and not _PANEL.search(named)


def is_hidden(attributes: Any) -> bool:
    """Return whether an element is not shown, for its attributes."""
    return attributes.get("hidden", "until-found") != "until-found" or is_not_shown(attributes)


def is_not_shown(attributes: Any) -> bool:
    """Return whether the style of an element, in its attributes, hides it."""
    return _NOT_SHOWN.search(attributes.get("style", "")[:1_000]) is not None


def asks_for_scripts(text: str) -> bool:
    """Return whether a text that is shown without scripts (`noscript`) says no more than to turn them on."""
    return len(text) <= _LONGEST_MESSAGE and _FOR_SCRIPTS.search(text) is not None


def folds(attributes: Any) -> bool:
    """Whether a button folds and unfolds text, other than a menu.

    Args:
        attributes: Its attributes.

    Returns:
        True if its attributes say so.
    """
    named = " ".join(attributes.get(name, "")[:1_000] for name in ("class", "id", "aria-controls", "data-bs-toggle"))
    is_toggle = attributes.get("aria-expanded") is not None or _TOGGLE.search(named) is not None
    return (is_toggle or attributes.get("role", "").lower() == "tab") and not _NO_TOGGLE.search(named)


def unfolded_ids(attributes: Any) -> set[str]:
    """Return the ids of the elements that a button folds and unfolds."""
    references = " ".join(attributes.get(name, "")[:1_000] for name in _REFERENCES)
    return {reference.removeprefix("#") for reference in references.split()} - {""}


def is_label(text: str, *, folds: bool) -> bool:
    """Whether the text of a button is worth reading: a question, a sentence, or the title of what it unfolds.

    Args:
        text: The button's text.
        folds: Whether the button folds and unfolds.

    Returns:
        False for labels such as `Menu` and `Share`.
    """
    length = len(text.encode("utf-8", "replace"))
    return _QUESTION.search(text) is not None or length >= (_SHORTEST_LABEL if folds else _SHORTEST_TEXT)


def is_note(attributes: Any) -> bool:
    """Return whether an element is named for a note."""
    named = " ".join(attributes.get(name, "")[:200] for name in ("class", "id", "role", "epub:type"))
    return _NOTES.search(named) is not None


def is_note_number(tag: str, attributes: Any) -> bool:
    """Return whether an element is the number of a note, which books raise by their style sheets."""
    named = " ".join(attributes.get(name, "")[:200] for name in ("class", "role", "epub:type"))
    return tag == "a" and _NOTE_NUMBER.search(named) is not None


def formula_in(picture: Any) -> list[str]:
    """Return the text of a formula that is a picture, unless it stands beside it for those who do not see it."""
    is_formula = _FORMULA.search(picture.get("class", "")) and picture.get("aria-hidden") != "true"
    return [picture.get("alt", "")] if is_formula else []
