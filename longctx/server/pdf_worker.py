"""The process that draws one page of a PDF, or finds a passage on it.

Standard input has the request, as JSON behind its length, and then the file. Exit code: 2 there is no such page, 3
PDFium is not installed.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import unicodedata
from difflib import SequenceMatcher
from typing import Any

_MEMORY = 2 << 30  # bytes of address space
_SECONDS = 15  # of processor time
_LEAST = 12  # letters of a passage that must stand on the page, if not the whole passage does
_GRID = 10_000  # device units across a page


def main() -> None:
    """Answer the request on standard input."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    try:
        import pypdfium2
    except ImportError:
        sys.exit(3)
    data = sys.stdin.buffer.read()
    [length] = struct.unpack(">I", data[:4])
    request = json.loads(data[4 : 4 + length])
    document = pypdfium2.PdfDocument(data[4 + length :])
    if not 1 <= request["page"] <= len(document):
        sys.exit(2)
    page = document[request["page"] - 1]
    if request["do"] == "picture":
        sys.stdout.buffer.write(_picture(page, request["width"]))
    else:
        found = {"pages": len(document), "rectangles": _rectangles(page, request["passage"])}
        sys.stdout.write(json.dumps(found))


def _picture(page: Any, width: int) -> bytes:
    scale = min(width / page.get_width(), 4 * width / page.get_height())
    picture = page.render(scale=scale).to_pil()
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=False, compress_level=3)
    return out.getvalue()


def _rectangles(page: Any, passage: str) -> list[tuple[float, ...]]:
    """The boxes of a passage's lines, as shares of the page."""
    text = page.get_textpage()
    whole = text.get_text_range()
    letters, places = _letters(whole)
    wanted, _ = _letters(passage)
    at, size = letters.find(wanted), len(wanted)
    if at < 0:  # the passage goes on on another page, or the two readers differ
        match = SequenceMatcher(None, letters, wanted, autojunk=False).find_longest_match()
        at, size = match.a, match.size
        if size < min(_LEAST, len(wanted)):
            return []
    boxes: list[list[float]] = []
    shown = places[at : at + size]
    while shown and (after := shown[-1] + 1) < len(whole) and not (whole[after].isalnum() or whole[after].isspace()):
        shown.append(after)  # the full stop
    for place in shown:
        left, top, right, bottom = _on_page(page, text.get_charbox(place, loose=True))
        if right <= left or bottom <= top:
            continue
        last = boxes[-1] if boxes else None
        if last and abs(last[1] - top) < (bottom - top) / 2 and -0.02 < left - last[2] < 0.05:
            boxes[-1] = [min(last[0], left), min(last[1], top), max(last[2], right), max(last[3], bottom)]
        else:
            boxes.append([left, top, right, bottom])
    return [(round(a, 4), round(b, 4), round(c - a, 4), round(d - b, 4)) for a, b, c, d in boxes]


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text in one form, and where each comes from: blanks and marks differ by reader."""
    letters, places = [], []
    for place, character in enumerate(text):
        for letter in unicodedata.normalize("NFKC", character).casefold():
            if letter.isalnum():
                letters.append(letter)
                places.append(place)
    return "".join(letters), places


def _on_page(page: Any, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """A box of the page's own coordinates as shares of the page that is shown, from its top left corner."""
    from ctypes import byref, c_int

    from pypdfium2 import raw

    points = []
    for x, y in ((box[0], box[1]), (box[2], box[3])):
        across, down = c_int(), c_int()
        raw.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, byref(across), byref(down))
        points.append((across.value / _GRID, down.value / _GRID))
    (ax, ay), (bx, by) = points
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


if __name__ == "__main__":
    main()
