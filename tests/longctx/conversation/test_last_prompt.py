"""What is read once is met again: the second question's prompt begins as the first one's did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes import CorpusIndex, SearchFilter
from longctx import (
    Answer,
    AskOptions,
    Conversation,
    DocumentQA,
    Engine,
    Policy,
    QuestionRequest,
    load_model,
)
from longctx.conversation import request_with_history
from longctx.types import Message

ROOMS = ["attic", "bakery", "cellar", "dairy", "forge", "garden", "kitchen", "library", "mill", "stable"]
HOUSE = {
    f"{room}.md": f"# The {room}\n\nThe {room} was built in {1800 + 7 * number} by a mason. Its door is of oak.\n"
    for number, room in enumerate(ROOMS)
}
FIRST, SECOND = (
    "When were the stable, the mill and the kitchen built?",
    "When were the dairy, the mill and the stable built?",
)
OPTIONS = AskOptions(route="retrieval", k=3, mode="lexical", max_new_tokens=2)


@pytest.fixture(scope="module")
def engine(tiny_llama: Path) -> Engine:
    return Engine(load_model(tiny_llama))


@pytest.fixture(scope="module")
def house(make_index) -> Path:
    path: Path = make_index(HOUSE)
    return path


@pytest.fixture
def index(house: Path, encoder, engine: Engine) -> Iterator[CorpusIndex]:
    engine.forget()
    with CorpusIndex.open(house, encoder) as index:
        yield index


def rooms(answer: Answer) -> list[str]:
    """The rooms whose passages the prompt held, in its order."""
    assert [each.number for each in answer.passages] == [*range(1, len(answer.passages) + 1)]
    return [Path(each.source).stem for each in answer.passages]


def test_passages_of_the_last_prompt_are_not_read_again(index: CorpusIndex, engine: Engine, tmp_path: Path) -> None:
    reused = {}
    for keep_order in (True, False):
        engine.forget()
        qa = DocumentQA(index, engine, policy=Policy(keep_order=keep_order))
        with Conversation.open(qa, f"kept {keep_order}", folder=tmp_path) as conversation:
            first = conversation.ask(FIRST, OPTIONS)
            assert (rooms(first), first.usage.reused_tokens) == (["kitchen", "mill", "stable"], 0)
            second = conversation.ask(SECOND, OPTIONS)
            reused[keep_order] = second.usage.reused_tokens / second.usage.prompt_tokens
            if keep_order:
                assert rooms(second) == ["kitchen", "mill", "stable", "dairy"], "those of before, then what is new"
                assert 0 < second.plan.reused_tokens <= second.usage.reused_tokens
                assert f"{second.plan.reused_tokens:,} tokens of them were read before" in second.plan.reason
            else:
                assert rooms(second) == ["dairy", "mill", "stable"]
    assert reused[True] > 0.4 > 0.1 > reused[False]


def test_a_new_process_has_nothing_to_go_on_from(index: CorpusIndex, engine: Engine, tmp_path: Path) -> None:
    with Conversation.open(DocumentQA(index, engine), folder=tmp_path) as conversation:
        conversation.ask(FIRST, OPTIONS)
    engine.forget()
    with Conversation.open(DocumentQA(index, engine), folder=tmp_path) as conversation:
        assert rooms(conversation.ask(SECOND, OPTIONS)) == ["dairy", "mill", "stable"]


def test_a_conversation_that_is_opened_again_goes_on_from_memory(
    index: CorpusIndex, engine: Engine, tmp_path: Path
) -> None:
    with Conversation.open(DocumentQA(index, engine), folder=tmp_path) as conversation:
        conversation.ask(FIRST, OPTIONS)
    with Conversation.open(DocumentQA(index, engine), folder=tmp_path) as conversation:
        assert rooms(conversation.ask(SECOND, OPTIONS)) == ["kitchen", "mill", "stable", "dairy"]


def test_a_client_that_sends_its_conversation_is_known_by_its_questions(index: CorpusIndex, engine: Engine) -> None:
    qa = DocumentQA(index, engine)
    first = qa.run(request_with_history(qa, FIRST, (), OPTIONS)).answer
    said = (Message("user", FIRST), Message("assistant", first.text))
    assert rooms(qa.run(request_with_history(qa, SECOND, said, OPTIONS)).answer) == [
        "kitchen",
        "mill",
        "stable",
        "dairy",
    ]
    another = (Message("user", "Good morning."), Message("assistant", "Good morning."))
    assert rooms(qa.run(request_with_history(qa, SECOND, another, OPTIONS)).answer) == ["dairy", "mill", "stable"]


def test_outside_of_a_conversation_a_question_gets_its_own_passages(index: CorpusIndex, engine: Engine) -> None:
    qa = DocumentQA(index, engine)
    assert rooms(qa.ask("When were the mill and the stable built?", OPTIONS, k=2)) == ["mill", "stable"]
    second = qa.ask(SECOND, OPTIONS)
    assert rooms(second) == ["mill", "stable", "dairy"], "in the order of before"
    assert second.usage.reused_tokens > 0.4 * second.usage.prompt_tokens
    alone = QuestionRequest(SECOND, OPTIONS, last=())
    assert rooms(qa.run(alone).answer) == ["dairy", "mill", "stable"]


def test_what_a_filter_leaves_out_or_was_removed_ends_what_is_reused(
    make_index, encoder, engine: Engine, tmp_path: Path
) -> None:
    engine.forget()
    with CorpusIndex.open(make_index(HOUSE), encoder) as index:
        [kitchen] = [each.source for each in index.documents() if each.source.endswith("kitchen.md")]
        with Conversation.open(DocumentQA(index, engine), folder=tmp_path) as conversation:
            conversation.ask(FIRST, OPTIONS)
            others = SearchFilter(source=tuple(each.source for each in index.documents() if each.source != kitchen))
            assert rooms(conversation.ask(SECOND, OPTIONS, filters=others)) == ["dairy", "mill", "stable"]
            conversation.reset()
            conversation.ask(FIRST, OPTIONS)
            index.remove(kitchen)
            assert rooms(conversation.ask(SECOND, OPTIONS)) == ["dairy", "mill", "stable"]
