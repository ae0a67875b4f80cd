"""The reasons for a plan, in English and in Japanese."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import get_args

import pytest

from longctx import Answer, Plan, Reason, Usage
from longctx.conversation import answer_from
from longctx.reasons import WORDINGS, ReasonKind, in_english, in_japanese

KINDS = get_args(ReasonKind)
NUMBERS = (1_001, 2.5, 3_003, 4_004)
NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")


def test_there_are_words_for_every_kind_and_for_no_other() -> None:
    assert sorted(WORDINGS) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reason_says_the_same_in_both_languages(kind: ReasonKind) -> None:
    english, japanese = in_english([Reason(kind, NUMBERS)]), in_japanese([Reason(kind, NUMBERS)])
    assert english
    assert kind == "told" or re.search("[ぁ-んァ-ン一-龥]", japanese)
    assert not re.search("[ぁ-んァ-ン一-龥]", english)
    assert sorted(NUMBER.findall(english)) == sorted(NUMBER.findall(japanese)), "no value is lost"
    assert not re.search("[a-z]{2}", re.sub("--[a-z-]+( off)?|yarn", "", japanese)), "flags alone stay"


def test_a_plan_says_its_reasons_as_sentences() -> None:
    whole = Reason("fits", (1_184, Reason("extended"), Reason("scaled", (2.0, 8_192))))
    plan = Plan("extended", (Reason("with_turns", (whole, 5, 300)), Reason("told", ("nobody {knows}; truly",))), 8_192)
    assert plan.reason == (
        "all documents take 1,184 tokens with question and answer and fit the extended window (×2 the native, 8,192), "
        "with 5 of 300 turns of the conversation; nobody {knows}; truly"
    )
    assert plan.reason_ja == (
        "すべての文書は質問と回答を含めて 1,184 トークンで、拡張したコンテキスト長（元の 2 倍の 8,192）に収まります"
        "（会話は 300 回のうち 5 回分）。nobody {knows}; truly"
    )


@pytest.mark.parametrize("change", ["none", "no reasons", "another kind", "too few values"])
def test_an_answer_of_another_release_keeps_the_text_of_its_reason(change: str) -> None:
    least = Plan("native", (Reason("fits", (9, Reason("native"), 4_096)),), 4_096)
    plan = Plan("self", (Reason("passages_read", (4_096,)), Reason("all_if_not")), 4_096, fallback=least)
    answer = Answer("At nine.", (), plan, Usage())
    data = asdict(answer)
    if change == "no reasons":
        for each in (data["plan"], data["plan"]["fallback"]):
            del each["reasons"], each["reason_ja"]
    elif change == "another kind":
        data["plan"]["reasons"][0]["kind"] = "tossed"
    elif change == "too few values":
        data["plan"]["reasons"][0]["values"] = []
    read = answer_from(data)
    assert (read == answer) == (change == "none")
    assert read.plan is not None
    assert read.plan.fallback is not None
    assert (read.plan.reason, read.plan.fallback.reason) == (plan.reason, least.reason)
