"""`longctx ingest`."""

from __future__ import annotations

import sys
from os.path import abspath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.options import EncoderOption, IndexOption, JsonOption, WaitOption, size_option, tokens_option
from longctx.cli.output import INTERRUPTED, print_json, short_path
from longctx.cli.progress import ingest_progress

if TYPE_CHECKING:
    from indexes import CorpusIndex, IngestProgress, IngestReport

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
        str | None, typer.Option(metavar="NAME", help="The text files' encoding, where it is not found out.")
    ] = None,
    max_size: Annotated[
        int | None, size_option("SIZE", "The largest file to read, such as 200MB (default: 100MB)")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="The longest that one file may take (default: 120)")
    ] = None,
    chunk_tokens: Annotated[
        int | None, tokens_option("N", "The most tokens of a chunk (default: the encoder's)", least=0)
    ] = None,
    overlap: Annotated[
        int | None, tokens_option("N", "How many tokens of it a chunk may share with the one before it.", least=0)
    ] = None,
    wait: WaitOption = False,
    json: JsonOption = False,
) -> None:
    """Read documents into an index; files that have not changed are skipped.

    Stop it with Ctrl-C, and the same command goes on where it stopped.

    Exit code: 0 everything is in, 3 some files failed, 1 nothing was done, 130 interrupted.
    """
    from indexes import CorpusIndex, ReadLimits  # and not longctx.qa, which takes seconds to import
    from longctx.settings import load_settings

    settings = load_settings(index=index, encoder=encoder, max_size=max_size, max_seconds=max_seconds)
    limits = ReadLimits(max_bytes=settings.max_size, max_seconds=settings.max_seconds, encoding=encoding)
    options = {"prune": prune, "limits": limits, "wait": wait, "chunk_tokens": chunk_tokens, "overlap": overlap}
    with CorpusIndex.open(settings.index, settings.encoder) as corpus:
        report = _ingest(corpus, paths, options, quiet=json)
    print_json(report) if json else _print_report(report)
    sys.exit(_exit_code(report))


def _ingest(corpus: CorpusIndex, paths: list[Path], options: dict[str, Any], *, quiet: bool) -> IngestReport:
    """Ingest, and show the progress. After Ctrl-C, print how many of the files are in the index, and exit."""
    total = 0
    try:
        with ingest_progress(quiet) as show:

            def show_and_count(progress: IngestProgress) -> None:
                nonlocal total
                total = progress.total
                if show is not None:
                    show(progress)

            return corpus.ingest(paths, progress=show_and_count, **options)
    except KeyboardInterrupt:
        roots = [Path(abspath(path.expanduser())) for path in paths]
        sources = (Path(document.source) for document in corpus.documents())
        kept = sum(any(source.is_relative_to(root) for root in roots) for source in sources)
        of_all = f" of {total:,}" if total else ""
        typer.echo(
            f"interrupted: {kept:,}{of_all} files are in the index; run the same command again to go on", err=True
        )
        raise typer.Exit(INTERRUPTED) from None


def _exit_code(report: IngestReport) -> int:
    if not (report.added or report.changed or report.unchanged or report.removed):
        return _NOTHING_DONE
    return _SOME_FAILED if report.failed else 0


def _print_report(report: IngestReport) -> None:
    for warning in report.warnings:
        typer.echo(f"warning: {short_path(warning.source)}: {warning.reason}", err=True)
    for failure in report.failed:
        typer.echo(f"failed: {short_path(failure.source)}: {failure.reason}", err=True)
    typer.echo(
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed; {report.skipped} files of other kinds skipped"
    )
    typer.echo(f"{report.chunks:,} chunks, {report.tokens:,} tokens in {report.seconds:.1f} s")
    if _exit_code(report) == _NOTHING_DONE and not report.failed:
        typer.echo("longctx: there was nothing to ingest: no file that longctx reads is in there", err=True)
