"""Choosing a route and filling its window. Knows token counts; knows no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from longctx.errors import BadRequest, ContextTooLong
from longctx.planning.inputs import PassageCost, Policy, PromptCosts, Windows
from longctx.planning.packing import Packing, pack, pack_turns
from longctx.types import BudgetItem, BudgetItemKind, Plan, Route

_NOT_SHOWN = "no probe's report shows that the model reads so far"


def itemized(
    counts: PromptCosts, windows: Windows, parts: Sequence[PassageCost], turns: Sequence[int], planned: Plan
) -> Plan:
    """A plan with what each part of the prompt takes and what is left out of it."""
    assert planned.window is not None
    shares = [
        BudgetItem("system", "", counts.system),
        *_documents(counts, parts),
        *(BudgetItem("turn", str(number), counts.turns[number - 1]) for number in turns),
        BudgetItem("question", "", counts.question),
    ]
    prompt = sum(share.tokens for share in shares)
    free = windows.holds(planned.window) - prompt - counts.max_new_tokens
    shown = windows.shown or planned.window <= windows.native
    return replace(
        planned,
        reason=planned.reason if shown else f"{planned.reason}; {_NOT_SHOWN}",
        shown=shown,
        scale=max(1.0, planned.window / windows.native),
        shares=(*shares, BudgetItem("answer", "", counts.max_new_tokens), BudgetItem("free", "", free)),
        left_out=tuple(_left_out(counts, {part.place for part in parts}, set(turns))),
        places=tuple(part.place for part in parts),
        turns=tuple(turns),
        passages_found=len(counts.found),
        passages_used=len(parts),
        prompt_tokens=prompt,
        max_new_tokens=counts.max_new_tokens,
    )


def _documents(counts: PromptCosts, parts: Sequence[PassageCost]) -> Iterator[BudgetItem]:
    """What the passages of each document take, with their numbers and the fence around them."""
    tokens: Counter[str] = Counter()
    for number, part in enumerate(parts):
        tokens[part.document] += part.tokens + counts.numbers[number]
    passages = Counter(part.document for part in parts)
    for document, count in passages.items():
        yield BudgetItem("document", document, tokens[document] + counts.fences[document], count)


def _left_out(counts: PromptCosts, chosen: set[int], turns: set[int]) -> Iterator[BudgetItem]:
    """What is not in the prompt: passages that were found, the other passages of each document, and old turns."""
    found = {one.part.place: one.part for one in counts.found}
    others = {part.place: part for part in counts.whole if part.place not in found}
    yield from _by_document("found", [part for place, part in found.items() if place not in chosen])
    yield from _by_document("document", [part for place, part in others.items() if place not in chosen])
    if counts.uncounted:
        yield BudgetItem("documents", f"{counts.uncounted:,} documents that were not counted", 0)
    for number, tokens in enumerate(counts.turns, start=1):
        if number not in turns:
            yield BudgetItem("turn", str(number), tokens)


def _by_document(kind: BudgetItemKind, parts: Sequence[PassageCost]) -> Iterator[BudgetItem]:
    tokens: Counter[str] = Counter()
    for part in parts:
        tokens[part.document] += part.tokens
    passages = Counter(part.document for part in parts)
    yield from (BudgetItem(kind, document, tokens[document], passages[document]) for document in sorted(passages))


_DEFAULT_POLICY = Policy()


def plan(counts: PromptCosts, windows: Windows, policy: Policy = _DEFAULT_POLICY) -> Plan:
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


def _check_fixed(counts: PromptCosts, windows: Windows, system: int) -> None:
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


def _native(counts: PromptCosts, windows: Windows, policy: Policy) -> Plan | str:
    return _whole(counts, windows, policy, "native", (windows.native,))


def _extended(counts: PromptCosts, windows: Windows, policy: Policy) -> Plan | str:
    if not windows.extended:
        return windows.only_native
    return _whole(counts, windows, policy, "extended", windows.extended)


def _whole(counts: PromptCosts, windows: Windows, policy: Policy, route: Route, among: Sequence[int]) -> Plan | str:
    """Everything in the smallest of some windows that holds it; where the route was asked for, old turns may go."""
    everything = Packing(counts, float("inf"))
    for part in counts.whole:
        everything.add(part)
    need = counts.fixed + everything.tokens + sum(counts.turns)
    holds = max(map(windows.holds, among))
    turns: Sequence[int] = range(1, len(counts.turns) + 1)
    if policy.route != "auto" and need > holds:
        turns = pack_turns(counts, holds - counts.fixed - everything.tokens)
        need = counts.fixed + everything.tokens + counts.of_turns(turns)
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
    return itemized(counts, windows, everything.parts, turns, Plan(route, reason, window))


def _retrieval(counts: PromptCosts, windows: Windows, policy: Policy) -> Plan | str:
    """The best passages in the native window, or in the first that holds one, or in the largest."""
    among = windows.every[-1:] if policy.extend_retrieval else windows.every
    for window in among:
        selection = Packing(counts, windows.holds(window) - counts.fixed)
        if selection.left >= 0 and (not counts.found or selection.add(counts.found[0].part)):
            turns = pack(selection, counts, policy)
            reason = f"the passages that bear on the question most are read in a window of {window:,}"
            return itemized(counts, windows, selection.parts, turns, Plan("retrieval", reason, window))
    least = Packing(counts, float("inf"))
    for found in counts.found[:1]:
        least.add(found.part)
    leaves = max(0, windows.largest - counts.max_new_tokens)
    beyond = "" if windows.extended else f"; {windows.only_native}"
    return (
        f"the question with its best passage takes {least.tokens + counts.system + counts.question:,} tokens "
        f"and the window leaves {leaves:,} for the prompt: ask for fewer new tokens (--max-new-tokens), or shorten "
        f"the question{beyond}"
    )


def _self(counts: PromptCosts, windows: Windows, policy: Policy) -> Plan | str:
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


_ROUTES: dict[str, Callable[[PromptCosts, Windows, Policy], Plan | str]] = {
    "native": _native,
    "extended": _extended,
    "retrieval": _retrieval,
    "self": _self,
}
