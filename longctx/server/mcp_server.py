"""The indexes for MCP clients: tools that search, ask, read and list, and a resource for each document."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.types import Resource, ToolAnnotations
from pydantic import BaseModel, Field

from indexes import CorpusError
from longctx.errors import LongctxError
from longctx.server.answers import Answering, ChatQuestion
from longctx.server.api_asking import find_passages
from longctx.server.api_documents import list_documents, text_view
from longctx.server.context import Context
from longctx.server.errors import describe
from longctx.server.library import Corpus, Library, Model
from longctx.server.metrics import Metrics
from longctx.server.names import NotThere
from longctx.server.options import ServerOptions
from longctx.server.schemas import DocumentView, HitView, SearchBody, TextView
from longctx.server.turns import TooBusy
from longctx.types import RouteChoice
from longctx.version import __version__

_SCHEME = "longctx://"
_PAGE = 20_000  # characters that `read` returns, unless it is told
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_INSTRUCTIONS = (
    "These are the user's own documents. Use `search` for passages, `ask` for a finished answer with citations, `list` "
    "for what there is, and `read` for the text of a document. Cite a document by its name and its page or line."
)
IndexName = Annotated[str | None, Field(description="The index; leave it out for the first one.")]


class CitedPassage(BaseModel):
    """A passage that an answer cites: its number is the mark in the text."""

    number: int
    document: str
    title: str
    page: int | None
    line: int | None
    start: int
    end: int
    text: str


class AskResult(BaseModel):
    """An answer. A mark such as [1] in the text refers to the citation of that number."""

    text: str
    citations: list[CitedPassage]
    route: str | None
    refused: bool


class IndexListing(BaseModel):
    """The documents of an index."""

    index: str
    documents: list[DocumentView]


def create_mcp(server: Context) -> MCPServer[Any]:
    """Make an MCP server over the indexes of a library.

    Args:
        server: The library, and what is counted.

    Returns:
        The server, to be run over standard input and output or HTTP.
    """
    mcp = _Documents(server)
    tools = _Tools(server)
    for tool, title in ((tools.search, "Search"), (tools.ask, "Ask"), (tools.read, "Read"), (tools.list, "List")):
        mcp.add_tool(tool, title=title, annotations=_READS)
    mcp.resource(f"{_SCHEME}{{index}}/{{+document}}", name="document", mime_type="text/plain")(tools.resource)
    return mcp


class _Documents(MCPServer[Any]):
    """Lists the documents as they are now: they come and go."""

    def __init__(self, server: Context) -> None:
        super().__init__("longctx", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING")
        self._server = server

    async def list_resources(self) -> list[Resource]:
        """A resource for each document."""
        return [
            Resource(
                uri=f"{_SCHEME}{quote(corpus.name)}/{quote(each.name)}",
                name=each.name,
                title=each.title,
                mime_type="text/plain",
            )
            for corpus in self._server.library.corpora.values()
            for each in await list_documents(corpus)
        ]


class _Tools:
    """The tools. Their docstrings are what a model reads of them."""

    def __init__(self, server: Context) -> None:
        self._server = server

    async def search(
        self,
        query: Annotated[str, Field(description="What to look for, in words.")],
        k: Annotated[int, Field(ge=1, le=50, description="How many passages.")] = 8,
        index: IndexName = None,
    ) -> list[HitView]:
        """Find the passages in the user's documents that bear on a query, best first."""
        corpus = self._find(index)
        with _explained():
            return await find_passages(corpus, SearchBody(query=query, k=k), self._server)

    async def ask(
        self,
        question: Annotated[str, Field(description="A question in full, in English or Japanese.")],
        route: Annotated[RouteChoice | None, Field(description="How to answer; leave it out.")] = None,
        index: IndexName = None,
    ) -> AskResult:
        """Answer a question from the user's documents, with citations that have been checked."""
        corpus = self._find(index)
        with _explained():
            options = self._server.options.ask
            asked = ChatQuestion(question, options if route is None else options.updated(route=route))
            answer = await Answering(self._server.library, corpus, asked, "mcp", self._server.metrics).answer()
        names = set(CitedPassage.model_fields) - {"document"}
        citations = [
            CitedPassage(document=c.source, **{name: getattr(c, name) for name in names}) for c in answer.citations
        ]
        route_used = None if answer.plan is None else answer.plan.route
        return AskResult(text=answer.text, citations=citations, route=route_used, refused=answer.refused)

    async def read(
        self,
        document: Annotated[str, Field(description="The document's name, as `list` and `search` have it.")],
        start: Annotated[int, Field(ge=0, description="The first character.")] = 0,
        end: Annotated[int | None, Field(ge=0, description="The character after the last.")] = None,
        index: IndexName = None,
    ) -> TextView:
        """Read a document's text, or its characters from `start` to `end`; 20,000 of them where no end is given."""
        corpus = self._find(index)
        with _explained():
            return await corpus.qa.read(lambda: _part(corpus, document, start, end))

    async def list(self, index: IndexName = None) -> list[IndexListing]:
        """List the user's documents: of one index, or of all."""
        corpora = [self._find(index)] if index else self._server.library.corpora.values()
        return [IndexListing(index=corpus.name, documents=await list_documents(corpus)) for corpus in corpora]

    async def resource(self, index: str, document: str) -> str:
        """The text of a document."""
        try:
            corpus = self._server.library.find(unquote(index))
            return (await corpus.qa.read(lambda: text_view(corpus, unquote(document), 0, None))).text
        except NotThere as error:
            raise ResourceNotFoundError(_message(error)) from error
        except (LongctxError, CorpusError) as error:
            raise ResourceError(_message(error)) from error

    def _find(self, index: str | None) -> Corpus:
        with _explained():
            return self._server.library.find(index)


class _explained:  # noqa: N801
    """Turns the errors that a caller can mend into what its model reads."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, LongctxError | CorpusError | TooBusy):
            raise ToolError(_message(error)) from error


def _part(corpus: Corpus, document: str, start: int, end: int | None) -> TextView:
    return text_view(corpus, document, start, start + _PAGE if end is None else end)


def _message(error: Exception) -> str:
    return str(describe(error)[1]["error"]["message"])


def serve_mcp(paths: list[Path], model: Model, options: ServerOptions) -> None:
    """Offer indexes to an MCP client over standard input and output, until it closes them.

    Args:
        paths: The folders of the indexes; those that do not exist are made.
        model: What answers.
        options: How much is taken, and the options of questions.
    """

    async def run() -> None:
        library = Library(paths, model, options)
        await library.open()
        try:
            await create_mcp(Context(library, Metrics(), options)).run_stdio_async()
        finally:
            await library.close()

    asyncio.run(run())
