"""Rows of tables in answers and in prompts: with their header, and exactly cited."""

from __future__ import annotations

from pathlib import Path

from longctx import DocumentQA

ROWS = "".join(f"| Port{n} | {n} m |\n" for n in range(80))


def test_a_row_is_quoted_below_its_header(tmp_path: Path, encoder) -> None:
    file = tmp_path / "harbours.md"
    file.write_text(
        f"# Harbours\n\nThe list.\n\n| Harbour | Depth |\n|---|---|\n{ROWS}\nProse follows the table here.\n"
    )
    with DocumentQA.open(tmp_path / "index", encoder=encoder) as qa:
        qa.ingest([file])
        answer = qa.ask("What is the depth of Port71?")
        assert answer.text.startswith("| Harbour | Depth |\n| Port71 | 71 m | [1]")
        first = answer.citations[0]
        assert (first.text, first.table_header) == ("| Port71 | 71 m |", "| Harbour | Depth |")
        assert file.read_text()[first.start : first.end] == first.text
        assert file.read_text().split("\n")[first.line - 1] == first.text
