"""What a plan is made from: token costs, the model's context windows, and the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longctx.planning.budget import PromptBudget
from longctx.reasons import Reason
from longctx.types import QuestionKind, RouteChoice

_NO_LIMIT = PromptBudget()
_NO_SCALING = Reason("no_scaling")


@dataclass(frozen=True, slots=True)
class PassageCost:
    """What a passage costs.

    Attributes:
        chunk_id: The chunk's id, which rises within its document.
        document: The source of its document.
        tokens: Its length in tokens, without the line that numbers it.
    """

    chunk_id: int
    document: str
    tokens: int


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that the search found.

    Attributes:
        part: The passage.
        before: The passages before it in its document, nearest first.
        after: The passages after it in its document, nearest first.
        stands_out: Whether it goes into a prompt; one that does not scores far below the best one.
    """

    part: PassageCost
    before: tuple[PassageCost, ...] = ()
    after: tuple[PassageCost, ...] = ()
    stands_out: bool = True


@dataclass(frozen=True, slots=True)
class PromptCosts:
    """Tokens of everything that a prompt could hold, and of its answer.

    Attributes:
        system: The system prompt, which is in every prompt.
        question: The question, which is in every prompt.
        max_new_tokens: The longest answer.
        found: The passages that the search found, best first.
        whole: All passages of the documents that were counted.
        uncounted: How many documents were not counted, because no window could hold them too.
        turns: Each turn of the conversation, oldest first.
        recalled: Numbers, from 1, of the turns that bear on the question, best first.
        fences: What surrounds the passages of each document, by its source.
        numbers: The lines [1], [2], … before passages: at least as many as there are passages.
        give_up: How much longer the system prompt is that lets the model say that the passages hold no answer.
        kind: What the question asks for.
        cached: How many first tokens of a prompt with all documents the model has read before, in the native window.
        passages_only: Whether passages are found and whole documents cannot be read, as with a llama-index retriever.
        last: The passages of the last prompt in their order, as far as they need not be read again.
        last_cached: How many first tokens of a prompt with these the model has read before, as far as that is known.
        conversing: Whether passages of the last prompt may stay that were not found now.
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
    kind: QuestionKind = "locate"
    cached: int = 0
    passages_only: bool = False
    last: tuple[PassageCost, ...] = ()
    last_cached: int = 0
    conversing: bool = False

    @property
    def framing(self) -> int:
        """Tokens of what is in every prompt."""
        return self.system + self.question

    @property
    def fixed(self) -> int:
        """Tokens of what is in every prompt, and of the answer."""
        return self.framing + self.max_new_tokens

    def of_turns(self, numbers: Iterable[int]) -> int:
        """Tokens of some turns of the conversation.

        Args:
            numbers: The turns, counted from 1.

        Returns:
            Their tokens, together.
        """
        return sum(self.turns[number - 1] for number in numbers)


@dataclass(frozen=True, slots=True)
class Windows:
    """The context windows of a model, each in tokens of prompt and answer together.

    Attributes:
        native: The native window.
        extended: Longer windows by RoPE scaling, rising.
        memory: The longest sequence that free memory has room for; None for no limit.
        only_native: Why there is no extended window, where there is none.
        measured: Whether a probe has shown how far the scaling carries the model.
    """

    native: int
    extended: tuple[int, ...] = ()
    memory: int | None = None
    only_native: Reason = _NO_SCALING
    measured: bool = False

    def holds(self, window: int) -> int:
        """How many tokens of a window can be used: all of it, or what memory allows.

        Args:
            window: A window in tokens.

        Returns:
            Tokens.
        """
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
    """How a route is chosen and a window is shared, where a question does not say.

    Attributes:
        route: The route to take; `auto` takes the first of native, extended and retrieval that works, or `map` in place
            of retrieval for a question that needs everything.
        extend_retrieval: Passages fill the longest window, not the first that holds one.
        history_share: How much of the room the conversation may take before passages do, from 0 to 1.
        expand: So many neighbours of each passage come before the next passage; others when all passages are in.
        budget: What a prompt may cost.
        part_tokens: On route `map`, the most tokens of passages that are read in one prompt. None is 4,096, and for a
            question that asks for a list (how many, which ones, the largest, in what order) 320: small models overlook
            items in long parts.
        keep_order: Whether passages that were in the last prompt stand first and in their order, so that they are not
            read again. Otherwise passages are in the order of the documents, and a prompt depends on the question
            alone.
    """

    route: RouteChoice = "auto"
    extend_retrieval: bool = False
    history_share: float = 0.25
    expand: int = 0
    budget: PromptBudget = _NO_LIMIT
    part_tokens: int | None = None
    keep_order: bool = True
