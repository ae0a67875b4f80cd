"""The budget of a question: whose it is, and that nothing is measured where it decides nothing."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from longctx import AskOptions, Engine, Policy, load_model
from longctx.answering.budget import prompt_budget
from longctx.backends import backend_for
from longctx.planning import PassageCost, PromptBudget, PromptCosts, ReadingSpeed, Windows

AUTO = Policy()
WINDOWS = Windows(32_768)
LONG = PromptCosts(60, 20, 256, whole=(PassageCost(1, "/a", 5000),))
SHORT = replace(LONG, whole=(PassageCost(1, "/a", 900),))


class Slow:
    """What a budget asks of a backend that reads 120 tokens a second, once it has been measured."""

    def __init__(self, default_seconds: float | None = 20.0) -> None:
        self.default_seconds = default_seconds
        self.measured = False

    def reading_speed(self, *, measure: bool) -> ReadingSpeed | None:
        self.measured |= measure
        return ReadingSpeed(120.0) if self.measured else None


def budget(backend: Any, costs: PromptCosts = LONG, policy: Policy = AUTO, **options: Any) -> PromptBudget:
    return prompt_budget(backend, costs, WINDOWS, policy, AskOptions(**options))


@pytest.mark.parametrize("route", ["auto", "retrieval", "self"])
def test_a_processor_is_measured_and_gets_twenty_seconds(route: str) -> None:
    assert budget(Slow(), policy=Policy(route)) == PromptBudget(2400, 20.0, ReadingSpeed(120.0), default=True)


@pytest.mark.parametrize(
    ("backend", "changes"),
    [
        (Slow(), {"costs": SHORT}),
        (Slow(), {"policy": Policy("native")}),
        (Slow(), {"policy": Policy("extended")}),
        (Slow(None), {}),
        (Slow(), {"costs": replace(LONG, kind="count")}),
    ],
    ids=["nothing is long", "all documents were asked for", "extended", "a GPU", "all documents are needed"],
)
def test_nothing_is_measured_where_it_decides_nothing(backend: Slow, changes: dict[str, Any]) -> None:
    assert budget(backend, **changes).tokens is None
    assert not backend.measured


def test_documents_that_were_not_counted_are_long() -> None:
    assert budget(Slow(), replace(SHORT, whole=(), uncounted=9)).tokens == 2400


def test_a_question_overrides_the_policy_and_the_policy_the_default() -> None:
    policy = Policy(budget=PromptBudget(seconds=10.0))
    assert budget(Slow(None), policy=policy).tokens == 1200
    assert budget(Slow(None), policy=policy, budget=5.0).tokens == 600
    told = Slow()
    assert budget(told, policy=policy, prompt_tokens=700) == PromptBudget(700)
    assert not told.measured


def test_a_model_that_is_not_on_a_processor_has_no_default(tiny_llama) -> None:
    here = load_model(tiny_llama)
    elsewhere = replace(here, model=deepcopy(here.model).to("meta"))
    defaults = [backend_for(Engine(loaded, prefix_bytes=0), None, ()).default_seconds for loaded in (here, elsewhere)]
    assert defaults == [20.0, None]
