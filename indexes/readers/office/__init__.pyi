from .alternative_text import alternative_text
from .fields import is_page_number, shown_by_code
from .package import read_flat_document, read_open_document, read_sheets, read_slides, read_word

__all__ = [
    "alternative_text",
    "is_page_number",
    "read_flat_document",
    "read_open_document",
    "read_sheets",
    "read_slides",
    "read_word",
    "shown_by_code",
]
