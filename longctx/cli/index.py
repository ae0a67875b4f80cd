"""`longctx index info|list|show|remove|copy|verify|repair|cache`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from longctx.cli.opening import check_trusted
from longctx.cli.options import IndexOption, JsonOption, TrustOption, WaitOption
from longctx.cli.output import print_json, short_path
from longctx.cli.progress import waiting_for
from longctx.cli.terminal import echo, name

if TYPE_CHECKING:
    from indexes import CorpusIndex
    from longctx.engine import PrefixStore

app = typer.Typer(help="Look at an index, and look after it.")

cache = typer.Typer(help="Keys and values of documents that a model has read whole.")
app.add_typer(cache, name="cache")

Source = Annotated[str, typer.Argument(help="A document's path, or its source as `list` shows it.")]


def _open(
    index: str | None, *, trust: bool = False, encoder: str | None = None, to_repair: bool = False
) -> CorpusIndex:
    from indexes import CorpusIndex
    from longctx.settings import load_settings

    settings = load_settings(index=index)
    check_trusted(settings, agreed=trust, used=("index",))
    return CorpusIndex.open(settings.index, encoder, create=False, to_repair=to_repair)


@app.command()
def info(index: IndexOption = None, trust: TrustOption = False, json: JsonOption = False) -> None:
    """Describe an index."""
    with _open(index, trust=trust) as corpus:
        facts = corpus.info()
    if json:
        print_json(facts)
        return
    echo(f"{name(facts.path)}: {facts.documents:,} documents, {facts.chunks:,} chunks, {facts.tokens:,} tokens")
    echo(f"encoder {facts.encoder}; {facts.bytes / 1e6:.1f} MB on disk")


@app.command(name="list")
def list_documents(index: IndexOption = None, trust: TrustOption = False, json: JsonOption = False) -> None:
    """List the documents."""
    with _open(index, trust=trust) as corpus:
        documents = corpus.documents()
    if json:
        print_json(documents)
        return
    for document in documents:
        copy = f"\ta copy of {name(short_path(document.copy_of))}" if document.copy_of else ""
        echo(f"{name(short_path(document.source))}\t{document.chunks} chunks\t{name(document.title)}{copy}")


@app.command()
def show(source: Source, index: IndexOption = None, trust: TrustOption = False) -> None:
    """Print the text of a document: what citations count lines and characters in."""
    with _open(index, trust=trust) as corpus:
        text = corpus.text(source)
    if sys.stdout.isatty():
        echo(text, nl=False)
    else:  # as it is, in a pipe or a file: what citations count characters in
        sys.stdout.write(text)


@app.command()
def remove(
    source: Source,
    index: IndexOption = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Take a document, or all under a folder, out of the index; files are left alone."""
    from indexes import CorpusError

    with _open(index, trust=trust) as corpus:
        removed = corpus.remove(source, wait=wait)
        if not removed:
            raise CorpusError(f"{source} is not in the index: {corpus.instead_of(source)}")
    print_json({"removed": removed}) if json else echo(f"{removed} removed")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The index to copy: a folder, or postgresql://….")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A new or an empty one: a folder, or postgresql://….")],
    wait: WaitOption = False,
    json: JsonOption = False,
) -> None:
    """Copy an index, from a folder or a database into another; nothing is read or embedded again."""
    from indexes import CorpusIndex
    from indexes.storage import shown

    with CorpusIndex.open(source, encoder=None, create=False) as corpus, waiting_for("copying the index"):
        copied = corpus.copy(target, wait=wait)
    print_json({"copied": copied}) if json else echo(f"{copied:,} documents copied to {name(shown(target))}")


@app.command()
def verify(index: IndexOption = None, trust: TrustOption = False, json: JsonOption = False) -> None:
    """Check that an index is whole. Exit code: 0 it is, 1 it is not."""
    with _open(index, trust=trust) as corpus:
        report = corpus.verify()
    if json:
        print_json(report)
    else:
        for problem in report.problems:
            echo(name(problem), err=True)
        state = "not whole; `longctx index repair` mends it" if report.problems else "whole"
        echo(f"{report.documents:,} documents, {report.chunks:,} chunks: the index is {state}")
    raise typer.Exit(1 if report.problems else 0)


def _kv_cache(index: str | None, trust: bool) -> PrefixStore:
    from longctx.engine import KV_CACHE_FOLDER, PrefixStore

    with _open(index, trust=trust) as corpus:
        if corpus.held is not None:
            corpus.held.inner(KV_CACHE_FOLDER)  # says what is wrong with it
        return PrefixStore(corpus.path / KV_CACHE_FOLDER, within=corpus.held)


@cache.command(name="info")
def cache_info(index: IndexOption = None, trust: TrustOption = False, json: JsonOption = False) -> None:
    """List the prefixes that are kept, so that the next process need not read them again."""
    store = _kv_cache(index, trust)
    entries = store.entries()
    nbytes = sum(entry.nbytes for entry in entries)
    if json:
        print_json({"path": str(store.folder), "files": len(entries), "bytes": nbytes})
        return
    echo(f"{name(str(store.folder))}: {len(entries)} files, {nbytes / 1e6:.1f} MB")


@cache.command(name="clear")
def cache_clear(index: IndexOption = None, trust: TrustOption = False, json: JsonOption = False) -> None:
    """Remove the kept prefixes; documents are read again when they are asked about."""
    removed = _kv_cache(index, trust).clear()
    freed = sum(entry.nbytes for entry in removed)
    if json:
        print_json({"removed": len(removed), "bytes": freed})
        return
    echo(f"{len(removed)} files removed, {freed / 1e6:.1f} MB")


@app.command()
def repair(
    index: IndexOption = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The encoder that the index was made with, where that is damaged, too."),
    ] = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Make again what `verify` finds damaged, from the index's own database. Exit code: 0 it is whole, 1 it is not.

    A document that cannot be made again is taken out, and named: ingest it again.
    """
    with _open(index, trust=trust, encoder=encoder, to_repair=True) as corpus:
        done, problems = corpus.repair(wait=wait), corpus.verify().problems
    if json:
        print_json({"done": done, "problems": problems})
    else:
        for line in done:
            echo(name(line))
        for problem in problems:
            echo(name(problem), err=True)
    raise typer.Exit(1 if problems else 0)
