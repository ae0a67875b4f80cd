"""What README*.md and docs/ show is what happens: their Python blocks and console sessions are run, and their output compared."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "examples" / "corpus", tmp_path / "examples" / "corpus")
    (tmp_path / "examples" / "models").symlink_to(ROOT / "examples" / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("own_loop")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_does_what_the_page_says(page: Path, workplace: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block, str(page), "exec"), namespace)
            printed = output.getvalue()
        elif kind == "text":
            assert printed == block, f"{page.name} shows something else"
        else:
            run_session(block)


def run_session(session: str) -> None:
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        printed = run(shlex.split(command))
        pattern = re.escape(shown.strip()).replace("…", "(?:.|\n)*")
        assert re.fullmatch(pattern, printed.strip()), f"$ {command}\n{printed}"


def run(arguments: list[str]) -> str:
    """What a command prints: standard output, and the failures and the exit code that a user would see."""
    if arguments[0] == "touch":
        Path(arguments[1]).touch()
        return ""
    from longctx.cli import main

    output, errors = io.StringIO(), io.StringIO()
    sys.argv = arguments
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as exited:
        main()
    failures = "".join(line + "\n" for line in errors.getvalue().splitlines() if line.startswith("failed: "))
    code = f"[exit code {exited.value.code}]" if exited.value.code else ""
    return failures + output.getvalue() + code


def test_every_path_and_name_in_the_architecture_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(paths := re.findall(r"`(\w+/[\w/.]*)`", page)) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for path, name in re.findall(r"`(\w+/[\w/.]*\.py)`: `(\w+)`", page):
        assert re.search(rf"^ *(?:def |class )?{name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


def test_every_page_is_linked_and_every_link_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/{page.name}" in readme for page in (ROOT / "docs").glob("*.md"))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
