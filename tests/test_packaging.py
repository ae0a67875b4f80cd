"""What the project is called where it is installed from, and what the pages and messages tell a user to install."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from longctx import __version__

ROOT = Path(__file__).parent.parent
INSTALL = re.compile(r"\b(?:pip3?|pipx|uv)(?:\s+(?:pip|tool))?\s+(?:install|add|run|upgrade)\b((?:\\\n|[^\n`])*)")
# The name as a requirement: not as part of a path, of an option or of another name.
REQUIREMENT = re.compile(r"(?<![\w./=-])longctx(?:[-_.]?qa)?(?![\w./-])", re.IGNORECASE)


def test_the_distribution_has_a_name_of_its_own_and_the_version_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project]")[2]
    assert re.search(r'^name = "(.*?)"', project, re.MULTILINE)[1] == "longctx-qa"
    assert 'dynamic = ["version"]' in project
    source = re.search(r'^\[tool\.hatch\.version\]\npath = "(.*?)"', project, re.MULTILINE)[1]
    assert f'__version__ = "{__version__}"' in (ROOT / source).read_text(encoding="utf-8")


def fetched(text: str) -> list[str]:
    """The commands in a text that would fetch a distribution named like this project from a package index."""
    return [match[0] for match in INSTALL.finditer(text) if REQUIREMENT.search(match[1])]


def tracked() -> list[Path]:
    """The files of the repository, or of the folder where there is no repository."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        files = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [path for path in ROOT.rglob("*") if not {".venv", ".longctx", "site"} & set(path.parts)]
    return [path for path in files if path.is_file() and path != Path(__file__)]


def test_nothing_says_to_install_a_package_that_is_not_this_project() -> None:
    """`longctx` on PyPI is another project, and `longctx-qa` is not published."""
    files = tracked()
    assert ROOT / "README.md" in files
    found = {str(path): fetched(path.read_text(encoding="utf-8", errors="replace")) for path in files}
    assert {path: commands for path, commands in found.items() if commands} == {}


@pytest.mark.parametrize(
    "text",
    [
        "pip install longctx",
        'Office files need `pip install "longctx[office]"`.',
        "needs matplotlib: pip install 'longctx[plot]'",
        "upgrade it (pip install -U longctx), or",
        "pip install --upgrade \\\n    longctx-qa==0.1.0",
        "python -m pip install longctx_qa",
        "uv add longctx",
        "uv pip install Longctx>=1",
        "pipx install longctx",
    ],
)
def test_such_a_command_would_be_found(text: str) -> None:
    assert fetched(text)


@pytest.mark.parametrize(
    "text",
    [
        'in a checkout of longctx, pip install -c constraints.txt ".[plot]"',
        "cd longctx && pip install -c constraints.txt .",
        "`pip install -c constraints.txt .` installs longctx",
        "pip install -c longctx/constraints.txt ./longctx",
        "pip install numpy\nlongctx ask",
    ],
)
def test_a_command_for_a_checkout_is_none(text: str) -> None:
    assert not fetched(text)
