"""The server's half of `longctx ask` through a server. Only requests over the socket are let in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from indexes import SearchFilter
from longctx.server.answers import Answering, ChatQuestion
from longctx.server.context import Context, Server
from longctx.server.errors import describe, error_response
from longctx.server.streams import EventResponse, until_gone
from longctx.types import AskOptions

router = APIRouter(include_in_schema=False)


class LocalQuestion(BaseModel):
    """A question of `longctx ask`, with the options that its flags and settings give; the others are the server's."""

    index: str
    question: str
    identity: dict[str, str | None]
    options: dict[str, Any]


@router.post("/local/ask")
async def ask(body: LocalQuestion, server: Server, request: Request) -> Response:
    """Answer as `longctx ask` would: sources are paths."""
    corpus = next((c for c in server.library.corpora.values() if c.index.path == Path(body.index)), None)
    if corpus is None or not _is_same(body.identity, server):
        return error_response(409, "this server has loaded something else", "not_this_one")
    question = ChatQuestion(body.question, _options(body.options, server.options.ask))
    answering = Answering(server.library, corpus, question, "local", server.metrics, raw=True)
    try:
        events = await until_gone(request, answering.begun())
    except BaseException:
        await answering.aclose()
        raise

    async def lines() -> AsyncIterator[str]:
        try:
            async for name, value in events:
                yield _line(name, value)
        except Exception as error:  # the status has been sent already
            yield _line("error", describe(error)[1]["error"]["message"])

    name = server.library.model.name
    headers = {} if name is None else {"x-longctx-model": name.encode("ascii", "replace").decode()}
    return EventResponse(lines(), answering.aclose, "application/x-ndjson", headers)


def _line(name: str, value: Any) -> str:
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return json.dumps([name, plain], ensure_ascii=False) + "\n"


def _is_same(wanted: dict[str, str | None], server: Context) -> bool:
    """Whether the server has what the user named; what was not named may be anything."""
    has = server.options.identity
    return all(has.get(name) == value for name, value in wanted.items() if value is not None)


def _options(given: dict[str, Any], base: AskOptions) -> AskOptions:
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    if "filters" in given:
        given["filters"] = SearchFilter(**given["filters"])
    return base.updated(**given)
