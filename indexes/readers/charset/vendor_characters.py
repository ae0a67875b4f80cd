"""NEC's and IBM's characters, such as ① and 髙, in EUC-JP and ISO-2022-JP, and Big5's €: Python's codecs lack them.

Windows writes them in all three Japanese encodings. They are in the same rows of JIS X 0208, so that their bytes in
Shift_JIS can be computed, of which Python knows the Windows variant.
"""

from __future__ import annotations

import codecs

VENDOR_CHARACTERS = "longctx_vendor_characters"  # the name of the error handler
_ROWS = frozenset({0x2D, 0x79, 0x7A, 0x7B, 0x7C})  # NEC's, and IBM's as NEC chose them
JAPANESE_SETS = frozenset({"euc_jp", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_ext"})


def _vendor_character(error: UnicodeError) -> tuple[str, int]:
    """Decode the two bytes that a codec does not know. Raises the error for anything but a vendor's character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    found = error.object[error.start : error.start + 2]
    if error.encoding == "big5hkscs" and found == b"\xa3\xe1":  # Microsoft's addition
        return "€", error.start + 2
    pair = bytes(byte & 0x7F for byte in found)
    is_pair = len(pair) == 2 and pair[0] in _ROWS and 0x21 <= pair[1] <= 0x7E
    if not is_pair or (found[0] ^ found[1]) & 0x80:
        raise error
    try:
        character = _shift_jis(*pair).decode("cp932")
    except UnicodeDecodeError:
        raise error from None
    return character, error.start + 2


def _shift_jis(row: int, cell: int) -> bytes:
    """The bytes in Shift_JIS of a character's bytes in JIS X 0208."""
    first = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
    return bytes((first, cell + (0x1F + (cell >= 0x60) if row % 2 else 0x7E)))


codecs.register_error(VENDOR_CHARACTERS, _vendor_character)
