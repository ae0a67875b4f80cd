"""Training steps under a RoPE scaling.

The loop is transformers' Trainer, LoRA is peft's: the extra `train`. Here are their settings, and the loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from indexes.encoders import has_bf16
from longctx.training.data import TrainingSequence
from longctx.training.options import TrainingOptions, TrainingStep
from rope_scaling import RopeScaling, scaled_rope

LOSSES = "losses.jsonl"
_LAST_WRITTEN = "trainer_state.json"  # in a checkpoint of the Trainer's: one without it is not whole
# fields of a transformers that has renamed them, and of one that has not
_CHECKPOINTING = {field.name for field in fields(TrainingArguments)} & {"activation_checkpointing"}


def train(
    model: Any,
    sequences: list[TrainingSequence],
    run: Path,
    options: TrainingOptions,
    progress: Callable[[TrainingStep], None] | None,
    mixed: MixedWindows | None,
) -> None:
    """Train in place; goes on from the last whole checkpoint in `run`, if there is one."""
    trainer = _WeightedTrainer(
        mixed=mixed,
        model=model,
        args=_arguments(run, options),
        train_dataset=sequences,
        data_collator=partial(_one_sequence, prompt_loss=options.prompt_loss),
        callbacks=[_Log(run / LOSSES, progress)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_checkpoint(run))


def _arguments(run: Path, options: TrainingOptions) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    named: dict[str, Any] = {
        ("activation_checkpointing" if _CHECKPOINTING else "gradient_checkpointing"): options.checkpointing
    }
    return TrainingArguments(
        output_dir=str(run),
        max_steps=options.steps,
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup,
        lr_scheduler_type="linear",
        adam_beta2=0.95,
        weight_decay=0.0,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=options.batch,
        bf16=torch.cuda.is_bf16_supported() if on_gpu else has_bf16(),
        use_cpu=not on_gpu,
        logging_steps=1,
        save_steps=options.save_every,
        save_total_limit=2,  # one to go on from while the next is being written
        seed=options.seed,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        **named,
    )


def _last_checkpoint(run: Path) -> str | None:
    whole = [path.parent for path in run.glob(f"checkpoint-*/{_LAST_WRITTEN}")]
    return str(max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))) if whole else None


def _one_sequence(sequences: list[TrainingSequence], prompt_loss: float) -> dict[str, torch.Tensor]:
    """A batch of one sequence: `input_ids` and `weights`, each (1, tokens), and `position_ids` of packed documents."""
    (sequence,) = sequences
    weights = torch.ones(1, len(sequence.ids))
    weights[:, : sequence.prompt] = prompt_loss
    batch = {"input_ids": torch.from_numpy(sequence.ids)[None].long(), "weights": weights}
    if len(sequence.starts) > 1:
        weights[:, sequence.starts] = 0  # nothing that the document sees foretells its first token
        ends = (*sequence.starts[1:], len(sequence.ids))
        lengths = (end - start for start, end in zip(sequence.starts, ends, strict=True))
        batch["position_ids"] = torch.cat([torch.arange(length) for length in lengths])[None]
    return batch


@dataclass(frozen=True, slots=True)
class MixedWindows:
    """Which sequences are trained under the scaling: those that are longer than the native window."""

    model: Any
    scaling: RopeScaling
    native: int

    def at(self, tokens: int) -> AbstractContextManager[Any]:
        """The scaling for a sequence, in force in a `with` block."""
        return scaled_rope(self.model, self.scaling) if tokens > self.native else nullcontext()


class _WeightedTrainer(Trainer):
    """A Trainer whose loss weighs tokens, and in which each sequence of a step counts alike."""

    def __init__(self, mixed: MixedWindows | None, **arguments: Any) -> None:
        self._mixed = mixed
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs = False  # the loss is a sequence's mean: the Trainer divides it by their number

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any) -> Any:
        """Forward and backward pass, which recomputes activations, under the scaling of the sequence's length."""
        with nullcontext() if self._mixed is None else self._mixed.at(inputs["input_ids"].shape[1]):
            return super().training_step(model, inputs, *rest)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross-entropy of the next token, weighted by token."""
        ids, weights = inputs["input_ids"], inputs["weights"][:, 1:]
        # positions that begin anew tell transformers that documents are packed, and do not attend to one another
        packed = {"position_ids": inputs["position_ids"]} if "position_ids" in inputs else {}
        outputs = model(input_ids=ids, use_cache=False, **packed)
        logits = outputs.logits[:, :-1].flatten(0, 1).float()
        losses = functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum() / weights.sum()
        return (loss, outputs) if return_outputs else loss


class _Log(TrainerCallback):
    """Writes a line for each step; of a run that goes on, the lines since its checkpoint are written again."""

    def __init__(self, file: Path, progress: Callable[[TrainingStep], None] | None) -> None:
        self._file, self._progress = file, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        lines = [_line(entry) for entry in state.log_history if "loss" in entry]
        self._file.write_text("".join(lines), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        logs = given["logs"]
        if "loss" not in logs:  # the summary at the end
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(_line({**logs, "step": state.global_step}))
        if self._progress is not None:
            self._progress(TrainingStep(state.global_step, state.max_steps, logs["loss"], logs["learning_rate"]))


def _line(entry: dict[str, Any]) -> str:
    return json.dumps({name: entry[name] for name in ("step", "loss", "learning_rate", "grad_norm")}) + "\n"
