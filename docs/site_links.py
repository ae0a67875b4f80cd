"""MkDocs hook: makes README.md the front page, and adds the files outside docs/ that pages link to.

Links in the pages are relative to the repository, as on GitHub; the hook rewrites them for the site. A link without a
target is left unchanged, so that `mkdocs build --strict` reports it.
"""

from __future__ import annotations

import re
from os.path import normpath, relpath
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
FRONT = "README.md"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the front page, and every file of the repository that a page links to."""
    waiting = [FRONT, "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{file.src_uri}" for file in files)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).is_file():
            continue
        seen.add(path)
        if not path.startswith("docs/"):
            files.append(File.generated(config, _site_path(path), abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            waiting += (_target(path, link) for link in LINK.findall(text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page for the site."""
    site = page.file.src_uri
    path = str(Path(page.file.abs_src_path or "").relative_to(ROOT))

    def rewritten(link: re.Match[str]) -> str:
        target = _site_path(_target(path, link[1]))
        return relpath(target, Path(site).parent) if target in files.src_uris else link[1]

    return LINK.sub(rewritten, markdown)


def _target(path: str, link: str) -> str:
    """The repository path that a link in the page `path` points to."""
    return normpath(str(Path(path).parent / link))


def _site_path(path: str) -> str:
    """The path on the site of a file in the repository."""
    return "index.md" if path == FRONT else path.removeprefix("docs/")
