"""`longctx index info|list|show|remove|verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.options import IndexOption, JsonOption, WaitOption
from longctx.cli.output import print_json, short_path

if TYPE_CHECKING:
    from indexes import CorpusIndex

app = typer.Typer(help="Look at an index, and look after it.")

Source = Annotated[str, typer.Argument(help="A document's path, or its source as `list` shows it.")]


def _open(index: Path | None) -> CorpusIndex:
    from indexes import CorpusIndex
    from longctx.settings import load_settings

    return CorpusIndex.open(load_settings(index=index).index, encoder=None, create=False)


@app.command()
def info(index: IndexOption = None, json: JsonOption = False) -> None:
    """Say what an index holds."""
    with _open(index) as corpus:
        facts = corpus.info()
    if json:
        print_json(facts)
        return
    typer.echo(f"{facts.path}: {facts.documents:,} documents, {facts.chunks:,} chunks, {facts.tokens:,} tokens")
    typer.echo(f"encoder {facts.encoder}; {facts.bytes / 1e6:.1f} MB on disk")


@app.command(name="list")
def list_documents(index: IndexOption = None, json: JsonOption = False) -> None:
    """List the documents."""
    with _open(index) as corpus:
        documents = corpus.documents()
    if json:
        print_json(documents)
        return
    for document in documents:
        copy = f"\ta copy of {short_path(document.copy_of)}" if document.copy_of else ""
        typer.echo(f"{short_path(document.source)}\t{document.chunks} chunks\t{document.title}{copy}")


@app.command()
def show(source: Source, index: IndexOption = None) -> None:
    """Print the text of a document: what citations count lines and characters in."""
    with _open(index) as corpus:
        typer.echo(corpus.text(source), nl=False)


@app.command()
def remove(source: Source, index: IndexOption = None, wait: WaitOption = False, json: JsonOption = False) -> None:
    """Take a document, or all under a folder, out of the index; files are left alone."""
    from indexes import CorpusError

    with _open(index) as corpus:
        removed = corpus.remove(source, wait=wait)
    if not removed:
        raise CorpusError(f"{source} is not in the index: see `longctx index list`")
    print_json({"removed": removed}) if json else typer.echo(f"{removed} removed")


@app.command()
def verify(index: IndexOption = None, json: JsonOption = False) -> None:
    """Check that an index is whole. Exit code: 0 it is, 1 it is not."""
    with _open(index) as corpus:
        report = corpus.verify()
    if json:
        print_json(report)
    else:
        for problem in report.problems:
            typer.echo(problem, err=True)
        state = "not whole" if report.problems else "whole"
        typer.echo(f"{report.documents:,} documents, {report.chunks:,} chunks: the index is {state}")
    raise typer.Exit(1 if report.problems else 0)
