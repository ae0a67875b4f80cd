"""An executor without other processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Here(Executor):
    """Does the work in this process, with arguments changed on the way: what another machine would be given or be.

    `given` are the calls: the name of each function, and its arguments.
    """

    def __init__(self, change: Callable[..., tuple[Any, ...]] = lambda *given: given) -> None:
        self.change, self.given = change, list[tuple[Any, ...]]()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append((fn.__name__, *args))
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*self.change(*args), **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
