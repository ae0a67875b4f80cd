from .declared import decode_declared, decode_source, is_utf8_all_the_same, python_encoding
from .detection import decode

__all__ = [
    "decode",
    "decode_declared",
    "decode_source",
    "is_utf8_all_the_same",
    "python_encoding",
]
