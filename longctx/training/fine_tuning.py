"""Fine-tuning a model under a RoPE scaling, so that it learns to use the longer window (YaRN, arXiv 2309.00071, 4.1).

Here are the checks before it, and the folder of a run until it is finished. The steps are in `trainer`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from longctx.bounded_file import read_bounded
from longctx.errors import TrainingError, extra
from longctx.models import load_model
from longctx.training.data import TrainingSequence, read_sequences
from longctx.training.options import TrainingOptions, TrainingStep
from longctx.training.trainer import LOSSES, MixedWindows, train
from rope_scaling import Checkpoint, RopeScaling, apply_rope_scaling, carried_scaling, export_checkpoint
from rope_scaling.export import is_new

_SETTINGS = "settings.json"
_TORCH_SAVES = "inline_container"  # the part of torch whose error a full disk is


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
        TrainingError: For data or options that cannot be used, a folder that is not empty or cannot be written to, or a
            missing package.
        ModelUnavailable: If the model cannot be loaded.
        RopeScalingError: If it cannot be scaled so.
    """
    options, target = options or TrainingOptions(), Path(out).resolve()
    _check_packages(options)
    with _writing(target):
        new = is_new(target)
    if not new:
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
    stored, settings = loaded.model.dtype, _settings(checkpoint, scaling, sequences, options)
    if not native:
        apply_rope_scaling(loaded.model, scaling)
    model = _with_adapters(loaded.model) if options.lora else loaded.model.float()
    mixed = MixedWindows(loaded.model, scaling, native) if native else None
    with _writing(target):
        run = _open_run(target, settings, resume=resume)
        train(model, sequences, run, options, progress, mixed)
        trained = (model.merge_and_unload() if options.lora else model).to(stored)
        trained.save_pretrained(run / "weights")
        export_checkpoint(checkpoint.folder, scaling, target, weights=run / "weights")
        shutil.copyfile(run / LOSSES, target / LOSSES)
        shutil.rmtree(run)
    return target


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Explain what the system, safetensors and torch raise where files cannot be written."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _TORCH_SAVES not in str(error):
            raise
        run = _run_of(target)
        going_on = "; make room, and --resume goes on with the run" if (run / _SETTINGS).is_file() else ""
        said = "the disk may be full" if isinstance(error, RuntimeError) else error
        raise TrainingError(f"{run} cannot be written to: {said}{going_on}") from error


def _run_of(target: Path) -> Path:
    """The folder of a run whose weights go into another."""
    return target.with_name(f"{target.name}.unfinished")


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
    run = _run_of(target)
    if resume:
        if not (run / _SETTINGS).is_file():
            raise TrainingError(f"there is no unfinished run in {run}: leave --resume out to start one")
        try:
            began = json.loads(read_bounded(run / _SETTINGS))
            changed = sorted(name for name in settings if began.get(name) != settings[name])
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise TrainingError(
                f"{run / _SETTINGS} cannot be read ({error}): remove the folder and start anew"
            ) from error
        if changed:
            raise TrainingError(
                f"the run in {run} was begun with another {changed[0]} ({began.get(changed[0])!r}, now "
                f"{settings[changed[0]]!r}): give the same again, or remove the folder and start anew"
            )
        return run
    if run.exists():
        raise TrainingError(f"{run} holds an unfinished run: --resume goes on with it; or remove it")
    run.mkdir(parents=True)
    try:
        (run / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    except OSError:
        shutil.rmtree(run, ignore_errors=True)
        raise
    return run


def _with_adapters(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for a name that is to go in 6
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        return get_peft_model(model, adapters)
