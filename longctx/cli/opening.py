"""Opening what the settings name: whether it may be fetched, the index and the model."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import typer

from longctx.cli.progress import waiting_for
from longctx.cli.terminal import escaped, secho
from longctx.errors import BadRequest

if TYPE_CHECKING:
    from longctx.qa import DocumentQA
    from longctx.settings import Settings


_NOT_LOCAL = ("model", "adapter", "encoder", "reranker", "index")  # the settings that may name what is elsewhere


def check_trusted(settings: Settings, *, agreed: bool, used: Collection[str] = _NOT_LOCAL) -> None:
    """Check that the user wants what the working folder's longctx.toml names elsewhere. On a terminal, ask.

    Args:
        settings: The settings.
        agreed: Whether the user has said so already, with --trust.
        used: The settings that the command uses.

    Raises:
        BadRequest: If it is not so.
    """
    from longctx.models import is_address
    from longctx.trust import is_trusted, trust

    file, remote = settings.folder_file, settings.remote
    if file is None or remote.keys().isdisjoint(used) or is_trusted(file):
        return
    shown = {name: escaped(value, lines=False) for name, value in remote.items()}
    fetched = [value for name, value in shown.items() if name != "index" and not is_address(remote[name])]
    does = [f"fetches {' and '.join(fetched)} from the Hugging Face hub"] if fetched else []
    if is_address(remote.get("model")):
        does.insert(0, f"sends questions and passages, and your key if you have one, to {shown['model']}")
    if "index" in remote:
        does.insert(0, f"connects to {shown['index']}, with your password if you have one")
    says = f"this folder's {file.path.name} {', and '.join(does)}"
    if not agreed and sys.stdin.isatty() and sys.stderr.isatty():
        agreed = typer.confirm(f"{says}. Is that what you want?", default=False, err=True)
    if not agreed:
        flags = " and ".join(f"--{name}" for name in shown)
        raise BadRequest(f"{says}: add --trust if that is what you want, or name others with {flags}")
    trust(file)


def open_qa(settings: Settings) -> DocumentQA:
    """Open the index and the model of the settings. Raises as `DocumentQA.open` does; creates no index."""
    with waiting_for("opening the index" if settings.model is None else "loading the model"):
        from longctx.probe import load_report
        from longctx.qa import DocumentQA

        qa = DocumentQA.open(
            settings.index,
            settings.model,
            window=settings.window,
            loading=settings.loading,
            scaling=settings.scaling,
            encoder=settings.encoder,
            reranker=settings.reranker,
            template=settings.template,
            measured=() if settings.report is None else load_report(settings.report).measurements(),
            create=False,
            kv_cache_bytes=settings.kv_cache_size,
        )
    if qa.model_note is not None:
        secho(qa.model_note, err=True, dim=True)
    return qa
