"""A collection of Milvus: its address, its rows, and what is noted beside it.

Milvus has no place for the counts that BM25 needs, so a second collection, NAME_terms, has a row for each term: in how
many passages it is. Its row 0 is a note on the whole.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection as Ids
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from indexes.errors import CorpusError, extra
from indexes.milvus.fields import LONGEST, Note, make, passage_fields, term_fields
from indexes.text import on_one_line

PREFIX = "milvus:"
AT_ONCE = 200  # rows in a request
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
_TIMEOUT = 60.0  # seconds for a request
_GRPC = {"grpc.keepalive_time_ms": 300_000}  # pymilvus pings every 10 s, which Milvus Lite takes for an attack

Row = dict[str, Any]


class Collection:
    """A collection of Milvus, which need not exist yet. Close it, or use it in a `with` statement.

    Args:
        address: "milvus:" and the file of Milvus Lite or the URL of a server; behind "#" the name of the collection,
            "longctx" without one. A server's token, or user:password, is in the environment's MILVUS_TOKEN.

    Attributes:
        shown: The address, for messages.
        name: The name of the collection.

    Raises:
        CorpusError: If the address is none, the extra is not installed, or no server answers.
    """

    def __init__(self, address: str) -> None:
        uri, _, name = address.removeprefix(PREFIX).partition("#")
        self.shown, self.name = address, name or "longctx"
        self._terms = f"{self.name}_terms"
        self._loaded = set[str]()
        if not address.startswith(PREFIX) or not uri or not _NAME.fullmatch(self.name):
            raise CorpusError(
                f"{address!r} is no collection: write milvus:FILE.db or milvus:http://host:19530, and behind # a name "
                "of letters, digits and _"
            )
        if "@" in urlsplit(uri).netloc:
            raise CorpusError("the address holds a password: put user:password into the environment's MILVUS_TOKEN")
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise CorpusError(f"Milvus needs {extra('milvus')}") from error
        for chatty in ("pymilvus", "grpc._server"):  # they print the tracebacks of what is raised here, too
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        with self._explained():
            token = os.environ.get("MILVUS_TOKEN", "")
            self._client = MilvusClient(uri, token=token, timeout=_TIMEOUT, grpc_options=_GRPC)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def note(self) -> Note | None:
        """What is noted of the collection; None where there is no such collection yet."""
        with self._explained():
            if not self._client.has_collection(self.name):
                return None
            self._load(self.name, self._terms)
            rows = self._client.has_collection(self._terms) and self._client.get(
                self._terms, [0], output_fields=["term"]
            )
            if not rows:
                raise CorpusError(
                    f"{self.shown} is a collection that longctx did not make: give another name behind #, as in "
                    f"{PREFIX}{self.shown.removeprefix(PREFIX).partition('#')[0]}#passages"
                )
            return Note.parse(rows[0]["term"], self.shown)

    def _load(self, *names: str) -> None:
        """Have collections loaded for searches, once: a server that was started again has not."""
        for name in set(names) - self._loaded:
            if self._client.has_collection(name):
                self._client.load_collection(name)
                self._loaded.add(name)

    def set_note(self, note: Note) -> None:
        """Note something of the collection.

        Args:
            note: What to note.
        """
        self.set_terms([(0, json.dumps(asdict(note)), note.passages)])

    def create(self, dimension: int, note: Note) -> None:
        """Make the collection.

        Args:
            dimension: The dimension of its vectors.
            note: What to note of it.
        """
        with self._explained():
            make(self._client, self._terms, term_fields())
            self.set_note(note)
            make(self._client, self.name, passage_fields(dimension))

    def put(self, rows: Sequence[Row]) -> None:
        """Put rows into the collection, in place of those with the same ids.

        Args:
            rows: The rows.

        Raises:
            CorpusError: If a text is too long for Milvus.
        """
        for row in rows:
            if long := [name for name in row if isinstance(row[name], str) and len(row[name].encode()) > LONGEST]:
                raise CorpusError(
                    f"{row['source']}: the {long[0]} of a passage is longer than the {LONGEST:,} bytes that Milvus "
                    "takes: ingest with a smaller --chunk-tokens"
                )
        self._put(self.name, rows)

    def set_terms(self, counts: Iterable[tuple[int, str, int]]) -> None:
        """Note in how many passages terms are.

        Args:
            counts: The id, the text and the number of each.
        """
        rows = [{"id": i, "term": term, "count": count, "dense": [1.0, 0.0]} for i, term, count in counts]
        self._put(self._terms, rows)

    def _put(self, name: str, rows: Sequence[Row]) -> None:
        with self._explained():
            for first in range(0, len(rows), AT_ONCE):
                self._client.upsert(name, list(rows[first : first + AT_ONCE]))

    def delete(self, condition: str) -> None:
        """Delete rows.

        Args:
            condition: What they meet.
        """
        with self._explained():
            self._client.delete(self.name, filter=condition)

    def rows(self, condition: str, fields: Sequence[str]) -> Iterator[Row]:
        """Read all rows that meet a condition.

        Args:
            condition: The condition, as Milvus writes them.
            fields: The fields to read.

        Yields:
            The rows, in no particular order.
        """
        with self._explained():
            found = self._client.query_iterator(
                self.name, filter=condition, output_fields=list(fields), batch_size=1_000
            )
            while batch := found.next():
                yield from batch
            found.close()

    def get(self, ids: Ids[int], fields: Sequence[str]) -> list[Row]:
        """Read rows by their ids.

        Args:
            ids: The ids.
            fields: The fields to read.

        Returns:
            The rows that there are.
        """
        with self._explained():
            return list(self._client.get(self.name, sorted(ids), output_fields=list(fields))) if ids else []

    def terms(self, ids: Ids[int]) -> dict[int, tuple[str, int]]:
        """Read what is noted of terms.

        Args:
            ids: Their ids.

        Returns:
            The text of each that is known, and in how many passages it is.
        """
        with self._explained():
            rows = self._client.get(self._terms, sorted(ids), output_fields=["term", "count"]) if ids else []
            return {row["id"]: (row["term"], row["count"]) for row in rows}

    def count(self, condition: str) -> int:
        """Count rows.

        Args:
            condition: What they meet; empty for all.

        Returns:
            Their number.
        """
        with self._explained():
            return int(self._client.query(self.name, filter=condition, output_fields=["count(*)"])[0]["count(*)"])

    def search(self, by: str, vector: object, k: int, condition: str) -> list[tuple[int, float]]:
        """Search the collection.

        Args:
            by: The field to search: "dense" or "sparse".
            vector: The vector of the query.
            k: The maximum number of rows.
            condition: What the rows have to meet; empty for all.

        Returns:
            (id, inner product) of each, best first.
        """
        with self._explained():
            [hits] = self._client.search(self.name, [vector], condition, limit=k, anns_field=by)
        return sorted(((hit["id"], float(hit["distance"])) for hit in hits), key=lambda hit: (-hit[1], hit[0]))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise CorpusError, in one line, for what Milvus and its client raise."""
        try:
            yield
        except CorpusError:
            raise
        except Exception as error:
            said = on_one_line(str(getattr(error, "message", "")) or f"{type(error).__name__}: {error}")
            raise CorpusError(f"{self.shown}: Milvus says: {said:.300}") from error
