"""Fine-tuning a model under a RoPE scaling, so that it learns to use the longer window (YaRN, arXiv 2309.00071, 4.1).

The loop is transformers' Trainer, LoRA is peft's: the extra `train`. Here are their settings, the folder of a run until
it is finished, and the loss.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from indexes.encoders import has_bf16
from longctx.errors import TrainingError, extra
from longctx.models import load_model
from longctx.training.data import TrainingSequence, read_sequences
from rope_scaling import Checkpoint, RopeScaling, apply_rope_scaling, carried_scaling, export_checkpoint, scaled_rope

_LOSSES = "losses.jsonl"
_SETTINGS = "settings.json"
_LAST_WRITTEN = "trainer_state.json"  # in a checkpoint of the Trainer's: one without it is not whole
# fields of a transformers that has renamed them, and of one that has not
_CHECKPOINTING = {field.name for field in fields(TrainingArguments)} & {"activation_checkpointing"}


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
            if getattr(self, name) < smallest:
                raise TrainingError(f"{name} is {getattr(self, name)}: give {smallest} or more")
        if self.length is not None and self.length < 2:
            raise TrainingError(f"length is {self.length}: a sequence needs 2 tokens or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise TrainingError(f"learning_rate is {self.learning_rate}: give a number above 0, such as 2e-5")
        if not 0 <= self.prompt_loss <= 1:
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


def fine_tune(
    checkpoint: Checkpoint,
    scaling: RopeScaling,
    data: Sequence[str | Path],
    out: str | Path,
    options: TrainingOptions | None = None,
    *,
    resume: bool = False,
    progress: Callable[[TrainingStep], None] | None = None,
) -> Path:
    """Fine-tune a model under a fixed RoPE scaling on text and examples.

    The new folder is what `export_checkpoint` makes of the trained weights, with each step's loss in losses.jsonl.
    Until then the run is kept beside it, in `out`.unfinished.

    Args:
        checkpoint: The checkpoint to train.
        scaling: The fixed scaling to train under.
        data: Files and folders of text, and JSON Lines of examples.
        out: The new folder.
        options: How to train; None means the defaults.
        resume: Continue a run that was interrupted from its last whole checkpoint, to the same weights.
        progress: Told about each step.

    Returns:
        The new folder.

    Raises:
        TrainingError: For data or options that cannot be used, a folder that is not empty, or a missing package.
        ModelUnavailable: If the model cannot be loaded.
        RopeScalingError: If it cannot be scaled so.
    """
    options, target = options or TrainingOptions(), Path(out).resolve()
    _check_packages(options)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise TrainingError(f"{out} exists and is not an empty folder: give a new one")
    window = scaling.window or checkpoint.base.window
    if options.length is not None and options.length > window:
        raise TrainingError(f"length is {options.length}, over the window to reach, {window}: give {window} or less")
    native = _native_window(checkpoint, options.length or window) if options.mixed else 0
    loaded = load_model(checkpoint.folder)
    sequences = read_sequences(data, loaded.tokenizer, options.length or window, native)
    if native and all(len(sequence.ids) <= native for sequence in sequences):
        raise TrainingError(
            f"no sequence is longer than the native window of {native:,} tokens, so nothing would be trained under the "
            "scaling: give longer documents or examples, or leave mixed windows out"
        )
    run = _open_run(target, _settings(checkpoint, scaling, sequences, options), resume=resume)
    stored = loaded.model.dtype
    if not native:
        apply_rope_scaling(loaded.model, scaling)
    model = _with_adapters(loaded.model) if options.lora else loaded.model.float()
    mixed = _MixedWindows(loaded.model, scaling, native) if native else None
    _train(model, sequences, run, options, progress, mixed)
    trained = (model.merge_and_unload() if options.lora else model).to(stored)
    trained.save_pretrained(run / "weights")
    export_checkpoint(checkpoint.folder, scaling, target, weights=run / "weights")
    shutil.copyfile(run / _LOSSES, target / _LOSSES)
    shutil.rmtree(run)
    return target


def _native_window(checkpoint: Checkpoint, length: int) -> int:
    """The window that is trained without the scaling. Raises TrainingError."""
    native = checkpoint.base.window
    if carried_scaling(checkpoint.config) is not None:
        raise TrainingError(
            f"{checkpoint.folder} carries a scaling, which cannot be left out for short texts: train the unscaled "
            "checkpoint with mixed windows"
        )
    if length <= native:
        raise TrainingError(f"length is {length:,}, within the native window of {native:,}: give a longer one, or none")
    return native


def _check_packages(options: TrainingOptions) -> None:
    for package in ("accelerate", "peft") if options.lora else ("accelerate",):
        if importlib.util.find_spec(package) is None:
            raise TrainingError(f"training needs {package}, from {extra('train')}")


def _settings(
    checkpoint: Checkpoint, scaling: RopeScaling, sequences: list[TrainingSequence], options: TrainingOptions
) -> dict[str, Any]:
    """What must be the same when a run goes on."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(sequence.ids.tobytes() + bytes(f"{sequence.prompt}{sequence.starts or ''}", "ascii"))
    return {
        "model": str(checkpoint.folder.resolve()),
        "scaling": scaling.model_dump(exclude_none=True),
        "data": digest.hexdigest(),
        **asdict(options),
    }


def _open_run(target: Path, settings: dict[str, Any], *, resume: bool) -> Path:
    """The folder of a new run, or of the one that is to go on."""
    run = target.with_name(f"{target.name}.unfinished")
    if resume:
        if not (run / _SETTINGS).is_file():
            raise TrainingError(f"there is no unfinished run in {run}: leave --resume out to start one")
        began = json.loads((run / _SETTINGS).read_text(encoding="utf-8"))
        changed = sorted(name for name in settings if began.get(name) != settings[name])
        if changed:
            raise TrainingError(
                f"the run in {run} was begun with another {changed[0]} ({began.get(changed[0])!r}, now "
                f"{settings[changed[0]]!r}): give the same again, or remove the folder and start anew"
            )
        return run
    if run.exists():
        raise TrainingError(f"{run} holds an unfinished run: --resume goes on with it; or remove it")
    run.mkdir(parents=True)
    (run / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return run


def _with_adapters(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for a name that is to go in 6
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        return get_peft_model(model, adapters)


def _train(
    model: Any,
    sequences: list[TrainingSequence],
    run: Path,
    options: TrainingOptions,
    progress: Callable[[TrainingStep], None] | None,
    mixed: _MixedWindows | None,
) -> None:
    """Train in place; goes on from the last whole checkpoint in `run`, if there is one."""
    trainer = _WeightedTrainer(
        mixed=mixed,
        model=model,
        args=_arguments(run, options),
        train_dataset=sequences,
        data_collator=partial(_one_sequence, prompt_loss=options.prompt_loss),
        callbacks=[_Log(run / _LOSSES, progress)],
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
class _MixedWindows:
    """Which sequences are trained under the scaling: those that are longer than the native window."""

    model: Any
    scaling: RopeScaling
    native: int

    def at(self, tokens: int) -> AbstractContextManager[Any]:
        return scaled_rope(self.model, self.scaling) if tokens > self.native else nullcontext()


class _WeightedTrainer(Trainer):
    """A Trainer whose loss weighs tokens, and in which each sequence of a step counts alike."""

    def __init__(self, mixed: _MixedWindows | None, **arguments: Any) -> None:
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
