"""The lexical index: BM25 with tantivy over the terms of our own analyzer, derived from the store.

Each generation of the store that changed a document has an index in a folder of its own, named by that generation. It
grows from the one before it: tantivy never changes a file, so the new folder shares the files of the old by hard links,
and adds to them. Readers of the old one are not disturbed, and nobody reads what is half written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from indexes.storage.bm25 import idf
from indexes.storage.file_access import file_mode
from indexes.storage.held_folder import HeldFolder, copy_into, link_or_copy, reachable
from indexes.storage.lexical_query import UNKNOWN, LexicalQueries, OwnLanguage, language_code
from indexes.storage.sqlite import Store
from indexes.text import ANALYSIS_VERSION, LANGUAGES, is_gram, phrase_terms, terms, text_language
from indexes.types import Chunk

FOLDER = "lexical"
_MADE_BY = f"{ANALYSIS_VERSION}/2"  # the versions of the analyzer and of the schema

_NAME = re.compile(r"\d{12,}(-[0-9a-f]{8})?")  # of the folder of an index
_BACKGROUND = 50  # chunks of other text
_LOCK = ".lock"  # of files that tantivy makes for as long as it works
_WRITER_HEAP = 64_000_000  # bytes; tantivy writes a segment out when it is full
# tantivy's BM25 has k1 = 1.2 and b = 0.75, which are Lucene's, and right for alphabetic scripts. Each term of a passage
# put in r times makes k1 = 1.2 / r and leaves b as it is: in Japanese, where morphemes and bigrams repeat each other, a
# passage says a thing once or twice, and the second time means little. Recall at 1 and 5 on JSQuAD: .929/.977 with r
# = 3, .926/.975 with 2, .919/.974 with 1.
_REPEATED = {"ja": 3, "ko": 3, "zh": 3}
# A passage of other languages is filled up with a term that nobody looks for, so that its length compares with those of
# Japanese passages in the same index: as long as these are, it has about a third of their terms. One in an alphabet
# other than the Latin one has as many: there words have 4-grams.
FILLER, _FILLERS = "~", 2
MOST_WITH_PHRASE = 10_000  # chunks that are read to see whether they contain a phrase


class LexicalIndex:
    """The tantivy indexes in the folder `lexical` of an index, of which the store names the one of its generation."""

    def __init__(self, index: HeldFolder) -> None:
        self._index = index
        self._open: tuple[str, Any] = ("", None)

    def is_current(self, store: Store) -> bool:
        """Check the versions of the analyzer and of the schema.

        Args:
            store: The store.

        Returns:
            Whether the index was made with these versions, and is called as this version calls it.
        """
        return store.meta("analysis") == _MADE_BY and is_folder_name(store.meta("lexical") or "")

    def sync(self, store: Store) -> list[str]:
        """Make the index of the store's generation, from the previous one where that is possible.

        Args:
            store: The store of a writer.

        Returns:
            The files of the index, by their names in the index's folder.
        """
        folder, generation = self._index.make(FOLDER), store.generation()
        old_name = store.meta("lexical") or ""
        old = folder.inner(old_name) if self.is_current(store) else None
        if old is not None and not (store.removals(generation - 1) or any(store.documents(generation - 1))):
            return [f"{FOLDER}/{old_name}/{file}" for file in _files(old)]
        name = f"{generation:012d}-{token_hex(4)}"  # that no other index has, also for tantivy
        new = folder.make(name)
        if old is not None:
            for file in _files(old):
                link_or_copy(file, old, new)
        _write_changes(new, store, 0 if old is None else generation - 1)
        store.set_meta("lexical", name)
        store.set_meta("analysis", _MADE_BY)
        return [f"{FOLDER}/{name}/{file}" for file in _files(new)]

    def open(self, store: Store) -> Any:
        """Open the tantivy index of the store's generation; the one that was opened last stays open.

        Args:
            store: The store.

        Returns:
            The open index; None while there is none.
        """
        name = store.meta("lexical")
        if name is None:
            return None
        opened, index = self._open
        if opened != name:
            index = _open(self._index.existing(FOLDER).existing(name))
            self._open = (name, index)
        return index


def is_folder_name(name: str) -> bool:
    """Whether a folder in the lexical index's may be one of its own."""
    return _NAME.fullmatch(name) is not None


def idf_of(counts: Mapping[str, int], chunks: int) -> dict[str, float]:
    """Inverse document frequencies, as BM25 has them, over some chunks and `_BACKGROUND` others.

    Among few chunks, a word that none of them contains would otherwise outweigh all that they do.

    Args:
        counts: For each term, how many of the chunks contain it.
        chunks: How many chunks there are.

    Returns:
        For each term, ln(1 + (N - n + 0.5) / (n + 0.5)): N counts all of the others in, and n one of them.
    """
    return {term: idf(n + 1, chunks + _BACKGROUND) for term, n in counts.items()}


def indexed_terms(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, str, list[str]]]:
    """Analyse the chunks of a document for the lexical index.

    Args:
        chunks: The chunks, in reading order.

    Yields:
        Each chunk, its language, and its terms, as often as BM25 is to count them.
    """
    language = None  # a chunk of which it cannot be told is in the language of those before it
    for chunk in chunks:
        language = text_language(chunk.text, language) or UNKNOWN
        found = terms(f"{chunk.title}\n{chunk.heading}\n{chunk.text_with_header}", language)
        if language in _REPEATED:
            yield chunk, language, found * _REPEATED[language]
        else:
            fillers = _FILLERS * len(found) - (1 + _FILLERS) * sum(map(is_gram, found))
            yield chunk, language, [*found, *[FILLER] * max(0, fillers)]


class LexicalSearcher:
    """BM25 search in the lexical index of the store's generation."""

    def __init__(self, index: LexicalIndex, store: Store) -> None:
        self._index, self._store = index, store

    @cached_property
    def opened(self) -> Any:
        """The tantivy index, opened when it is first used; from then on its files may be deleted."""
        with _without_panics():
            return self._index.open(self._store)

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> list[tuple[int, float]]:
        """Rank chunks by the BM25 score of a query's terms.

        Args:
            query: The query, in words.
            k: The maximum number of chunks.
            allowed: The ids of the chunks that may be found; None for all.

        Returns:
            (chunk id, score) of each, best first.
        """
        if self.opened is None:
            return []
        counts = self.languages | {UNKNOWN: self._count_of(UNKNOWN)}
        queries = LexicalQueries(self.opened, {language: count for language, count in counts.items() if count})
        asked = queries.asked(query)
        found = None if asked.own is None or allowed is not None else self._by_language(asked.own, k)
        if found is None:
            found = self._run(asked.whole, k, allowed)
        return found or self._run(queries.alike(query), k, allowed)

    @cached_property
    def languages(self) -> dict[str, int]:
        """How many chunks there are in each language, ISO 639-1, where it could be told."""
        counts = {language: self._count_of(language) for language in sorted(LANGUAGES)}
        return {language: count for language, count in counts.items() if count}

    def may_hold(self, phrase: str) -> set[int]:
        """Find the chunks that contain every word of a phrase.

        Args:
            phrase: The phrase.

        Returns:
            The ids of the chunks, at most 10,000.
        """
        from tantivy import Occur, Query

        if self.opened is None:
            return set()
        schema, found = self.opened.schema, set[int]()
        for words in {frozenset(phrase_terms(phrase, language)) for language in [*self.languages, UNKNOWN]}:
            wanted = [(Occur.Must, Query.term_query(schema, "body", term, "freq")) for term in sorted(words)]
            found |= {chunk for chunk, _ in self._run(Query.boolean_query(wanted), MOST_WITH_PHRASE, None)}
        return found

    def in_languages(self, languages: Set[str], among: Set[int]) -> set[int]:
        """Find the chunks that are in some languages.

        Args:
            languages: The languages, ISO 639-1.
            among: The ids of the chunks to look at.

        Returns:
            The ids of those in one of the languages.
        """
        from tantivy import Occur, Query

        if self.opened is None:
            return set()
        each = [Query.term_query(self.opened.schema, "language", language, "basic") for language in languages]
        wanted = Query.boolean_query([(Occur.Should, query) for query in each])
        return {chunk for chunk, _ in self._run(wanted, len(among), among)}

    def _count_of(self, language: str) -> int:
        return 0 if self.opened is None else int(self.opened.searcher().doc_freq("language", language))

    def _by_language(self, own: OwnLanguage, k: int) -> list[tuple[int, float]] | None:
        """The same as for the whole query, three times as fast; None where others' passages leave too few of these."""
        hits = self._hits(own.wanted, 2 * k)
        codes = self.opened.searcher().fast_field_values("language_code", [address for _, address in hits])
        wanted = {language_code(language) for language in own.languages}
        its = [hit for hit, code in zip(hits, codes, strict=True) if code in wanted]
        if len(its) < k and len(hits) == 2 * k:
            return None
        return _best([*self._scored(its), *self._run(own.others, k, None)], k)

    def _run(self, wanted: Any, k: int, allowed: Set[int] | None) -> list[tuple[int, float]]:
        from tantivy import Occur, Query

        if allowed is not None:
            only = Query.const_score_query(Query.term_set_query(self.opened.schema, "chunk", list(allowed)), 0.0)
            wanted = Query.boolean_query([(Occur.Must, wanted), (Occur.Must, only)])
        return _best(self._scored(self._hits(wanted, k)), k)

    def _hits(self, wanted: Any, k: int) -> list[tuple[float, Any]]:
        searcher = self.opened.searcher()
        limit = max(1, min(k, searcher.num_docs))  # tantivy takes memory for so many at once
        with _without_panics():
            return list(searcher.search(wanted, limit, count=False).hits)

    def _scored(self, hits: Sequence[tuple[float, Any]]) -> Iterator[tuple[int, float]]:
        chunks = self.opened.searcher().fast_field_values("chunk", [address for _, address in hits])
        return ((int(chunk), float(score)) for chunk, (score, _) in zip(chunks, hits, strict=True))

    def idf(self, of: Iterable[str]) -> dict[str, float]:
        """Inverse document frequencies of terms over the chunks; see `idf_of`.

        Args:
            of: Terms.

        Returns:
            For each, its inverse document frequency; nothing for an index without chunks.
        """
        if self.opened is None:
            return {}
        searcher = self.opened.searcher()
        return idf_of({term: searcher.doc_freq("body", term) for term in of}, searcher.num_docs)

    def counts(self, of: Iterable[str]) -> dict[str, int]:
        """Count the chunks that contain terms; BM25 counts removed ones, too, until tantivy merges them away.

        Args:
            of: Terms.

        Returns:
            For each, the number of chunks.
        """
        from tantivy import Query

        if self.opened is None:
            return dict.fromkeys(of, 0)
        schema, searcher = self.opened.schema, self.opened.searcher()
        queries = {term: Query.term_query(schema, "body", term, "freq") for term in of}
        return {term: int(searcher.search(query, 1, count=True).count) for term, query in queries.items()}

    def count(self) -> int:
        """The number of chunks in the index."""
        return 0 if self.opened is None else int(self.opened.searcher().num_docs)


def _best(scored: Iterable[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(scored, key=lambda hit: (-hit[1], hit[0]))[:k]


@contextmanager
def _without_panics() -> Iterator[None]:
    """Raise an error that can be caught where tantivy panics over a damaged file."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from error


def _open(folder: HeldFolder) -> Any:
    """Open a tantivy index that does not watch its folder for a newer one."""
    from tantivy import Index

    # tantivy wants to make a lock file beside the files; they are mapped into memory by the time that it returns.
    if os.access(folder.path, os.W_OK) and not folder.is_exposed():
        return _without_watching(Index.open(str(folder.path)))
    with _links_to(folder) as elsewhere:
        return _without_watching(Index.open(str(elsewhere)))


@contextmanager
def _links_to(folder: HeldFolder) -> Iterator[Path]:
    """A temporary folder of links to a folder's files: tantivy goes by names, which may come to mean others."""
    temporary = TemporaryDirectory(prefix="longctx-", ignore_cleanup_errors=True)  # tantivy's threads may make a file
    with temporary as elsewhere, ExitStack() as opened:
        for name in _files(folder):
            file = opened.enter_context(folder.open(name))
            Path(elsewhere, name).symlink_to(opened.enter_context(reachable(file, folder.shown.absolute() / name)))
        yield Path(elsewhere)


@contextmanager
def _written_to(folder: HeldFolder) -> Iterator[Path]:
    """A path to a folder that tantivy writes to: where its name may come to mean another, what is written is copied."""
    if not folder.is_exposed():
        yield folder.path
        return
    with _links_to(folder) as elsewhere:
        yield elsewhere
        for name in {*_files(folder)} - {path.name for path in elsewhere.iterdir()}:  # merged into others
            folder.remove(name)
        for path in elsewhere.iterdir():
            if not path.is_symlink() and path.suffix != _LOCK:
                with path.open("rb") as file:
                    copy_into(file, path.name, folder)


def _without_watching(index: Any) -> Any:
    index.config_reader(reload_policy="manual")
    index.searcher()
    return index


def _write_changes(folder: HeldFolder, store: Store, after: int) -> None:
    """Bring the index in `folder`, which nobody reads yet, from generation `after` to the store's."""
    from tantivy import Document, Index

    with _written_to(folder) as path:
        writer = Index(_schema(), str(path)).writer(heap_size=_WRITER_HEAP, num_threads=1)
        try:
            for document_id in store.removals(after):
                writer.delete_documents_by_term("document", document_id)
            for document_id, _ in store.documents(after):
                for chunk, language, found in indexed_terms(store.chunks_of(document_id)):
                    body, code = " ".join(found), language_code(language)
                    writer.add_document(
                        Document(body=body, chunk=chunk.id, document=document_id, language=language, language_code=code)
                    )
            writer.commit()
            writer.wait_merging_threads()
        finally:
            del writer  # ends its threads, also after an error, which would keep it
    mode = file_mode(folder.path)
    for name in folder.names():  # who may read the folder may search; those of older generations have it already
        with suppress(PermissionError), folder.open(name) as file:
            os.fchmod(file.fileno(), mode)


def _files(folder: HeldFolder) -> list[str]:
    """An index's files, without tantivy's lock files."""
    return sorted(name for name in folder.names() if not name.endswith(_LOCK))


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    # The terms come ready, between spaces; without positions, since no query asks for a phrase.
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("language_code", fast=True)
    builder.add_integer_field("chunk", indexed=True, fast=True)
    builder.add_integer_field("document", indexed=True)
    return builder.build()
