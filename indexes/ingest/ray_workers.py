"""A Ray cluster as a `concurrent.futures.Executor`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from indexes.errors import CorpusError, extra

T = TypeVar("T")


class RayWorkers(Executor):
    """The workers of the Ray cluster that `ray.init` has started, or connected to.

    >>> import ray
    >>> ray.init(address="auto")
    >>> index.ingest(["papers/"], executor=RayWorkers())

    Args:
        options: What a task asks of the cluster, as `ray.remote` takes it: `num_cpus=2`, `resources={"reader": 1}`.

    Raises:
        CorpusError: If Ray is not installed, or not started.
    """

    def __init__(self, **options: Any) -> None:
        try:
            import ray
        except ImportError as error:
            raise CorpusError(f"Ray is not installed: it comes with {extra('ray')}") from error
        if not ray.is_initialized():
            raise CorpusError("Ray is not started: call ray.init() first, or ray.init(address=...) for a cluster")
        # what is lost with a worker is done again by the one who asked
        self._task = ray.remote(**{"num_cpus": 1, **options, "max_retries": 0})(_called)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let a worker call a function.

        Args:
            fn: The function.
            args: Its arguments.
            kwargs: Its arguments by name.

        Returns:
            What it will return; its own error, or one of Ray's where the worker was lost.
        """
        answer: Future[T] = Future()
        self._task.remote(fn, args, kwargs).future().add_done_callback(lambda done: _answer(answer, done))
        return answer


def _called(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return fn(*args, **kwargs)


def _answer(answer: Future[Any], done: Future[Any]) -> None:
    """Pass on what came, unless nobody waits any more; of an error of the call, that and not Ray's report of it."""
    if answer.set_running_or_notify_cancel():
        if error := done.exception():
            answer.set_exception(getattr(error, "cause", None) or error)
        else:
            answer.set_result(done.result())
