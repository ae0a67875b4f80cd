"""The parts of the probe that need no model: texts of an exact length, scores, windows."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from transformers import AutoTokenizer

from longctx import BadRequest
from longctx.probe.cloze import find_clozes
from longctx.probe.generated_prose import filler_sentences
from longctx.probe.haystack import Haystack
from longctx.probe.sample import PromptBuilder, Sample, split_passages
from longctx.probe.scoring import effective_window, perplexity_interval, share_found, wilson
from longctx.probe.task_texts import LANGUAGES
from longctx.probe.tasks import TASKS, Draft, Needle
from longctx.prompts import TEMPLATES, PromptInputs, TokenWriter, build_prompt, choose_template
from longctx.types import Citation

ROOT = Path(__file__).parents[3]
DEPTHS = (0.0, 0.5, 1.0)
GENERATED = Haystack(None, "")
COUNTED = {"en": ("one", "two", "three", "four"), "ja": ("一", "二", "三", "四")}
BOOKS = {
    "en": "The tower was built in 1874 by an engineer from the north. In a dry summer the boat carried 8,000 litres. "
    "The keeper at Hestnes had his\ntools sent from Bergen by boat. At Hestnes, the people of Norton "
    "were strangers. He had heard of nobody in Nortonville. "
    + " ".join(f"Nobody came in the {word} weeks of rain." for word in COUNTED["en"] * 9),
    "ja": "岬の灯台は明治七年に点灯しました。塔の高さは三十一メートルです。灯台守は毎朝ラッパを鳴らしました。"
    + "".join(f"雨の{word}週は誰も来ませんでした。" for word in COUNTED["ja"] * 9),
}
TABLE = "\n\n| A row of a table | has 314159 in it. |\n\n## A heading about 271828\n\nwhich holds the number 161803 somewhere."


@pytest.fixture(scope="module")
def tokenizer(tiny_chat_llama: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_chat_llama)


@pytest.fixture(scope="module")
def builder(tokenizer: Any) -> PromptBuilder:
    return PromptBuilder(tokenizer, choose_template(None, "tiny", tokenizer), 512)


def drafted(task: str, language: str, seed: int, haystack: Haystack = GENERATED) -> list[Draft]:
    return TASKS[task](random.Random(seed), DEPTHS, LANGUAGES[language], haystack)


def built(builder: PromptBuilder, task: str, language: str, length: int, seed: int) -> list[tuple[Draft, Sample]]:
    return [
        (draft, builder.build(draft, length, GENERATED.sentences(language, random.Random(seed))))
        for draft in drafted(task, language, seed)
    ]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("task", sorted(TASKS))
@settings(max_examples=settings.default.max_examples // 20)
@given(length=st.integers(2500, 4000), seed=st.integers(0, 10**6))
def test_a_prompt_has_its_length_and_holds_what_is_asked(
    tokenizer: Any, builder: PromptBuilder, task: str, language: str, length: int, seed: int
) -> None:
    for draft, sample in built(builder, task, language, length, seed):
        assert builder.needed(draft) <= length
        text = tokenizer.decode(sample.prefix, skip_special_tokens=True)
        assert all(needle.text in text for needle in draft.needles)
        for asked in sample.questions:
            assert len(sample.prefix) + len(asked.suffix) + asked.room == length
            said = " ".join((asked.question.text, *asked.question.answers))
            assert asked.room >= len(tokenizer(said, add_special_tokens=False)["input_ids"]) + 64
            assert all(answer in text for answer in asked.question.answers)
            assert asked.question.text in tokenizer.decode(asked.suffix)
        assert min(asked.room for asked in sample.questions) <= 64 + 200 + 8, "the text fills the length"


def test_a_prompt_is_not_longer_where_passages_begin_with_other_tokens() -> None:
    """The demo model's tokenizer writes a word in more tokens where no space is before it."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "examples" / "models" / "passkey-llama")
    builder = PromptBuilder(tokenizer, TEMPLATES["chat"], 256)
    for seed in range(5):
        for _, sample in built(builder, "needle", "en", 3000, seed):
            (asked,) = sample.questions
            said = " ".join((asked.question.text, *asked.question.answers))
            assert 0 <= asked.room - 32 - len(tokenizer(said, add_special_tokens=False)["input_ids"]) <= 4


@pytest.mark.parametrize("family", ["own", "plain", "llama-2", "demo"])
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_prompts_are_those_of_ask(tokenizer: Any, family: str, language: str) -> None:
    if family == "demo":
        tokenizer = AutoTokenizer.from_pretrained(ROOT / "examples" / "models" / "passkey-llama")
    template = TEMPLATES[family] if family in TEMPLATES else choose_template(None, family, tokenizer)
    builder = PromptBuilder(tokenizer, template, 512)
    for _, sample in built(builder, "multi-key", language, 3000, 1):
        for asked in sample.questions:
            prompt = [*sample.prefix, *asked.suffix]
            _, *texts = re.split(r"\n\[\d+\]\n", tokenizer.decode(prompt).partition("<document> Text")[2])
            texts = [text.partition("\n</document>")[0] for text in texts]
            assert len(texts) > 5
            passages = [Citation("text.md", "Text", None, 0, len(text), text) for text in texts]
            writer = TokenWriter(tokenizer, template)
            assert prompt == build_prompt(writer, passages, PromptInputs(asked.question.text))


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_fewest_tokens_are_enough(tokenizer: Any, builder: PromptBuilder, task: str, language: str) -> None:
    for draft in drafted(task, language, 5):
        needed = builder.needed(draft)
        sample = builder.build(draft, needed, GENERATED.sentences(language, random.Random(5)))
        assert {len(sample.prefix) + len(asked.suffix) + asked.room for asked in sample.questions} == {needed}
        if draft.filler is not None:
            held = "".join(islice((draft.language.space + text for text in draft.filler()), draft.least)).strip()
            assert held in re.sub(r"\n\[\d+\]\n", draft.language.space, tokenizer.decode(sample.prefix))


@pytest.mark.parametrize("task", ["needle", "multi-key", "qa", "reading", "two-hop"])
def test_needles_stand_at_their_depths(tokenizer: Any, builder: PromptBuilder, task: str) -> None:
    for draft, sample in built(builder, task, "en", 4000, 1):
        text = tokenizer.decode(sample.prefix, skip_special_tokens=True).partition("<document> Text")[2]
        for needle in draft.needles:
            assert text.index(needle.text) / len(text) == pytest.approx(needle.depth, abs=0.06)


def test_texts_of_one_trial_are_alike_up_to_the_needle(builder: PromptBuilder) -> None:
    deepest, middle, _ = (sample.prefix for _, sample in built(builder, "needle", "en", 3000, 1))
    shared = next(i for i, (one, other) in enumerate(zip(deepest, middle, strict=False)) if one != other)
    assert shared == pytest.approx(0.5 * len(middle), rel=0.2)


def test_the_asked_words_are_the_most_common(tokenizer: Any, builder: PromptBuilder) -> None:
    for length in (1500, 4000):
        ((draft, sample),) = built(builder, "common-words", "en", length, 3)
        text = tokenizer.decode(sample.prefix).partition("<document> Text")[2]
        counts = Counter(re.findall(r"([a-z]+),", text))
        answers = draft.questions[0].answers
        assert min(counts[word] for word in answers) >= 2 * max(counts[w] for w in counts if w not in answers)


def test_reading_asks_about_sentences_of_the_text(tokenizer: Any, builder: PromptBuilder) -> None:
    for language, content in BOOKS.items():
        book = Haystack("book.txt", content)
        (draft,) = drafted("reading", language, 2, book)
        assert draft == drafted("reading", language, 2, book)[0]
        sample = builder.build(draft, 6000, book.sentences(language, random.Random(1)))
        text = tokenizer.decode(sample.prefix)
        for needle, question in zip(draft.needles, draft.questions, strict=True):
            (answer,) = question.answers
            before, after = needle.text.split(answer)
            assert " ".join(f"{before}{LANGUAGES[language].blank}{after}".split()) in question.text
            assert content.count(needle.text) == content.count(answer) == 1
            assert text.count(needle.text) == text.count(answer) == 1, (
                "moved to its depth, also where the text begins anew"
            )


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_two_hop_leads_from_one_fact_to_another(language: str) -> None:
    (draft,) = drafted("two-hop", language, 1)

    def facts(statement: str) -> dict[str, tuple[str, float]]:
        pattern = re.compile(statement.format(name="(.+)", value="(.+)"))
        matches = ((pattern.fullmatch(needle.text), needle.depth) for needle in draft.needles)
        return {match[1]: (match[2], depth) for match, depth in matches if match}

    keepers, offices = facts(draft.language.kept.statement), facts(draft.language.office)
    assert len(keepers) == len(offices) == len(DEPTHS) + 3, "a guess is seldom right"
    places = {draft.language.kept.question.format(name=place): place for place in keepers}
    for question in draft.questions:
        keeper, first_depth = keepers[places[question.text]]
        town, second_depth = offices[keeper]
        assert question.answers == (town,)
        assert question.depth == second_depth != first_depth
    assert len({town for town, _ in offices.values()}) == len(offices)


def test_what_a_text_can_be_asked_about() -> None:
    found = {cloze.answer: cloze for cloze in find_clozes(BOOKS["en"] + TABLE)}
    assert list(found)[:2] in (["1874", "8,000"], ["8,000", "1874"])
    assert set(found) >= {"1874", "8,000", "Bergen"}
    assert found["Bergen"].blanked("____") == "The keeper at Hestnes had his tools sent from ____ by boat."
    assert "Hestnes" not in found, "it stands in two places"
    assert "Norton" not in found, "it stands in a longer word"
    assert not {"314159", "271828", "161803"} & set(found), "rows, headings and parts of sentences"
    japanese = {cloze.answer for cloze in find_clozes(BOOKS["ja"])}
    assert japanese >= {"明治七年", "三十一"}, "numbers in kanji"
    with pytest.raises(BadRequest, match=r"short.txt has 1 sentences with .* reading needs 3: give a longer text"):
        Haystack("short.txt", "The tower was finished in 1871 and painted in two colours.").clozes(3)


def test_letters_that_a_tokenizer_lacks() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    poor = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    (draft, *_) = drafted("needle", "ja", 0)
    with pytest.raises(BadRequest, match=r"cannot write '合言葉の番号は\d+です。': choose another language"):
        PromptBuilder(poor, TEMPLATES["plain"], 512).needed(draft)


def test_a_text_of_ones_own(tokenizer: Any) -> None:
    content = "".join(f"\n\nChapter {word}. It was told {word} times." for word in "abcdefghijklmnopqrstuvwxyz" * 9)
    book = Haystack("book.txt", content)
    sentences = book.sentences("ja", random.Random(1))
    assert "".join(islice(sentences, 400)) in content + content
    long = book.token_ids(tokenizer, 300, 0)
    assert long[-50:] == book.token_ids(tokenizer, 50, 0)
    assert tokenizer.decode(long) in content
    with pytest.raises(BadRequest, match=r"book.txt has \d+ tokens, and 100000 are needed"):
        book.token_ids(tokenizer, 100_000, 0)


def test_prose_that_is_generated_ends_alike(tokenizer: Any) -> None:
    long = GENERATED.token_ids(tokenizer, 4000, 7)
    assert len(long) == 4000
    assert long[-1000:] == GENERATED.token_ids(tokenizer, 1000, 7)
    assert long != GENERATED.token_ids(tokenizer, 4000, 8)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_prose_that_is_generated_holds_nothing_that_is_asked(language: str) -> None:
    sentences = filler_sentences(language, 0)
    text = LANGUAGES[language].space.join(next(sentences) for _ in range(2000))
    assert not any(letter.isdigit() for letter in text)
    assert LANGUAGES[language].needle.statement.partition("{")[0] not in text
    again = filler_sentences(language, 0)
    assert text.startswith(next(again))


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1), st.lists(st.floats(0, 1)), st.floats(1, 20))
def test_passages_lose_nothing(sentences: list[str], depths: list[float], size: float) -> None:
    needles = [Needle(f"<{at}>", depth) for at, depth in enumerate(depths)]
    passages = split_passages(sentences, list(map(len, sentences)), needles, size)
    text = "".join(passages)
    assert sorted(re.findall(r"<\d+>", text)) == sorted(needle.text for needle in needles)
    assert re.sub(r"<\d+>", "", text) == "".join(sentences)
    without = split_passages(sentences, list(map(len, sentences)), (), size)
    assert [re.sub(r"<\d+>", "", passage) for passage in passages] == without, "wherever the needles are"
    assert len(passages) <= max(1, math.ceil(len("".join(sentences)) / size))


@given(st.integers(1, 500), st.data())
def test_wilson(trials: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, trials))
    reference = binomtest(right, trials).proportion_ci(0.95, "wilson")
    low, high = wilson(right / trials, trials)
    assert low == pytest.approx(reference.low, abs=1e-4)
    assert high == pytest.approx(reference.high, abs=1e-4)


def test_what_counts_as_found() -> None:
    assert share_found("The pass key is 58213.", ("58213",)) == 1.0
    assert share_found("It is ５８，２１３です", ("58213",)) == 1.0
    assert share_found("It is 158213 or 582134.", ("58213",)) == 0.0
    assert share_found("番号は58213と10000です", ("58213", "10000", "20000", "30000")) == 0.5
    assert share_found("FERRY, lamp", ("ferry",)) == 1.0
    assert share_found("", ("58213",)) == 0.0


def test_perplexity_of_windows() -> None:
    middle, low, high = perplexity_interval([math.log(8), math.log(8), math.log(8)])
    assert middle == pytest.approx(8)
    assert low == pytest.approx(high) == pytest.approx(8)
    middle, low, high = perplexity_interval([math.log(4), math.log(16)])
    assert (middle, middle / low) == (pytest.approx(8), pytest.approx(high / middle))
    assert low < 4


def test_the_effective_window() -> None:
    assert effective_window({256: 1.0, 512: 0.9, 1024: 0.85, 2048: 0.84}) == 1024
    assert effective_window({256: 1.0, 512: 0.5, 1024: 1.0}) == 256
    assert effective_window({2048: 0.1, 512: 0.7, 256: 0.8}) == 512
    assert effective_window({512: 1.0}) == 512
