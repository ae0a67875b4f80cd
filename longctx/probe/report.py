"""The report of a probe, as `report.json` holds it.

The schema is `ProbeReport`; `version` goes up when a reader of the old one could go wrong. Nothing in it depends on
when or how fast it was made, so that the same probe gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longctx.bounded_file import read_bounded
from longctx.errors import BadReport
from longctx.models import UNSCALED, Measured, Measurements
from longctx.result_file import write_result_text

REPORT = "report.json"
PERPLEXITY = "perplexity"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFacts(_Frozen):
    """The model that was measured: its name, hashes of weights and tokenizer, and the window it was trained with.

    `carried` is the scaling that the checkpoint brings with it, as `RopeScaling` writes itself; None for none.
    """

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    native_window: int = Field(gt=0)
    carried: str | None


class TextFacts(_Frozen):
    """The haystack: a file's name and a hash of its content; the name is None for generated prose."""

    name: str | None
    sha256: str


class Cell(_Frozen):
    """The score of a task at a length under a method: the mean of `trials` questions, with its 95 % interval.

    `depth` is where the answer stood, from 0 to 1; None is the mean over all. For perplexity, `score` is the
    perplexity and `trials` the windows.
    """

    task: str
    language: str
    method: str
    length: int
    depth: float | None
    trials: int
    score: float
    low: float
    high: float


class NoRoom(_Frozen):
    """A length at which a task was not measured: its shortest prompt with the room for an answer is `needed` tokens."""

    task: str
    language: str
    length: int
    needed: int


class EffectiveWindow(_Frozen):
    """The effective window of a method in a task, in tokens; `task` None is all tasks but perplexity.

    The longest length up to which every length has at least `threshold` of the score at the task's shortest length;
    perplexity counts as its inverse. Of several tasks or languages, the shortest window. None where none is decisive.
    `measured` is the longest length that the deciding task was measured at: where it equals `tokens`, the window may be
    longer.
    """

    method: str
    task: str | None
    tokens: int | None
    measured: int


class NotDecisive(_Frozen):
    """A task that does not count for the effective windows of a method, and the reason."""

    method: str
    task: str
    language: str
    reason: str


class ProbeReport(_Frozen):
    """What a probe found, as `report.json` holds it.

    Attributes:
        version: The version of the schema. Up to 1, prompts were not those of `ask`.
        longctx: The version that measured.
        model: Which model was measured.
        text: What it was measured on.
        template: The prompt template.
        seed: The seed of the texts.
        factor: The scaling factor of all lengths; None where each length had its own.
        scored_tokens: Tokens of each window that perplexity is of.
        threshold: The share of the score at the shortest length that an effective window keeps.
        complete: Whether the probe came to its end.
        methods: The methods measured.
        cells: The scores.
        no_room: Tasks and lengths that were not measured, since a prompt has no room there.
        windows: The effective windows.
        not_decisive: Tasks that do not count for them.
    """

    version: Literal[2] = 2
    longctx: str
    model: ModelFacts
    text: TextFacts
    template: str
    seed: int
    factor: float | None
    scored_tokens: int
    threshold: float
    complete: bool
    methods: tuple[str, ...]
    cells: tuple[Cell, ...]
    no_room: tuple[NoRoom, ...]
    windows: tuple[EffectiveWindow, ...]
    not_decisive: tuple[NotDecisive, ...] = ()

    def effective_window(self, method: str, task: str | None = None) -> int | None:
        """The effective window of a method, in tokens.

        Args:
            method: A name of `rope_scaling`'s, or 'none'.
            task: A task; None is all tasks but perplexity, each of which must hold.

        Returns:
            The longest length that the method carries the model to; None where no task is decisive.
        """
        method = method_name(method)
        return next((found.tokens for found in self.windows if (found.method, found.task) == (method, task)), None)

    def measurements(self) -> Measurements:
        """How far the model was seen to read: for each method, its effective window over all tasks but perplexity.

        Returns:
            What `DocumentQA.open(measured=)` takes. A method without an effective window is not among the figures.
        """
        figures = (Measured(method, tokens) for method in self.methods if (tokens := self.effective_window(method)))
        return Measurements(tuple(figures), self.model.name, self.model.tokenizer_sha256, self.model.carried)

    def select(self, task: str, method: str, language: str | None = None) -> list[Cell]:
        """The cells of a task under a method, over all depths.

        Args:
            task: The task.
            method: The method.
            language: 'en' or 'ja'; None for both.

        Returns:
            The cells, the shortest length first.
        """
        wanted = (task, method, None)
        cells = (cell for cell in self.cells if (cell.task, cell.method, cell.depth) == wanted)
        return sorted((cell for cell in cells if language in (None, cell.language)), key=lambda cell: cell.length)


def method_name(method: str) -> str:
    """A method's name as `rope_scaling` has it: 'dynamic-ntk' is 'dynamic_ntk'. 'default' is 'none'."""
    name = method.lower().replace("-", "_")
    return UNSCALED if name == "default" else name


def load_report(path: str | Path) -> ProbeReport:
    """Read a report.

    Args:
        path: Its file, or the folder that a probe wrote.

    Returns:
        The report.

    Raises:
        BadReport: If there is none, or one of another version of the schema.
    """
    file = Path(path)
    file = file / REPORT if file.is_dir() else file
    try:
        return ProbeReport.model_validate_json(read_bounded(file))
    except OSError as error:
        raise BadReport(f"{file}: {error.strerror}: give the folder that `longctx probe --out` wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadReport(
            f"{file} is no report of this version of longctx ({where}: {first['msg']}): run `longctx probe` again"
        ) from error


def write_report(report: ProbeReport, folder: Path) -> None:
    """Write `report.json` into a folder; it appears whole or not at all. Raises BadRequest."""
    write_result_text(folder / REPORT, report.model_dump_json(indent=1) + "\n")
