"""What a walk leaves out: git's patterns, defaults, and the user's own."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from written_files import write_files

from indexes import CorpusError, CorpusIndex, Encoder
from indexes.ingest import FoundFile, WalkRules, discover
from indexes.ingest.discovery import IgnoredPath
from indexes.ingest.ignore_rules import UserRules

Walk = Callable[..., set[str]]


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    """Make files, walk their folder, and return what is to be read; a name with a space and a text is an ignore file."""

    def walk(names: str, files: dict[str, str] | None = None, root: str = ".", **rules: tuple[str, ...]) -> set[str]:
        write_files(tmp_path, {**dict.fromkeys(names.split(), "text"), **(files or {})})
        found = discover([tmp_path / root], rules=WalkRules(**rules))
        return {os.path.relpath(item.source, tmp_path) for item in found if isinstance(item, FoundFile)}

    return walk


@pytest.mark.parametrize(
    ("ignoring", "read"),
    [
        ("*.log", {"a.md", "b/c.md", "b/d/e.md"}),
        ("/a.md", {"b/c.md", "b/d/e.md", "f.log"}),
        ("c.md\n# a comment\n", {"a.md", "b/d/e.md", "f.log"}),
        ("d/", {"a.md", "b/c.md", "f.log"}),
        ("b/**/e.md", {"a.md", "b/c.md", "f.log"}),
        ("*.md\n!a.md", {"a.md", "f.log"}),
        ("b\n!b/c.md", {"a.md", "f.log"}),  # as git has it: nothing comes back in a folder that is left out
        ("[\n*.log", {"a.md", "b/c.md", "b/d/e.md"}),
        ("*\n!*/\n!*.md", {"a.md", "b/c.md", "b/d/e.md"}),  # the last pattern that matches decides
        ("b/**\n!b/d/\n!b/d/e.md", {"a.md", "b/d/e.md", "f.log"}),
        ("b/**/", {"a.md", "b/c.md", "f.log"}),
        ("[[:lower:]].log\n[![:digit:]].md", set()),
        ("b[!x]", {"a.md", "b/c.md", "b/d/e.md", "f.log"}),  # no slash
        ("*.log\r\n", {"a.md", "b/c.md", "b/d/e.md"}),
        ("*.md\x0c\n*.log\t\n!/", {"a.md", "b/c.md", "b/d/e.md", "f.log"}),  # white space, but no line end
        ("a.md\u2028f.log\x85*.md", {"a.md", "b/c.md", "b/d/e.md", "f.log"}),
    ],
)
@pytest.mark.parametrize("name", [".gitignore", ".longctxignore"])
def test_patterns_are_those_of_git(walk: Walk, name: str, ignoring: str, read: set[str]) -> None:
    assert walk("a.md b/c.md b/d/e.md f.log", {name: ignoring}) == read


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("*a*a*a*a*b", f"{'a' * 200}.txt"),
        ("**/a/" * 7 + "b", "a/" * 40 + "c.txt"),
        ("a/**/" * 7 + "b", "a/" * 40 + "c.txt"),
    ],
)
def test_no_pattern_of_a_folder_takes_long(walk: Walk, pattern: str, file: str) -> None:
    """Or this takes longer than a test may. It is matched in the process that walks, without a limit for a file."""
    assert walk("", {file: "text", ".gitignore": f"{pattern}\n"}) == {file}


@given(
    st.lists(
        st.sampled_from(["*", "**", "?", "a", "b", "/", "/**/", "**/", "[ab]", "\\*", "."]), min_size=1, max_size=8
    ),
    st.lists(st.sampled_from(["a", "b", "ab", "aab", ".a", "a.b", "*"]), min_size=1, max_size=5),
)
def test_patterns_match_what_they_do_without_a_limit(pieces: list[str], parts: list[str]) -> None:
    pattern, path = "".join(pieces), "/".join(parts)
    try:
        expected = GitIgnoreSpec.from_lines([pattern], backend="simple").check_file(path).include
    except ValueError:
        return
    assert (UserRules("/f", WalkRules(exclude=(pattern,))).reason(f"/f/{path}", is_folder=False) == "exclude") is bool(
        expected
    )


def test_the_nearest_file_decides_and_longctxignore_over_gitignore(walk: Walk) -> None:
    files = {".gitignore": "*.md\n*.log", "b/.gitignore": "!c.md", ".longctxignore": "!f.log"}
    assert walk("a.md b/c.md b/d.md f.log", files) == {"b/c.md", "f.log"}


def test_what_a_repository_ignores_above_the_folder_holds_in_it(walk: Walk) -> None:
    files = {".git/info/exclude": "x.md", ".gitignore": "y.md\nnamed/", "docs/.gitignore": "z.md"}
    assert walk("docs/in/x.md docs/in/y.md docs/in/z.md docs/in/a.md named/b.md", files, "docs/in") == {"docs/in/a.md"}
    assert walk("", root="named") == {"named/b.md"}  # who names it wants it


def test_what_is_no_document_is_left_out_by_default(walk: Walk, tmp_path: Path) -> None:
    names = (
        "a.md .hidden/b.md venv/c.py env3/pyvenv.cfg env3/d.py node_modules/e.js dist/f.js pkg.egg-info/g.txt build/h.md"
        " package-lock.json pnpm-lock.yaml app.min.js src/__pycache__/i.py poetry.lock ~$report.docx"
    )
    assert walk(names) == {"a.md", "build/h.md"}  # a folder of that name may hold documents,
    assert walk("pyproject.toml") == {"a.md", "pyproject.toml"}  # unless something is built there
    assert walk("", {".longctxignore": "!dist/"}) == {"a.md", "pyproject.toml", "dist/f.js"}
    assert walk("", root="venv") == {"venv/c.py"}
    rules = {item.path.name: item.rule for item in discover([tmp_path]) if isinstance(item, IgnoredPath)}
    assert rules["venv"] == rules["build"] == "by default"
    assert rules[".hidden"] == "hidden"


def test_globs_of_the_user_find_names_whose_letters_are_decomposed(walk: Walk) -> None:
    decomposed = unicodedata.normalize("NFD", "ガイド.md")
    names = f"{decomposed} b.md"
    assert walk(names, exclude=("ガイ*",)) == {"b.md"}
    assert walk(names, include=("*ド.md",)) == {decomposed}


def test_globs_of_the_user(walk: Walk) -> None:
    names, files = "a.md b.txt c/d.md c/e.txt f.log", {".gitignore": "*.log"}
    assert walk(names, files, exclude=("*.txt",)) == {"a.md", "c/d.md"}
    assert walk(names, files, exclude=("c/",)) == {"a.md", "b.txt"}
    assert walk(names, files, include=("*.md",)) == {"a.md", "c/d.md"}
    assert walk(names, files, include=("c/",), exclude=("*.txt",)) == {"c/d.md"}
    assert walk(names, files, include=("*.log",)) == {"f.log"}
    with pytest.raises(CorpusError, match="exclude is '!', which is no pattern"):
        walk(names, exclude=("!",))


def test_the_report_counts_kinds_rules_and_empty_files(tmp_path: Path, hashing: Encoder) -> None:
    texts = dict.fromkeys(("a.md", "b.DAT", "c.dat", "d.qqq", ".g/h.md", "i.tmp"), "text")
    corpus = write_files(tmp_path / "corpus", texts | {"e/__init__.py": "", "f.py": " \n"})
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest(corpus, exclude=["*.tmp"])
        assert (report.added, report.empty, report.failed) == (1, 2, ())
        assert (report.skipped, report.skipped_kinds) == (3, {".dat": 2, ".qqq": 1})
        assert report.ignored == {"exclude": 1, "hidden": 1}
        (corpus / "a.md").write_text("")
        emptied = index.ingest(corpus)
        assert (emptied.empty, emptied.removed, index.documents()) == (3, 1, [])


def test_a_plan_says_what_an_ingest_would_do_and_does_nothing(tmp_path: Path, hashing: Encoder) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("kept", "changes", "goes"):
        (corpus / f"{name}.md").write_text(name)
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(corpus)
        (corpus / "goes.md").unlink()
        (corpus / "changes.md").write_text("other")
        (corpus / "new.md").write_text("new")
        (corpus / "none.md").touch()
        (corpus / "x.qqq").touch()
        before = index.documents()
        plan = index.plan_ingest(corpus, prune=True, exclude=["x*"])
        assert index.documents() == before
    lists = (plan.added, plan.changed, plan.unchanged, plan.removed, plan.empty, plan.skipped)
    assert [[Path(path).name for path in paths] for paths in lists] == [
        *(["new.md"], ["changes.md"], ["kept.md"], ["goes.md"], ["none.md"], []),
    ]
    assert plan.ignored == ((str(corpus / "x.qqq"), "exclude"),)


def test_an_ignore_file_that_is_a_pipe_or_a_link_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("text")
    (tmp_path / "rules").write_text("*.txt\n")
    (tmp_path / "corpus" / ".gitignore").symlink_to(tmp_path / "rules")
    os.mkfifo(tmp_path / "corpus" / ".longctxignore")
    assert [item.path.name for item in discover([tmp_path / "corpus"]) if isinstance(item, FoundFile)] == ["a.txt"]
