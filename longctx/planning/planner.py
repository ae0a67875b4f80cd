"""Choosing a route and filling its window. Knows token costs; knows no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal

from longctx.errors import BadRequest, ContextTooLong
from longctx.planning.inputs import PassageCost, Policy, PromptCosts, Windows
from longctx.planning.layout import lay_out
from longctx.planning.packing import Packing, pack, pack_turns
from longctx.reasons import Reason, in_english
from longctx.types import BudgetItem, BudgetItemKind, Plan

_Refusal = tuple[Reason, ...]
_DEFAULT_POLICY = Policy()


def plan(costs: PromptCosts, windows: Windows, policy: Policy = _DEFAULT_POLICY) -> Plan:
    """Choose a route and fill its window; the same for the same input.

    Args:
        costs: Tokens of everything that the prompt could hold.
        windows: The model's context windows.
        policy: Which route is wanted, and how a window is shared.

    Returns:
        The plan, with every token of the window accounted for.

    Raises:
        BadRequest: For a route that does not exist.
        ContextTooLong: With numbers, for a route that cannot work, and where no window holds the question, the system
            prompt and the answer.
    """
    if policy.route != "auto" and policy.route not in _ROUTES:
        raise BadRequest(f"there is no route {policy.route!r}: use auto, {', '.join(_ROUTES)}")
    _check_fixed(costs, windows, costs.system + (max(0, costs.give_up) if policy.route == "self" else 0))
    refusals: _Refusal = ()
    routes: tuple[str, ...] = (policy.route,) if policy.route != "auto" else _AUTO
    if policy.route == "auto" and costs.kind != "locate":
        routes, refusals = _AUTO_FOR_EVERYTHING, (Reason("needs_all", (Reason(costs.kind),)),)
    if policy.route == "auto" and costs.passages_only:
        routes, refusals = ("retrieval",), (*refusals, Reason("passages_only"))
    for route in routes:
        planned = _ROUTES[route](costs, windows, policy)
        if isinstance(planned, Plan):
            return replace(planned, reasons=(*dict.fromkeys(refusals), *planned.reasons), kind=costs.kind)
        refusals += planned
    wanted = "no route works" if policy.route == "auto" else f"route {policy.route} cannot be taken"
    raise ContextTooLong(f"{wanted}: {in_english(dict.fromkeys(refusals))}")


def _check_fixed(costs: PromptCosts, windows: Windows, system: int) -> None:
    """Raise ContextTooLong unless what is never cut fits the largest window: question, system prompt and answer."""
    most = windows.largest
    limit = f"the largest window here holds {most:,}"
    if costs.max_new_tokens >= most:
        raise ContextTooLong(
            f"an answer of {costs.max_new_tokens:,} tokens (--max-new-tokens) leaves no room for a question: {limit}; "
            "ask for a shorter answer, or use a model with a longer window"
        )
    question = costs.question
    if question + costs.max_new_tokens > most:
        raise ContextTooLong(
            f"the question takes {question:,} tokens with its rules, the answer may take {costs.max_new_tokens:,} "
            f"(--max-new-tokens), and {limit}: shorten one of them, or use a model with a longer window"
        )
    if system + question + costs.max_new_tokens > most:
        raise ContextTooLong(
            f"the system prompt takes {system:,} tokens beside {question:,} of the question and "
            f"{costs.max_new_tokens:,} for the answer (--max-new-tokens), and {limit}: shorten one of them"
        )


def _native(costs: PromptCosts, windows: Windows, policy: Policy) -> Plan | _Refusal:
    return _whole(costs, windows, policy, "native", (windows.native,))


def _extended(costs: PromptCosts, windows: Windows, policy: Policy) -> Plan | _Refusal:
    if not windows.extended:
        return (windows.only_native,)
    return _whole(costs, windows, policy, "extended", windows.extended)


def _whole(
    costs: PromptCosts,
    windows: Windows,
    policy: Policy,
    route: Literal["native", "extended"],
    among: Sequence[int],
) -> Plan | _Refusal:
    """Everything in the smallest of some windows that holds it."""
    # Old turns may go where the route was asked for, and where the question needs all documents.
    everything = Packing(costs, float("inf"))
    for part in costs.whole:
        everything.add(part)
    need = costs.fixed + everything.tokens + sum(costs.turns)
    largest = max(map(windows.holds, among))
    cached = costs.cached if route == "native" else 0
    affordable = policy.budget.limit(asked_for=policy.route != "auto") + costs.max_new_tokens + cached
    holds = int(min(largest, affordable))
    turns: Sequence[int] = range(1, len(costs.turns) + 1)
    if need > holds and (policy.route != "auto" or costs.kind != "locate"):
        turns = pack_turns(costs, holds - costs.fixed - everything.tokens)
        need = costs.fixed + everything.tokens + costs.of_turns(turns)
    most = Reason("by_memory", (largest,)) if largest < max(among) else largest
    if costs.uncounted:
        return (Reason("uncounted", (Reason(route), most)),)
    if need > largest:
        return (Reason("too_long", (need, Reason(route), most)),)
    if need > holds:
        return (Reason("over_budget", (need - costs.max_new_tokens, _allowance(policy))),)
    window = next(window for window in among if need <= windows.holds(window))
    size = Reason("scaled", (window / windows.native, window)) if window > windows.native else window
    reasons = [Reason("fits", (need, Reason(route), size))]
    if cached:
        reasons.append(Reason("read_before", (cached,)))
    if len(turns) < len(costs.turns):
        reasons[-1] = Reason("with_turns", (reasons[-1], len(turns), len(costs.turns)))
    planned = Plan(route, tuple(reasons), window, reused_tokens=min(cached, need - costs.max_new_tokens))
    return _itemized(costs, windows, everything.parts, turns, planned)


def _retrieval(costs: PromptCosts, windows: Windows, policy: Policy) -> Plan | _Refusal:
    """The best passages in the native window, or in the first that holds one, or in the largest."""
    among = windows.every[-1:] if policy.extend_retrieval else windows.every
    affordable = policy.budget.limit(asked_for=False) - costs.framing
    for window in among:
        packing = Packing(costs, windows.holds(window) - costs.fixed)
        if packing.left >= 0 and (not costs.found or packing.add(costs.found[0].part)):
            if packing.tokens > affordable and not policy.budget.default:
                return (Reason("best_over_budget", (packing.tokens + costs.framing, _allowance(policy))),)
            packing.spend(max(0, packing.tokens + packing.left - affordable))
            return _filled(costs, windows, policy, packing, window)
    least = Packing(costs, float("inf"))
    for found in costs.found[:1]:
        least.add(found.part)
    leaves = max(0, windows.largest - costs.max_new_tokens)
    refusal = (
        f"the question with its best passage takes {least.tokens + costs.system + costs.question:,} tokens "
        f"and the window leaves {leaves:,} for the prompt: ask for fewer new tokens (--max-new-tokens), or shorten "
        "the question"
    )
    return (Reason("told", (refusal,)), *(() if windows.extended else (windows.only_native,)))


def _filled(costs: PromptCosts, windows: Windows, policy: Policy, packing: Packing, window: int) -> Plan:
    """The plan of route retrieval, with what the best passage leaves filled."""
    room = packing.tokens + packing.left
    turns = pack(packing, costs, policy)
    room -= costs.of_turns(turns)
    holds = windows.holds(window) - costs.fixed - costs.of_turns(turns)
    # what was read before costs no time, so that it takes none of the budget from what was found
    made = lay_out(costs, packing, room, min(holds, room + costs.last_cached), policy.expand)
    reused = min(costs.last_cached, costs.system + made.kept_tokens) if made.kept else 0
    reasons = [Reason("passages_read", (window,)), *([Reason("tokens_read_before", (reused,))] if reused else [])]
    planned = Plan("retrieval", tuple(reasons), window, reused_tokens=reused)
    return _itemized(costs, windows, made.parts, turns, planned)


def _allowance(policy: Policy) -> Reason:
    """What a prompt may cost, with the remedy for a limit that was asked for."""
    allowance = policy.budget.allowance
    return allowance if policy.budget.default else Reason("allow_more", (allowance,))


def _self(costs: PromptCosts, windows: Windows, policy: Policy) -> Plan | _Refusal:
    """Passages first, without neighbours, to be quick; everything if the model says that they hold no answer."""
    wholes = [_ROUTES[route](costs, windows, policy) for route in ("native", "extended")]
    whole = next((planned for planned in wholes if isinstance(planned, Plan)), None)
    if whole is None:
        return tuple(reason for refusal in wholes if not isinstance(refusal, Plan) for reason in refusal)
    spare = tuple(replace(f, before=f.before[: policy.expand], after=f.after[: policy.expand]) for f in costs.found)
    first = _retrieval(replace(costs, system=costs.system + costs.give_up, found=spare), windows, policy)
    if not isinstance(first, Plan):
        return first
    if len(first.chunk_ids) == len(whole.chunk_ids):  # the passages are everything
        return whole
    return replace(first, route="self", reasons=(*first.reasons, Reason("all_if_not")), fallback=whole)


def _map(costs: PromptCosts, windows: Windows, policy: Policy) -> Plan:
    """All documents in parts, in the native window; how many parts is counted where their prompts are written."""
    turns = [BudgetItem("turn", str(number), tokens) for number, tokens in enumerate(costs.turns, start=1)]
    reasons = (Reason("in_parts_alone" if turns else "in_parts"),)
    return Plan("map", reasons, windows.native, left_out=tuple(turns), max_new_tokens=costs.max_new_tokens)


_AUTO: tuple[str, ...] = ("native", "extended", "retrieval")
_AUTO_FOR_EVERYTHING = ("native", "extended", "map")
_ROUTES: dict[str, Callable[[PromptCosts, Windows, Policy], Plan | _Refusal]] = {
    "native": _native,
    "extended": _extended,
    "retrieval": _retrieval,
    "self": _self,
    "map": _map,
}


def _itemized(
    costs: PromptCosts, windows: Windows, parts: Sequence[PassageCost], turns: Sequence[int], planned: Plan
) -> Plan:
    """The plan with what each part of the prompt takes, and what is left out of it."""
    items = [
        BudgetItem("system", "", costs.system),
        *_documents(costs, parts),
        *(BudgetItem("turn", str(number), costs.turns[number - 1]) for number in turns),
        BudgetItem("question", "", costs.question),
    ]
    prompt = sum(item.tokens for item in items)
    free = windows.holds(planned.window) - prompt - costs.max_new_tokens
    measured = windows.measured or planned.window <= windows.native
    return replace(
        planned,
        reasons=planned.reasons if measured else (*planned.reasons, Reason("not_measured")),
        measured=measured,
        scale=max(1.0, planned.window / windows.native),
        budget=(*items, BudgetItem("answer", "", costs.max_new_tokens), BudgetItem("free", "", free)),
        left_out=tuple(_left_out(costs, {part.chunk_id for part in parts}, set(turns))),
        chunk_ids=tuple(part.chunk_id for part in parts),
        turns=tuple(turns),
        passages_found=len(costs.found),
        passages_used=len(parts),
        prompt_tokens=prompt,
        max_new_tokens=costs.max_new_tokens,
    )


def _documents(costs: PromptCosts, parts: Sequence[PassageCost]) -> Iterator[BudgetItem]:
    """What the passages of each document take, with their numbers and the fences around those that stand together."""
    tokens: Counter[str] = Counter()
    for number, part in enumerate(parts):
        tokens[part.document] += part.tokens + costs.numbers[number]
    for document, _ in groupby(part.document for part in parts):
        tokens[document] += costs.fences[document]
    passages = Counter(part.document for part in parts)
    for document, count in passages.items():
        yield BudgetItem("document", document, tokens[document], count)


def _left_out(costs: PromptCosts, chosen: set[int], turns: set[int]) -> Iterator[BudgetItem]:
    """What is not in the prompt: passages that were found, the other passages of each document, and old turns."""
    found = {passage.part.chunk_id: passage.part for passage in costs.found}
    others = {part.chunk_id: part for part in costs.whole if part.chunk_id not in found}
    yield from _by_document("found", [part for chunk_id, part in found.items() if chunk_id not in chosen])
    yield from _by_document("document", [part for chunk_id, part in others.items() if chunk_id not in chosen])
    if costs.uncounted:
        yield BudgetItem("documents", f"{costs.uncounted:,}", 0)
    for number, tokens in enumerate(costs.turns, start=1):
        if number not in turns:
            yield BudgetItem("turn", str(number), tokens)


def _by_document(kind: BudgetItemKind, parts: Sequence[PassageCost]) -> Iterator[BudgetItem]:
    tokens: Counter[str] = Counter()
    for part in parts:
        tokens[part.document] += part.tokens
    passages = Counter(part.document for part in parts)
    yield from (BudgetItem(kind, document, tokens[document], passages[document]) for document in sorted(passages))
