"""`longctx extend`: a longer window, written into a checkpoint's configuration, and trained into its weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import JsonOption, tokens_option
from longctx.cli.output import INTERRUPTED, print_json
from longctx.cli.progress import progress_on_stderr
from longctx.cli.rope import FactorOption, ModelArgument, describe
from longctx.cli.terminal import echo

if TYPE_CHECKING:
    from longctx.training import TrainingStep

_TRAINING = "Training (needs --data)"


def _training_option(flag: str, metavar: str | None, text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=_TRAINING)


def extend(
    model: ModelArgument,
    to: Annotated[int, tokens_option("TOKENS", "The window to reach, such as 16k.", "--to")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write: new, or empty.")],
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="yarn, ntk, linear, ...")] = "yarn",
    factor: FactorOption = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Fine-tune on this: files or folders of text, or .jsonl with text, or with prompt and completion. "
            "Repeat it for more.",
        ),
    ] = None,
    steps: Annotated[int, _training_option("--steps", "N", "Optimizer steps.")] = 400,
    learning_rate: Annotated[
        float, _training_option("--learning-rate", "RATE", "After the warm-up; it then falls to zero.")
    ] = 2e-5,
    warmup: Annotated[int, _training_option("--warmup", "N", "Steps in which the rate rises.")] = 20,
    batch: Annotated[
        int, _training_option("--batch", "N", "Sequences a step, read one at a time (gradient accumulation).")
    ] = 8,
    length: Annotated[
        int | None,
        tokens_option(
            "TOKENS", "The length of packed text, the most for an example (default: --to).", "--length", panel=_TRAINING
        ),
    ] = None,
    prompt_loss: Annotated[
        float, _training_option("--prompt-loss", "W", "The weight of prompts in the loss; completions have 1.")
    ] = 0.0,
    lora: Annotated[bool, _training_option("--lora", None, "Train adapters of rank 16 and merge them.")] = False,
    checkpointing: Annotated[
        bool,
        _training_option("--checkpointing/--no-checkpointing", None, "Recompute activations: less memory, more work."),
    ] = True,
    save_every: Annotated[int, _training_option("--save-every", "STEPS", "Steps between checkpoints.")] = 50,
    seed: Annotated[int, _training_option("--seed", "N", "Of the order of the data.")] = 0,
    mixed: Annotated[
        bool, _training_option("--mixed", None, "Train texts within the native window without the scaling.")
    ] = False,
    resume: Annotated[bool, _training_option("--resume", None, "Go on with the run in DIR.unfinished.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a checkpoint with a longer window, which transformers and vLLM load as it is; with --data, fine-tuned."""
    from longctx.errors import BadRequest
    from longctx.models import is_gguf
    from rope_scaling import export_checkpoint, open_checkpoint

    if (lora or resume or mixed) and not data:
        raise typer.BadParameter("needs --data: without it nothing is trained", param_hint="--lora, --resume, --mixed")
    if is_gguf(model):
        raise BadRequest(
            f"{model} is a GGUF file, and transformers checkpoints are written: make a folder of it first "
            "(docs/models.md), or ask with --scaling"
        )
    checkpoint = open_checkpoint(model)
    scaling = checkpoint.scaled(method, to, factor)
    if not data:
        written = export_checkpoint(checkpoint.folder, scaling, out)
    else:
        from transformers.utils.logging import disable_progress_bar

        from longctx.training import TrainingOptions, fine_tune

        disable_progress_bar()  # for each time that weights are written

        options = TrainingOptions(
            steps, learning_rate, warmup, batch, length, prompt_loss, lora, checkpointing, save_every, seed, mixed
        )
        try:
            with _step_progress(quiet=json) as progress:
                written = fine_tune(checkpoint, scaling, data, out, options, resume=resume, progress=progress)
        except KeyboardInterrupt:
            unfinished = out.with_name(f"{out.name}.unfinished")
            if not unfinished.is_dir():
                raise
            echo(f"interrupted: the run is kept in {unfinished}; add --resume to the same command", err=True)
            raise typer.Exit(INTERRUPTED) from None
    if json:
        print_json({"out": str(written), **describe(scaling, checkpoint.base)})
    else:
        echo(f"{written}: {scaling.method}, from {checkpoint.base.window:,} to {to:,} tokens")


def _step_progress(quiet: bool) -> AbstractContextManager[Callable[[TrainingStep], None] | None]:
    """Show each training step on a terminal; elsewhere, a line for each twentieth of them."""

    def bar(done: TrainingStep) -> dict[str, Any]:
        count = f"{done.step}/{done.steps} steps, loss {done.loss:.3f}"
        return {"description": "training", "total": done.steps, "completed": done.step, "count": count}

    def line(done: TrainingStep) -> str | None:
        is_due = done.step == 1 or done.step * 20 // done.steps > (done.step - 1) * 20 // done.steps
        return f"step {done.step} of {done.steps}: loss {done.loss:.3f}" if is_due else None

    return progress_on_stderr(bar, line, quiet=quiet, begin="training")
