"""Cross-encoders, which score a query and a passage together: slower than encoders, and better at the top ranks.

No weights are read until the first use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from indexes.encoders.hub import (
    SAFE_LOADING,
    check_weights_are_safe,
    explained_loading,
    find_model,
    quiet_libraries,
)
from indexes.errors import RerankerUnavailable

_BATCH_SIZE = 32


class Reranker(Protocol):
    """Scores passages by their relevance to a query."""

    @property
    def name(self) -> str:
        """A path, a hub name, or another name that identifies it."""

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Score passages against a query.

        Args:
            query: The query.
            passages: The n passages.

        Returns:
            n scores: higher is better, and they are comparable only within one call.
        """


class CrossEncoderReranker:
    """A sentence-transformers CrossEncoder with one output, in a local folder; weights as safetensors only."""

    def __init__(self, name: str, folder: Callable[[], Path]) -> None:
        self.name = name
        self._find_folder = folder

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Score passages, as `Reranker.scores`. Raises RerankerUnavailable when the model cannot be loaded."""
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        found = self._model.predict(pairs, batch_size=_BATCH_SIZE, show_progress_bar=False)
        return [float(score) for score in found]

    @cached_property
    def _model(self) -> Any:
        folder = self._find_folder()
        check_weights_are_safe(folder, "CrossEncoder", RerankerUnavailable)
        quiet_libraries()
        from sentence_transformers import CrossEncoder

        with explained_loading("CrossEncoder", folder, RerankerUnavailable) as safe:
            model = CrossEncoder(str(safe), device="cpu", local_files_only=True, model_kwargs={**SAFE_LOADING})
        outputs = model.model.config.num_labels
        if outputs != 1:
            raise RerankerUnavailable(f"the model in {folder} gives {outputs} numbers for a pair; a reranker gives one")
        return model


def load_reranker(name: str | Reranker) -> Reranker:
    """Load a reranker by name.

    Args:
        name: A folder or a hub name of a sentence-transformers CrossEncoder, or a `Reranker`, which is returned as it
            is.

    Returns:
        The reranker. Its weights are read at the first use, which raises RerankerUnavailable if they are not
            available.

    Raises:
        RerankerUnavailable: For what is neither a name nor a reranker.
    """
    if isinstance(name, str):
        return CrossEncoderReranker(*find_model(name, "reranker", RerankerUnavailable))
    if not hasattr(name, "scores"):
        raise RerankerUnavailable(f"reranker is {name!r}: give a folder or a hub name, or a Reranker")
    return name
