"""`longctx ingest --into`: what is done beside the index."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from longctx.cli.progress import publish_progress
from longctx.cli.terminal import echo, name
from longctx.errors import BadRequest

if TYPE_CHECKING:
    from indexes import CorpusIndex, IngestReport
    from indexes.milvus import Collection, PublishReport


def collection_at(address: str | None, *, dry_run: bool) -> AbstractContextManager[Collection | None]:
    """Connect to the collection of `--into`, before anything is read.

    Args:
        address: The address; None without one.
        dry_run: Whether nothing is to be written.

    Returns:
        The collection, for a `with` block; None without an address.

    Raises:
        BadRequest: If nothing is to be written.
    """
    if address is None:
        return nullcontext()
    if dry_run:
        raise BadRequest("--dry-run writes nothing, and --into says where to write: give one of them")
    from indexes.milvus import Collection

    return Collection(address)


def publish_into(collection: Collection, corpus: CorpusIndex, *, yes: bool, quiet: bool) -> PublishReport:
    """Bring the collection up to date with the index.

    Args:
        collection: The collection.
        corpus: The index.
        yes: Whether to delete even most of the collection.
        quiet: Whether to print nothing.

    Returns:
        What was done.
    """
    from indexes.milvus import publish

    with publish_progress(collection.shown, quiet) as show:
        progress = None if show is None else lambda done, total: show((done, total))
        report = publish(corpus, collection, progress=progress, sure=yes)
    if not quiet:
        echo(
            f"{name(collection.shown)}: {report.written} documents written, {report.unchanged} unchanged, "
            f"{report.deleted} deleted; {report.passages:,} passages"
        )
    return report


def with_into(report: IngestReport, published: PublishReport | None) -> dict[str, Any]:
    """Return the report of an ingest as it is printed in JSON.

    Args:
        report: The report.
        published: What was done to a collection; None without one.

    Returns:
        The report, with what converts skipped files under "conversions", and `published` under "into".
    """
    from indexes.readers import conversions

    found = {**asdict(report), "conversions": conversions(report.skipped_kinds)}
    return found if published is None else {**found, "into": asdict(published)}
