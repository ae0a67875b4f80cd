"""What every route has at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from longctx.server.library import Corpus, Library
from longctx.server.metrics import Metrics
from longctx.server.options import ServerOptions


@dataclass(frozen=True, slots=True)
class Context:
    """The server, as its routes see it.

    Attributes:
        library: The indexes and the model.
        metrics: What is counted.
        options: How the server was started.
    """

    library: Library
    metrics: Metrics
    options: ServerOptions


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _corpus(index: str, request: Request) -> Corpus:
    return _context(request).library.find(index)


Server = Annotated[Context, Depends(_context)]
Index = Annotated[Corpus, Depends(_corpus)]
