"""`longctx ingest`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longctx.cli.ingest_checks import prune_missing, show_plan
from longctx.cli.into import collection_at, publish_into, with_into
from longctx.cli.opening import check_trusted
from longctx.cli.options import (
    EncoderOption,
    IndexOption,
    JsonOption,
    TrustOption,
    WaitOption,
    size_option,
    tokens_option,
)
from longctx.cli.output import INTERRUPTED, SOME_FAILED, print_json, short_path
from longctx.cli.progress import ingest_progress
from longctx.cli.terminal import echo, name
from longctx.cli.workers import ingest_workers

if TYPE_CHECKING:
    from indexes import CorpusIndex, IngestProgress, IngestReport

_NOTHING_DONE = 1
_MANY = 0.2  # of the passages, in a language that is worth a remark


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files and folders, which are read recursively; s3://BUCKET/PREFIX."),
    ],
    index: IndexOption = None,
    encoder: EncoderOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the documents under PATH whose files have gone.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="With --prune or --into: remove even most of what is there without a question."),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and folders, as in a .gitignore; repeat it for more."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Read only such files, ignored ones too; repeat it for more."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be read, kept and removed, and read nothing.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="The text files' encoding, where it is not found out.")
    ] = None,
    max_size: Annotated[int | None, size_option("The largest file to read, such as 200MB (default: 100MB)")] = None,
    max_seconds: Annotated[
        str | None, typer.Option(metavar="TIME", help="The longest that one file may take, such as 2m (default: 120)")
    ] = None,
    ocr: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="A program for pages without readable text, e.g. 'ocrmypdf -l jpn {input} {output}'.",
        ),
    ] = None,
    chunk_tokens: Annotated[
        int | None, tokens_option("N", "The most tokens of a chunk (default: the encoder's)", least=0)
    ] = None,
    overlap: Annotated[
        int | None, tokens_option("N", "How many tokens of it a chunk may share with the one before it.", least=0)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Read and embed in N processes on this machine.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Read and embed on the Dask cluster at tcp://host:port, or on Ray's: ray:"
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Write the index's passages into a Milvus collection, too: milvus:FILE.db#NAME, milvus:http://host:19530.",
        ),
    ] = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say how many characters of text each file gave that was read.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Read documents into an index; files that have not changed are skipped.

    Hidden files, what .gitignore and .longctxignore name, and venv, node_modules, dist, lock files and the like are
    left out of a folder, unless they are named themselves. Stop it with Ctrl-C, and the same command goes on where it
    stopped.

    Exit code: 0 everything is in, 3 some files failed, 1 nothing was done, 130 interrupted.
    """
    from indexes import CorpusIndex, ReadLimits  # and not longctx.qa, which takes seconds to import
    from longctx.settings import load_settings

    settings = load_settings(index=index, encoder=encoder, max_size=max_size, max_seconds=max_seconds)
    check_trusted(settings, agreed=trust, used=("encoder", "index"))
    limits = ReadLimits(max_bytes=settings.max_size, max_seconds=settings.max_seconds, encoding=encoding, ocr=ocr)
    options: dict[str, Any] = {"limits": limits, "chunk_tokens": chunk_tokens, "overlap": overlap}
    options |= {"exclude": exclude or (), "include": include or ()}
    if dry_run:
        collection_at(into, dry_run=True)
        show_plan(settings, paths, {**options, "prune": prune}, as_json=json)
        return
    with collection_at(into, dry_run=False) as collection, CorpusIndex.open(settings.index, settings.encoder) as corpus:
        with ingest_workers(workers, cluster) as executor:
            report = _ingest(corpus, paths, {**options, "wait": wait, "executor": executor}, quiet=json)
        if prune:
            report = prune_missing(corpus, paths, report, yes=yes, wait=wait)
        if (report.added or report.changed) and (hint := _searched_by_words(corpus)):
            echo(hint, err=True)
        published = None if collection is None else publish_into(collection, corpus, yes=yes, quiet=json)
    if verbose and not json:
        _print_texts(report)
    print_json(with_into(report, published)) if json else _print_report(report)
    sys.exit(_exit_code(report))


def _ingest(corpus: CorpusIndex, paths: list[Path], options: dict[str, Any], *, quiet: bool) -> IngestReport:
    """Ingest, and show the progress. After Ctrl-C, print how many of the files are in the index, and exit."""
    from indexes.sources import full_source, lies_in

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
        roots = [full_source(path) for path in paths]
        kept = sum(any(lies_in(document.source, root) for root in roots) for document in corpus.documents())
        of_all = f" of {total:,}" if total else ""
        echo(f"interrupted: {kept:,}{of_all} files are in the index; run the same command again to go on", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _searched_by_words(corpus: CorpusIndex) -> str:
    """What to say of the languages of many passages that the encoder does not know; empty if there are none."""
    from indexes.text import LANGUAGE_NAMES

    held, known = corpus.languages(), corpus.encoder.languages
    unknown = [
        code for code in held if known is not None and code not in known and held[code] > _MANY * sum(held.values())
    ]
    if not unknown:
        return ""
    names = " and ".join(LANGUAGE_NAMES[code] for code in unknown)
    return (
        f"the encoder {corpus.encoder.name} does not know {names}: such passages are searched by words alone; "
        "for a search by meaning, ingest into a new index with one that does (--encoder; docs/searching.md names some)"
    )


def _exit_code(report: IngestReport) -> int:
    if not (report.added or report.changed or report.unchanged or report.removed or report.renamed or report.empty):
        return _NOTHING_DONE
    return SOME_FAILED if report.failed else 0


def _print_texts(report: IngestReport) -> None:
    for text in report.texts:
        left_out = f"; left out: {len(text.unreadable):,} pages without readable text" if text.unreadable else ""
        echo(f"{name(short_path(text.source))}: {text.characters:,} characters{left_out}")


def _print_report(report: IngestReport) -> None:
    from indexes.readers import conversions

    for warning in report.warnings:
        echo(f"warning: {name(short_path(warning.source))}: {name(warning.reason)}", err=True)
    for failure in report.failed:
        echo(f"failed: {name(short_path(failure.source))}: {name(failure.reason)}", err=True)
    kinds = f": {_counts(report.skipped_kinds)}" if report.skipped_kinds else ""
    echo(
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed; {report.skipped} files of other kinds skipped{kinds}"
    )
    for command, suffixes in conversions(report.skipped_kinds).items():
        echo(f"{' '.join(suffixes)} are read when they are converted: {command}")
    further = {"copies of other files": report.copies, "renamed": report.renamed, "empty": report.empty}
    if any(further.values()):
        echo(", ".join(f"{count} {what}" for what, count in further.items() if count))
    if report.ignored:
        echo(f"left out: {_counts(report.ignored)} (--dry-run lists them; what you name yourself is read)")
    echo(f"{report.chunks:,} chunks, {report.tokens:,} tokens in {report.seconds:.1f} s")
    if _exit_code(report) == _NOTHING_DONE and not report.failed:
        echo("longctx: there was nothing to ingest: no file that longctx reads is in there", err=True)


def _counts(counts: Mapping[str, int]) -> str:
    """'.doc 3, no suffix 4'."""
    return ", ".join(f"{what} {count}" for what, count in counts.items())
