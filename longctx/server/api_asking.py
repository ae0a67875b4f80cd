"""`/api/v1`: searches, questions, conversations and estimates."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, is_dataclass, replace
from typing import Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from longctx.conversation import Conversation, ConversationInfo
from longctx.errors import BadRequest
from longctx.models import MemoryEstimate, Quantization, estimate_model, parse_bytes
from longctx.server.answers import Answering, ChatQuestion
from longctx.server.context import Context, Index, Server
from longctx.server.errors import describe
from longctx.server.library import Corpus
from longctx.server.schemas import AskBody, HitView, NameBody, SearchBody
from longctx.server.security import state
from longctx.server.streams import EventResponse, event, until_gone
from longctx.server.tracing import span
from longctx.types import Answer, QuestionRequest, Turn

router = APIRouter(prefix="/api/v1")


@router.post("/indexes/{index}/search")
async def search(corpus: Index, body: SearchBody, server: Server) -> list[HitView]:
    """Passages that bear on a query, best first."""
    return await find_passages(corpus, body, server)


async def find_passages(corpus: Corpus, body: SearchBody, server: Context) -> list[HitView]:
    """Search an index.

    Args:
        corpus: The index.
        body: What to look for.
        server: Counts the search.

    Returns:
        The passages, best first.
    """

    def find() -> list[HitView]:
        filters = None if body.filters is None else body.filters.filter(corpus.names)
        hits = corpus.index.search(body.query, body.k, body.mode, filters=filters, expand=body.expand)
        return [
            HitView(
                document=corpus.names.of(hit.chunk.source),
                score=hit.score,
                **{
                    name: getattr(hit.chunk, name) for name in HitView.model_fields if name not in ("document", "score")
                },
            )
            for hit in hits
        ]

    began = time.monotonic()
    with span("longctx.search", {"longctx.index": corpus.name, "longctx.mode": body.mode}):
        found = await corpus.qa.read(find)
    server.metrics.search.observe(time.monotonic() - began)
    return found


@router.post("/indexes/{index}/ask", response_model=Answer)
async def ask(corpus: Index, body: AskBody, server: Server, request: Request) -> Any:
    """Answer a question: as server-sent events, or with `"stream": false` as one object.

    The events are `queued` (how many come before), `progress` (tokens of the prompt that are read), `plan`, `piece`
    (text), `answer` (the whole, with citations), `error`.

    Returns:
        The events, or the answer.
    """
    options = body.options(server.options.ask, corpus.names)
    QuestionRequest(body.question, options)  # refuses an empty question before a stream has its status
    question = ChatQuestion(body.question, options, conversation=body.conversation)
    answering = Answering(server.library, corpus, question, state(request.scope)["client"], server.metrics)
    if body.stream:
        return EventResponse(_events(answering), answering.aclose)
    try:
        return await until_gone(request, answering.answer())
    finally:
        await answering.aclose()


async def _events(answering: Answering) -> AsyncIterator[str]:
    try:
        async for name, value in answering.events():
            yield event(plain(value), name)
    except Exception as error:  # the status has been sent already
        yield event(describe(error)[1], "error")


def plain(value: Any) -> Any:
    """A value for JSON.

    Args:
        value: A dataclass, a text or a number.

    Returns:
        An object; a text or a number stands in one, under `text` or `value`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return {"text": value} if isinstance(value, str) else {"value": value}


@router.get("/indexes/{index}/conversations")
async def list_conversations(corpus: Index) -> list[ConversationInfo]:
    """The conversations about an index, the last one first."""
    return await corpus.qa.read(corpus.conversations.all)


@router.post("/indexes/{index}/conversations", status_code=201)
async def name_conversation(corpus: Index, body: NameBody) -> NameBody:
    """Find a free name for a new conversation, which begins with its first question."""
    return NameBody(name=await corpus.qa.read(lambda: corpus.conversations.free_name(body.name)))


@router.get("/indexes/{index}/conversations/{name}")
async def show_conversation(corpus: Index, name: str) -> list[Turn]:
    """The turns of a conversation, oldest first."""
    return await corpus.qa.read(lambda: _turns(corpus, name))


@router.patch("/indexes/{index}/conversations/{name}")
async def rename_conversation(corpus: Index, name: str, body: NameBody) -> NameBody:
    """Rename a conversation."""
    await corpus.qa.read(lambda: corpus.conversations.rename(name, body.name))
    return body


@router.delete("/indexes/{index}/conversations/{name}", status_code=204)
async def delete_conversation(corpus: Index, name: str) -> None:
    """Delete a conversation."""
    await corpus.qa.read(lambda: corpus.conversations.delete(name))


@router.get("/indexes/{index}/conversations/{name}/export")
async def export_conversation(corpus: Index, name: str, format: Literal["markdown", "json"] = "markdown") -> Response:  # noqa: A002
    """A conversation as a file."""
    turns = await corpus.qa.read(lambda: _turns(corpus, name))
    if format == "json":
        text = json.dumps([asdict(turn) for turn in turns], ensure_ascii=False, indent=2)
        return Response(text, media_type="application/json", headers={"content-disposition": "attachment"})
    return Response(
        "\n".join([f"# {name}", *map(_as_markdown, turns)]),
        media_type="text/markdown; charset=utf-8",
        headers={"content-disposition": "attachment"},
    )


@router.get("/estimate")
async def estimate(
    server: Server,
    model: str | None = None,
    context: int | None = None,
    quantization: Quantization | None = None,
    memory: str | None = None,
) -> MemoryEstimate:
    """What a model and prompts of several lengths take: the model that answers, or one named like `llama-2-7b`."""
    loaded_from = server.options.identity.get("model")
    if model is None or model == server.library.model.name:
        if loaded_from is None:
            raise BadRequest("the server has no model: name one, such as llama-2-7b")
        model = loaded_from
    elif not model.startswith(("llama-", "code-llama-")) or "/" in model:
        raise BadRequest(f"model is {model[:100]!r}: use a name such as llama-2-7b, or leave it out for the server's")
    available = None if memory is None else parse_bytes(memory)
    name = model
    sizing = await anyio.to_thread.run_sync(lambda: estimate_model(name, context, quantization, "model", available))
    return replace(sizing, name=sizing.name.rstrip("/").rsplit("/", 1)[-1])


def _turns(corpus: Corpus, name: str) -> list[Turn]:
    path = corpus.conversations.find(name)
    with Conversation.open(corpus.qa.qa, path.stem, folder=path.parent) as conversation:
        turns = conversation.turns
    return [Turn(t.number, t.question, corpus.names.answer(t.answer), t.asked_at) for t in turns]


def _as_markdown(turn: Turn) -> str:
    sources = [
        f"- [{c.number}] {c.source}, {f'page {c.page}' if c.page is not None else f'line {c.line}'}, "
        f"characters {c.start}-{c.end}"
        for c in turn.answer.citations
    ]
    asked = "\n".join(f"> {line}" for line in turn.question.splitlines())
    return "\n".join([f"\n## {turn.number}. {turn.asked_at}\n", asked, "", turn.answer.text, "", *sources])
