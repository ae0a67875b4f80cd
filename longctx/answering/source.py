"""What answers are made from: an index, or a llama-index retriever; and what only an index can do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Protocol

from indexes import Chunk, DocumentInfo, Encoder, SearchFilter, SearchHit
from longctx.errors import BadRequest
from longctx.planning import Policy
from longctx.types import QuestionRequest


class Passages(Protocol):
    """What is read for one question; the methods are those of `indexes.Snapshot`."""

    @property
    def passages_only(self) -> bool:
        """Whether whole documents cannot be read."""

    @property
    def own_scores(self) -> bool:
        """Whether hits have scores of the index; see `Snapshot.own_scores`."""

    @property
    def encoder(self) -> Encoder:
        """Compares sentences with a question."""

    def search(
        self, query: str, k: int = ..., mode: str = ..., *, filters: SearchFilter | None = ..., expand: int = ...
    ) -> list[SearchHit]:
        """Find passages; see `Snapshot.search`."""

    def similarity(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Compare texts with a query; see `Snapshot.similarity`."""

    def languages(self) -> dict[str, int]:
        """List the languages of the passages; see `Snapshot.languages`."""

    def language_of(self, query: str) -> str | None:
        """Tell which of these a query is in; see `Snapshot.language_of`."""

    def content_idf(self, text: str, language: str = ...) -> dict[str, float]:
        """Weigh the content words of a text; see `Snapshot.content_idf`."""

    def documents(self, filters: SearchFilter | None = ...) -> list[DocumentInfo]:
        """List documents that can be read whole; see `Snapshot.documents`."""

    def chunks(self, filters: SearchFilter | None = ...) -> list[Chunk]:
        """List their passages; see `Snapshot.chunks`."""

    def chunks_by_id(self, ids: Sequence[int], filters: SearchFilter | None = ...) -> dict[int, Chunk]:
        """Read passages by their ids; see `Snapshot.chunks_by_id`."""

    def neighbours(self, chunk: Chunk, count: int) -> tuple[list[Chunk], list[Chunk]]:
        """Read the passages around one; see `Snapshot.neighbours`."""


class Source(Protocol):
    """Where passages come from: a `CorpusIndex`, or a llama-index retriever."""

    @property
    def passages_only(self) -> bool:
        """Whether whole documents cannot be read."""

    @property
    def encoder(self) -> Encoder:
        """Compares sentences with a question."""

    def snapshot(self) -> AbstractContextManager[Passages]:
        """Read for one question."""

    def close(self) -> None:
        """Close it."""


def check_found(snapshot: Passages, hits: Sequence[SearchHit], filters: SearchFilter | None) -> None:
    """Check that there is a document that filters allow: a model without one would make an answer up.

    Args:
        snapshot: Where was searched.
        hits: What was found.
        filters: Which documents may be found; None for all.

    Raises:
        BadRequest: If they allow none.
    """
    if filters is None or hits or snapshot.documents(filters):
        return
    given = {field.name: getattr(filters, field.name) for field in fields(filters)}
    stated = ", ".join(
        f"{name} {' or '.join(value) if isinstance(value, tuple) else value}" for name, value in given.items() if value
    )
    raise BadRequest(f"no document fits the filter ({stated}): `longctx index list` shows what there is")


def check_source(source: Source, request: QuestionRequest, policy: Policy) -> None:
    """Check that a source can do what a question asks of it.

    Args:
        source: Where passages come from.
        request: The question with its options.
        policy: What applies where the options do not say.

    Raises:
        BadRequest: If only an index could: for a route that reads whole documents, filters, a mode or neighbours.
    """
    if not source.passages_only:
        return
    options = request.options
    route = options.route or policy.route
    if route not in ("auto", "retrieval"):
        raise BadRequest(
            f"route is {route!r}, and a retriever gives passages, not whole documents: use auto or retrieval"
        )
    asked = {"filters": options.filters, "mode": options.mode, "expand": max(options.expand, policy.expand)}
    for (name, value), without in zip(asked.items(), (None, "hybrid", 0), strict=True):
        if value != without:
            raise BadRequest(f"{name} is {value!r}, which a retriever cannot apply: set it up in the retriever itself")
