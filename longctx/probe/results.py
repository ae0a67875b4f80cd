"""The results of a probe: one for each question."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

FORMAT = 2  # of the file of results; 1: the prompts were not those of `ask`


class ResultKey(NamedTuple):
    """What was asked, whatever came out: question `question` about text `trial`, or window `trial` of perplexity."""

    task: str
    language: str
    method: str
    length: int
    trial: int
    question: int


class Result(BaseModel):
    """The answer to question `question` of text `trial`, and its `score` from 0 to 1.

    For perplexity, `trial` is a window and `score` the mean loss of its tokens, in nats.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    language: str
    method: str
    length: int
    trial: int
    question: int
    depth: float | None
    score: float
    answer: str = ""
    expected: tuple[str, ...] = ()
    read: int
    seconds: float

    @property
    def key(self) -> ResultKey:
        """What was asked, whatever came out."""
        return ResultKey(self.task, self.language, self.method, self.length, self.trial, self.question)
