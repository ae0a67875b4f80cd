"""Retrieval in many languages and scripts, on the help pages of two desktop programs.

    apt-get download gnome-user-docs libreoffice-help-km
    for package in *.deb; do dpkg-deb -x $package help; done
    python benchmarks/bench_languages.py --help-pages help [--languages gu ta th] [--rows FILE]

A document is the body of a page in one language; its title and its summary, which are left out of it, are the queries,
and the page is the one relevant result. GNOME's pages are translated in part: all are in the index, and those are asked
for whose body is in the language, unless the query itself is still English. LibreOffice's, which are used for Khmer
(km), have no summaries. Printed are recall at 1 and 5, for longctx and for bm25s with the language's stemmer, if
Snowball has one.

The peer: pip install bm25s PyStemmer.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bm25s
import py3langid
import Stemmer
from lxml import etree, html

from indexes import CorpusIndex

GNOME, LIBREOFFICE = "usr/share/help/{}/gnome-help", "usr/share/libreoffice/help/{}/text"
MALLARD = "{http://projectmallard.org/1.0/}"
LANGUAGES = [*("de", "el", "fa", "fi", "fr", "gu", "hu", "it", "ko", "mr", "nl", "pl", "sv", "ta", "te", "uk", "vi")]
LANGUAGES += ["zh_CN", "km", "C"]
STEMMERS = {
    **{"C": "english", "de": "german", "el": "greek", "fi": "finnish", "fr": "french", "hu": "hungarian"},
    **{"it": "italian", "nl": "dutch", "sv": "swedish", "ta": "tamil"},
}
SHORTEST = 200  # characters of a body
Retriever = Callable[[str], list[str]]  # a query to the names of pages, best first


@dataclass(frozen=True)
class Page:
    """A page: its body, and what is asked for it."""

    name: str
    body: str
    title: str
    summary: str


def text_of(element: etree._Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def gnome_pages(folder: Path) -> Iterator[Page]:
    for file in sorted(folder.glob("*.page")):
        root = etree.parse(str(file)).getroot()
        body = "\n\n".join(filter(None, map(text_of, root.iter(f"{MALLARD}p"))))
        summary = text_of(root.find(f"{MALLARD}info/{MALLARD}desc"))
        yield Page(file.stem, body, text_of(root.find(f"{MALLARD}title")), summary)


def libreoffice_pages(folder: Path) -> Iterator[Page]:
    for file in sorted(folder.rglob("guide/*.html")):
        body = html.parse(str(file)).getroot().find(".//*[@id='DisplayArea']")
        if body is not None:
            heading = next(iter(body.iter("h1", "h2", "h3")), None)
            paragraphs = "\n\n".join(filter(None, map(text_of, body.iter("p"))))
            yield Page(file.stem, paragraphs, text_of(heading), "")


def pages_of(language: str, folder: Path) -> tuple[list[Page], set[str]]:
    """All pages of a language, and the names of those that are written in it."""
    libreoffice = folder / LIBREOFFICE.format(language)
    found = libreoffice_pages(libreoffice) if libreoffice.is_dir() else gnome_pages(folder / GNOME.format(language))
    pages = [page for page in found if len(page.body) >= SHORTEST]
    code = "en" if language == "C" else language[:2]
    return pages, {page.name for page in pages if py3langid.classify(page.body)[0] == code}


def peer(pages: list[Page], language: str) -> Retriever:
    stemmer = Stemmer.Stemmer(STEMMERS[language]) if language in STEMMERS else None

    def tokens(texts: list[str]) -> list[list[str]]:
        return bm25s.tokenize(texts, stopwords=[], stemmer=stemmer, return_ids=False, show_progress=False)

    model = bm25s.BM25()
    model.index(tokens([page.body for page in pages]), show_progress=False)

    def retrieve(query: str) -> list[str]:
        found, _ = model.retrieve(tokens([query]), k=5, show_progress=False)
        return [pages[number].name for number in found[0]]

    return retrieve


def ours(index: CorpusIndex, mode: str) -> Retriever:
    def retrieve(query: str) -> list[str]:
        return list(dict.fromkeys(Path(hit.chunk.source).stem for hit in index.search(query, 12, mode)))

    return retrieve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--help-pages", type=Path, required=True, help="the folder that the packages are unpacked in")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--rows", type=Path, help="a file to which the queries that miss are added, as JSON lines")
    options = parser.parse_args()
    print("| language | asked | queries | bm25s | lexical | hybrid |\n| --- | --- | --- | --- | --- | --- |")
    english = {
        text for page in gnome_pages(options.help_pages / GNOME.format("C")) for text in (page.title, page.summary)
    }
    for language in options.languages:
        pages, asked = pages_of(language, options.help_pages)
        with tempfile.TemporaryDirectory() as temporary:
            corpus = Path(temporary, "corpus")
            corpus.mkdir()
            for page in pages:
                (corpus / f"{page.name}.txt").write_text(page.body, encoding="utf-8")
            with CorpusIndex.open(Path(temporary, "index")) as index:
                index.ingest(corpus)
                systems = [peer(pages, language), ours(index, "lexical"), ours(index, "hybrid")]
                for what in ("title", "summary"):
                    queries = {
                        text: page.name
                        for page in pages
                        if page.name in asked
                        and re.search(r"\w", text := getattr(page, what))
                        and (language == "C" or text not in english)
                    }
                    if queries:
                        cells = [cell(system, queries, options.rows) for system in systems]
                        print(f"| {language} | {what} | {len(queries)} | {' | '.join(cells)} |", flush=True)


def cell(system: Retriever, queries: dict[str, str], rows: Path | None) -> str:
    """Recall at 1 and 5."""
    found = {query: system(query) for query in queries}
    if rows is not None:
        with rows.open("a", encoding="utf-8") as file:
            for query, names in found.items():
                if names[:1] != [queries[query]]:
                    file.write(json.dumps([query, queries[query], names[:5]], ensure_ascii=False) + "\n")
    first = sum(names[:1] == [queries[query]] for query, names in found.items())
    five = sum(queries[query] in names[:5] for query, names in found.items())
    return f"{first / len(queries):.3f}/{five / len(queries):.3f}"


if __name__ == "__main__":
    main()
