"""What a probe is to do, checked before anything is loaded. Knows names and numbers; knows no model and no text."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longctx.errors import BadRequest
from longctx.probe.report import PERPLEXITY, method_name
from longctx.probe.task_texts import LANGUAGES, TaskTexts
from longctx.probe.tasks import TASKS

ALL_TASKS = (*TASKS, PERPLEXITY)
DEFAULT_TASKS = ("needle", PERPLEXITY)
_MOST_DEPTHS = min(len(language.names) for language in LANGUAGES.values())  # multi-key has a name for each
PromptStyle = Literal["auto", "plain"]


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What is measured; the same options on the same model give the same texts.

    `methods` are `rope_scaling`'s names, and 'none' for the model as it is; empty stands for 'none' and 'yarn', or for
    'none' where the checkpoint brings a scaling of its own. `lengths` are tokens, with question and answer; empty
    stands for 1, 2, 4 and 8 times the native window, which is always measured too. `factor` fixes the factor of the
    scaling; without it the factor is the power of two that the length needs, and nothing is scaled up to that window.
    `languages` empty is the text's own; `text` None is prose made up here. `depths` is how many places of a text a
    needle is put in, `trials` how many texts a cell has, and `windows` of how many windows perplexity is the mean.
    `needle` replaces the sentence that is hidden. `style` 'plain' leaves a model's chat template aside.

    Raises BadRequest.
    """

    methods: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    tasks: tuple[str, ...] = DEFAULT_TASKS
    languages: tuple[str, ...] = ()
    text: Path | None = None
    trials: int = 5
    depths: int = 5
    windows: int = 16
    seed: int = 0
    factor: float | None = None
    needle: TaskTexts | None = None
    style: PromptStyle = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", tuple(dict.fromkeys(map(method_name, self.methods))))
        for name, known in (("tasks", ALL_TASKS), ("languages", tuple(LANGUAGES))):
            for value in getattr(self, name):
                _check_known(name, value, known)
        rules = {
            "tasks": (bool(self.tasks), f"give at least one of {', '.join(ALL_TASKS)}"),
            "lengths": (all(length > 0 for length in self.lengths), "give numbers of tokens above 0"),
            "trials": (self.trials >= 1, "give at least 1"),
            "depths": (2 <= self.depths <= _MOST_DEPTHS, f"give 2 (the beginning and the end) to {_MOST_DEPTHS}"),
            "windows": (self.windows >= 2, "give at least 2: one has no interval"),
            "factor": (self.factor is None or self.factor >= 1, "give at least 1"),
            "needle": (self.needle is None or "{value}" in self.needle.statement, "its statement must hold {value}"),
        }
        for name, (holds, remedy) in rules.items():
            if not holds:
                raise BadRequest(f"{name} is {getattr(self, name)!r}: {remedy}")

    @property
    def places(self) -> tuple[float, ...]:
        """The depths, from 0 (the beginning of the text) to 1."""
        return tuple(round(place / (self.depths - 1), 4) for place in range(self.depths))


def _check_known(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0)
        raise BadRequest(f"{name}: {value!r} is unknown: did you mean {near[0]!r}? There are {', '.join(known)}")
