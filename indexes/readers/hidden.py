"""What the author of a document has hidden: text is left out, and whole rows, columns, sheets and slides are read.

Anyone can show those again with a click, and a filter or a folded group hides them, too. A warning says either.
"""

from __future__ import annotations

from dataclasses import replace

from indexes.readers.base import ReadText


def left_out(characters: int) -> list[str]:
    """Return a warning that hidden text is left out; none for 0.

    Args:
        characters: How much of it there is.

    Returns:
        The warnings.
    """
    count = f"{characters:,} character{'s' * (characters > 1)}"
    return [f"hidden text is left out ({count}): show it, and save the file"] if characters else []


def with_hidden_named(reading: ReadText) -> ReadText:
    """Return a reading with a warning about the hidden text that is left out of it.

    Args:
        reading: The reading.

    Returns:
        The reading, as it is where nothing is left out.
    """
    return replace(reading, warnings=(*reading.warnings, *left_out(reading.hidden)), hidden=0)


def read_anyway(rows: int, columns: int, sheet: str) -> list[str]:
    """Return a warning that hidden rows and columns of a sheet are read; none if there are none.

    Args:
        rows: How many rows with text are hidden.
        columns: How many columns with text are.
        sheet: The sheet's name.

    Returns:
        The warnings.
    """
    found = [f"{count:,} {what}{'s' * (count > 1)}" for count, what in ((rows, "row"), (columns, "column")) if count]
    are = "is" if rows + columns == 1 else "are"
    return [f"sheet '{sheet}': {' and '.join(found)} that {are} hidden {are} read all the same"] if found else []


def is_read_anyway(part: str) -> str:
    """Return a warning that a hidden sheet or slide is read.

    Args:
        part: The part, such as "slide 2".

    Returns:
        The warning.
    """
    return f"{part} is hidden, and read all the same"
