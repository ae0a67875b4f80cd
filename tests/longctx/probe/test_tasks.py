"""The parts of the probe that need no model: texts of an exact length, scores, windows."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from transformers import AutoTokenizer

from longctx import BadRequest
from longctx.probe.generated_prose import filler_sentences
from longctx.probe.haystack import Source, Text, open_source
from longctx.probe.prompts import Prompting, prompting
from longctx.probe.sample import Document, Scribe, bury
from longctx.probe.scoring import effective_window, perplexity_interval, share_found, wilson
from longctx.probe.task_texts import LANGUAGES
from longctx.probe.tasks import TASKS, Draft

DEPTHS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def form(tiny_chat_llama: Path) -> Prompting:
    return prompting(AutoTokenizer.from_pretrained(tiny_chat_llama), "auto")


@pytest.fixture(scope="module")
def plain(tiny_chat_llama: Path) -> Prompting:
    return prompting(AutoTokenizer.from_pretrained(tiny_chat_llama), "plain")


def made_up(form: Prompting, language: str) -> Source:
    return open_source(Text(None, ""), language, form, needed=0, seed=0)


def drafted(task: str, language: str, seed: int) -> list[Draft]:
    words = LANGUAGES[language]
    return TASKS[task](random.Random(seed), DEPTHS, words, words.needle)


def written(form: Prompting, task: str, language: str, length: int, seed: int) -> list[tuple[Draft, Document]]:
    scribe = Scribe(form, made_up(form, language), LANGUAGES[language], 512)
    return [(draft, scribe.write(draft, length, random.Random(seed))) for draft in drafted(task, language, seed)]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("task", sorted(TASKS))
@settings(max_examples=settings.default.max_examples // 20)
@given(length=st.integers(2500, 4000), seed=st.integers(0, 10**6))
def test_a_document_has_its_length_and_holds_what_is_asked(
    form: Prompting, task: str, language: str, length: int, seed: int
) -> None:
    for draft, document in written(form, task, language, length, seed):
        longest = max(len(asked.suffix) + asked.room for asked in document.asked)
        assert len(document.prefix) + longest == length
        text = form.tokenizer.decode(document.prefix, skip_special_tokens=True)
        assert all(needle.text in text for needle in draft.needles)
        for asked in document.asked:
            assert all(answer in text for answer in asked.question.answers)
            assert asked.question.text in form.tokenizer.decode(asked.suffix)


@pytest.mark.parametrize("task", ["needle", "multi-key", "qa"])
def test_needles_stand_at_their_depths(form: Prompting, task: str) -> None:
    for draft, document in written(form, task, "en", 4000, 1):
        text = form.tokenizer.decode(document.prefix, skip_special_tokens=True)
        for needle in draft.needles:
            assert text.index(needle.text) / len(text) == pytest.approx(needle.depth, abs=0.06)


def test_texts_of_one_trial_are_alike_up_to_the_needle(form: Prompting) -> None:
    deepest, middle, _ = (document.prefix for _, document in written(form, "needle", "en", 3000, 1))
    shared = next(i for i, (one, other) in enumerate(zip(deepest, middle, strict=True)) if one != other)
    assert shared == pytest.approx(0.5 * len(middle), rel=0.1)


def test_the_asked_words_are_the_most_common(form: Prompting) -> None:
    for length in (900, 4000):
        ((draft, document),) = written(form, "common-words", "en", length, 3)
        words = form.tokenizer.decode(document.prefix).replace("<s>[INST]", "").split(",")[:-1]
        counts = {word.strip(): 0 for word in words}
        for word in words:
            counts[word.strip()] += 1
        answers = draft.questions[0].answers
        assert min(counts[word] for word in answers) >= 2 * max(counts[w] for w in counts if w not in answers)


def test_prompts_have_the_form_that_the_model_knows(form: Prompting, plain: Prompting) -> None:
    ((_, document), *_) = written(form, "needle", "en", 2500, 0)
    prompt = form.tokenizer.decode([*document.prefix, *document.asked[0].suffix])
    assert prompt.startswith("<s>[INST] ")
    assert prompt.endswith("\n\nWhat is the pass key? [/INST]")
    assert form.stop == ()
    ((_, document), *_) = written(plain, "needle", "ja", 2500, 0)
    prompt = plain.tokenizer.decode([*document.prefix, *document.asked[0].suffix])
    assert prompt.startswith("<s>")
    assert prompt.endswith("\n\n質問：合言葉の番号は何ですか。\n回答：合言葉の番号は")
    assert plain.stop == ("\n",)


def test_a_template_that_cannot_be_used(tiny_chat_llama: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_chat_llama)
    tokenizer.chat_template = "{{ raise_exception('no users') }}"
    with pytest.raises(BadRequest, match=r"does not render \(no users\)"):
        prompting(tokenizer, "auto")
    tokenizer.chat_template = "nothing"
    with pytest.raises(BadRequest, match="leaves out"):
        prompting(tokenizer, "auto")
    assert prompting(tokenizer, "plain").tail is None


def test_a_text_of_ones_own(form: Prompting) -> None:
    content = "".join(f"\n\nChapter {word}. It was told {word} times." for word in "abcdefghijklmnopqrstuvwxyz" * 9)
    source = open_source(Text("book.txt", content), "en", form, needed=1000, seed=0)
    prose = source.prose(500, random.Random(1))
    assert sum(map(len, prose)) == 500
    assert form.tokenizer.decode([token for ids in prose for token in ids]) in content
    short, long = source.ending(50, 100), source.ending(300, 100)
    assert long[-50:] == short
    assert form.tokenizer.decode(long) in content
    with pytest.raises(BadRequest, match=r"book.txt has \d+ tokens, and 100000 are needed"):
        open_source(Text("book.txt", content), "en", form, needed=100_000, seed=0)


def test_endings_of_prose_that_is_made_up(form: Prompting) -> None:
    source = made_up(form, "ja")
    long = source.ending(400, 64)
    assert len(long) == 400
    assert source.ending(100, 64) == long[-100:]
    assert source.ending(100, 164) == long[-200:-100]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_prose_that_is_made_up_holds_nothing_that_is_asked(language: str) -> None:
    sentences = filler_sentences(language, 0)
    text = LANGUAGES[language].space.join(next(sentences) for _ in range(2000))
    assert not any(letter.isdigit() for letter in text)
    assert LANGUAGES[language].needle.lead not in text
    again = filler_sentences(language, 0)
    assert text.startswith(next(again))


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=5).map(tuple), min_size=1), st.lists(st.floats(0, 1)))
def test_burying_loses_nothing(hay: list[tuple[int, ...]], depths: list[float]) -> None:
    needles = [("needle", at) for at in range(len(depths))]
    ids = bury(hay, needles, depths)  # type: ignore[arg-type]
    marks = [at for at, token in enumerate(ids) if token == "needle"]  # type: ignore[comparison-overlap]
    assert len(marks) == len(needles)
    left = [token for at, token in enumerate(ids) if at not in marks and at - 1 not in marks]
    assert left == [token for sentence in hay for token in sentence]


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
    assert effective_window({256: 1.0, 512: 0.9, 1024: 0.85, 2048: 0.84}, 256) == 1024
    assert effective_window({256: 1.0, 512: 0.5, 1024: 1.0}, 256) == 256
    assert effective_window({128: 0.2, 256: 0.8, 512: 0.7}, 256) == 512
    assert effective_window({256: 0.0, 512: 1.0}, 256) is None
    assert effective_window({512: 1.0}, 256) is None
