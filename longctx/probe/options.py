"""The options of a probe, checked before anything is loaded."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from longctx.errors import BadRequest
from longctx.models import CacheDtype, memory
from longctx.probe.report import PERPLEXITY, method_name
from longctx.probe.task_texts import LANGUAGES, TaskTexts
from longctx.probe.tasks import DISTRACTORS, READING, TASKS
from longctx.types import check_values, is_count, is_number

ALL_TASKS = (*TASKS, PERPLEXITY)
DEFAULT_TASKS = ("needle", READING, "two-hop", PERPLEXITY)
# two-hop has a name and a town for each
_MOST_DEPTHS = min(min(len(texts.names), len(texts.towns)) for texts in LANGUAGES.values()) - DISTRACTORS


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What a probe measures; the same options on the same model give the same texts.

    Attributes:
        methods: Names of `rope_scaling`'s methods, and 'none' for the model as it is; empty is 'none' and 'yarn', or
            'none' alone where the checkpoint carries a scaling.
        lengths: Tokens of a prompt with the room for its answer; empty is 1, 2, 4 and 8 native windows.
        tasks: Names in `ALL_TASKS`.
        languages: Languages of the tasks, 'en' or 'ja'; empty is the language of the text. Reading a user's text is
            in the language of the text, as perplexity is.
        text: The haystack, in any format that `longctx ingest` reads; None for generated prose.
        trials: Texts of each task, length and language.
        depths: How many places of a text a needle is put in, the beginning and the end among them.
        windows: Of how many windows perplexity is the mean.
        seed: Another seed gives other texts.
        factor: One scaling factor for all lengths; None for the power of two that a length needs, and no scaling
            within the native window.
        needle: The hidden sentence and the question of the task 'needle'; None for the pass key.
        template: How prompts are written, as for `DocumentQA.open`: a name in `TEMPLATES`; None is what fits the model.
        shared_text: Whether tasks that have one text for all depths hide their needles in the same one, which is read
            once for all of them. Other tasks are then another probe.
        cache_dtype: How keys and values are kept, as for `Engine`: as the model computes them ("model"), or in int8.

    Raises:
        BadRequest: For a name that does not exist or a number out of range.
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
    template: str | None = None
    shared_text: bool = False
    cache_dtype: CacheDtype = "model"

    def __post_init__(self) -> None:
        lists = {
            name: (
                isinstance(given := getattr(self, name), tuple | list) and all(isinstance(each, str) for each in given),
                "give a tuple of names",
            )
            for name in ("methods", "tasks", "languages")
        }
        check_values(self, **lists)
        object.__setattr__(self, "methods", tuple(dict.fromkeys(map(method_name, self.methods))))
        for name, known in (("tasks", ALL_TASKS), ("languages", tuple(LANGUAGES))):
            for value in getattr(self, name):
                if value not in known:
                    (near,) = difflib.get_close_matches(value, known, n=1, cutoff=0)
                    raise BadRequest(
                        f"{name}: {value!r} is unknown: did you mean {near!r}? There are {', '.join(known)}"
                    )
        memory.check_cache_dtype(self.cache_dtype)
        rules = {
            "tasks": (bool(self.tasks), f"give at least one of {', '.join(ALL_TASKS)}"),
            "lengths": (
                isinstance(self.lengths, tuple | list) and all(is_count(length, 1) for length in self.lengths),
                "give numbers of tokens above 0",
            ),
            "text": (self.text is None or isinstance(self.text, str | Path), "give the path of a file"),
            "trials": (is_count(self.trials, 1), "give at least 1"),
            "depths": (
                is_count(self.depths, 2) and self.depths <= _MOST_DEPTHS,
                f"give 2 (the beginning and the end) to {_MOST_DEPTHS}",
            ),
            "windows": (is_count(self.windows, 2), "give at least 2: one has no interval"),
            "shared_text": (isinstance(self.shared_text, bool), "give True or False"),
            "seed": (isinstance(self.seed, int) and not isinstance(self.seed, bool), "give a whole number"),
            "factor": (
                self.factor is None or (is_number(self.factor) and 1 <= self.factor < math.inf),
                "give at least 1",
            ),
            "needle": (
                self.needle is None or (isinstance(self.needle, TaskTexts) and "{value}" in self.needle.statement),
                "its statement must hold {value}",
            ),
        }
        check_values(self, **rules)

    @property
    def places(self) -> tuple[float, ...]:
        """The depths, from 0 (the beginning of the text) to 1 (its end)."""
        return tuple(round(place / (self.depths - 1), 4) for place in range(self.depths))
