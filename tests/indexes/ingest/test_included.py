"""Files that documents include: those that are not in the index are named."""

from __future__ import annotations

from pathlib import Path

from written_files import write_files

from indexes import CorpusIndex, Encoder


def test_what_is_included_and_not_in_the_index_is_named(tmp_path: Path, hashing: Encoder) -> None:
    many = "".join(f"\\input{{gone{number}}}\n" for number in range(7))
    files = {
        "book/main.tex": "\\input{parts/lamp} \\include{oil.tex} \\input{wick}",
        "book/parts/lamp.tex": "It is lit.",
        "book/oil.tex": "It burns.",
        "book/many.tex": many,
        "README.md": '--8<-- "book/oil.tex"',
        "book/docs/a.rst": "Oil\n\n.. include:: ../../README.md\n",
    }
    write_files(tmp_path, files)
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest(tmp_path / "book" / "main.tex")
        assert [warning.reason for warning in report.warnings] == [
            "it includes 'parts/lamp', 'oil.tex', 'wick', which are not in the index: ingest them, too"
        ]
        warnings = {warning.source: warning.reason for warning in index.ingest(tmp_path).warnings}
        assert warnings == {
            str(
                tmp_path / "book/many.tex"
            ): "it includes 'gone0', 'gone1', 'gone2', 'gone3', 'gone4' and 2 more, which are"
            " not in the index: ingest them, too"
        }
        (tmp_path / "book/main.tex").write_text("\\input{parts/lamp} \\input{wick}")
        [warning] = index.ingest(tmp_path).warnings
        assert warning.reason == "it includes 'wick', which is not in the index: ingest it, too"
