"""Files in the format of the SMART system, as CISI's."""

from __future__ import annotations

from pathlib import Path


def read_smart(file: Path) -> dict[str, str]:
    """The documents or queries of a file in SMART's format, with the title as a heading: `.I`, `.T`, `.W`."""
    texts: dict[str, str] = {}
    number, field = "", ""
    for line in file.read_text(encoding="latin-1").splitlines():
        if line.startswith(".I "):
            number, field = line[3:].strip(), ""
            texts[number] = ""
        elif len(line.strip()) == 2 and line[0] == ".":
            field = line[1]
        elif field in ("T", "W"):
            heading = "# " if field == "T" and not texts[number] else ""
            texts[number] += f"{heading}{line}\n" if field == "W" else f"{heading}{line} "
    return texts
