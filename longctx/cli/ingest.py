"""`longctx ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.bars import ingest_progress
from longctx.cli.options import EncoderOption, IndexOption, JsonOption, WaitOption
from longctx.cli.terminal import print_json, short_path

if TYPE_CHECKING:
    from indexes import IngestReport

_SOME_FAILED = 3
_NOTHING_DONE = 1


def ingest(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files and folders; folders are read recursively.")
    ],
    index: IndexOption = None,
    encoder: EncoderOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the documents under PATH whose files have gone.")
    ] = False,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", metavar="NAME", help="The text files' encoding, where it is not found out."),
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option("--max-size", metavar="BYTES", help="The largest file to read (default: 100000000)"),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option("--max-seconds", metavar="SECONDS", help="The longest that one file may take (default: 120)"),
    ] = None,
    chunk_tokens: Annotated[
        int | None,
        typer.Option("--chunk-tokens", metavar="N", help="The most tokens of a chunk (default: the encoder's)"),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option("--overlap", metavar="N", help="How many tokens of it a chunk may share with the one before it."),
    ] = None,
    wait: WaitOption = False,
    json: JsonOption = False,
) -> None:
    """Read documents into an index; files that have not changed are skipped.

    Exit code: 0 everything is in, 3 some files failed, 1 nothing was done.
    """
    from indexes import CorpusIndex, ReadLimits  # and not longctx.qa, which takes seconds to import
    from longctx.settings import load_settings

    settings = load_settings(index=index, encoder=encoder, max_size=max_size, max_seconds=max_seconds)
    limits = ReadLimits(max_bytes=settings.max_size, max_seconds=settings.max_seconds, encoding=encoding)
    with (
        CorpusIndex.open(settings.index, settings.encoder) as corpus,
        ingest_progress(quiet=json) as progress,
    ):
        chunking = {"chunk_tokens": chunk_tokens, "overlap": overlap}
        report = corpus.ingest(paths, prune=prune, limits=limits, progress=progress, wait=wait, **chunking)
    print_json(report) if json else _summary(report)
    raise typer.Exit(_exit_code(report))


def _summary(report: IngestReport) -> None:
    for warning in report.warnings:
        typer.echo(f"warning: {short_path(warning.source)}: {warning.reason}", err=True)
    for failure in report.failed:
        typer.echo(f"failed: {short_path(failure.source)}: {failure.reason}", err=True)
    typer.echo(
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed; {report.skipped} files of other kinds skipped"
    )
    typer.echo(f"{report.chunks:,} chunks, {report.tokens:,} tokens in {report.seconds:.1f} s")
    if not _done(report) and not report.failed:
        typer.echo("longctx: there was nothing to ingest: no file that longctx reads is in there", err=True)


def _done(report: IngestReport) -> int:
    return report.added + report.changed + report.unchanged + report.removed


def _exit_code(report: IngestReport) -> int:
    if not _done(report):
        return _NOTHING_DONE
    return _SOME_FAILED if report.failed else 0
