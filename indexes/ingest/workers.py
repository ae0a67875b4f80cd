"""Work in other processes, by any `concurrent.futures.Executor`: what is lost with a worker is done again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from typing import Any, Generic, TypeVar

from indexes.errors import CorpusError
from indexes.text import on_one_line

T = TypeVar("T")

_SAFE_PATH = "PYTHONSAFEPATH"
_ATTEMPTS = 4  # with as many workers, before a piece of work is given up
# What Dask and Ray raise, which need not be installed.
_LOST = {
    *("KilledWorker", "FutureCancelledError", "CommClosedError"),
    *("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError", "OwnerDiedError"),
}


class WorkerLost(CorpusError):
    """Every worker that tried a piece of work died over it."""


class ProcessWorkers(Executor):
    """Processes on this machine, which are replaced when one of them dies. Close it, or use it in a `with` statement.

    Args:
        count: How many processes.

    Raises:
        CorpusError: If that is less than 1.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise CorpusError(f"{count} workers do nothing: ask for 1 or more")
        self._count = count
        self._lock = threading.Lock()
        self._pool = self._new_pool()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let a process call a function.

        Args:
            fn: The function.
            args: Its arguments.
            kwargs: Its arguments by name.

        Returns:
            What it will return. If a process dies meanwhile, that raises BrokenProcessPool.
        """
        with self._lock, _interrupted_later():
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._pool.shutdown(wait=False)
                self._pool = self._new_pool()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes.

        Args:
            wait: Whether to wait for what they are at; otherwise they are killed.
            cancel_futures: Whether to give up what they have not begun.
        """
        running = [] if wait else [*(getattr(self._pool, "_processes", None) or {}).values()]
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures or not wait)
        for process in running:
            process.kill()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(wait=kind is None)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not forked from this process: torch may have started its threads, and a fork of it may hang.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["indexes.ingest.parts", "sentence_transformers"])
        safe_path = os.environ.get(_SAFE_PATH)
        with _without_working_folder():
            resource_tracker.ensure_running()  # which lets interrupts through when it starts
            with _without_interrupts():
                forkserver.ensure_running()
        return ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin, initargs=(safe_path,))


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Have Ctrl-C wait for the end of a block: a process that has half started complains if its parent goes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if came and callable(before):
        before(*came[0])


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: they keep it blocked, from their first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_working_folder() -> Iterator[None]:
    """Start processes that import no module of the working folder, as `-c` would; before Python 3.11 they do."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        _set_safe_path(before)


def _set_safe_path(value: str | None) -> None:
    if value is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = value


def _begin(safe_path: str | None) -> None:
    """What a process does first: Ctrl-C is for the one that started it. Its share of the cores is one.

    Args:
        safe_path: PYTHONSAFEPATH as it was, for programs that this process starts.
    """
    import torch

    _set_safe_path(safe_path)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End a process whose parent was killed: it holds both ends of the pool's pipes, and would wait for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


class Task(Generic[T]):
    """A call in a worker, which is made again elsewhere if the worker is lost, and here if there is no other.

    Args:
        executor: Has the workers.
        call: The function.
        args: Its arguments.
    """

    def __init__(self, executor: Executor, call: Callable[..., T], *args: Any) -> None:
        self._executor, self._call, self._args = executor, call, args
        self._future = self._submitted()
        self._revived = False

    @property
    def is_done(self) -> bool:
        """Whether `result` need not wait."""
        return self._future is None or self._future.done()

    def result(self) -> T:
        """Wait for what the call returns.

        Returns:
            What it returns.

        Raises:
            WorkerLost: If every worker died over it.
            CorpusError: What the call raises; another error of a worker is the cause of one.
        """
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._future = self._submitted()
            if self._future is None:
                return self._call(*self._args)
            try:
                return self._future.result()
            except CorpusError:
                raise
            except Exception as error:
                if not _is_lost(error):
                    what = on_one_line(f"{type(error).__name__}: {error}")
                    remedy = "is longctx installed there, in the same version?"
                    raise CorpusError(f"a worker failed ({what:.300}): {remedy}") from error
        raise WorkerLost(f"{_ATTEMPTS} workers died over it: a hostile file, or too little memory")

    def revive(self) -> None:
        """Make the call again, once, if a worker that did something else has taken it along."""
        future = self._future
        if future is None or self._revived or not future.done():
            return
        if future.cancelled() or _is_lost(future.exception()):
            self._revived = True
            self._future = self._submitted()

    def cancel(self) -> None:
        """Give it up if it has not begun."""
        if self._future is not None:
            self._future.cancel()

    def _submitted(self) -> Future[T] | None:
        """The future; None where the executor takes nothing more."""
        try:
            return self._executor.submit(self._call, *self._args)
        except (BrokenExecutor, RuntimeError):  # broken, or shut down
            return None


def _is_lost(error: BaseException | None) -> bool:
    """Whether an error says that a worker has gone, and nothing of the work."""
    return isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in _LOST
