from .base import DEFAULT_LIMITS, ReadLimits, quoted_names
from .charset import decode
from .converting import conversions
from .files import check_regular, check_size, os_reason, read_bytes
from .folders import statuses_in
from .number_formats import formatted_number
from .registry import (
    READER_VERSION,
    SUFFIXES,
    check_suffix,
    format_name,
    format_suffix,
    is_read_by_lines,
    read_document,
)
from .sandbox import end_sandbox

__all__ = [
    "DEFAULT_LIMITS",
    "READER_VERSION",
    "SUFFIXES",
    "ReadLimits",
    "check_regular",
    "check_size",
    "check_suffix",
    "conversions",
    "decode",
    "end_sandbox",
    "format_name",
    "format_suffix",
    "formatted_number",
    "is_read_by_lines",
    "os_reason",
    "quoted_names",
    "read_bytes",
    "read_document",
    "statuses_in",
]
