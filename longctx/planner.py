"""Which way a question is answered, and what goes into the prompt: arithmetic on tokens. Knows no text and no model.

In order: everything fits the native window, and is read without scaling; or it fits an extended one, the smallest that
holds it; or the best passages fill a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from longctx.errors import BadRequest, ContextTooLong
from longctx.types import Plan, Route, RouteChoice, Share, ShareKind


@dataclass(frozen=True, slots=True)
class Part:
    """A passage of so many `tokens`, its number apart. `place` is its own, and rises within its document."""

    place: int
    document: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that bears on the question, and those before and after it in its document, nearest first."""

    part: Part
    before: tuple[Part, ...] = ()
    after: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
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
    found: tuple[Found, ...] = ()
    whole: tuple[Part, ...] = ()
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


_DEFAULT_POLICY = Policy()
_NOT_SHOWN = "no probe's report shows that the model reads so far"


def plan(counts: Counts, windows: Windows, policy: Policy = _DEFAULT_POLICY) -> Plan:
    """How a question is answered; the same for the same input.

    Raises ContextTooLong, with numbers, for a route that cannot work, and where no window holds the question, the
    system prompt and the answer; BadRequest for a route that does not exist.
    """
    if policy.route != "auto" and policy.route not in _ROUTES:
        raise BadRequest(f"there is no route {policy.route!r}: use auto, {', '.join(_ROUTES)}")
    _check_fixed(counts, windows, counts.system + (max(0, counts.give_up) if policy.route == "self" else 0))
    refusals: list[str] = []
    for route in ("native", "extended", "retrieval") if policy.route == "auto" else (policy.route,):
        planned = _ROUTES[route](counts, windows, policy)
        if isinstance(planned, Plan):
            return replace(planned, reason="; ".join([*refusals, planned.reason]))
        refusals.append(planned)
    wanted = "no route works" if policy.route == "auto" else f"route {policy.route} cannot be taken"
    raise ContextTooLong(f"{wanted}: {'; '.join(refusals)}")


def _check_fixed(counts: Counts, windows: Windows, system: int) -> None:
    """That the question, the system prompt and the answer, which are never cut, fit the largest window."""
    most = windows.largest
    limit = f"the largest window here holds {most:,}"
    if counts.max_new_tokens >= most:
        raise ContextTooLong(
            f"an answer of {counts.max_new_tokens:,} tokens (max_new_tokens) leaves no room for a question: {limit}"
        )
    question = counts.question
    if question + counts.max_new_tokens > most:
        raise ContextTooLong(
            f"the question takes {question:,} tokens, the answer may take {counts.max_new_tokens:,} "
            f"(--max-new-tokens), and {limit}: shorten one of them, or use a model with a longer window"
        )
    if system + question + counts.max_new_tokens > most:
        raise ContextTooLong(
            f"the system prompt takes {system:,} tokens beside {question:,} of the question and "
            f"{counts.max_new_tokens:,} for the answer (--max-new-tokens), and {limit}: shorten one of them"
        )


class _Selection:
    """Passages for a prompt, as long as they fit `room` tokens; with the first of a document comes its fence."""

    def __init__(self, counts: Counts, room: float) -> None:
        self._counts, self._room = counts, room
        self.chosen: dict[int, Part] = {}
        self.tokens = 0
        self._documents: set[str] = set()

    def add(self, part: Part) -> bool:
        """Take a passage if there is room; returns whether it is in."""
        if part.place in self.chosen:
            return True
        cost = part.tokens + self._counts.numbers[len(self.chosen)]
        if part.document not in self._documents:
            cost += self._counts.fences[part.document]
        if self.tokens + cost > self._room:
            return False
        self.tokens += cost
        self.chosen[part.place] = part
        self._documents.add(part.document)
        return True

    def spend(self, tokens: int) -> None:
        """Give room to something else."""
        self._room -= tokens

    @property
    def left(self) -> float:
        """Room that is not used."""
        return self._room - self.tokens

    @property
    def parts(self) -> list[Part]:
        """What is in, in the order of documents."""
        return sorted(self.chosen.values(), key=_order)


def _order(part: Part) -> tuple[str, int]:
    return part.document, part.place


def _native(counts: Counts, windows: Windows, policy: Policy) -> Plan | str:
    return _whole(counts, windows, policy, "native", (windows.native,))


def _extended(counts: Counts, windows: Windows, policy: Policy) -> Plan | str:
    if not windows.extended:
        return windows.only_native
    return _whole(counts, windows, policy, "extended", windows.extended)


def _whole(counts: Counts, windows: Windows, policy: Policy, route: Route, among: Sequence[int]) -> Plan | str:
    """Everything in the smallest of some windows that holds it; where the route was asked for, old turns may go."""
    everything = _Selection(counts, float("inf"))
    for part in counts.whole:
        everything.add(part)
    need = counts.fixed + everything.tokens + sum(counts.turns)
    holds = max(map(windows.holds, among))
    turns: Sequence[int] = range(1, len(counts.turns) + 1)
    if policy.route != "auto" and need > holds:
        turns = _remembered(counts, holds - counts.fixed - everything.tokens)
        need = counts.fixed + everything.tokens + _tokens_of(counts, turns)
    if counts.uncounted or need > holds:
        more = " and more" if counts.uncounted else ""
        limit = " by the memory that is free" if holds < max(among) else ""
        return f"all documents take {need:,} tokens{more} with question and answer, the {route} window {holds:,}{limit}"
    window = next(window for window in among if need <= windows.holds(window))
    scale = f"×{window / windows.native:g} the native, " if window > windows.native else ""
    reason = (
        f"all documents take {need:,} tokens with question and answer and fit the {route} window ({scale}{window:,})"
    )
    if len(turns) < len(counts.turns):
        reason += f", with {len(turns)} of {len(counts.turns)} turns of the conversation"
    return _written(counts, windows, everything.parts, turns, Plan(route, reason, window))


def _retrieval(counts: Counts, windows: Windows, policy: Policy) -> Plan | str:
    """The best passages in the native window, or in the first that holds one, or in the largest."""
    among = windows.every[-1:] if policy.extend_retrieval else windows.every
    for window in among:
        selection = _Selection(counts, windows.holds(window) - counts.fixed)
        if selection.left >= 0 and (not counts.found or selection.add(counts.found[0].part)):
            turns = _filled(selection, counts, policy)
            reason = f"the passages that bear on the question most are read in a window of {window:,}"
            return _written(counts, windows, selection.parts, turns, Plan("retrieval", reason, window))
    least = _Selection(counts, float("inf"))
    for found in counts.found[:1]:
        least.add(found.part)
    leaves = max(0, windows.largest - counts.max_new_tokens)
    return (
        f"the question with its best passage takes {least.tokens + counts.system + counts.question:,} tokens "
        f"and the window leaves {leaves:,} for the prompt: ask for fewer new tokens (--max-new-tokens), shorten the "
        "question, or use a longer window (--scaling)"
    )


def _filled(selection: _Selection, counts: Counts, policy: Policy) -> Sequence[int]:
    """Fill what the best passage leaves: turns up to their share, passages, neighbours, then more turns."""
    turns = _remembered(counts, int(selection.left * policy.history_share))
    selection.spend(_tokens_of(counts, turns))
    for candidates in _candidates(counts.found, policy.expand):
        for part in candidates:
            if not selection.add(part):
                break  # a neighbour comes only with those between
    return _remembered(counts, int(selection.left), turns)


def _remembered(counts: Counts, room: int, kept: Sequence[int] = ()) -> Sequence[int]:
    """The turns that fit beside those that are kept: the last ones, and by turns with them those that were recalled.

    Of the last ones none is left out between others; of those that were recalled any may be.
    """
    chosen = set(kept)

    def add(number: int) -> bool:
        nonlocal room
        cost = 0 if number in chosen else counts.turns[number - 1]
        if cost > room:
            return False
        chosen.add(number)
        room -= cost
        return True

    recalled, last = iter(counts.recalled), len(counts.turns)
    while last and add(last):
        last -= 1
        for number in islice(recalled, 1):
            add(number)
    for number in recalled:
        add(number)
    return sorted(chosen)


def _tokens_of(counts: Counts, turns: Iterable[int]) -> int:
    return sum(counts.turns[number - 1] for number in turns)


def _candidates(found: Sequence[Found], expand: int) -> Iterator[Iterable[Part]]:
    """Runs of passages in the order in which they are wanted; each run ends with the first that does not fit."""
    for one in found:
        for side in (one.before, one.after):
            yield (one.part, *side[:expand])
    reach = max((len(side) for one in found for side in (one.before, one.after)), default=0)
    for distance in range(expand + 1, reach + 1):
        for one in found:
            for side in (one.before, one.after):
                yield (one.part, *side[:distance])


def _self(counts: Counts, windows: Windows, policy: Policy) -> Plan | str:
    """Passages first, and no more than those, to be quick; everything if the model says that they do not do."""
    otherwise = [_ROUTES[route](counts, windows, policy) for route in ("native", "extended")]
    whole = next((planned for planned in otherwise if isinstance(planned, Plan)), None)
    if whole is None:
        return "; ".join(map(str, otherwise))
    spare = tuple(replace(f, before=f.before[: policy.expand], after=f.after[: policy.expand]) for f in counts.found)
    first = _retrieval(replace(counts, system=counts.system + counts.give_up, found=spare), windows, policy)
    if isinstance(first, str):
        return first
    if len(first.places) == len(whole.places):  # there is nothing to be spared
        return whole
    return replace(first, route="self", reason=f"{first.reason}; all documents if they do not do", otherwise=whole)


_ROUTES: dict[str, Callable[[Counts, Windows, Policy], Plan | str]] = {
    "native": _native,
    "extended": _extended,
    "retrieval": _retrieval,
    "self": _self,
}


def _written(counts: Counts, windows: Windows, parts: Sequence[Part], turns: Sequence[int], planned: Plan) -> Plan:
    """A plan with what each part of the prompt takes and what is left out of it."""
    assert planned.window is not None
    shares = [
        Share("system", "", counts.system),
        *_documents(counts, parts),
        *(Share("turn", str(number), counts.turns[number - 1]) for number in turns),
        Share("question", "", counts.question),
    ]
    prompt = sum(share.tokens for share in shares)
    free = windows.holds(planned.window) - prompt - counts.max_new_tokens
    shown = windows.shown or planned.window <= windows.native
    return replace(
        planned,
        reason=planned.reason if shown else f"{planned.reason}; {_NOT_SHOWN}",
        shown=shown,
        scale=max(1.0, planned.window / windows.native),
        shares=(*shares, Share("answer", "", counts.max_new_tokens), Share("free", "", free)),
        left_out=tuple(_left_out(counts, {part.place for part in parts}, set(turns))),
        places=tuple(part.place for part in parts),
        turns=tuple(turns),
        passages_found=len(counts.found),
        passages_used=len(parts),
        prompt_tokens=prompt,
        max_new_tokens=counts.max_new_tokens,
    )


def _documents(counts: Counts, parts: Sequence[Part]) -> Iterator[Share]:
    """What the passages of each document take, with their numbers and the fence around them."""
    tokens: Counter[str] = Counter()
    for number, part in enumerate(parts):
        tokens[part.document] += part.tokens + counts.numbers[number]
    passages = Counter(part.document for part in parts)
    for document, count in passages.items():
        yield Share("document", document, tokens[document] + counts.fences[document], count)


def _left_out(counts: Counts, chosen: set[int], turns: set[int]) -> Iterator[Share]:
    """What is not in the prompt: passages that were found, the other passages of each document, and old turns."""
    found = {one.part.place: one.part for one in counts.found}
    others = {part.place: part for part in counts.whole if part.place not in found}
    yield from _by_document("found", [part for place, part in found.items() if place not in chosen])
    yield from _by_document("document", [part for place, part in others.items() if place not in chosen])
    if counts.uncounted:
        yield Share("documents", f"{counts.uncounted:,} documents that were not counted", 0)
    for number, tokens in enumerate(counts.turns, start=1):
        if number not in turns:
            yield Share("turn", str(number), tokens)


def _by_document(kind: ShareKind, parts: Sequence[Part]) -> Iterator[Share]:
    tokens: Counter[str] = Counter()
    for part in parts:
        tokens[part.document] += part.tokens
    passages = Counter(part.document for part in parts)
    yield from (Share(kind, document, tokens[document], passages[document]) for document in sorted(passages))
