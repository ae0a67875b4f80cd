"""The report: what a probe found, as `report.json` holds it. Knows results and numbers; knows no model.

The schema is `ProbeReport`; `version` goes up when a reader of the old one could go wrong. Nothing in it depends on
when or how fast it was made, so that the same probe gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longctx.atomic_write import write_atomically
from longctx.errors import BadReport
from longctx.models import UNSCALED, Measured, Measurements

REPORT = "report.json"
PERPLEXITY = "perplexity"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFacts(_Frozen):
    """Which model: its name as it was given, hashes of weights and tokenizer, and the window it was trained with.

    `carried` is the scaling that the checkpoint brings with it, as `RopeScaling` writes itself; None for none.
    """

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    native_window: int = Field(gt=0)
    carried: str | None


class TextFacts(_Frozen):
    """Which text: a file's name and hash of its content; None where it was made up."""

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


class Reach(_Frozen):
    """The effective window of a method in a task, in tokens; `task` None is the mean of all tasks but perplexity.

    The longest length up to which every length has at least `threshold` of the score at the native window; perplexity
    counts as its inverse. None where the score at the native window is 0, or was not measured. `measured` is the
    longest length that was.
    """

    method: str
    task: str | None
    tokens: int | None
    measured: int


class ProbeReport(_Frozen):
    """All that a probe found. `complete` is False where it was stopped before its end."""

    version: Literal[1] = 1
    longctx: str
    model: ModelFacts
    text: TextFacts
    prompt: Literal["chat template", "plain"]
    seed: int
    factor: float | None
    scored_tokens: int
    threshold: float
    complete: bool
    methods: tuple[str, ...]
    cells: tuple[Cell, ...]
    windows: tuple[Reach, ...]

    def effective_window(self, method: str, task: str | None = None) -> int | None:
        """The longest length, in tokens, that a method carries the model to; None where nothing was shown.

        `task` None is the mean of all tasks but perplexity.
        """
        method = method_name(method)
        return next((reach.tokens for reach in self.windows if (reach.method, reach.task) == (method, task)), None)

    def measurements(self) -> Measurements:
        """How far the model was seen to read: for each method, its effective window over all tasks but perplexity.

        Returns:
            What `DocumentQA.open(measured=)` takes. A method without an effective window is not among the figures.
        """
        figures = (Measured(method, tokens) for method in self.methods if (tokens := self.effective_window(method)))
        return Measurements(tuple(figures), self.model.name, self.model.tokenizer_sha256, self.model.carried)

    def select(self, task: str, method: str, language: str | None = None) -> list[Cell]:
        """The cells over all depths of a task under a method, by length."""
        return sorted(
            (
                cell
                for cell in self.cells
                if (cell.task, cell.method, cell.depth) == (task, method, None) and language in (None, cell.language)
            ),
            key=lambda cell: cell.length,
        )


def method_name(method: str) -> str:
    """A method under `rope_scaling`'s name: 'dynamic-ntk' is 'dynamic_ntk', and 'default' is 'none'."""
    name = method.lower().replace("-", "_")
    return UNSCALED if name == "default" else name


def load_report(path: str | Path) -> ProbeReport:
    """Read a report from its file, or from the folder that a probe wrote. Raises BadReport."""
    file = Path(path)
    file = file / REPORT if file.is_dir() else file
    try:
        return ProbeReport.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadReport(f"{file}: {error.strerror}: give the folder that `longctx probe --out` wrote") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadReport(
            f"{file} is no report of this version of longctx ({where}: {first['msg']}): run `longctx probe` again"
        ) from error


def write_report(report: ProbeReport, folder: Path) -> None:
    """Write `report.json` into a folder; it appears whole or not at all."""
    text = report.model_dump_json(indent=1) + "\n"
    write_atomically(folder / REPORT, lambda new: new.write_text(text, encoding="utf-8"))
