"""What a plan is made from: the tokens of what a prompt could hold, the windows there are, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longctx.types import RouteChoice


@dataclass(frozen=True, slots=True)
class PassageCost:
    """A passage of so many `tokens`, its number apart. `place` is its own, and rises within its document."""

    place: int
    document: str
    tokens: int


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that bears on the question, and those before and after it in its document, nearest first."""

    part: PassageCost
    before: tuple[PassageCost, ...] = ()
    after: tuple[PassageCost, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptCosts:
    """Tokens of everything that a prompt could hold, and of its answer.

    `system` and `question` stand in every prompt. `found` are passages, best first; `whole` all passages of the
    documents that were counted, and `uncounted` how many documents were not, because no window could hold them too.
    `turns` of the conversation are oldest first, and `recalled` the numbers, from 1, of those that bear on the
    question, best first. `fences` is what surrounds the passages of each document, `numbers` the lines [1], [2], …
    before passages, at least as many as there are passages. `give_up` is how much longer the system prompt is that lets
    the model say that the passages do not hold the answer.
    """

    system: int
    question: int
    max_new_tokens: int
    found: tuple[FoundPassage, ...] = ()
    whole: tuple[PassageCost, ...] = ()
    uncounted: int = 0
    turns: tuple[int, ...] = ()
    recalled: tuple[int, ...] = ()
    fences: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    give_up: int = 0

    @property
    def fixed(self) -> int:
        """What is in every prompt, and the answer."""
        return self.system + self.question + self.max_new_tokens

    def of_turns(self, numbers: Iterable[int]) -> int:
        """What some turns of the conversation take; the first is number 1."""
        return sum(self.turns[number - 1] for number in numbers)


@dataclass(frozen=True, slots=True)
class Windows:
    """Tokens of prompt and answer: the `native` window, longer ones by scaling, rising, and what `memory` allows.

    `only_native` is why there is no longer one, where there is none; `shown` says whether a probe has shown how far the
    scaling carries the model.
    """

    native: int
    extended: tuple[int, ...] = ()
    memory: int | None = None
    only_native: str = "no scaling extends the window: load the model with one (--scaling yarn)"
    shown: bool = False

    def holds(self, window: int) -> int:
        """How many tokens can be used of a window."""
        return window if self.memory is None else min(window, self.memory)

    @property
    def every(self) -> tuple[int, ...]:
        """Every window, rising."""
        return (self.native, *self.extended)

    @property
    def largest(self) -> int:
        """The most tokens that any window holds."""
        return max(map(self.holds, self.every))


@dataclass(frozen=True, slots=True)
class Policy:
    """What is wanted: a `route`, or 'auto'.

    `extend_retrieval`: passages fill the longest window, not the first that holds one. `history_share` is how much of
    the room the conversation may take before passages do. `expand` neighbours of each passage come before the next
    passage; others when all passages are in.
    """

    route: RouteChoice = "auto"
    extend_retrieval: bool = False
    history_share: float = 0.25
    expand: int = 0
