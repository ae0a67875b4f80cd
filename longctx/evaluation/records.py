"""Answers as an evaluation keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from longctx.errors import BadRequest
from longctx.evaluation.options import Combination
from longctx.result_file import RESULTS, Results, open_results, writing_to

SUMMARY, PAGE = "summary.json", "report.html"
_FORMAT = 1


class AnswerKey(NamedTuple):
    """What was asked, and how; the n-th time that a file asks the same question is `occurrence` n, from 1."""

    question: str
    occurrence: int
    combination: Combination


class RecordedPassage(BaseModel):
    """A passage that was found or cited; the attributes are those of `longctx.Citation`.

    Attributes:
        source: The document's source.
        title: The document's title.
        page: The page, from 1; None for a format without pages.
        line: The line, from 1.
        start: Where the text begins, in characters.
        end: Where it ends.
        text: The text.
        number: Its mark in the answer; 0 for a passage that was found and not cited.
        marked_by: Who put the mark there; empty for a passage that was found and not cited.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    title: str = ""
    page: int | None = None
    line: int | None = None
    start: int = 0
    end: int = 0
    text: str = ""
    number: int = 0
    marked_by: str = ""


class AnswerRecord(BaseModel):
    """An answer to a question under a combination.

    Attributes:
        question: The question.
        occurrence: Its number among the questions with the same text, from 1.
        model: The model's name; None for an answer without a model.
        scaling: The RoPE scaling; None for none.
        route: The route that was asked for.
        mode: How passages were searched for.
        route_taken: The route that was taken; empty without a model.
        text: The answer.
        refused: Whether it is that the documents do not hold one.
        citations: The passages that it cites.
        unsupported: Its sentences that no passage supports.
        hits: The k passages that a search for the question finds, best first.
        prompt_tokens: Tokens that the model read.
        completion_tokens: Tokens that it generated.
        seconds: Wall-clock seconds.
        error: Why there is no answer; empty if there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    occurrence: int = 1
    model: str | None = None
    scaling: str | None = None
    route: str = "auto"
    mode: str = "hybrid"
    route_taken: str = ""
    text: str = ""
    refused: bool = False
    citations: tuple[RecordedPassage, ...] = ()
    unsupported: tuple[str, ...] = ()
    hits: tuple[RecordedPassage, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def combination(self) -> Combination:
        """The combination that it was asked under."""
        return Combination(self.model, self.scaling, self.route, self.mode)

    @property
    def key(self) -> AnswerKey:
        """What was asked, and how."""
        return AnswerKey(self.question, self.occurrence, self.combination)


@contextmanager
def open_records(
    folder: Path | None, fingerprint: Mapping[str, Any], keys: Collection[AnswerKey]
) -> Iterator[Results[AnswerRecord]]:
    """Open the answers in a folder, which is made if need be, for this process alone.

    Args:
        folder: The folder; None keeps answers in memory only.
        fingerprint: What answers depend on beside their keys.
        keys: What this evaluation asks.

    Yields:
        The answers there, to be added to.

    Raises:
        BadRequest: If the folder holds answers that depend on something else or are not asked for, or another process
            is writing.
    """
    if folder is None:
        yield Results({})
        return
    kept = folder / RESULTS
    with writing_to(folder):
        is_new = not kept.exists() or not kept.stat().st_size
        others = [name for name in (SUMMARY, PAGE) if is_new and (folder / name).exists()]
    if others:
        raise BadRequest(f"{folder / others[0]} is there without {RESULTS}, and would be replaced: give another --out")
    with open_results(folder, AnswerRecord, "evaluation", {"format": _FORMAT, **fingerprint}) as records:
        if strange := next((key for key in records.known if key not in keys), None):
            raise BadRequest(f"{folder} holds an evaluation of something else, {_strange(strange, keys)}")
        yield records


def _strange(key: AnswerKey, keys: Collection[AnswerKey]) -> str:
    """What an answer is of that is not asked for, and the remedy."""
    if all(key.question != each.question for each in keys):
        return f"such as the question {key.question!r}: give another --out, or ask it, too"
    for name, value in key.combination._asdict().items():
        if all(value != getattr(each.combination, name) for each in keys):
            return f"such as {name} {value or 'none'}: give another --out, or evaluate that, too (--{name}s)"
    return f"such as {key.question!r} once more: give another --out, or ask it, too"
