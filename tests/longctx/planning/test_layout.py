"""The order of passages beside that of the last prompt, over random documents, searches and budgets."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longctx import ContextTooLong, Plan, Policy
from longctx.planning import FoundPassage, PassageCost, PromptBudget, PromptCosts, Windows, plan

DOCUMENTS, PASSAGES, FENCE, NUMBER = 3, 6, 7, 4


def passage(document: int, place: int, tokens: int = 20) -> PassageCost:
    return PassageCost(10 * document + place, f"/{document}", tokens)


@st.composite
def second_questions(draw: st.DrawFn) -> PromptCosts:
    tokens = draw(st.lists(st.integers(1, 60), min_size=DOCUMENTS * PASSAGES, max_size=DOCUMENTS * PASSAGES))
    every = [passage(i // PASSAGES, i % PASSAGES, each) for i, each in enumerate(tokens)]
    by_id = {each.chunk_id: each for each in every}

    def beside(part: PassageCost, step: int) -> tuple[PassageCost, ...]:
        return tuple(by_id[i] for n in (1, 2, 3) if (i := part.chunk_id + step * n) in by_id)

    found = draw(st.permutations(every))[: draw(st.integers(1, 6))]
    last = draw(st.permutations(every))[: draw(st.integers(0, len(every)))]
    return PromptCosts(
        system=draw(st.integers(0, 20)),
        question=draw(st.integers(1, 20)),
        max_new_tokens=8,
        found=tuple(FoundPassage(each, beside(each, -1), beside(each, 1)) for each in found),
        turns=tuple(draw(st.lists(st.integers(1, 40), max_size=4))),
        fences={f"/{document}": FENCE for document in range(DOCUMENTS)},
        numbers=(NUMBER,) * len(every),
        last=tuple(last),
        last_cached=draw(st.just(0) | st.integers(1, 900)),
        conversing=draw(st.booleans()),
    )


def kept(costs: PromptCosts, made: Plan) -> list[int]:
    """The ids with which the prompt begins as the last one did."""
    same = takewhile(lambda both: both[0].chunk_id == both[1], zip(costs.last, made.chunk_ids, strict=False))
    return [chunk_id for _, chunk_id in same]


@given(
    second_questions(),
    st.integers(150, 1500),
    st.builds(PromptBudget, st.none() | st.integers(60, 900), default=st.booleans()),
    st.integers(0, 2),
)
def test_what_the_order_of_the_last_prompt_changes(
    costs: PromptCosts, window: int, budget: PromptBudget, expand: int
) -> None:
    policy = Policy("retrieval", budget=budget, expand=expand)
    try:
        alone = plan(replace(costs, last=(), last_cached=0), Windows(window), policy)
    except ContextTooLong:
        return
    made = plan(costs, Windows(window), policy)
    found = {each.part.chunk_id for each in costs.found} & set(alone.chunk_ids)
    assert found <= set(made.chunk_ids), "no passage that was found gives way to one that was read before"
    assert made.turns == alone.turns, "and no turn"
    assert len(set(made.chunk_ids)) == len(made.chunk_ids)
    assert sum(item.tokens for item in made.budget) == window, "the shares are the window"
    limit = max(budget.limit(asked_for=False), alone.prompt_tokens)
    assert made.prompt_tokens <= limit + costs.last_cached, "what was read before costs nothing"
    assert made.reused_tokens <= min(costs.last_cached, made.prompt_tokens)
    if not costs.conversing:
        assert set(made.chunk_ids) <= set(alone.chunk_ids), "outside of a conversation nothing stays"
    if not kept(costs, made):
        assert made.chunk_ids == alone.chunk_ids, "in the order of the documents, as ever"
    tokens = {each.chunk_id: each.tokens for each in costs.last}
    stayed = sum(tokens[i] for i in set(made.chunk_ids) - set(alone.chunk_ids) if i in tokens)
    assert stayed <= 2 * sum(tokens[i] for i in set(kept(costs, made)) & set(alone.chunk_ids))


FIRST, SECOND, THIRD, NEW = (passage(0, 1), passage(1, 0), passage(2, 3), passage(0, 2))


@pytest.mark.parametrize(
    ("found", "conversing", "order"),
    [
        ((SECOND, FIRST, THIRD), True, (THIRD, FIRST, SECOND)),
        ((NEW, THIRD, FIRST), True, (THIRD, FIRST, NEW)),
        ((NEW, FIRST), True, (THIRD, FIRST, NEW)),  # a passage that was not found stays before one that was
        ((NEW, FIRST), False, (FIRST, NEW)),
        ((NEW, SECOND), True, (NEW, SECOND)),  # it would be two that stay for one
        ((NEW,), True, (NEW,)),
        ((THIRD, NEW), False, (THIRD, NEW)),
    ],
)
def test_passages_of_the_last_prompt_come_first(
    found: tuple[PassageCost, ...], conversing: bool, order: tuple[PassageCost, ...]
) -> None:
    costs = PromptCosts(
        system=5,
        question=5,
        max_new_tokens=5,
        found=tuple(map(FoundPassage, found)),
        fences={f"/{document}": FENCE for document in range(DOCUMENTS)},
        numbers=(NUMBER,) * 9,
        last=(THIRD, FIRST, SECOND),
        last_cached=90,
        conversing=conversing,
    )
    made = plan(costs, Windows(300), Policy("retrieval"))
    assert made.chunk_ids == tuple(each.chunk_id for each in order)
