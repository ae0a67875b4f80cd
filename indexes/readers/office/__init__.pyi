from .package import read_sheets, read_slides, read_word

__all__ = [
    "read_sheets",
    "read_slides",
    "read_word",
]
