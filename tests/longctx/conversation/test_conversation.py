"""Conversations, with real models at toy size: what is searched for, what is remembered, what is kept."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from indexes import CorpusIndex
from longctx import (
    AskOptions,
    BadRequest,
    BadSession,
    ContextTooLong,
    Conversation,
    DocumentQA,
    Engine,
    Message,
    QuestionRequest,
    load_model,
)
from longctx.conversation.session_file import SessionFile, session_path
from longctx.conversation.turn_index import TurnIndex
from longctx.engine.request import PrefillProgress
from longctx.prompts.templates import TEMPLATES, ChatTemplate, PlainTemplate

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
LIGHTHOUSE = (
    "# The lighthouse of Sørvik\n\nThe lighthouse was built in 1874 by the engineer Anna Holm. "
    "The lamp of the lighthouse turns once in forty seconds.\n\n# The harbour\n\n"
    "The harbour was built in 1901 by a company from Bergen. It has two moles and a crane.\n"
)
TOUDAI = "灯台は一八七四年に建てられた。灯台のレンズは四十秒で一回転する。\n\n港は一九〇一年に建てられた。港には起重機がある。\n"
SMALL_TALK = [
    ("The keeper walked along the shore.", "So he did, and looked at the sea."),
    ("A boat lay beyond the point.", "It was waiting for the tide."),
    ("Nobody had slept well.", "The wind had risen again."),
]
FACT, KEY = "The pass key is 40917.", "40917"
ASKED = "What is the pass key?"


@pytest.fixture(scope="module")
def qa(make_index, encoder) -> Iterator[DocumentQA]:
    """Without a model."""
    documents = {"lighthouse.md": LIGHTHOUSE, "toudai.txt": TOUDAI}
    with DocumentQA.open(make_index(documents), encoder=encoder) as qa:
        yield qa


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, encoder) -> Iterator[DocumentQA]:
    """With the demo model, whose window is 256 tokens, and no documents."""
    with DocumentQA.open(tmp_path_factory.mktemp("empty") / "index", load_model(DEMO), encoder=encoder) as qa:
        yield qa


def talk(conversation: Conversation, turns: int, fact_at: int = 3) -> None:
    for number in range(1, turns + 1):
        said, answered = SMALL_TALK[number % 3]
        conversation.record(FACT if number == fact_at else f"{said} That was day {number}.", answered)


# What was said, and what is searched for


@pytest.mark.parametrize(
    ("first", "second", "searched", "found"),
    [
        (
            "When was the lighthouse built?",
            "And the lamp?",
            "And the lamp? lighthouse built",
            "The lamp of the lighthouse turns",
        ),
        ("When was the harbour built?", "Who built it?", "Who built it? harbour", "by a company from Bergen"),
        ("灯台はいつ建てられましたか？", "レンズは？", "レンズは？ 灯台 建てる", "灯台のレンズは"),
        (
            "港はいつ建てられましたか？",
            "そこには何がありますか？",
            "そこには何がありますか？ 港 建てる",
            "港には起重機がある",
        ),
    ],
)
def test_a_follow_up_is_searched_for_with_the_words_of_the_last_question(
    qa: DocumentQA, tmp_path: Path, first: str, second: str, searched: str, found: str
) -> None:
    with Conversation.open(qa, folder=tmp_path) as conversation:
        assert conversation.ask(first).search_query is None
        answer = conversation.ask(second)
        assert answer.search_query == searched
        assert found in answer.text
        assert conversation.ask(first).search_query is None, "a question that stands by itself is left as it is"


def test_a_question_without_words_of_its_own_goes_further_back(qa: DocumentQA, tmp_path: Path) -> None:
    with Conversation.open(qa, folder=tmp_path) as conversation:
        for question in ("When was the harbour built?", "And the crane?"):
            conversation.ask(question)
        assert conversation.ask("Why?").search_query == "Why? crane harbour built"


def test_a_model_puts_a_follow_up_in_full(qa: DocumentQA, tmp_path: Path, saying, encoder) -> None:
    whole = "where is the lamp of the lighthouse"
    with (
        DocumentQA.open(qa.index.path, saying(whole), encoder=encoder) as asked,
        Conversation.open(asked, folder=tmp_path, rewrite_questions="on") as conversation,
    ):
        first = conversation.ask("Who built the lighthouse?", max_new_tokens=3)
        assert (first.text, first.search_query) == (f"{whole} [1]", None)
        assert conversation.ask("And the lamp?", max_new_tokens=3).search_query == whole
        horn = conversation.ask("And the horn?", max_new_tokens=3).search_query
        assert horn == "And the horn? lamp built lighthouse", "what the model gives does not ask that"
    with (
        DocumentQA.open(qa.index.path, saying(whole), encoder=encoder) as asked,
        Conversation.open(asked, folder=tmp_path, rewrite_questions="off") as conversation,
    ):
        assert conversation.ask("And the lamp?", max_new_tokens=3).search_query == "And the lamp? horn built lighthouse"


# What is kept


def test_a_conversation_goes_on_where_it_stopped(qa: DocumentQA, tmp_path: Path) -> None:
    with Conversation.open(qa, "灯台の話", folder=tmp_path) as conversation:
        first = conversation.ask("Who built the lighthouse?")
        last = conversation.ask("灯台のレンズは何秒で一回転しますか？")
        assert conversation.last == last
    with Conversation.open(qa, "灯台の話", folder=tmp_path) as again:
        assert again.last == last, "its citations and its plan as well"
        assert last.citations[0].text == "灯台のレンズは四十秒で一回転する。"
        assert [(turn.number, turn.answer) for turn in again.turns] == [(1, first), (2, last)]
        with Conversation.open(qa, "another", folder=tmp_path) as another:
            assert another.turns == ()
        assert again.reset() == 2
        assert (again.turns, again.last) == ((), None)
        assert again.record("One", "1") == 1


def test_sessions_lie_beside_the_index(qa: DocumentQA) -> None:
    with Conversation.open(qa) as conversation:
        assert conversation.path == qa.index.path.with_name("index-sessions") / "default.session"


def test_an_answer_that_is_broken_off_is_not_kept(demo: DocumentQA, tmp_path: Path) -> None:
    with Conversation.open(demo, folder=tmp_path) as conversation:
        conversation.record("Good morning.", FACT)
        stream = conversation.stream(ASKED, max_new_tokens=12)
        next(stream)
        stream.close()
        assert len(conversation.turns) == 1
        stream = conversation.stream(ASKED, max_new_tokens=12)
        assert "".join(stream).strip() == stream.answer.text == FACT
        assert [turn.question for turn in conversation.turns] == ["Good morning.", ASKED]


# What is remembered


def test_what_was_said_long_ago_is_found_again(demo: DocumentQA, tmp_path: Path) -> None:
    with Conversation.open(demo, folder=tmp_path) as conversation:
        talk(conversation, 60)
        answer = conversation.ask(ASKED, max_new_tokens=12)
        assert answer.text == FACT
        assert (answer.plan.route, answer.plan.window) == ("retrieval", 256)
        assert 3 in answer.plan.turns
        assert 60 in answer.plan.turns
        assert answer.plan.turns[-1] - answer.plan.turns[1] == len(answer.plan.turns) - 2, "the others are the last"
        assert len(answer.plan.turns) + sum(share.kind == "turn" for share in answer.plan.left_out) == 60
    cut = [Message(*said) for turn in conversation_turns(tmp_path) for said in turn]
    assert KEY not in demo.run(QuestionRequest(ASKED, AskOptions(max_new_tokens=12), history=cut[:-2])).answer.text


def conversation_turns(folder: Path) -> list[tuple[tuple[Any, str], tuple[Any, str]]]:
    with closing(SessionFile.open(session_path(folder, "default"))) as store:
        return [(("user", turn.question), ("assistant", turn.answer.text)) for turn in store.turns()]


def test_an_index_that_has_taken_the_place_of_that_of_turns_is_left_alone(tmp_path: Path, encoder, make_index) -> None:
    documents = make_index({"a.txt": "The lamp turns."})
    (tmp_path / "talk.index").symlink_to(documents)
    recall = TurnIndex(tmp_path / "talk.index", encoder)
    history = [Message("user", "Hello."), Message("assistant", "Good morning.")]
    for _ in range(2):
        with pytest.raises(BadSession, match=r"talk\.index is no index of a conversation \(it holds .*a\.txt\): move"):
            recall.find("What turns?", history)
    (tmp_path / "talk.index").unlink()
    documents.rename(tmp_path / "talk.index")
    recall.forget()
    recall.close()
    with CorpusIndex.open(tmp_path / "talk.index", encoder, create=False) as index:
        assert [Path(document.source).name for document in index.documents()] == ["a.txt"]
        assert index.verify().problems == ()


def test_a_turn_is_found_at_the_next_question_and_the_index_of_turns_can_be_made_again(tmp_path: Path, encoder) -> None:
    history = [
        Message(role, text) for pair in SMALL_TALK for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    recall, other = TurnIndex(tmp_path / "turns", encoder), TurnIndex(tmp_path / "turns", encoder)
    assert recall.find("What is the name of my dog?", history) == ()
    history += [Message("user", "私の犬の名前はポチです。"), Message("assistant", "よい名前です。")]
    history += [Message("user", "My cat is called Mirka."), Message("assistant", "A fine name.")]
    assert recall.find("犬の名前は何ですか？", history)[0] == 4
    assert recall.find("What is my pet's name?", history)[0] == 5, "by its meaning"
    assert other.find("What was the cat called?", history)[0] == 5
    damaged = next((tmp_path / "turns").glob("*.sqlite3"))
    recall.close()
    damaged.write_bytes(b"no database")
    assert other.find("What was the cat called?", history)[0] == 5
    assert recall.find("What was the cat called?", history)[0] == 5
    changed = [*history[:-2], Message("user", "My horse is called Mirka."), history[-1]]
    assert recall.find("What was the cat called?", changed) == (4,) or 5 not in recall.find("cat", changed)
    recall.forget()
    assert not (tmp_path / "turns").exists()
    other.close()


@dataclass(frozen=True)
class Telling:
    """A template that tells what it is given to write."""

    told: list[list[Message]]
    inner: Any
    name: str = "telling"
    markers: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    def render(self, tokenizer, system, messages):
        self.told.append(list(messages))
        return self.inner.render(tokenizer, system, messages)


class Uneven(PlainTemplate):
    """One in which a turn takes more tokens beside others than alone, or fewer."""

    def render(self, tokenizer, system, messages):
        turns = len(messages) // 2
        more = "and so on " * (turns if self.name == "longer" else 4 * (turns == 1))
        return super().render(tokenizer, system, [Message("user", f"{messages[0].content} {more}"), *messages[1:]])


@pytest.mark.parametrize("template", ["llama-2", "elyza", "chat", "plain", Uneven("longer"), Uneven("shorter")])
def test_a_prompt_with_gaps_takes_what_its_plan_says_and_user_and_assistant_take_turns(
    demo: DocumentQA, template: str | Uneven
) -> None:
    draw, told = random.Random(7), list[list[Message]]()
    said = [("Who walked there?", "he"), ("  spaces \n", "\n\n in  between "), ("犬は？", "ポチ"), ("a" * 9, "1 2 3")]
    history = [Message(r, t) for i in range(14) for r, t in zip(("user", "assistant"), said[i % 4], strict=True)]
    qa = DocumentQA(demo.index, Engine(load_model(DEMO)), template=Telling(told, TEMPLATES.get(template, template)))
    for recalled in (draw.sample(range(1, 15), 3) for _ in range(4)):
        answer = qa.run(
            QuestionRequest("Who?", AskOptions(max_new_tokens=1), history=history, recalled=recalled)
        ).answer
        plan = answer.plan
        assert answer.usage.prompt_tokens == plan.prompt_tokens
        assert sum(share.tokens for share in plan.budget) == 256
        wanted = [history[2 * number - 2 + i].content.strip() for number in plan.turns for i in (0, 1)]
        assert [message.role for message in told[-1]] == ["user", "assistant"] * len(plan.turns) + ["user"]
        assert all(text in message.content for text, message in zip(wanted, told[-1], strict=False))


# What goes wrong


class Broken(ChatTemplate):
    """A template that does not render."""

    def render(self, tokenizer, system, messages):
        raise BadRequest("the template does not render")


def test_a_conversation_is_intact_after_what_cannot_be_asked(demo: DocumentQA, tmp_path: Path) -> None:
    with Conversation.open(demo, folder=tmp_path) as conversation:
        conversation.record("Good morning.", FACT)
        for question, options, error, message in [
            (" \n", {}, BadRequest, "the question is empty"),
            ("\udce3", {}, BadRequest, "UTF-8"),
            (
                "word " * 3000,
                {},
                ContextTooLong,
                r"the question takes [\d,]+ tokens.* the largest window here holds 256",
            ),
            (ASKED, {"max_new_tokens": 300}, ContextTooLong, "leaves no room"),
            (ASKED, {"system": "Be brief. " * 300}, ContextTooLong, "the system prompt takes"),
            (ASKED, {"route": "best"}, BadRequest, "no route 'best'"),
        ]:
            with pytest.raises(error, match=message):
                conversation.ask(question, **{"max_new_tokens": 12, **options})
        broken = DocumentQA(demo.index, Engine(load_model(DEMO)), template=Broken())
        with Conversation.open(broken, folder=tmp_path) as other, pytest.raises(BadRequest, match="does not render"):
            other.ask(ASKED)
        assert [turn.question for turn in conversation.turns] == ["Good morning."]
        assert conversation.ask(ASKED, max_new_tokens=12).text == FACT
    with pytest.raises(BadRequest, match="has been closed: open it again"):
        conversation.ask(ASKED)


# What is read again


@pytest.mark.parametrize("template", ["plain", "llama-2", "chat"])
def test_of_a_conversation_over_whole_documents_only_what_is_new_is_read(
    tmp_path: Path, encoder, template: str
) -> None:
    # longer than the native window at once: from there on the frequencies are others, and nothing is reused
    (tmp_path / "lighthouse.md").write_text(LIGHTHOUSE + 3 * "\nThe sea was calm all day.\n", encoding="utf-8")
    began: list[int] = []

    def first_told(progress: PrefillProgress) -> None:
        began.extend([progress.done] if progress.done < progress.total and len(began) == asked else [])

    loaded = load_model(DEMO, scaling="yarn")
    with (
        DocumentQA.open(tmp_path / "index", loaded, encoder=encoder, template=template) as qa,
        Conversation.open(qa, folder=tmp_path) as conversation,
    ):
        qa.ingest(tmp_path / "lighthouse.md")
        read = 0
        for asked, question in enumerate(
            ["Who built the lighthouse?", "When was the harbour built?", "By which company?"]
        ):
            answer = conversation.ask(question, route="extended", max_new_tokens=8, progress=first_told)
            assert answer.plan.turns == tuple(range(1, asked + 1))
            assert began[asked] >= 0.9 * read, "all but the beginning of the answer"
            read = answer.usage.prompt_tokens
