"""Plain text, and tables in text (CSV, TSV)."""

from __future__ import annotations

from itertools import islice

from indexes.readers.aozora import is_annotated, without_annotations
from indexes.readers.base import MOST_MARKS, ReadLimits, ReadText, lines_with_offsets, without_embedded_files
from indexes.readers.charset import decode
from indexes.readers.delimited_tables import delimited_table


def read_plain(data: bytes, limits: ReadLimits) -> ReadText:
    """Read plain text as it is, without the annotations of Aozora Bunko."""
    text = without_embedded_files(decode(data, limits.encoding))
    return without_annotations(text) if is_annotated(text) else ReadText(text)


def read_delimited(data: bytes, limits: ReadLimits) -> ReadText:
    """Read CSV or TSV as it is, with `breaks` at records, which may go over several lines inside quotes."""
    text = without_embedded_files(decode(data, limits.encoding))
    records = _records(text)
    return ReadText(text, breaks=tuple(records), tables=delimited_table(text, records))


def _records(text: str) -> list[int]:
    """Where records begin: after a line up to which the number of quotes is even, so that all are closed."""
    starts, every_line, is_open = [], [], False
    for offset, line in islice(lines_with_offsets(text), MOST_MARKS):
        every_line.append(offset)
        if not is_open:
            starts.append(offset)
        is_open ^= line.count('"') % 2 == 1
    return every_line if is_open else starts  # a quote that is never closed was no quote: inches, say
