"""The planner's arithmetic: what it promises, over random documents, conversations and windows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longctx import BadRequest, ContextTooLong, Plan, Policy, Reason
from longctx.planning.budget import PromptBudget, ReadingSpeed, priced
from longctx.planning.inputs import FoundPassage, PassageCost, PromptCosts, Windows
from longctx.planning.planner import plan
from longctx.types import QuestionKind

CARRIED = Reason("carried")
RANK = {"native": 0, "extended": 1, "retrieval": 2, "refused": 3}


@st.composite
def questions(draw: st.DrawFn) -> PromptCosts:
    sizes = draw(st.lists(st.lists(st.integers(1, 120), max_size=5), max_size=4))
    whole = tuple(
        PassageCost(chunk_id=10 * d + i, document=f"/{d}", tokens=tokens)
        for d, passages in enumerate(sizes)
        for i, tokens in enumerate(passages)
    )
    found = draw(st.permutations(whole).map(lambda order: order[:3]))
    near = {part.chunk_id: part for part in whole}

    def beside(part: PassageCost, step: int) -> tuple[PassageCost, ...]:
        return tuple(near[place] for i in (1, 2, 3) if (place := part.chunk_id + step * i) in near)

    turns = draw(st.lists(st.integers(1, 80), max_size=6))
    return PromptCosts(
        system=draw(st.integers(0, 60)),
        question=draw(st.integers(1, 60)),
        max_new_tokens=draw(st.integers(1, 60)),
        found=tuple(FoundPassage(part, beside(part, -1), beside(part, 1)) for part in found),
        whole=whole,
        uncounted=draw(st.sampled_from([0, 0, 0, 2])),
        turns=tuple(turns),
        recalled=tuple(draw(st.permutations(range(1, len(turns) + 1)))[: draw(st.integers(0, 4))]),
        fences={f"/{d}": draw(st.integers(0, 20)) for d in range(len(sizes))},
        numbers=(4,) * 9 + (5,) * 40,
        give_up=draw(st.integers(-3, 3)),
    )


windows = st.builds(
    lambda native, steps, memory: Windows(native, tuple(native << i for i in range(1, steps + 1)), memory),
    st.integers(50, 600),
    st.integers(0, 3),
    st.none() | st.integers(50, 3000),
)
budgets = st.just(PromptBudget()) | st.builds(
    PromptBudget,
    st.integers(1, 700),
    st.none() | st.just(20.0),
    st.none() | st.just(ReadingSpeed(9.0, 0.002)),
    st.booleans(),
)
policies = st.builds(
    Policy,
    budget=budgets,
    route=st.sampled_from(["auto", "native", "extended", "retrieval", "self"]),
    extend_retrieval=st.booleans(),
    history_share=st.sampled_from([0.0, 0.25, 1.0]),
    expand=st.integers(0, 2),
)


def planned(counts: PromptCosts, windows: Windows, policy: Policy) -> Plan | None:
    try:
        return plan(counts, windows, policy)
    except ContextTooLong:
        return None


def tokens(made: Plan, *kinds: str) -> int:
    return sum(share.tokens for share in made.budget if share.kind in kinds)


@given(questions(), windows, policies)
def test_what_holds_of_every_plan(counts: PromptCosts, windows: Windows, policy: Policy) -> None:
    made = planned(counts, windows, policy)
    assert made == planned(counts, windows, policy), "the same input, the same plan"
    for each in [] if made is None else [made, *([made.fallback] if made.fallback else [])]:
        holds = windows.holds(each.window)
        assert each.prompt_tokens + each.max_new_tokens <= holds
        assert each.max_new_tokens == counts.max_new_tokens
        assert sum(share.tokens for share in each.budget) == holds, "the shares are the window"
        assert tokens(each, "system") == counts.system + (counts.give_up if each.fallback else 0)
        assert tokens(each, "question") == counts.question
        assert tokens(each, "answer") == counts.max_new_tokens
        assert_affordable(counts, policy, each)
        assert_documents(counts, each)
        assert_nothing_is_lost(counts, each)


_NAMES = re.compile("--[a-z-]+|yarn")  # of flags


@given(questions(), windows, policies, st.sampled_from(["locate", "compare", "count", "summarise"]), st.booleans())
def test_every_reason_is_said_in_japanese(
    counts: PromptCosts, windows: Windows, policy: Policy, kind: QuestionKind, passages_only: bool
) -> None:
    counts = replace(counts, kind=kind, passages_only=passages_only, cached=counts.system)
    made = planned(counts, windows, policy)
    for each in [] if made is None else [made, *([made.fallback] if made.fallback else [])]:
        said = priced(each, policy.budget).reason_ja
        assert not re.search("[a-z]", _NAMES.sub("", said)), said


def limit_of(policy: Policy, made: Plan) -> float:
    """The longest prompt that the budget allows."""
    return policy.budget.limit(asked_for=policy.route != "auto" and made.route in ("native", "extended"))


def assert_affordable(counts: PromptCosts, policy: Policy, made: Plan) -> None:
    """The prompt keeps to the budget, unless nobody asked for it and there is nothing in but the best passage."""
    if made.prompt_tokens > limit_of(policy, made):
        assert policy.budget.default
        assert (made.chunk_ids, made.turns) == (tuple(one.part.chunk_id for one in counts.found[:1]), ())


def assert_documents(counts: PromptCosts, made: Plan) -> None:
    """Passages stand in document order, each document's together, and take what they take."""
    sizes = {part.chunk_id: part for part in counts.whole}
    parts = [sizes[place] for place in made.chunk_ids]
    assert [(part.document, part.chunk_id) for part in parts] == sorted(
        (part.document, part.chunk_id) for part in parts
    )
    expected = sum(part.tokens for part in parts) + sum(counts.numbers[: len(parts)])
    assert tokens(made, "document") == expected + sum(counts.fences[d] for d in {part.document for part in parts})


def assert_nothing_is_lost(counts: PromptCosts, made: Plan) -> None:
    """Every passage and every turn is in the prompt or in the list of what is not."""
    seen = Counter({d: 0 for d in {part.document for part in counts.whole}})
    for share in (*made.budget, *made.left_out):
        if share.kind in ("document", "found"):
            seen[share.name] += share.passages
    assert seen == Counter(part.document for part in counts.whole)
    kept, left = ([share for share in shares if share.kind == "turn"] for shares in (made.budget, made.left_out))
    assert tuple(int(share.name) for share in kept) == made.turns == tuple(sorted(made.turns))
    assert {int(share.name): share.tokens for share in (*kept, *left)} == dict(enumerate(counts.turns, start=1))
    assert len(kept) + len(left) == len(counts.turns)
    uncounted = [share.name for share in made.left_out if share.kind == "documents"]
    assert uncounted == ([f"{counts.uncounted:,}"] if counts.uncounted else [])


@given(questions(), windows, policies)
def test_which_turns_of_a_conversation_are_in_the_prompt(counts: PromptCosts, windows: Windows, policy: Policy) -> None:
    """The last ones without a gap, those that bear on the question, and no other; and no less than there is room for."""
    made = planned(counts, windows, policy)
    for each in [] if made is None else [made, *([made.fallback] if made.fallback else [])]:
        missing = [number for number in range(1, len(counts.turns) + 1) if number not in each.turns]
        recent = range(max(missing, default=0) + 1, len(counts.turns) + 1)
        assert set(each.turns) - set(recent) <= set(counts.recalled)
        could = {number for number in missing if number == max(missing) or number in counts.recalled}
        room = min(tokens(each, "free"), limit_of(policy, each) - each.prompt_tokens)
        assert all(counts.turns[number - 1] > room for number in could)
        if policy.route == "auto" and each.route != "retrieval":
            assert not missing, "everything fits"


@st.composite
def smaller(draw: st.DrawFn) -> tuple[PromptCosts, PromptCosts]:
    """A question, and one with no more of anything."""
    large = draw(questions())

    def less(number: int, least: int = 0) -> int:
        return draw(st.integers(min(least, number), number))

    sizes = {part.chunk_id: replace(part, tokens=less(part.tokens, 1)) for part in large.whole}
    ends = {part.chunk_id: draw(st.booleans()) for part in large.whole}
    found = tuple(
        FoundPassage(
            sizes[one.part.chunk_id], *(tuple(sizes[p.chunk_id] for p in side) for side in (one.before, one.after))
        )
        for one in large.found
    )
    whole = tuple(part for place, part in sizes.items() if ends[place] or any(f.part.chunk_id == place for f in found))
    gone = less(len(large.turns))
    return large, replace(
        large,
        system=less(large.system),
        question=less(large.question, 1),
        max_new_tokens=less(large.max_new_tokens, 1),
        found=found,
        whole=whole,
        uncounted=less(large.uncounted),
        turns=tuple(map(less, large.turns[gone:])),
        recalled=tuple(number - gone for number in large.recalled if number > gone),
        fences={document: less(size) for document, size in large.fences.items()},
    )


@given(smaller(), windows, st.booleans(), budgets)
def test_a_smaller_input_never_gets_a_worse_route(
    pair: tuple[PromptCosts, PromptCosts], windows: Windows, longer: bool, budget: PromptBudget
) -> None:
    large, small = (planned(counts, windows, Policy(extend_retrieval=longer, budget=budget)) for counts in pair)
    rank = [RANK[made.route if made else "refused"] for made in (small, large)]
    assert rank[0] <= rank[1]
    if small and large and rank[0] == rank[1] == RANK["extended"]:
        assert small.window <= large.window


def counts(passages: int = 3, size: int = 100, **changes: Any) -> PromptCosts:
    """A document of so many passages of `size` tokens and 5 for each number, in a fence of 10; 100 stand around it."""
    whole = tuple(PassageCost(place, "/a", size) for place in range(passages))
    found = tuple(FoundPassage(part, whole[: part.chunk_id][::-1], whole[part.chunk_id + 1 :]) for part in whole[::4])
    return replace(PromptCosts(60, 20, 20, found, whole, fences={"/a": 10}, numbers=(5,) * max(1, passages)), **changes)


@pytest.mark.parametrize(
    ("passages", "route", "window", "used"),
    [
        (3, "native", 1000, 3),
        (8, "native", 1000, 8),
        (9, "extended", 2000, 9),
        (20, "extended", 4000, 20),
        (40, "retrieval", 1000, 8),
    ],
)
def test_routes_in_order_and_the_smallest_scale(passages: int, route: str, window: int, used: int) -> None:
    made = plan(counts(passages), Windows(1000, (2000, 4000)))
    assert (made.route, made.window, made.scale, len(made.chunk_ids)) == (route, window, window / 1000, used)
    need = 110 + 105 * passages
    assert f"all documents take {need:,} tokens" in made.reason


def test_neighbours_come_in_from_the_best_passage_outwards_and_the_best_stay() -> None:
    made = plan(counts(40), Windows(1000), Policy("retrieval"))
    assert made.chunk_ids == (0, 4, 8, 12, 16, 20, 24, 28)  # the best eight fill it
    few = counts(40)
    few = replace(few, found=(few.found[2], few.found[5]))
    assert plan(few, Windows(1000), Policy("retrieval")).chunk_ids == (6, 7, 8, 9, 10, 19, 20, 21)
    assert plan(few, Windows(1000), Policy("retrieval", expand=3)).chunk_ids == (5, 6, 7, 8, 9, 10, 11, 20)


def test_retrieval_fills_an_extended_window_if_the_policy_says_so_or_the_native_one_is_too_small() -> None:
    wide = plan(counts(60), Windows(1000, (2000, 4000)), Policy("retrieval", extend_retrieval=True))
    assert (wide.window, len(wide.chunk_ids)) == (4000, 37)
    assert plan(counts(60), Windows(150, (300, 600)), Policy("retrieval")).window == 300


def test_memory_is_a_window_too() -> None:
    made = plan(counts(20), Windows(1000, (2000, 4000), memory=3000))
    assert (made.route, made.window, made.prompt_tokens) == ("extended", 4000, 2190)
    assert sum(share.tokens for share in made.budget) == 3000
    with pytest.raises(ContextTooLong, match=r"extended window 2,000 by the memory that is free"):
        plan(counts(20), Windows(1000, (4000,), memory=2000), Policy("extended"))


@pytest.mark.parametrize(("passages", "shown", "said"), [(20, False, True), (20, True, False), (8, False, False)])
def test_a_window_that_no_probe_has_shown_is_not_used_without_a_word(passages: int, shown: bool, said: bool) -> None:
    made = plan(counts(passages), Windows(1000, (4000,), measured=shown))
    assert made.measured != said
    assert ("no probe's report shows" in made.reason) == said


def test_recent_turns_come_before_old_ones_and_leave_room_for_passages() -> None:
    made = plan(counts(40, turns=(100,) * 30), Windows(1000))
    assert (made.route, made.turns) == ("retrieval", (30,))
    assert [share.name for share in made.budget if share.kind == "turn"] == ["30"]
    alone = plan(counts(40, turns=(100,) * 30, found=()), Windows(1000))
    assert (alone.turns, alone.chunk_ids) == (tuple(range(22, 31)), ())


def test_turns_that_bear_on_the_question_come_in_turns_with_the_last_ones_and_stand_in_order() -> None:
    long = counts(40, turns=(100,) * 300, recalled=(3, 150, 299))
    assert plan(long, Windows(1000), Policy(history_share=0.5)).turns == (3, 299, 300)
    assert plan(replace(long, found=()), Windows(1000)).turns == (3, 150, 294, 295, 296, 297, 298, 299, 300)
    large = replace(long, turns=(*long.turns[:2], 900, *long.turns[3:]), found=())
    assert 3 not in plan(large, Windows(1000)).turns
    assert 150 in plan(large, Windows(1000)).turns, "one that has no room does not keep out the next"
    assert plan(replace(long, turns=(200,) * 300), Windows(1000)).turns == (3,), "more than the conversation's share"
    assert plan(replace(long, turns=(200,) * 300), Windows(1000), Policy(history_share=0)).turns == ()
    last = replace(long, turns=(*long.turns[:-1], 900), found=())
    assert plan(last, Windows(1000)).turns == (3, 150, 299), "nor does the last turn"


def test_a_route_that_was_asked_for_keeps_all_documents_and_lets_old_turns_go() -> None:
    long = counts(3, turns=(100,) * 300, recalled=(3,))
    made = plan(long, Windows(1000), Policy("native"))
    assert (made.route, made.turns, len(made.chunk_ids)) == ("native", (3, 297, 298, 299, 300), 3)
    assert made.reason.endswith("with 5 of 300 turns of the conversation")
    assert plan(long, Windows(1000)).route == "retrieval"
    assert plan(long, Windows(1000, (40_000,))).turns == tuple(range(1, 301))


def test_self_reads_passages_first_and_knows_what_else_it_could_read() -> None:
    made = plan(counts(12, give_up=4), Windows(600, (1200, 2400)), Policy("self"))
    assert (made.route, made.window, made.chunk_ids) == ("self", 600, (0, 4, 8)), "and no neighbours"
    assert made.fallback is not None
    assert (made.fallback.route, made.fallback.window) == ("extended", 2400)
    assert plan(counts(1), Windows(600), Policy("self")).route == "native", "passages that are all there is"


@pytest.mark.parametrize(
    ("changes", "windows", "route", "message"),
    [
        ({}, Windows(400), "native", r"native cannot be taken: all documents take 4,310 tokens .*window 400"),
        ({"uncounted": 7}, Windows(400), "native", r"more tokens than the native window, 400"),
        ({}, Windows(400), "extended", r"no scaling extends the window: .*--scaling"),
        ({}, Windows(400, (800,)), "extended", r"take 4,310 tokens .*extended window 800"),
        ({}, Windows(400, (800,)), "self", r"self cannot be taken: all .*window 400; all .*window 800"),
        ({}, Windows(150), "auto", r"question with its best passage takes 195 tokens and the window leaves 130"),
        ({}, Windows(150, only_native=CARRIED), "retrieval", r"shorten the question; its checkpoint carries"),
        ({}, Windows(150, only_native=CARRIED), "auto", r"its checkpoint carries .*shorten the question$"),
        ({"question": 500}, Windows(400), "auto", r"question takes 500 tokens.*holds 400"),
        ({"system": 390}, Windows(400), "auto", r"system prompt takes 390 tokens .*holds 400"),
        ({"max_new_tokens": 400}, Windows(400), "auto", r"answer of 400 tokens \(--max-new-tokens\) leaves no room"),
    ],
)
def test_what_cannot_work_is_refused_with_numbers(changes, windows, route, message) -> None:
    with pytest.raises(ContextTooLong, match=message):
        plan(counts(40, **changes), windows, Policy(route))


def test_a_route_that_does_not_exist() -> None:
    with pytest.raises(BadRequest, match="no route 'best': use auto, native, extended, retrieval, self, map"):
        plan(counts(), Windows(400), Policy("best"))


@pytest.mark.parametrize("kind", ["compare", "count", "summarise"])
@pytest.mark.parametrize(("passages", "route"), [(3, "native"), (20, "extended"), (60, "map")])
def test_a_question_that_needs_everything_is_not_answered_from_passages(kind: str, passages: int, route: str) -> None:
    made = plan(counts(passages, kind=kind), Windows(1000, (2000, 4000)))
    assert (made.route, made.kind) == (route, kind)
    assert made.reason.startswith(f"the question asks to {kind}, which needs all documents")
    assert plan(counts(passages), Windows(1000, (2000, 4000))).kind == "locate"
    asked = plan(counts(passages, kind=kind), Windows(1000, (2000, 4000)), Policy("retrieval"))
    assert (asked.route, asked.kind) == ("retrieval", kind), "unless that was asked for"


def test_everything_lets_old_turns_go_and_parts_have_none() -> None:
    long = counts(3, turns=(100,) * 300, kind="summarise")
    made = plan(long, Windows(1000))
    assert (made.route, made.turns) == ("native", (296, 297, 298, 299, 300))
    mapped = plan(counts(60, turns=(100,) * 3, kind="summarise"), Windows(1000))
    assert (mapped.route, mapped.turns) == ("map", ())
    assert [(item.kind, item.name) for item in mapped.left_out] == [("turn", "1"), ("turn", "2"), ("turn", "3")]
    assert "without the conversation" in mapped.reason
    assert plan(counts(3), Windows(1000), Policy("map")).route == "map", "also where everything fits"
