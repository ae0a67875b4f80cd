"""What the characters of a PDF's fonts mean, where the fonts themselves do not say it and pypdf does not know.

Fonts for Chinese, Japanese and Korean may refer to one of Adobe's character collections instead of carrying a ToUnicode
map, or beside one that lacks characters. pdfminer.six has the tables of these collections; pypdf is given them as
codecs under names of their own. Codes and glyph names without any meaning become U+FFFD, so that they are not taken for
text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pypdf._cmap
from pdfminer.cmapdb import CMapBase, CMapDB, CMapParser, FileCMap, IdentityCMap
from pdfminer.encodingdb import name2unicode
from pypdf._codecs import adobe_glyphs
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, StreamObject

_COLLECTIONS = frozenset({"Japan1", "GB1", "CNS1", "Korea1"})
_IDENTITY = ("Identity-H", "Identity-V")
_CODECS = {"UTF8": "utf-8", "UTF16": "utf-16-be", "UTF32": "utf-32-be", "UCS2": "utf-16-be"}
_DEEPEST = 10  # forms in forms
_UNKNOWN = "\ufffd"
_UNKNOWN_NAME = NameObject("/uniFFFD")
_VARIANT = re.compile(r"(?:small|oldstyle|inferior|superior)$")

_decoders: dict[str, Callable[[bytes], str]] = {}


@contextmanager
def readable_fonts() -> Iterator[Callable[[Any], None]]:
    """Yield a function that gives the fonts of a page a meaning; it is to be called before the text is extracted."""
    known = pypdf._cmap._predefined_cmap
    before, glyphs = dict(known), dict(adobe_glyphs)
    seen: set[int] = set()

    def prepare(page: Any) -> None:
        for font in _fonts(page.get("/Resources"), seen, 0):
            if font.get("/Subtype") == "/Type0":
                _prepare_composite(font, known)
            else:
                _prepare_simple(font)

    codecs.register(_find)
    try:
        yield prepare
    finally:
        codecs.unregister(_find)
        _decoders.clear()
        known.clear()
        known.update(before)
        adobe_glyphs.clear()
        adobe_glyphs.update(glyphs)


def _fonts(resources: Any, seen: set[int], depth: int) -> Iterator[Any]:
    """The fonts of a page and of the forms on it, each once."""
    resources = resources.get_object() if resources is not None else None
    if not isinstance(resources, DictionaryObject) or id(resources) in seen or depth == _DEEPEST:
        return
    seen.add(id(resources))
    for font in _values(resources.get("/Font")):
        if id(font) not in seen:
            seen.add(id(font))
            yield font
    for form in _values(resources.get("/XObject")):
        if form.get("/Subtype") == "/Form":
            yield from _fonts(form.get("/Resources"), seen, depth + 1)


def _values(dictionary: Any) -> Iterator[DictionaryObject]:
    found = dictionary.get_object() if dictionary is not None else None
    for value in found.values() if isinstance(found, DictionaryObject) else ():
        value = value.get_object()
        if isinstance(value, DictionaryObject):
            yield value


def _prepare_composite(font: DictionaryObject, known: dict[str, str]) -> None:
    """Name a codec as the encoding of a font for many characters whose codes its ToUnicode map does not explain."""
    encoding = _object(font.get("/Encoding"))
    is_identity = isinstance(encoding, str) and encoding[1:] in _IDENTITY
    if isinstance(encoding, str) and encoding in known and not is_identity:
        return
    descendant = _first(font.get("/DescendantFonts"))
    system = descendant.get("/CIDSystemInfo") if descendant is not None else None
    ordering = str(system.get_object().get("/Ordering", "")) if system is not None else ""
    if "/ToUnicode" in font and (ordering not in _COLLECTIONS or not isinstance(encoding, str)):
        return
    decode = _decoder(encoding, ordering, descendant)
    if decode is not None:
        if is_identity and isinstance(_object(font.get("/ToUnicode")), StreamObject):
            decode = _with_own_map(pypdf._cmap._parse_to_unicode(font)[0], decode)
        font.pop("/ToUnicode", None)
        name = f"longctx_cmap_{len(_decoders)}"
        _decoders[name] = decode
        known[f"/{name}"] = name
        font[NameObject("/Encoding")] = NameObject(f"/{name}")


def _with_own_map(characters: dict[str, str], decode: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """Decode two-byte codes by a font's own map, and those that it lacks by their collection."""

    def character(code: bytes) -> str:
        own = characters.get(chr(int.from_bytes(code, "big")))
        return decode(code) if own is None else own

    return lambda data: "".join(character(data[at : at + 2]) for at in range(0, len(data) - 1, 2))


def _decoder(encoding: Any, ordering: str, descendant: Any) -> Callable[[bytes], str] | None:
    """How to decode the codes of a font; None where pypdf does it right."""
    name = encoding[1:] if isinstance(encoding, str) else ""
    unicode_codec = next((codec for part, codec in _CODECS.items() if f"-{part}-" in f"{name}-"), None)
    if unicode_codec is not None:
        return lambda data: data.decode(unicode_codec, "replace")
    collection = ordering if ordering in _COLLECTIONS else _collection(name)
    if collection is None:
        if descendant is not None and isinstance(_object(descendant.get("/CIDToGIDMap")), StreamObject):
            return None  # its codes are some program's own, and most often Unicode
        return (lambda data: _UNKNOWN * ((len(data) + 1) // 2)) if name in _IDENTITY else None
    cmap = _cmap(encoding, name)
    if cmap is None:
        return None
    characters = CMapDB.get_unicode_map(f"Adobe-{collection}", cmap.is_vertical()).cid2unichr
    return lambda data: "".join(characters.get(cid, _UNKNOWN) for cid in cmap.decode(data))


def _collection(name: str) -> str | None:
    """The collection of a predefined CMap of that name."""
    if name in ("H", "V") or any(part in name for part in ("RKSJ", "JIS", "EUC-H", "EUC-V")):
        prefix = name.partition("-")[0]
        others = {"GB": "GB1", "GBpc": "GB1", "GBK": "GB1", "CNS": "CNS1", "KSC": "Korea1", "KSCpc": "Korea1"}
        return others.get(prefix, "Japan1")
    families = {"GB": "GB1", "B5": "CNS1", "CNS": "CNS1", "HKscs": "CNS1", "KSC": "Korea1", "KS": "Korea1"}
    return next((collection for part, collection in families.items() if part in name), None)


def _cmap(encoding: Any, name: str) -> CMapBase | None:
    """The map from codes to the characters' numbers in the collection; None for an unknown one."""
    if isinstance(encoding, StreamObject):
        cmap = FileCMap()
        CMapParser(cmap, BytesIO(encoding.get_data())).run()
        is_identity = str(encoding.get("/CMapName", "")).startswith("/Identity") or not cmap.code2cid
        return IdentityCMap() if is_identity else cmap
    try:
        return CMapDB.get_cmap(name)
    except CMapDB.CMapNotFound:
        return None


def _prepare_simple(font: DictionaryObject) -> None:
    """Replace the names of glyphs that pypdf would take for text."""
    encoding = _object(font.get("/Encoding"))
    differences = _object(encoding.get("/Differences")) if isinstance(encoding, DictionaryObject) else None
    if isinstance(encoding, DictionaryObject) and isinstance(differences, ArrayObject):
        names = (_meaning(each) if isinstance(each, NameObject) else each for each in differences)
        encoding[NameObject("/Differences")] = ArrayObject(names)


def _meaning(glyph: NameObject) -> NameObject:
    """A name that pypdf knows for the same characters."""
    name = glyph[1:]
    if name == ".notdef":
        return NameObject("/space")
    plain = _VARIANT.sub("", name)  # of small capitals and old figures, the letters and figures
    try:
        text = name2unicode(plain if plain != name and _is_known(plain) else name)
    except (KeyError, ValueError):
        return _UNKNOWN_NAME
    if len(text) == 1:
        return NameObject(f"/uni{ord(text):04X}")
    joined = NameObject(f"/longctx_{text.encode('utf-16-be').hex()}")  # several, as T_h is
    adobe_glyphs[joined] = text
    return joined


def _is_known(name: str) -> bool:
    try:
        return bool(name2unicode(name))
    except (KeyError, ValueError):
        return False


def _first(array: Any) -> Any:
    found = _object(array)
    return found[0].get_object() if isinstance(found, ArrayObject) and found else None


def _object(value: Any) -> Any:
    return None if value is None else value.get_object()


def _find(name: str) -> codecs.CodecInfo | None:
    """Find the codec of a font, for `codecs.register`."""
    if name not in _decoders:
        return None

    def decode(data: Any, errors: str = "strict") -> tuple[str, int]:
        return _decoders[name](bytes(data)), len(data)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return text.encode("utf-16-be", "replace"), len(text)

    return codecs.CodecInfo(encode, decode, name=name)
