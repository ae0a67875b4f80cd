"""The values that go from stage to stage of an answer. They know no model and no index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Route = Literal["retrieval"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document: `text` is exactly what stands there, `document.text[start:end]`.

    `page` counts from 1 and is None for a format without pages; `line`, the line of the document's text that `start`
    is on, counts from 1.
    """

    source: str
    title: str
    page: int | None
    start: int
    end: int
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question was answered: by which route, with how many of the passages found, in how much of the window.

    Numbers are tokens of the model unless they say otherwise; `window` and `prompt_tokens` are None when no model was
    given.
    """

    route: Route
    passages_found: int
    passages_used: int
    window: int | None = None
    prompt_tokens: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens of the model (0 without one) and wall-clock seconds."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it comes from.

    A mark such as [1] in `text` means `citations[0]`. Without a model, `text` is made of the sentences cited; with one,
    `citations` are the passages that were in its prompt.
    """

    text: str
    citations: tuple[Citation, ...]
    plan: Plan
    usage: Usage
