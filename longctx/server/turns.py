"""Who may use the model next: a bounded queue, in which clients take turns however much each of them asks."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from contextlib import suppress

from longctx.errors import LongctxError

_FIRST_GUESS = 10.0  # seconds that an answer takes, before one has been seen
_WEIGHT = 0.3  # of the last answer in the average


class TooBusy(Exception):
    """The queue is full.

    Attributes:
        retry_after: After how many seconds there is likely to be room.
    """

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} questions are waiting already: try again in {retry_after} s")
        self.retry_after = retry_after


class ServerEnds(LongctxError):
    """An answer is not finished when the server has to end."""


class QueueTurn:
    """A place in the queue, and then the model, until `end`."""

    def __init__(self, turns: Turns, client: str) -> None:
        self._turns, self.client = turns, client
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began: float | None = None

    @property
    def position(self) -> int:
        """How many turns come before this one; 0 when it is this one's turn."""
        return 0 if self.granted.done() else self._turns.position(self)

    async def wait(self) -> None:
        """Wait until it is this turn's time."""
        await asyncio.shield(self.granted)
        self._began = time.monotonic()

    def end(self) -> None:
        """Leave the queue, or give the model back; a second call does nothing."""
        took = None if self._began is None else time.monotonic() - self._began
        self._turns.leave(self, took)


class Turns:
    """The queue of one model.

    Args:
        slots: How many turns may run at the same time.
        bound: How many may wait.
    """

    def __init__(self, slots: int, bound: int) -> None:
        self._slots, self._bound = slots, bound
        self._running: set[QueueTurn] = set()
        self._queues: OrderedDict[str, deque[QueueTurn]] = OrderedDict()  # of each client; whose turn it is comes first
        self._seconds = _FIRST_GUESS

    @property
    def running(self) -> int:
        """How many answers are being generated."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return sum(map(len, self._queues.values()))

    def enter(self, client: str) -> QueueTurn:
        """Take a place in the queue.

        Args:
            client: Who asks. Clients take turns.

        Returns:
            The place; end it.

        Raises:
            TooBusy: If the queue is full.
        """
        waiting = self.waiting
        if waiting >= self._bound and len(self._running) >= self._slots:
            seconds = max(1, round(self._seconds * (waiting + 1) / self._slots))
            raise TooBusy(waiting, min(seconds, 600))
        turn = QueueTurn(self, client)
        self._queues.setdefault(client, deque()).append(turn)
        self._grant()
        return turn

    def position(self, turn: QueueTurn) -> int:
        """How many turns come before one that waits.

        Args:
            turn: The turn.

        Returns:
            Those that run, and those that will be granted before it.
        """
        own = self._queues[turn.client].index(turn)
        clients = list(self._queues)
        at = clients.index(turn.client)
        before = (
            min(len(queue), own + (clients.index(client) < at))
            for client, queue in self._queues.items()
            if client != turn.client
        )
        return own + sum(before) + len(self._running)

    def leave(self, turn: QueueTurn, seconds: float | None) -> None:
        """End a turn.

        Args:
            turn: The turn, which runs or waits.
            seconds: How long it ran; None if it did not.
        """
        if turn in self._running:
            self._running.remove(turn)
            if seconds is not None:
                self._seconds += _WEIGHT * (seconds - self._seconds)
        elif turn.client in self._queues:
            with suppress(ValueError):
                self._queues[turn.client].remove(turn)
            if not self._queues[turn.client]:
                del self._queues[turn.client]
        self._grant()

    def _grant(self) -> None:
        while self._queues and len(self._running) < self._slots:
            client, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if queue:
                self._queues.move_to_end(client)  # the others come first now
            else:
                del self._queues[client]
            self._running.add(turn)
            turn.granted.set_result(None)
