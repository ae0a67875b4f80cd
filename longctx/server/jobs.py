"""Ingest jobs: one at a time in each index, with progress to follow, and cancellation."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread

from indexes import Failure, IndexBusy, IngestProgress, IngestReport, ReadLimits
from indexes.ingest import emptied_folders
from longctx.server.names import DocumentNames

if TYPE_CHECKING:
    from longctx.qa import DocumentQA

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
FileState = Literal["waiting", "reading", "read", "done", "partial", "failed", "cancelled"]

_KEPT = 50  # jobs that are over, for who asks later
_PATIENCE = 1.0  # seconds to wait for another writer before looking whether the job has been cancelled
_LOG = logging.getLogger("longctx.server")


@dataclass(slots=True)
class JobFile:
    """A file of a job.

    Attributes:
        name: Its name.
        state: How far it is.
        reason: Why it failed, or which part of it could not be read.
    """

    name: str
    state: FileState = "waiting"
    reason: str = ""


@dataclass(slots=True)
class Job:
    """An ingest.

    Attributes:
        id: Its identifier.
        state: How far it is.
        doing: What is being done now.
        done: Files that are finished.
        total: Files that were found; 0 until all have been looked for.
        chunks: Chunks made so far.
        files: The files of an upload; empty for folders.
        added: Documents that are new.
        changed: Documents that were replaced.
        unchanged: Documents that had not changed.
        removed: Documents whose files have gone.
        skipped: Files of other kinds.
        error: Why the job failed.
    """

    id: str
    state: JobState = "waiting"
    doing: str = ""
    done: int = 0
    total: int = 0
    chunks: int = 0
    files: list[JobFile] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.state in ("done", "failed", "cancelled")


class _Cancelled(Exception):
    pass


@dataclass(slots=True)
class _Work:
    job: Job
    paths: list[Path]
    prune: bool
    owned: bool  # whether the files are uploads, which are deleted where they are not taken
    cancelled: threading.Event = field(default_factory=threading.Event)
    goes_on: bool = False  # at the server's next start, which finds its uploads


class Jobs:
    """The jobs of one index.

    Args:
        qa: Whose index is changed.
        names: The names of its documents.
        limits: What a file may cost to be read.
    """

    def __init__(self, qa: DocumentQA, names: DocumentNames, limits: ReadLimits) -> None:
        self._qa, self._names, self._limits = qa, names, limits
        self._works: dict[str, _Work] = {}
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._version = 0  # of all jobs: followers look whether it has risen

    def all(self) -> list[Job]:
        """All jobs, oldest first."""
        return [work.job for work in self._works.values()]

    def find(self, identifier: str) -> Job | None:
        """Find a job by its identifier; None if it is not known."""
        work = self._works.get(identifier)
        return None if work is None else work.job

    def start(
        self, paths: list[Path], *, prune: bool = False, uploads: bool = False, refused: Sequence[JobFile] = ()
    ) -> Job:
        """Begin to ingest files or folders as soon as the jobs before are over.

        Args:
            paths: The files or folders.
            prune: Whether to remove the documents whose files have gone.
            uploads: Whether the files are uploads, of which those that cannot be read are deleted.
            refused: Files that were not taken at all.

        Returns:
            The job.
        """
        over = [identifier for identifier, work in self._works.items() if work.job.is_over]
        for identifier in over[:-_KEPT]:
            del self._works[identifier]
        files = [*(JobFile(path.name) for path in paths if uploads), *refused]
        work = _Work(Job(uuid.uuid4().hex[:12], files=files), paths, prune, uploads)
        self._works[work.job.id] = work
        if not paths:
            work.job.state = "done"
            return work.job
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return work.job

    def cancel(self, identifier: str) -> None:
        """Stop a job after the file at hand. What is finished stays in the index."""
        self._works[identifier].cancelled.set()

    async def follow(self, job: Job) -> AsyncIterator[Job]:
        """Follow a job until it ends, or the server shuts down.

        Args:
            job: The job.

        Yields:
            The job, each time that it has changed.
        """
        while True:
            seen, is_last = self._version, job.is_over or self._closing
            yield job
            if is_last:
                return
            async with self._changed:
                await self._changed.wait_for(lambda seen=seen: self._version != seen)  # type: ignore[misc]

    async def close(self) -> None:
        """Stop all jobs, and wait until they have stopped. Uploads that are left are ingested at the next start."""
        for work in self._works.values():
            work.goes_on = not work.cancelled.is_set()
            work.cancelled.set()
        self.end_followers()
        await asyncio.gather(*self._tasks)

    def end_followers(self) -> None:
        """Let `follow` end, since the server is about to shut down."""
        self._closing = True
        self._notify()

    async def _run(self, work: _Work) -> None:
        job, loop = work.job, asyncio.get_running_loop()

        def report(progress: IngestProgress) -> None:  # called in the thread
            if work.cancelled.is_set():
                raise _Cancelled
            loop.call_soon_threadsafe(self._advance, work, progress)

        async with self._one_at_a_time:
            job.state, job.doing = "running", "waiting for another writer"
            self._notify()
            try:
                result = await anyio.to_thread.run_sync(self._ingest, work, report, limiter=anyio.CapacityLimiter(1))
                await asyncio.sleep(0)  # what the thread reported last comes first
                self._conclude(work, result)
                job.state = "done"
            except _Cancelled:
                self._give_up(work, "cancelled", "")
                job.state = "cancelled"
            except Exception as error:
                _LOG.warning("an ingest failed", exc_info=error)
                job.error = self._names.clean(str(error)) or type(error).__name__
                self._give_up(work, "failed", job.error)
                job.state = "failed"
            job.doing = ""
            self._notify()

    def _ingest(self, work: _Work, report: Callable[[IngestProgress], None]) -> IngestReport:
        while True:
            if work.cancelled.is_set():
                raise _Cancelled
            try:
                done = self._qa.ingest(work.paths, limits=self._limits, progress=report, wait=_PATIENCE)
                return self._pruned(work.paths, done) if work.prune else done
            except IndexBusy:
                continue

    def _pruned(self, paths: Sequence[Path], report: IngestReport) -> IngestReport:
        """Remove the documents whose files have gone, but none where a folder that held some is empty."""
        index, kept = self._qa.index, list[Failure]()
        for path in paths:
            gone = index.missing(path)
            if emptied := emptied_folders(gone, path):
                reason = (
                    f"empty, as a drive that is not mounted is: {len(gone):,} documents are kept; to remove them, run"
                )
                kept.append(Failure(emptied[0], f"{reason} longctx ingest --prune --yes"))
                _LOG.warning("%s is %s", emptied[0], kept[-1].reason)
            elif gone:
                report = replace(report, removed=report.removed + index.prune(path, wait=_PATIENCE))
        return replace(report, failed=(*report.failed, *kept))

    def _advance(self, work: _Work, progress: IngestProgress) -> None:
        job = work.job
        if job.is_over:
            return
        job.doing, job.done, job.total, job.chunks = progress.doing, progress.done, progress.total, progress.chunks
        for path, file in zip(work.paths, job.files, strict=False):
            if str(path) == progress.source:
                file.state = "reading"
            elif file.state == "reading" and progress.source:
                file.state = "read"
        self._notify()

    def _conclude(self, work: _Work, report: IngestReport) -> None:
        job = work.job
        job.added, job.changed, job.unchanged = report.added, report.changed, report.unchanged
        job.removed, job.skipped, job.chunks = report.removed, report.skipped, report.chunks
        warned = {each.source: each.reason for each in report.warnings}
        failed = {each.source: each.reason for each in report.failed}
        if not work.owned:
            job.files = [JobFile(self._names.of(s), "failed", self._names.clean(r)) for s, r in failed.items()]
        for path, file in zip(work.paths, job.files if work.owned else (), strict=False):
            reason = failed.get(str(path)) or warned.get(str(path), "")
            file.state = "failed" if str(path) in failed else "partial" if reason else "done"
            file.reason = self._names.clean(reason)
            if file.state == "failed":
                path.unlink(missing_ok=True)

    def _give_up(self, work: _Work, state: FileState, reason: str) -> None:
        """The files of a job that did not end: those that are in the index stay."""
        kept = {document.source for document in self._names.documents().values()}
        for path, file in zip(work.paths, work.job.files, strict=False):
            if str(path) in kept:
                file.state = "done"
            else:
                file.state, file.reason = state, reason
                if not work.goes_on:
                    path.unlink(missing_ok=True)

    def _notify(self) -> None:
        self._version += 1

        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.get_running_loop().create_task(wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
