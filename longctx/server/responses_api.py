"""`/v1/responses`: OpenAI's Responses API, for clients that speak no other; nothing is kept between requests."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from longctx.errors import BadRequest
from longctx.server.context import Server
from longctx.server.errors import describe
from longctx.server.openai_api import answer_chat, extension, mark_annotations
from longctx.server.openai_schemas import ResponsesBody
from longctx.server.streams import event
from longctx.types import Answer, Usage

router = APIRouter(prefix="/v1")

_NOT_KEPT = "previous_response_id is {!r}: responses are not kept here; send what was said before in 'input'"


@router.post("/responses")
async def respond(body: ResponsesBody, server: Server, request: Request) -> Response:
    """Answer the last message of the input, as `/v1/chat/completions` does."""
    if body.previous_response_id is not None:
        raise BadRequest(_NOT_KEPT.format(body.previous_response_id[:100]))
    base = str(request.base_url)
    return await answer_chat(
        body.chat(), server, request, lambda corpus, most: _Response(body, most, corpus.name, base)
    )


class _Response:
    """A response of one message, whole or as events."""

    def __init__(self, body: ResponsesBody, most: int, index: str, base: str) -> None:
        self._body, self._most, self._index, self._base = body, most, index, base
        self._id, self._message_id = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self._created, self._number = int(time.time()), 0

    def whole(self, answer: Answer) -> dict[str, Any]:
        cut = answer.usage.completion_tokens >= self._most
        status = "incomplete" if cut else "completed"
        return self._base_of(status, [self._message(answer, status)]) | {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": _usage(answer.usage),
            "longctx": extension(answer),
        }

    async def chunks(self, events: AsyncGenerator[Any, None]) -> AsyncIterator[str]:
        try:
            for line in self._begin():
                yield line
            async for name, value in events:
                if name == "piece":
                    yield self._event("output_text.delta", **self._place(), delta=value, logprobs=[])
            for line in self._end(value):
                yield line
        except Exception as error:  # the status has been sent already
            said = describe(error)[1]["error"]
            yield self._event("error", prefix="", code=said["code"], message=said["message"], param=None)

    def _begin(self) -> Iterator[str]:
        for name in ("created", "in_progress"):
            yield self._event(name, response=self._base_of("in_progress", []))
        item = {"id": self._message_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        yield self._event("output_item.added", output_index=0, item=item)
        yield self._event("content_part.added", **self._place(), part=_part("", []))

    def _end(self, answer: Answer) -> Iterator[str]:
        whole = self.whole(answer)
        [message] = whole["output"]
        [part] = message["content"]
        for number, annotation in enumerate(part["annotations"]):
            yield self._event(
                "output_text.annotation.added", **self._place(), annotation_index=number, annotation=annotation
            )
        yield self._event("output_text.done", **self._place(), text=answer.text, logprobs=[])
        yield self._event("content_part.done", **self._place(), part=part)
        yield self._event("output_item.done", output_index=0, item=message)
        yield self._event(whole["status"], response=whole)

    def _event(self, name: str, prefix: str = "response.", **more: Any) -> str:
        kind, number = prefix + name, self._number
        self._number += 1
        return event({"type": kind, "sequence_number": number} | more, kind)

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": 0, "content_index": 0}

    def _message(self, answer: Answer, status: str) -> dict[str, Any]:
        marks = [
            {"type": "url_citation"} | each["url_citation"]
            for each in mark_annotations(answer, self._index, self._base)
        ]
        return {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [_part(answer.text, marks)],
        }

    def _base_of(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": self._body.instructions,
            "max_output_tokens": self._body.max_output_tokens,
            "metadata": {},
            "model": self._body.model,
            "output": output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": self._body.temperature,
            "tool_choice": "none",
            "tools": [],
            "top_p": self._body.top_p,
            "usage": None,
        }


def _part(text: str, marks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": marks, "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.reused_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
