"""The indexes for MCP clients: tools that search, ask, read and list, and a resource for each document.

Nothing heavy is imported at the start: clients wait a minute for a server's first word, and a model may take longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.types import Resource, ToolAnnotations
from pydantic import BaseModel, Field

from indexes import CorpusError
from longctx.errors import LongctxError
from longctx.server.errors import describe
from longctx.server.metrics import Metrics
from longctx.server.names import NotThere
from longctx.server.schemas import DocumentView, HitView, SearchBody, TextView
from longctx.server.turns import TooBusy
from longctx.types import RouteChoice
from longctx.version import __version__

if TYPE_CHECKING:
    from longctx.server.context import Context
    from longctx.server.library import Model
    from longctx.server.options import ServerOptions

_LOG = logging.getLogger("longctx.server")
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

    async def ready() -> Context:
        return server

    return _create(ready)


def _create(ready: Callable[[], Awaitable[Context]]) -> MCPServer[Any]:
    mcp = _Documents(ready)
    tools = _Tools(ready)
    for tool, title in ((tools.search, "Search"), (tools.ask, "Ask"), (tools.read, "Read"), (tools.list, "List")):
        mcp.add_tool(tool, title=title, annotations=_READS)
    mcp.resource(f"{_SCHEME}{{index}}/{{+document}}", name="document", mime_type="text/plain")(tools.resource)
    return mcp


class _Documents(MCPServer[Any]):
    """Lists the documents as they are now: they come and go."""

    def __init__(self, ready: Callable[[], Awaitable[Context]]) -> None:
        super().__init__("longctx", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING")
        self._ready = ready

    async def list_resources(self) -> list[Resource]:
        """A resource for each document."""
        from longctx.server.api_documents import list_documents

        return [
            Resource(
                uri=f"{_SCHEME}{quote(corpus.name)}/{quote(each.name)}",
                name=each.name,
                title=each.title,
                mime_type="text/plain",
            )
            for corpus in (await self._ready()).library.corpora.values()
            for each in await list_documents(corpus)
        ]


class _Tools:
    """The tools. Their docstrings are what a model reads of them."""

    def __init__(self, ready: Callable[[], Awaitable[Context]]) -> None:
        self._ready = ready

    async def search(
        self,
        query: Annotated[str, Field(description="What to look for, in words.")],
        k: Annotated[int, Field(ge=1, le=50, description="How many passages.")] = 8,
        index: IndexName = None,
    ) -> list[HitView]:
        """Find the passages in the user's documents that bear on a query, best first."""
        with _explained():
            server = await self._ready()
            from longctx.server.api_asking import find_passages

            return await find_passages(server.library.find(index), SearchBody(query=query, k=k), server)

    async def ask(
        self,
        question: Annotated[str, Field(description="A question in full, in English or Japanese.")],
        route: Annotated[RouteChoice | None, Field(description="How to answer; leave it out.")] = None,
        index: IndexName = None,
    ) -> AskResult:
        """Answer a question from the user's documents, with citations that have been checked."""
        with _explained():
            server = await self._ready()
            from longctx.server.answers import Answering, ChatQuestion

            corpus, options = server.library.find(index), server.options.ask
            asked = ChatQuestion(question, options if route is None else options.updated(route=route))
            answer = await Answering(server.library, corpus, asked, "mcp", server.metrics).answer()
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
        with _explained():
            corpus = (await self._ready()).library.find(index)
            from longctx.server.api_documents import text_view

            last = start + _PAGE if end is None else end
            return await corpus.qa.read(lambda: text_view(corpus, document, start, last))

    async def list(self, index: IndexName = None) -> list[IndexListing]:
        """List the user's documents: of one index, or of all."""
        with _explained():
            library = (await self._ready()).library
            corpora = [library.find(index)] if index else [*library.corpora.values()]
        from longctx.server.api_documents import list_documents

        return [IndexListing(index=corpus.name, documents=await list_documents(corpus)) for corpus in corpora]

    async def resource(self, index: str, document: str) -> str:
        """The text of a document."""
        try:
            corpus = (await self._ready()).library.find(unquote(index))
            from longctx.server.api_documents import text_view

            return (await corpus.qa.read(lambda: text_view(corpus, unquote(document), 0, None))).text
        except NotThere as error:
            raise ResourceNotFoundError(_message(error)) from error
        except (LongctxError, CorpusError) as error:
            raise ResourceError(_message(error)) from error


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors that the caller can correct into messages for its model."""
    try:
        yield
    except (LongctxError, CorpusError, TooBusy) as error:
        raise ToolError(_message(error)) from error


def _message(error: Exception) -> str:
    return str(describe(error)[1]["error"]["message"])


def serve_mcp(paths: Sequence[Path | str], load: Callable[[], Model], options: ServerOptions) -> None:
    """Offer indexes to an MCP client over standard input and output, until it closes them.

    The client is answered at once; its first call waits until the model is loaded, and is told if it cannot be.

    Args:
        paths: The folders of the indexes, or their addresses in databases; those that do not exist are made.
        load: Loads what answers; called in a thread.
        options: How much is taken, and the options of questions.
    """

    async def opened() -> Context:
        try:
            model = await anyio.to_thread.run_sync(load)
            from longctx.server.context import Context
            from longctx.server.library import Library

            library = Library(paths, model, options)
            await library.open()
            return Context(library, Metrics(), options)
        except (LongctxError, CorpusError) as error:
            _LOG.error("longctx: %s", error)
            raise

    async def run() -> None:
        opening = asyncio.create_task(opened())
        try:
            await _create(lambda: asyncio.shield(opening)).run_stdio_async()
        finally:
            await (await opening).library.close()

    asyncio.run(run())
