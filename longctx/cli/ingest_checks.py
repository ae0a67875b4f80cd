"""What `longctx ingest` does before and after it reads: `--dry-run`, and the question before `--prune`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longctx.cli.output import print_json, short_path
from longctx.cli.terminal import echo, name

if TYPE_CHECKING:
    from indexes import CorpusIndex, IngestPlan, IngestReport
    from longctx.settings import Settings

_MUCH = 0.5  # of an index: to remove more of it at once is likely a mistake


def prune_missing(
    corpus: CorpusIndex, paths: Sequence[Path], report: IngestReport, *, yes: bool, wait: bool
) -> IngestReport:
    """Remove the documents whose files have gone; where those are suspiciously many, ask first, or refuse.

    Args:
        corpus: The index.
        paths: The files and folders that were ingested.
        report: What was done so far.
        yes: Whether to remove them without a question.
        wait: Whether to wait for another writer.

    Returns:
        The report with what was removed; a refusal is a failure in it.
    """
    from indexes import Failure

    gone = corpus.missing(paths)
    if gone and not yes and (why := _suspicion(corpus, paths, gone)):
        question = f"--prune would remove {len(gone):,} of {corpus.info().documents:,} documents, {why}"
        if not _agrees(question):
            remedy = "nothing was removed; is everything mounted? Give --yes if it is meant"
            return replace(report, failed=(*report.failed, Failure(str(paths[0]), f"{question}: {remedy}")))
    return replace(report, removed=report.removed + corpus.prune(paths, wait=wait)) if gone else report


def _suspicion(corpus: CorpusIndex, paths: Sequence[Path], gone: Sequence[str]) -> str:
    """Why these documents should perhaps not be removed; empty if there is no reason."""
    from indexes.ingest import emptied_folders
    from indexes.sources import full_source, is_stored, lies_in

    missing, held = set(gone), {document.source for document in corpus.documents()}
    for root in map(full_source, paths):
        inside = {source for source in held if lies_in(source, root)}
        is_folder = is_stored(root) or Path(root).is_dir()
        is_all = inside and inside <= missing and is_folder
        emptied = [root] if is_all else emptied_folders(inside & missing, Path(root))
        if emptied:
            return f"all that were in {name(short_path(emptied[0]))}"
    return "more than half of the index" if len(missing) > _MUCH * len(held) else ""


def _agrees(question: str) -> bool:
    """Ask on a terminal; elsewhere nobody agrees."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm(f"{question}. Remove them?", err=True)


def show_plan(settings: Settings, paths: Sequence[Path], options: dict[str, Any], *, as_json: bool) -> None:
    """Print what an ingest would do.

    Args:
        settings: The settings in force.
        paths: The files and folders.
        options: The arguments of `CorpusIndex.plan_ingest`.
        as_json: Whether to print JSON.
    """
    plan = _plan(settings, paths, options)
    if as_json:
        print_json(plan)
        return
    lists = {
        "read": plan.added,
        "read again": plan.changed,
        "keep": plan.unchanged,
        "remove": plan.removed,
        "empty": plan.empty,
        "other kind": plan.skipped,
    }
    for doing, sources in lists.items():
        for source in sources:
            echo(f"{doing}: {name(short_path(source))}")
    for source, rule in plan.ignored:
        echo(f"left out ({rule}): {name(short_path(source))}")
    for failure in plan.failed:
        echo(f"failed: {name(short_path(failure.source))}: {name(failure.reason)}", err=True)
    echo(
        f"would read {len(plan.added) + len(plan.changed)} files, keep {len(plan.unchanged)} and remove "
        f"{len(plan.removed)} documents; left out {len(plan.ignored)}, of other kinds {len(plan.skipped)}"
    )


def _plan(settings: Settings, paths: Sequence[Path], options: dict[str, Any]) -> IngestPlan:
    from tempfile import TemporaryDirectory

    from indexes import CorpusIndex, IndexNotFound

    try:
        with CorpusIndex.open(settings.index, settings.encoder, create=False) as corpus:
            return corpus.plan_ingest(paths, **options)
    except IndexNotFound:
        if Path(settings.index).is_dir() and any(Path(settings.index).iterdir()):
            raise  # something else is there, where ingest would fail, too
        with TemporaryDirectory() as folder, CorpusIndex.open(Path(folder) / "index", settings.encoder) as corpus:
            return corpus.plan_ingest(paths, **options)
