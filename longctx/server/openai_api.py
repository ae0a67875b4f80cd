"""`/v1`: OpenAI's protocol. Each index is a model, `longctx/NAME`, and the language model itself is one more."""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from longctx.errors import BadRequest
from longctx.server.answers import Answering, ChatQuestion
from longctx.server.context import Context, Server
from longctx.server.errors import describe, error_response
from longctx.server.library import Corpus
from longctx.server.names import NotThere
from longctx.server.openai_schemas import ChatBody, EmbeddingsBody
from longctx.server.security import state
from longctx.server.streams import EventResponse, event, until_gone
from longctx.types import Answer, Usage

router = APIRouter(prefix="/v1")

_PREFIX = "longctx/"
_MARK = re.compile(r"\[(\d+)\]")
_MOST_INPUTS = 2048


@router.get("/models")
async def list_models(server: Server) -> dict[str, Any]:
    """The models: one for each index, and the language model by itself."""
    return {"object": "list", "data": [_model(name) for name in _names(server)]}


@router.get("/models/{name:path}")
async def show_model(name: str, server: Server) -> Response:
    """A model."""
    if name not in _names(server):
        return error_response(
            404, f"there is no model {name[:100]!r}: use {', '.join(_names(server))}", "model_not_found"
        )
    return JSONResponse(_model(name))


@router.post("/chat/completions")
async def complete(body: ChatBody, server: Server, request: Request) -> Response:
    """Answer the last message from an index, with citations as annotations; or let the model itself reply."""
    base = str(request.base_url)
    return await answer_chat(body, server, request, lambda corpus, most: _Completion(body, corpus, most, base))


@router.post("/embeddings")
async def embed(body: EmbeddingsBody, server: Server) -> Response:
    """Embed texts with the encoder of an index."""
    corpus, alone = _choose(body.model, server)
    if alone:
        raise BadRequest(f"{body.model} embeds nothing: name an index, such as {_names(server)[0]}")
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequest("the input has no text, or tokens: send texts (LangChain: check_embedding_ctx_length=False)")
    if len(texts) > _MOST_INPUTS:
        raise BadRequest(f"the input has {len(texts):,} texts: send {_MOST_INPUTS:,} at most")
    vectors, tokens = await corpus.qa.read(lambda: _embedded(corpus, [str(text) for text in texts]))
    if body.dimensions not in (None, vectors.shape[1]):
        raise BadRequest(f"dimensions is {body.dimensions}: the encoder makes {vectors.shape[1]}")
    data = [
        {"object": "embedding", "index": number, "embedding": _encoded(row, body.encoding_format)}
        for number, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})


class WrittenAnswer(Protocol):
    """An answer as a protocol writes it, whole or in events."""

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The body of a response."""

    def chunks(self, events: AsyncGenerator[Any, None]) -> AsyncIterator[str]:
        """Server-sent events, of those that `Answering.begun` gives."""


async def answer_chat(
    body: ChatBody, server: Context, request: Request, written: Callable[[Corpus, int], WrittenAnswer]
) -> Response:
    """Answer the last message of a chat.

    Args:
        body: The request.
        server: The server.
        request: Its HTTP request, whose client may go.
        written: Makes what writes the answer, from the index and the longest answer in tokens.

    Returns:
        The response, or a stream of events.
    """
    body.check()
    corpus, alone = _choose(body.model, server)
    text, history = body.question()
    options = body.fields().options(server.options.ask, corpus.names)
    question = ChatQuestion(text, options, history or None, alone=alone)
    answering = Answering(server.library, corpus, question, state(request.scope)["client"], server.metrics)
    form = written(corpus, options.max_new_tokens)
    try:
        if not body.stream:
            return JSONResponse(form.whole(await until_gone(request, answering.answer())))
        events = await until_gone(request, answering.begun())  # what cannot be served gets a status of its own
    except BaseException:
        await answering.aclose()
        raise
    return EventResponse(form.chunks(events), answering.aclose)


class _Completion:
    """A chat completion, whole or in chunks."""

    def __init__(self, body: ChatBody, corpus: Corpus, most: int, base: str) -> None:
        self._body, self._corpus, self._most, self._base = body, corpus, most, base
        self._common = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}

    def whole(self, answer: Answer) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": self._annotations(answer),
        }
        choice = {"index": 0, "message": message, "finish_reason": self._finish(answer), "logprobs": None}
        return self._common | {
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(answer.usage),
            "longctx": extension(answer),
        }

    async def chunks(self, events: AsyncGenerator[Any, None]) -> AsyncIterator[str]:
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async for name, value in events:
                if name == "piece":
                    yield self._chunk({"content": value})
            yield self._chunk({"annotations": self._annotations(value)}, longctx=extension(value))
            yield self._chunk({}, finish=self._finish(value))
            if self._body.stream_options is not None and self._body.stream_options.include_usage:
                last = self._common | {"object": "chat.completion.chunk", "choices": [], "usage": _usage(value.usage)}
                yield event(last)
            yield event("[DONE]")
        except Exception as error:  # the status has been sent already
            yield event(describe(error)[1])

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return event(self._common | {"object": "chat.completion.chunk", "choices": [choice]} | more)

    def _finish(self, answer: Answer) -> str:
        return "length" if answer.usage.completion_tokens >= self._most else "stop"

    def _annotations(self, answer: Answer) -> list[dict[str, Any]]:
        return mark_annotations(answer, self._corpus.name, self._base)


def mark_annotations(answer: Answer, index: str, base: str) -> list[dict[str, Any]]:
    """One annotation for each mark in an answer's text; its URL, under `base`, is that of the passage."""
    cited = {citation.number: citation for citation in answer.citations}
    found = [(mark, cited[int(mark[1])]) for mark in _MARK.finditer(answer.text) if int(mark[1]) in cited]
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": mark.start(),
                "end_index": mark.end(),
                "title": passage.title or passage.source,
                "url": f"{base.rstrip('/')}/api/v1/indexes/{quote(index)}/documents/{quote(passage.source)}/text"
                f"?start={passage.start}&end={passage.end}",
            },
        }
        for mark, passage in found
    ]


def extension(answer: Answer) -> dict[str, Any]:
    """What an answer has beside its text, as the field `longctx` of a response."""
    whole = asdict(answer)
    del whole["text"], whole["usage"]
    return whole


def _usage(usage: Usage) -> dict[str, Any]:
    read, written = usage.prompt_tokens, usage.completion_tokens
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": usage.reused_tokens},
    }


def _names(server: Context) -> list[str]:
    name = server.library.model.name
    return [f"{_PREFIX}{index}" for index in server.library.corpora] + ([] if name is None else [name])


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "longctx"}


def _choose(name: str, server: Context) -> tuple[Corpus, bool]:
    """The index that a model stands for, and whether it stands for the language model alone."""
    if name == server.library.model.name:
        return server.library.find(None), True
    if name.removeprefix(_PREFIX) in server.library.corpora:
        return server.library.find(name.removeprefix(_PREFIX)), False
    raise NotThere(f"there is no model {name[:100]!r}: use {', '.join(_names(server))}")


def _embedded(corpus: Corpus, texts: list[str]) -> tuple[Any, int]:
    encoder = corpus.index.encoder
    lengths = [len(offsets) for offsets in encoder.token_offsets(texts)]
    if max(lengths) > encoder.max_tokens:
        raise BadRequest(f"a text has {max(lengths):,} tokens: the encoder reads {encoder.max_tokens:,}; divide it")
    return encoder.encode_passages(texts), sum(lengths)


def _encoded(row: Any, kind: str) -> Any:
    vector = np.asarray(row, dtype="<f4")
    return base64.b64encode(vector.tobytes()).decode() if kind == "base64" else [float(value) for value in vector]
