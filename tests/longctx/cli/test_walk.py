"""`longctx ingest` on a repository: what is left out is named, nothing is read in a dry run, and --prune asks first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from written_files import write_files


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {"a.md": "About lamps.", "b.txt": "About boats.", "copy.txt": "About boats.", "src/__init__.py": ""}
    files |= {"notes.doc": "x", "old.doc": "x", "x.qqq": "x", ".gitignore": "*.log\n", "run.log": "x"}
    files |= {"venv/lib.py": "x = 1", "package-lock.json": "{}"}
    write_files(tmp_path / "repo", files)
    return tmp_path


def test_a_repository(repository: Path, forked_longctx) -> None:
    def longctx(*arguments: str):
        return forked_longctx.run(*arguments, cwd=repository)

    planned = longctx("ingest", "repo", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert not (repository / ".longctx").exists()
    assert "read: repo/a.md" in planned.stdout
    assert "empty: repo/src/__init__.py" in planned.stdout
    assert "left out (by default): repo/venv" in planned.stdout
    assert "left out (.gitignore): repo/run.log" in planned.stdout

    done = longctx("ingest", "repo", "--exclude", "x*")
    assert done.returncode == 0, done.stderr
    assert "3 added" in done.stdout
    assert "2 files of other kinds skipped: .doc 2" in done.stdout
    assert ".doc are read when they are converted: soffice --headless --convert-to docx FILE\n" in done.stdout
    report = json.loads(longctx("ingest", "repo", "--json").stdout)
    assert (report["skipped_kinds"], report["conversions"]) == (
        {".doc": 2, ".qqq": 1},
        {"soffice --headless --convert-to docx FILE": [".doc"]},
    )
    assert "1 copies of other files, 1 empty" in done.stdout
    assert "left out: .gitignore 1, by default 2, exclude 1, hidden 1" in done.stdout
    listed = longctx("index", "list").stdout
    assert "repo/copy.txt\t1 chunks\tb\ta copy of repo/b.txt" in listed
    assert longctx("index", "show", "repo/copy.txt").stdout == "About boats."
    found = json.loads(longctx("search", "boats", "--source", "repo/copy.txt", "--json").stdout)
    assert [hit["chunk"]["source"] for hit in found] == [str(repository / "repo/copy.txt")]

    (repository / "repo/drive").mkdir()
    (repository / "repo/drive/d.txt").write_text("About drives.")
    longctx("ingest", "repo")
    drive, refusal = repository / "repo/drive", "all that were in repo/drive: nothing was removed"
    (drive / "d.txt").rename(drive / ".not-mounted")
    assert refusal in longctx("ingest", "repo", "--prune").stderr
    (drive / "photos" / "2026").mkdir(parents=True)
    assert refusal in longctx("ingest", "repo", "--prune").stderr
    shutil.rmtree(drive)
    drive.symlink_to("/media/nowhere")
    assert refusal in longctx("ingest", "repo", "--prune").stderr
    assert "1 removed" in longctx("ingest", "repo", "--prune", "--yes").stdout

    shutil.rmtree(repository / "repo")
    (repository / "repo").mkdir()  # as a drive that is not mounted leaves it
    refused = longctx("ingest", "repo", "--prune", "--json")
    report = json.loads(refused.stdout)
    assert (refused.returncode, report["removed"]) == (1, 0)
    assert "3 of 3 documents" in report["failed"][0]["reason"]
    assert "--yes" in report["failed"][0]["reason"]
    removed = longctx("ingest", "repo", "--prune", "--yes", "--json")
    assert (removed.returncode, json.loads(removed.stdout)["removed"]) == (0, 3)
