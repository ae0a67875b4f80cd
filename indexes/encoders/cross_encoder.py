"""Cross-encoders: a query and a passage, read together, to a score. Slower than an encoder, and better at the top.

Knows sentence-transformers and where a model's files lie; knows no index. No weight is read until the first use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from indexes.encoders.hub import hub_folder
from indexes.errors import RerankerUnavailable

_BATCH_SIZE = 32


class Reranker(Protocol):
    """What scores passages against a query."""

    @property
    def name(self) -> str:
        """A path, a hub name, or what else tells it from others."""

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """(n,) passages to n scores: higher is better, and comparable only within one call."""


class CrossEncoderReranker:
    """A sentence-transformers CrossEncoder with one output, in a local folder; weights as safetensors only."""

    def __init__(self, name: str, folder: Callable[[], Path]) -> None:
        self.name = name
        self._find_folder = folder

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """(n,) passages to n scores. Raises RerankerUnavailable when the model cannot be had."""
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        found = self._model.predict(pairs, batch_size=_BATCH_SIZE, show_progress_bar=False)
        return [float(score) for score in found]

    @cached_property
    def _model(self) -> Any:
        folder = self._find_folder()
        if not any(folder.rglob("*.safetensors")):
            raise RerankerUnavailable(f"{folder} holds no *.safetensors: give a sentence-transformers CrossEncoder")
        from sentence_transformers import CrossEncoder
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        try:
            model = CrossEncoder(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().split("\n")[0]
            raise RerankerUnavailable(f"no CrossEncoder could be loaded from {folder}: {reason}") from error
        outputs = model.model.config.num_labels
        if outputs != 1:
            raise RerankerUnavailable(f"the model in {folder} gives {outputs} numbers for a pair; a reranker gives one")
        return model


def load_reranker(name: str | Reranker) -> Reranker:
    """A reranker by name: a folder, or a model's name on the hub. A `Reranker` is returned as it is.

    Nothing is read yet: RerankerUnavailable is raised when it is first used and cannot be had.
    """
    if not isinstance(name, str):
        return name
    if Path(name).expanduser().is_dir():
        folder = Path(name).expanduser().resolve()
        return CrossEncoderReranker(str(folder), lambda: folder)
    return CrossEncoderReranker(name, lambda: _hub_folder(name))


def _hub_folder(name: str) -> Path:
    try:
        return hub_folder(name)
    except LookupError as error:
        raise RerankerUnavailable(f"reranker {error}") from error
