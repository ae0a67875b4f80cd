"""What a prompt may cost: limits in tokens and in seconds, and which routes they hold for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longctx import ContextTooLong, Policy
from longctx.planning import (
    FoundPassage,
    PassageCost,
    PromptBudget,
    PromptCosts,
    ReadingSpeed,
    Windows,
    plan,
    priced,
)
from longctx.reasons import in_english

SPEED = ReadingSpeed(120.0)
WINDOWS = Windows(4000, (8000,))
WHOLE = tuple(PassageCost(place, "/a", 100) for place in range(30))
FOUND = tuple(FoundPassage(part, WHOLE[: part.chunk_id][::-1], WHOLE[part.chunk_id + 1 :]) for part in WHOLE[::10])
COSTS = PromptCosts(60, 20, 20, FOUND, WHOLE, fences={"/a": 10}, numbers=(5,) * 30)  # 3,240 tokens of prompt for all


def default(seconds: float = 20.0, speed: ReadingSpeed = SPEED) -> PromptBudget:
    return PromptBudget(seconds=seconds, default=True).at(speed, WINDOWS.largest)


@given(st.floats(0.1, 1e5), st.floats(0, 0.01), st.floats(0.01, 1e4))
def test_tokens_and_seconds_are_each_others_inverse(rate: float, attention: float, seconds: float) -> None:
    speed = ReadingSpeed(rate, attention)
    tokens = speed.tokens(seconds)
    assert speed.seconds(tokens) <= seconds * (1 + 1e-6)
    assert speed.seconds(tokens + 2) > seconds * (1 - 1e-6)


def test_attention_makes_long_prompts_slower_than_in_proportion() -> None:
    assert ReadingSpeed(64.0).seconds(6400) == 100.0
    speed = ReadingSpeed(64.0, 1 / 128)  # at 128 tokens, as much attention as weights
    assert speed.seconds(128) == 2.0
    assert speed.seconds(12_800) == 200.0 * 101 / 2
    assert speed.tokens(2.0) == 128


def test_auto_reads_everything_only_if_the_budget_allows() -> None:
    assert plan(COSTS, WINDOWS, Policy(budget=default(60))).route == "native"
    made = plan(COSTS, WINDOWS, Policy(budget=default(20)))
    assert (made.route, made.window) == ("retrieval", 4000)
    assert "all documents take 3,240 tokens with the question, more than the 2,400 tokens that 20 s allow at 120" in (
        made.reason
    )
    assert 2300 < made.prompt_tokens <= 2400
    shown = priced(made, default(20))
    assert shown.reason.endswith(
        f"; the prompt takes {made.prompt_tokens:,} of the 2,400 tokens that 20 s allow at 120 tokens/s"
    )
    assert shown.seconds == made.prompt_tokens / 120


def test_passages_that_were_found_come_before_neighbours() -> None:
    made = plan(COSTS, WINDOWS, Policy(budget=PromptBudget(500)))
    assert (made.chunk_ids, made.prompt_tokens) == ((0, 10, 20), 405)
    assert plan(COSTS, WINDOWS, Policy(budget=PromptBudget(620))).chunk_ids == (0, 1, 9, 10, 20)


def test_a_limit_that_nobody_asked_for_leaves_routes_alone_that_somebody_asked_for() -> None:
    assert plan(COSTS, WINDOWS, Policy("native", budget=default())).route == "native"
    own = plan(COSTS, WINDOWS, Policy("self", budget=default(10)))
    assert own.fallback is not None
    assert (own.prompt_tokens <= 1200, own.fallback.route) == (True, "native")
    for route in ("native", "self"):
        with pytest.raises(
            ContextTooLong, match=r"3,240 tokens .*, more than the 2,000 tokens that prompt_tokens allows: allow more"
        ):
            plan(COSTS, WINDOWS, Policy(route, budget=PromptBudget(2000)))


def test_a_named_route_lets_old_turns_go_for_the_budget() -> None:
    talked = replace(COSTS, turns=(100,) * 8)
    assert plan(talked, WINDOWS, Policy("native", budget=PromptBudget(3500))).turns == (7, 8)


def test_the_best_passage_is_always_in_unless_the_limit_was_asked_for() -> None:
    wordy = replace(COSTS, system=2000)
    made = plan(wordy, WINDOWS, Policy("retrieval", budget=default(1)))
    assert (made.chunk_ids, made.prompt_tokens) == ((0,), 2135)
    asked = PromptBudget(seconds=1.0).at(SPEED, 4000)
    assert "2,135 of" not in priced(made, default(1)).reason
    with pytest.raises(
        ContextTooLong,
        match=r"best passage takes 195 tokens, more than the 120 tokens that 1 s allow at 120 tokens/s: allow more",
    ):
        plan(COSTS, WINDOWS, Policy("retrieval", budget=asked))


def test_the_default_is_never_below_1024_tokens_nor_above_the_window() -> None:
    slow = default(20, ReadingSpeed(5.0))
    assert slow.tokens == 1024
    assert in_english([slow.allowance]) == "1,024 tokens that are always allowed (20 s allow 100 at 5 tokens/s)"
    assert default(20, ReadingSpeed(5000.0)).tokens is None
    assert default().limit(asked_for=True) == math.inf
    assert PromptBudget(seconds=20.0, default=True).at(None, 4000).limit(asked_for=False) == math.inf
