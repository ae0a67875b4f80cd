"""The bodies of requests and responses, as far as they are not types of longctx's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from indexes import SearchFilter
from longctx.server.names import DocumentNames
from longctx.types import AskOptions, QuestionKind, RouteChoice, SearchMode


class RequestBody(BaseModel):
    """A request's body; unknown fields are refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Filters(RequestBody):
    """Which documents may be found.

    Attributes:
        documents: Names of documents, or patterns of names.
        titles: Titles, or patterns of titles.
        metadata: Metadata that a document must have.
        after: The first day, as "2026-11-23".
        before: The day after the last.
    """

    documents: list[str] = []
    titles: list[str] = []
    metadata: dict[str, str] = {}
    after: str | None = None
    before: str | None = None

    def filter(self, names: DocumentNames) -> SearchFilter | None:
        """The filter for a search. Raises NotThere and CorpusError."""
        if not (self.documents or self.titles or self.metadata or self.after or self.before):
            return None
        sources = tuple(each if set(each) & set("*?[") else names.source(each) for each in self.documents)
        return SearchFilter(sources, tuple(self.titles), self.metadata, self.after, self.before)


class AskFields(RequestBody):
    """How a question is to be answered; the default is what the server was started with. See `AskOptions`."""

    route: RouteChoice | None = None
    k: int | None = Field(default=None, ge=1, le=200)
    score_cutoff: float | None = Field(default=None, ge=0, le=1)
    max_new_tokens: int | None = Field(default=None, ge=1)
    system: str | None = None
    filters: Filters | None = None
    expand: int | None = Field(default=None, ge=0, le=50)
    mode: SearchMode | None = None
    kind: QuestionKind | None = None
    prompt_tokens: int | None = Field(default=None, ge=1)
    budget: float | None = Field(default=None, gt=0)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None

    def options(self, base: AskOptions, names: DocumentNames) -> AskOptions:
        """The options of a question. Raises BadRequest for what cannot be served."""
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in AskFields.model_fields
            if name in self.model_fields_set and getattr(self, name) is not None
        }
        if "filters" in given:
            given["filters"] = given["filters"].filter(names)
        if "stop" in given:
            given["stop"] = tuple(given["stop"])
        return base.updated(**given)


class AskBody(AskFields):
    """A question.

    Attributes:
        question: The question.
        conversation: The conversation that it is a turn of; None for none.
        stream: Whether the answer is sent as server-sent events.
    """

    question: str
    conversation: str | None = None
    stream: bool = True


class SearchBody(RequestBody):
    """A search.

    Attributes:
        query: What to look for.
        k: How many passages.
        mode: How to search.
        filters: Which documents may be found.
        expand: How many neighbours on either side each passage is widened by.
    """

    query: str
    k: int = Field(default=10, ge=1, le=200)
    mode: SearchMode = "hybrid"
    filters: Filters | None = None
    expand: int = Field(default=0, ge=0, le=50)


class NameBody(RequestBody):
    """A name for an index or a conversation."""

    name: str


class ServerView(BaseModel):
    """What clients may know about the server."""

    version: str
    model: str | None
    role: Literal["none", "read", "write"]
    can_create: bool
    suffixes: list[str]
    max_files: int
    max_upload: int
    max_size: int


class IndexView(BaseModel):
    """An index."""

    name: str
    documents: int
    chunks: int
    tokens: int
    encoder: str | None
    bytes: int


class DocumentView(BaseModel):
    """A document."""

    name: str
    title: str
    characters: int
    chunks: int
    tokens: int
    modified: str | None
    uploaded: bool
    is_pdf: bool


class TextView(BaseModel):
    """A document's text, or a part of it: its characters from `start` to `end`."""

    name: str
    title: str
    characters: int
    start: int
    end: int
    text: str


class HitView(BaseModel):
    """A passage that was found."""

    document: str
    title: str
    heading: str
    page: int | None
    line: int
    start: int
    end: int
    text: str
    score: float


class MarksView(BaseModel):
    """Where a passage stands on a page: rectangles as shares of the page's width and height."""

    pages: int
    rectangles: list[tuple[float, float, float, float]]
