"""How to train, and how far it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from longctx.errors import TrainingError
from longctx.types import is_count, is_number


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train; the defaults are those of the YaRN paper, except for the batch size, which was 64 there.

    Attributes:
        steps: Optimizer steps.
        learning_rate: The learning rate after the warmup.
        warmup: Steps over which the learning rate rises.
        batch: Sequences per step, read one at a time (gradient accumulation); each counts alike.
        length: The length in tokens of packed text, and the longest example; None is the window to reach.
        prompt_loss: The weight of an example's prompt in the loss, from 0 to 1; its completion has 1.
        lora: Train LoRA adapters, which are merged at the end, instead of all weights.
        checkpointing: Recompute activations in the backward pass: a third more work for a fraction of the memory.
        save_every: Steps between checkpoints, from which a run that was interrupted resumes.
        seed: The seed of the order of the data.
        mixed: Train with mixed windows (LongRoPE2, arXiv 2502.20082, 3.3): sequences within the native window without
            the scaling, longer ones with it, and no packed document attends to another.

    Raises:
        TrainingError: For a value out of its range.
    """

    steps: int = 400
    learning_rate: float = 2e-5
    warmup: int = 20
    batch: int = 8
    length: int | None = None
    prompt_loss: float = 0.0
    lora: bool = False
    checkpointing: bool = True
    save_every: int = 50
    seed: int = 0
    mixed: bool = False

    def __post_init__(self) -> None:
        least = {"steps": 1, "warmup": 0, "batch": 1, "save_every": 1, "seed": 0}
        for name, smallest in least.items():
            if not is_count(getattr(self, name), smallest):
                raise TrainingError(f"{name} is {getattr(self, name)}: give {smallest} or more")
        if self.length is not None and not is_count(self.length, 2):
            raise TrainingError(f"length is {self.length}: a sequence needs 2 tokens or more")
        if not (is_number(self.learning_rate) and 0 < self.learning_rate < math.inf):
            raise TrainingError(f"learning_rate is {self.learning_rate}: give a number above 0, such as 2e-5")
        if not (is_number(self.prompt_loss) and 0 <= self.prompt_loss <= 1):
            raise TrainingError(f"prompt_loss is {self.prompt_loss}: give a weight from 0 to 1")


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """An optimizer step that is done.

    Attributes:
        step: Its number, counted from 1.
        steps: How many there are.
        loss: Mean loss in nats per token.
        learning_rate: The learning rate of the step.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
