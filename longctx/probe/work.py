"""The work of a probe in units that are done one after the other: a text with its questions, or a window.

Knows what is to be done and how; keeps nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from longctx.probe.bench import Bench
from longctx.probe.documents import Asked
from longctx.probe.perplexity import window_ids, window_loss
from longctx.probe.report import PERPLEXITY
from longctx.probe.results import Key, Result
from longctx.probe.scoring import share_found
from longctx.probe.tasks import TASKS, Draft
from longctx.sampling import GenerationOptions

_ANSWER = 500  # tokens of a prompt that are read in the time that an answer takes, roughly


@dataclass(frozen=True, slots=True)
class Unit:
    """One text, or one window where `draft` is None, under one method; `first` is the number of its first question.

    `shared` is the part of the text that the unit before has read.
    """

    task: str
    language: str
    method: str
    length: int
    trial: int
    first: int = 0
    draft: Draft | None = None
    shared: float = 0.0

    @property
    def group(self) -> tuple[str, str, str, int, int]:
        """What units have in common whose texts begin alike."""
        return self.task, self.language, self.method, self.length, self.trial

    @property
    def keys(self) -> list[Key]:
        """What results it gives."""
        questions = 1 if self.draft is None else len(self.draft.questions)
        return [(*self.group, self.first + number) for number in range(questions)]

    def cost(self, bench: Bench) -> float:
        """How much work it is, in floating-point operations, roughly: to tell how long the rest will take."""
        model = bench.engine.loaded.model
        config = model.config.get_text_config()
        matrices, attention = 2 * model.num_parameters(), 2 * config.num_hidden_layers * config.hidden_size
        begun = self.shared * self.length
        answers = 0 if self.draft is None else len(self.draft.questions) * _ANSWER
        return float(matrices * (self.length - begun + answers) + attention * (self.length**2 - begun**2))

    def run(self, bench: Bench, missing: Sequence[Key]) -> Iterator[Result]:
        """Do it, but for the questions that are not missing."""
        if self.draft is None:
            yield self._window(bench)
            return
        draw = Random(f"{bench.options.seed} prose {self.language} {self.length} {self.trial}")
        document = bench.scribes[self.language].write(self.draft, self.length, draw)
        for key, asked in zip(self.keys, document.asked, strict=True):
            if key in missing:
                yield self._answer(bench, document.prefix, asked, key[-1])

    def _answer(self, bench: Bench, prefix: Sequence[int], asked: Asked, number: int) -> Result:
        since, question = time.monotonic(), asked.question
        options = GenerationOptions(asked.room, stop=bench.prompting.stop)
        stream = bench.engine.stream(prefix, asked.suffix, bench.scaling(self.method, self.length), options)
        answer = "".join(stream)
        return Result(
            **self._place(),
            question=number,
            depth=question.depth,
            score=share_found(answer, question.answers),
            answer=answer,
            expected=question.answers,
            read=stream.prompt_tokens - stream.reused_tokens,
            seconds=round(time.monotonic() - since, 3),
        )

    def _window(self, bench: Bench) -> Result:
        since = time.monotonic()
        bos = bench.engine.loaded.tokenizer.bos_token_id
        ids = window_ids(bench.prose, bos, self.length, self.trial, bench.step)
        loss = window_loss(bench.engine, ids, bench.step, bench.scaling(self.method, self.length))
        seconds = round(time.monotonic() - since, 3)
        return Result(**self._place(), question=0, depth=None, score=loss, read=self.length, seconds=seconds)

    def _place(self) -> dict[str, Any]:
        return dict(zip(("task", "language", "method", "length", "trial"), self.group, strict=True))


def units(bench: Bench) -> Iterator[Unit]:
    """All the work, short lengths first; what several methods have in common is there once."""
    options = bench.options
    for length in options.lengths:
        methods = dict.fromkeys(bench.effective_method(method, length) for method in options.methods)
        for task in options.tasks:
            for method in methods:
                if task in TASKS:
                    yield from _texts(bench, task, method, length)
                else:
                    for window in range(options.windows):
                        yield Unit(PERPLEXITY, bench.text.language, method, length, window)


def _texts(bench: Bench, task: str, method: str, length: int) -> Iterator[Unit]:
    for language in bench.options.languages:
        for trial in range(bench.options.trials):
            first = 0
            for draft in bench.drafts(task, language, length, trial):
                shared = draft.needles[0].depth if first else 0.0
                yield Unit(task, language, method, length, trial, first, draft, shared)
                first += len(draft.questions)
