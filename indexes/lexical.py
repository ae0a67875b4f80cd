"""The lexical index: BM25 with tantivy over terms of our own, derived from the store.

A side file holds the generation that the index reflects. To catch up, every document that the store changed since is
taken out and put in again, which gives the same index however often it is done: a process killed between tantivy's
commit and the side file costs only time. Knows no vectors.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Set
from itertools import islice
from pathlib import Path
from typing import Any

from indexes.store import Store
from indexes.tokenize import ANALYSIS_VERSION, query_terms, terms

_WRITER_HEAP = 64_000_000  # bytes; tantivy writes a segment out when it is full
_LONGEST_QUERY = 256  # distinct terms
# tantivy's BM25 has k1 = 1.2. Each term of a passage put in r times makes that 1.2 / r and leaves the length
# normalisation (b = 0.75) as it is: a passage of some hundred words says a thing once or twice, and the second time
# means little. Recall at 1 and 5 on JSQuAD .929/.977 with r = 3, .926/.975 with 2, .919/.974 with 1; 4 is as good as 3.
# XQuAD's hybrid search at 1: .956 with 3, .955 with 1; BM25 alone loses there, .929 with 3 and .938 with 1.
_REPEATED = 3


class LexicalIndex:
    """The tantivy files in a folder, and the side file among them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._side_file = folder / "generation.json"
        self._index: Any = None
        self._searched = -1

    def generation(self) -> int:
        """The store's generation that the index reflects; -1 when there is no usable index."""
        try:
            state = json.loads(self._side_file.read_text())
            return int(state["generation"]) if state["analysis"] == ANALYSIS_VERSION else -1
        except (OSError, ValueError, KeyError, TypeError):
            return -1

    def sync(self, store: Store) -> None:
        """Catch up with the store; start afresh if the index is missing, damaged or ahead of the store."""
        generation = self.generation()
        if generation == store.generation():
            return
        if not 0 <= generation < store.generation() or not self._opens():
            self._start_afresh()
            generation = 0
        self._write_changes(store, generation)
        partial = self._side_file.with_suffix(".partial")
        partial.write_text(json.dumps({"generation": store.generation(), "analysis": ANALYSIS_VERSION}))
        partial.replace(self._side_file)

    def search(self, query: str, k: int, allowed: Set[int] | None = None) -> list[tuple[int, float]]:
        """The k chunk ids with the highest BM25 score for the query's terms, best first, with that score.

        Of those in `allowed`, if it is given.
        """
        from tantivy import Occur, Query

        generation = self.generation()
        if generation < 0:
            return []
        index = self._tantivy()
        if generation != self._searched:
            index.reload()
            self._searched = generation
        clauses = [
            (Occur.Should, Query.boost_query(Query.term_query(index.schema, "body", term, "freq"), weight))
            for term, weight in islice(query_terms(query).items(), _LONGEST_QUERY)
        ]
        searcher = index.searcher()
        wanted = Query.boolean_query(clauses)
        if allowed is not None:
            only = Query.const_score_query(Query.term_set_query(index.schema, "chunk", list(allowed)), 0.0)
            wanted = Query.boolean_query([(Occur.Must, wanted), (Occur.Must, only)])
        hits = searcher.search(wanted, max(1, k), count=False).hits
        found = [(int(searcher.doc(address)["chunk"][0]), float(score)) for score, address in hits]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def count(self) -> int:
        """How many chunks the index holds."""
        if self.generation() < 0:
            return 0
        index = self._tantivy()
        index.reload()
        return int(index.searcher().num_docs)

    def _write_changes(self, store: Store, generation: int) -> None:
        from tantivy import Document

        writer = self._tantivy().writer(heap_size=_WRITER_HEAP, num_threads=1)
        for document_id in store.removals(after=generation):
            writer.delete_documents_by_term("document", document_id)
        for document_id, _ in store.documents(after=generation):
            writer.delete_documents_by_term("document", document_id)
            for chunk in store.chunks_of(document_id):
                body = " ".join(terms(f"{chunk.title}\n{chunk.heading}\n{chunk.text}") * _REPEATED)
                writer.add_document(Document(body=body, chunk=chunk.id, document=document_id))
        writer.commit()
        writer.wait_merging_threads()

    def _tantivy(self) -> Any:
        from tantivy import Index

        if self._index is None:
            self._index = Index(_schema(), str(self._folder))
        return self._index

    def _opens(self) -> bool:
        try:
            self._tantivy()
        except (OSError, ValueError):
            return False
        return True

    def _start_afresh(self) -> None:
        self._index = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    # The terms come ready, between spaces; without positions, since no query asks for a phrase.
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("chunk", stored=True, indexed=True)
    builder.add_integer_field("document", indexed=True)
    return builder.build()
