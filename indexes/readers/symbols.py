"""Characters of symbol fonts (Symbol, Wingdings) as Unicode."""

from __future__ import annotations

_PRIVATE = 0xF000  # the fonts' characters are kept in Unicode's private use area from here on
_SYMBOL: dict[int, str] = dict(  # the font Symbol: Greek letters and mathematics
    zip(
        (*range(0x20, 0x7F), *range(0xA0, 0xFF)),
        " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\uf8ff〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        strict=True,
    )
)
_WINGDINGS: dict[int, str] = dict(  # the most used of Wingdings: boxes, ticks, arrows, bullets and numbers in circles
    zip(
        bytes.fromhex("282a4a4b4c6c6e6fa1a8a7a8ab76d8dfe0e1e2e3e4e5e6e8eff0f1f2fbfcfdfe") + bytes(range(0x80, 0x96)),
        "☎✉☺😐☹●■□○◻▪◻★❖➢←→↑↓↖↗↙↘➔⇦⇨⇧⇩✗✓☒☑⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿",
        strict=True,
    )
)
_TABLES = {"symbol": _SYMBOL, "wingdings": _WINGDINGS}
_FONTS = ("symbol", "wingdings", "webdings")


def is_symbol_font(font: str) -> bool:
    """Tell whether the letters of a font are symbols.

    Args:
        font: Its name.

    Returns:
        True for Symbol, Wingdings and Webdings.
    """
    return font.strip("\"' ").lower().rstrip(" 23") in _FONTS


def symbols(font: str, text: str) -> str:
    """Return a text in a symbol font as Unicode.

    Args:
        font: The font's name.
        text: The text, whose characters are those of the font, from Unicode's private use area or as of Windows.

    Returns:
        The text as it is shown, with U+FFFD for what has no equivalent in the tables here. Characters that such a font
        cannot have, and white space, stay.
    """
    table = _TABLES.get(font.strip("\"' ").lower(), {})
    return "".join(
        each if number is None or each.isspace() else table.get(number, "\ufffd")
        for each, number in ((each, _number(each)) for each in text)
    )


def symbol(font: str, code: str) -> str:
    """Return a character of a symbol font as Unicode.

    Args:
        font: The font's name.
        code: The character's code in hexadecimal.

    Returns:
        The character, or U+FFFD for one without an equivalent in the tables here.
    """
    character = chr(int(code, 16))
    return symbols(font, character) if is_symbol_font(font) else character


def _number(character: str) -> int | None:
    """The place of a character in a font of 256; None for one that is not in such a font."""
    number = ord(character)
    if _PRIVATE <= number < _PRIVATE + 0x100:
        return number - _PRIVATE
    if number < 0x100:
        return number
    byte = character.encode("cp1252", "ignore")
    return byte[0] if byte else None
