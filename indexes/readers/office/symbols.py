"""Characters of symbol fonts (Symbol, Wingdings) in Word documents, as Unicode."""

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
_WINGDINGS: dict[int, str] = dict(  # the most used of Wingdings: boxes, ticks, arrows and bullets
    zip(
        bytes.fromhex("4a6c6e6fa8a7a876d8dfe0e1e2e8f0fbfcfdfe"),
        "☺●■□◻▪◻❖➢←→↑↓➔⇨✗✓☒☑",
        strict=True,
    )
)


def symbol(font: str, code: str) -> str:
    """Return a character of a symbol font as Unicode.

    Args:
        font: The font's name.
        code: The character's code in hexadecimal.

    Returns:
        The character, or U+FFFD for one without an equivalent in the tables here.
    """
    number = int(code, 16)
    number = number - _PRIVATE if _PRIVATE <= number < _PRIVATE + 0x100 else number
    if font == "Symbol":
        return _SYMBOL.get(number, "\ufffd")
    if font == "Wingdings":
        return _WINGDINGS.get(number, "\ufffd")
    return "\ufffd" if font.startswith(("Wingdings", "Webdings")) else chr(number)
