"""Which passages the last prompts held, so that the next prompt can begin as the last one did."""

from __future__ import annotations

import threading
from collections import OrderedDict

from longctx.types import Plan, QuestionRequest

_MOST = 256  # conversations


class RecentPrompts:
    """The passages of the last prompt of each conversation, and of questions outside of any. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[str, ...], tuple[int, ...]] = OrderedDict()

    def before(self, request: QuestionRequest) -> tuple[int, ...]:
        """The passages of the prompt before a question.

        Args:
            request: The question; a conversation is known by the questions in its history.

        Returns:
            The ids of the passages in the prompt's order; none if they are not known.
        """
        with self._lock:
            return self._last.get(_asked(request), ())

    def add(self, request: QuestionRequest, plan: Plan | None) -> None:
        """Remember the passages of a prompt.

        Args:
            request: The question that it is for.
            plan: The plan of its answer.
        """
        if plan is None or not plan.chunk_ids:
            return
        key = _asked(request) if request.history is None else (*_asked(request), request.question)
        with self._lock:
            self._last[key] = plan.chunk_ids
            self._last.move_to_end(key)
            while len(self._last) > _MOST:
                self._last.popitem(last=False)


def _asked(request: QuestionRequest) -> tuple[str, ...]:
    return tuple(message.content for message in request.history or () if message.role == "user")
