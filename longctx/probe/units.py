"""The units of a probe's work: a text and the questions about it, or a window of perplexity."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from statistics import fmean

from longctx.engine import GenerationOptions, PrefillCallback
from longctx.errors import BadRequest
from longctx.probe.report import PERPLEXITY, NoRoom
from longctx.probe.results import Result, ResultKey
from longctx.probe.sample import SampleQuestion
from longctx.probe.scoring import share_found
from longctx.probe.setup import ProbeSetup
from longctx.probe.tasks import Draft, together
from longctx.prompts import TokenIds
from rope_scaling import RopeScaling

_LONG = 8192  # tokens: a shorter text is soon read again by a probe that was stopped in the middle of it
_ANSWER = 500  # tokens of a prompt that are read in the time that an answer takes, roughly


@dataclass(frozen=True, slots=True)
class Unit:
    """The texts of one trial under one method, or one window of perplexity, which has no drafts.

    The texts begin alike, as far as their needles allow: the model reads that part once. `keys` are those of the
    results, one for each question.
    """

    keys: Sequence[ResultKey]
    drafts: Sequence[Draft] = ()

    @property
    def key(self) -> ResultKey:
        """The first key."""
        return self.keys[0]

    def cost(self, setup: ProbeSetup) -> float:
        """Floating-point operations, roughly: to estimate how long the rest of the work takes."""
        length = self.key.length
        # how much of each text has been read with the one before
        cached = sum(read_cost(setup, length * draft.needles[0].depth) for draft in self.drafts[1:])
        answers = 2 * setup.engine.loaded.parameters * _ANSWER * len(self.keys)
        return (len(self.drafts) or 1) * read_cost(setup, length) - cached + answers

    def run(
        self, setup: ProbeSetup, known: Container[ResultKey] = (), reading: PrefillCallback | None = None
    ) -> Iterator[Result]:
        """Measure what is not known of its results; `reading` is called with how much of a text has been read."""
        task, language, method, length, trial, _ = self.key
        scaling, began = setup.scaling(method, length), time.monotonic()
        if task == PERPLEXITY:
            loss = fmean(setup.engine.token_losses(setup.window_ids(length, trial), setup.stride, scaling))
            yield Result(**self.key._asdict(), depth=None, score=loss, read=length, seconds=_since(began))
            return
        keys = iter(self.keys)
        for draft in self.drafts:
            own = list(islice(keys, len(draft.questions)))
            if all(key in known for key in own):
                continue
            draw = Random(f"{setup.options.seed} prose {language} {length} {trial}")
            sample = setup.builder.build(draft, length, setup.haystack.sentences(language, draw))
            for key, asked in zip(own, sample.questions, strict=True):
                if key not in known:
                    yield _answer(setup, scaling, sample.prefix, asked, key, reading)


def read_cost(setup: ProbeSetup, tokens: float) -> float:
    """Return the floating-point operations, roughly, for reading the first tokens of a text."""
    model, config = setup.engine.loaded, setup.engine.loaded.text_config
    return float(2 * model.parameters * tokens + 2 * config.num_hidden_layers * config.hidden_size * tokens**2)


def _answer(
    setup: ProbeSetup,
    scaling: RopeScaling | None,
    prefix: TokenIds,
    asked: SampleQuestion,
    key: ResultKey,
    reading: PrefillCallback | None,
) -> Result:
    began, question = time.monotonic(), asked.question
    options = GenerationOptions(asked.room, stop=tuple(setup.builder.template.stops))
    stored = len(prefix) if len(prefix) >= _LONG else 0
    stream = setup.engine.stream(prefix, asked.suffix, scaling, options, reading, stored=stored)
    answer = "".join(stream)
    return Result(
        **key._asdict(),
        depth=question.depth,
        score=share_found(answer, question.answers),
        answer=answer,
        expected=question.answers,
        read=stream.prompt_tokens - stream.reused_tokens,
        seconds=_since(began),
    )


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def plan_work(setup: ProbeSetup) -> tuple[list[Unit], list[NoRoom]]:
    """List the work, short lengths first; what several methods have in common is there once.

    Args:
        setup: What is measured.

    Returns:
        The units of work, and what cannot be measured for lack of room.

    Raises:
        BadRequest: If nothing can be measured.
    """
    options = setup.options
    groups = setup.groups()
    needs = {group: setup.needed(*group) for group in groups}
    units: list[Unit] = []
    no_room: list[NoRoom] = []
    for length in options.lengths:
        methods = dict.fromkeys(setup.effective_method(method, length) for method in options.methods)
        no_room += [
            NoRoom(task=task, language=group[1], length=length, needed=needs[group])
            for group in groups
            if needs[group] > length
            for task in group[0]
        ]
        units += [
            _unit(setup, tasks, language, method, length, trial)
            for tasks, language in groups
            if needs[tasks, language] <= length
            for method in methods
            for trial in range(options.windows if tasks == (PERPLEXITY,) else options.trials)
        ]
    if not units:
        least = min(no_room, key=lambda one: one.needed)
        raise BadRequest(
            f"no task has room at {', '.join(f'{length:,}' for length in options.lengths)} tokens: "
            f"{least.task} ({least.language}) takes at least {least.needed:,}; give longer lengths"
        )
    return units, no_room


def _unit(setup: ProbeSetup, tasks: Sequence[str], language: str, method: str, length: int, trial: int) -> Unit:
    """A trial of the tasks that are asked about the same text."""
    drafts = [setup.drafts(task, language, trial) for task in tasks]
    keys = [
        ResultKey(task, language, method, length, trial, number)
        for task, own in zip(tasks, drafts, strict=True)
        for number in range(sum(len(draft.questions) for draft in own) or 1)
    ]
    return Unit(keys, together(drafts))
