"""What becomes of what a model writes: through `DocumentQA`, with models that say one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longctx import Answer, DocumentQA

DOCUMENTS = {
    "bridge.md": "# The bridge\n\nThe bridge over the bay was opened in 1932. It was painted grey. The mayor spoke.\n",
    "tower.md": "# The tower\n\nThe tower was built by Erik Holm in 1874. It burnt down in 1901, and nobody was hurt.\n",
    "灯台.md": "# 灯台\n\n灯台は1874年に建てられました。設計者はホルム氏です。\n",
}
OPENED = "When was the bridge over the bay opened?"
HALF_THERE = "Who inaugurated the bridge over the bay with festive fireworks?"
MUSHROOMS = "Which mushrooms do cooks in Provence prefer for omelettes?"


@pytest.fixture(scope="module")
def index(make_index) -> Path:
    return make_index(DOCUMENTS)


@pytest.fixture(scope="module")
def english(make_index) -> Path:
    return make_index({name: text for name, text in DOCUMENTS.items() if name.isascii()})


@pytest.fixture
def ask(saying, encoder, english: Path) -> Iterator[Callable[..., Answer]]:
    def asked(says: str, question: str, path: Path = english) -> Answer:
        with DocumentQA.open(path, saying(says), encoder=encoder) as qa:
            stream = qa.stream(question)
            assert "".join(stream).strip() == stream.answer.text
            return stream.answer

    return asked


def cited(answer: Answer) -> dict[str, str]:
    """The files that an answer cites, and who set the mark."""
    return {Path(c.source).name: c.marked_by for c in answer.citations}


@pytest.mark.parametrize(
    ("says", "marked_by"),
    [
        ("It was opened in 1932 [{bridge}].", "model"),
        ("It was opened in 1932 [{tower}].", "corrected"),
        ("It was opened in 1932.", "added"),
    ],
)
def test_a_mark_names_the_passage_that_holds_the_sentence(ask, says: str, marked_by: str) -> None:
    numbers = {Path(c.source).stem: c.number for c in ask("x", OPENED).passages}
    answer = ask(says.format(**numbers), OPENED)
    assert answer.text == f"It was opened in 1932 [{numbers['bridge']}]."
    assert cited(answer) == {"bridge.md": marked_by}
    assert (answer.refused, answer.unsupported) == (False, ())


@pytest.mark.parametrize("says", ["[{bridge}]", "[{bridge}].", " "])
def test_an_answer_without_words_quotes_a_passage(ask, says: str) -> None:
    numbers = {Path(c.source).stem: c.number for c in ask("x", OPENED).passages}
    answer = ask(says.format(**numbers), OPENED)
    assert answer.text == f"The bridge over the bay was opened in 1932. [{numbers['bridge']}]"
    assert cited(answer) == {"bridge.md": "added"}
    assert "so a passage is quoted" in answer.plan.reason


@pytest.mark.parametrize(
    ("question", "says", "quoted"),
    [
        (
            OPENED,
            "The bridge was opened in the year that is [{bridge}].",
            "The bridge over the bay was opened in 1932.",
        ),
        ("When was the tower built?", "It is [{tower}]", "The tower was built by Erik Holm in 1874."),
    ],
)
def test_a_mark_in_place_of_the_value_is_followed_by_a_quotation(ask, question: str, says: str, quoted: str) -> None:
    numbers = {Path(c.source).stem: c.number for c in ask("x", question).passages}
    said = says.format(**numbers)
    assert ask(said, question).text == f"{said} {quoted} [{numbers[says.partition('{')[2].partition('}')[0]]}]"


def test_a_quotation_says_the_version_of_its_heading(saying, make_index, encoder) -> None:
    path = make_index({"changes.md": "# Changes\n\n## 2.4.0 (11 April)\n\n### Added\n\n- Added a dark mode.\n"})
    with DocumentQA.open(path, saying("The version that added it is [1]."), encoder=encoder) as qa:
        answer = qa.ask("Which version added a dark mode?")
    assert answer.text == "The version that added it is [1]. ## 2.4.0 (11 April) - Added a dark mode. [1]"


def test_a_sentence_that_no_passage_supports_is_marked(ask) -> None:
    answer = ask("It was opened in 1932. Elephants crossed under fireworks.", OPENED)
    assert answer.text.endswith("Elephants crossed under fireworks [?].")
    assert answer.unsupported == ("Elephants crossed under fireworks.",)
    assert cited(answer) == {"bridge.md": "added"}


@pytest.mark.parametrize("says", ["The passages do not say.", "I'm sorry, the text does not mention mushrooms."])
def test_a_refusal_in_any_words_is_one(ask, says: str) -> None:
    answer = ask(says, MUSHROOMS)
    assert (answer.text, answer.refused, answer.citations, answer.unsupported) == (says, True, (), ())


@pytest.mark.parametrize(
    ("question", "says", "reason"),
    [
        (MUSHROOMS, "Chanterelles are what they like most.", "no passage supports what the model wrote"),
        (MUSHROOMS, "The mayor spoke.", "does not bear on the question"),
        (HALF_THERE, "Divers did so in 1955.", "no passage supports what the model wrote"),
    ],
)
def test_what_has_no_evidence_becomes_a_refusal(ask, question: str, says: str, reason: str) -> None:
    answer = ask(says, question)
    assert (answer.text, answer.refused) == ("The passages do not say.", True)
    assert answer.unsupported == (says,)
    assert reason in answer.plan.reason


def test_what_a_passage_supports_is_an_answer_though_the_question_has_other_words(ask) -> None:
    assert ask("The mayor spoke.", HALF_THERE).text.startswith("The mayor spoke [")


@pytest.mark.parametrize(
    "says",
    [
        f"Question: {OPENED}\nAnswer: It was opened in 1932.",
        "End it with the number of the passage in brackets, such as [1].\n\nIt was opened in 1932.",
        "**Answer:** It was opened in 1932.",
    ],
)
def test_what_an_answer_repeats_of_the_prompt_is_left_out(ask, says: str) -> None:
    answer = ask(says, OPENED)
    assert answer.text == f"It was opened in 1932 [{answer.citations[0].number}]."
    assert cited(answer) == {"bridge.md": "added"}


def test_words_of_the_question_are_no_echo(ask) -> None:
    assert ask("The bridge over the bay", "Which is older, the tower or the bridge over the bay?").text.startswith(
        "The bridge over the bay"
    )


def test_the_form_of_an_answer_is_not_what_a_question_is_about(ask, make_index) -> None:
    index = make_index({"塔.md": "# 塔\n\n塔は1901年に焼失し、翌年に撤去された。\n"})
    assert not ask("塔は1901年に焼失した。", "起きたことを箇条書きにしてください", index).refused


def test_an_answer_of_several_passages_is_supported_by_its_sentences(ask) -> None:
    says = "The bridge was painted grey, and the mayor spoke. The tower burnt down in 1901, and nobody was hurt."
    answer = ask(says, "What happened to everybody?")
    assert not answer.refused
    assert set(cited(answer)) == {"bridge.md", "tower.md"}


def test_code_that_an_answer_copies_supports_it(ask, make_index) -> None:
    code = make_index({"pump.md": "# Pump\n\n```python\ndef pressure(raw):\n    return raw * 0.0125 - 0.4\n```\n"})
    question = "Show me what turns the sensor's number into bar."
    says = "The function `{}` takes the number of the sensor as its input."
    assert not ask(says.format("pressure(raw)"), question, code).refused
    assert ask(says.format("voltage(raw)"), question, code).refused
    assert ask(says.format("pressure"), question, code).refused, "a word in backticks is no code"


def test_in_japanese(ask, make_index) -> None:
    path = make_index({"灯台.md": DOCUMENTS["灯台.md"]})
    assert ask("設計者はホルム氏です。", "灯台の設計者は誰ですか？", path).text == "設計者はホルム氏です [1]。"
    refused = ask("東京タワーは赤い塔です。", "富士山の標高は何メートルですか？", path)
    assert (refused.text, refused.refused) == ("資料には書かれていません。", True)


def test_words_in_another_language_than_the_passages_are_not_judged(ask, index: Path) -> None:
    says = "La tour est rouge et haute."
    assert ask(says, "Quelle est la hauteur de la tour rouge ?", index).text == says


@pytest.mark.parametrize(("cites", "is_refused"), [("bridge", True), ("灯台", False), ("", False)])
def test_beside_passages_in_another_language_the_one_that_is_cited_decides(ask, index: Path, cites, is_refused) -> None:
    numbers = {Path(c.source).stem: f" [{c.number}]" for c in ask("x", MUSHROOMS, index).passages}
    answer = ask(f"Cooks in Provence prefer chanterelles{numbers.get(cites, '')}.", MUSHROOMS, index)
    assert answer.refused == is_refused


def test_what_a_passage_in_another_language_holds_is_an_answer(ask, index: Path) -> None:
    numbers = {Path(c.source).stem: c.number for c in ask("x", MUSHROOMS, index).passages}
    question = "In what year did the architect's workmen finish their beacon?"
    answer = ask(f"They finished it in 1874 [{numbers['灯台']}].", question, index)
    assert (answer.refused, cited(answer)) == (False, {"灯台.md": "model"})
