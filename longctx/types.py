"""The values that go from stage to stage of an answer. They know no model and no index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Route = Literal["native", "extended", "retrieval", "self"]
RouteChoice = Literal["auto", "native", "extended", "retrieval", "self"]
BudgetItemKind = Literal["system", "document", "turn", "question", "answer", "free", "found", "documents"]


@dataclass(frozen=True, slots=True)
class Message:
    """What was said in a conversation, and by whom."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document: `text` is exactly what stands there, `document.text[start:end]`.

    `page` counts from 1 and is None for a format without pages; `line`, the line of the document's text that `start`
    is on, counts from 1. `number` is its mark in the answer: 1 for [1].
    """

    source: str
    title: str
    page: int | None
    start: int
    end: int
    text: str
    line: int | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class BudgetItem:
    """So many tokens of a window, or of what was left out: what for, and of which document or turn of a conversation.

    `passages` is how many of a document. What was left out is 'found', a passage that bears on the question; of a
    'document', passages that do not; and 'documents' that were not counted.
    """

    kind: BudgetItemKind
    name: str
    tokens: int
    passages: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question is answered: by which route, why, in how much of which window, and what was left out.

    `window` is in tokens of the model, and None without one; `scale` is how many native windows it is, and `shown` says
    whether the model is known to read so many: natively, or by the report of a probe. `shares` add up to what can be
    used of it. `places` are the ids of the passages in the prompt, in its order, and `turns` the numbers of the turns
    of the conversation in it, counted from 1. On route 'self', `otherwise` is what is done if the passages do not hold
    the answer. `searched` is what was searched for, where that was not the question as it stands.
    """

    route: Route
    reason: str
    window: int | None = None
    scale: float = 1.0
    shown: bool = True
    shares: tuple[BudgetItem, ...] = ()
    left_out: tuple[BudgetItem, ...] = ()
    places: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    passages_found: int = 0
    passages_used: int = 0
    prompt_tokens: int | None = None
    max_new_tokens: int | None = None
    otherwise: Plan | None = None
    searched: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens of the model (0 without one) and wall-clock seconds."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it comes from.

    A mark such as [1] in `text` means the citation whose `number` is 1; a mark that a model made up is written [9?],
    and stands for nothing. Without a model, `text` is made of the sentences cited. `passages` are all those that were
    in a model's prompt, and `citations` those of them that its answer names.
    """

    text: str
    citations: tuple[Citation, ...]
    plan: Plan
    usage: Usage
    passages: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer in a conversation; `number` counts from 1.

    `asked_at` is when the answer was finished, as "2026-11-23T09:30:00Z" (UTC).
    """

    number: int
    question: str
    answer: Answer
    asked_at: str
