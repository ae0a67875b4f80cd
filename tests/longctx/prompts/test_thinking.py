"""Thinking models in this process: the switches of templates, thoughts apart, and their budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from longctx import BadRequest, DocumentQA, Engine, GenerationOptions, Message
from longctx.engine import Thinking
from longctx.prompts import TEMPLATES, PromptInputs, ThoughtSplitter, TokenWriter, without_thoughts
from longctx.types import Thought

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
QWEN = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
OPENING = TURNS + "<think>\n"
DEEPSEEK = TURNS + "{% if thinking %}<think>{% else %}</think>{% endif %}"
DROPPING = TURNS + '{% set text = "x".split("</think>")[-1] %}'
GPT_OSS = TURNS + "{{ reasoning_effort }}{# <|channel|>analysis<|message|> #}"

ANSWERING = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}Answer:"
IGNORING = ANSWERING + "{% if enable_thinking is defined %}{% endif %}{# <think> #}"

ANALYSIS = "<|channel|>analysis<|message|>"


class WithTemplate:
    """A tokenizer with another template."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self._tokenizer, self.chat_template = tokenizer, template

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._tokenizer(*args, **kwargs)

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any:
        return self._tokenizer.apply_chat_template(conversation, chat_template=self.chat_template, **kwargs)


@pytest.fixture(scope="module")
def tokenizer(byte_level_bpe) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=byte_level_bpe(["<s>", "</s>"]), eos_token="</s>")


@pytest.mark.parametrize(
    ("template", "mode", "end", "opened", "thinks"),
    [
        (QWEN, "auto", "<assistant>", None, True),
        (QWEN, "on", "<assistant>", None, True),
        (QWEN, "off", "<assistant><think>\n\n</think>\n\n", None, False),
        (OPENING, "auto", "<assistant><think>", "<think>", True),
        (OPENING, "off", "<assistant><think>\n\n</think>\n\n", None, False),
        (DEEPSEEK, "on", "<assistant><think>", "<think>", True),
        (DEEPSEEK, "off", "<assistant></think>", None, False),
        (DROPPING, "off", "<assistant><think>\n\n</think>\n\n", None, False),
        (GPT_OSS, "off", "<assistant>low", None, True),
        (TURNS, "off", "<assistant>", None, False),
        (TURNS, "auto", "<assistant>", None, False),
    ],
)
def test_the_template_turns_thinking_on_and_off(tokenizer, template, mode, end, opened, thinks) -> None:
    writer = TokenWriter(WithTemplate(tokenizer, template), TEMPLATES["chat"])
    frame = writer.frame(PromptInputs("Who?", thinking=mode))
    assert tokenizer.decode(frame.tail).endswith(f"Who?\n{end}")
    assert (frame.opened, writer.thinks(mode)) == (opened, thinks)


def test_a_model_without_thoughts_cannot_be_made_to_think(tokenizer) -> None:
    writer = TokenWriter(WithTemplate(tokenizer, TURNS), TEMPLATES["chat"])
    with pytest.raises(BadRequest, match="thinking is 'on', and the model's chat template has no switch"):
        writer.frame(PromptInputs("Who?", thinking="on"))


def test_thoughts_are_not_part_of_the_history(tokenizer) -> None:
    writer = TokenWriter(WithTemplate(tokenizer, QWEN), TEMPLATES["chat"])
    said = (Message("user", "Who?"), Message("assistant", "<think>\nhm [3]\n</think>\n\nAnna."))
    tail = tokenizer.decode(writer.frame(PromptInputs("When?", history=said)).tail)
    assert "<assistant>Anna.\n" in tail
    assert "hm" not in tail
    assert without_thoughts("hm</think>Anna.") == "Anna."
    assert without_thoughts("Anna wrote <think> there.") == "Anna wrote <think> there."


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("text", "opened", "thoughts", "answer"),
    [
        ("<think>\nhm\n</think>\n\nAnna.", None, "\nhm\n", "Anna."),
        ("hm</think>Anna.", "<think>", "hm", "Anna."),
        ("<think>one</think>\n<think>two</think>Anna.", None, "onetwo", "Anna."),
        ("<analysis>hm</analysis>Anna.", None, "hm", "Anna."),
        ("[THINK]hm[/THINK]Anna.", None, "hm", "Anna."),
        ("<seed:think>hm</seed:think>Anna.", None, "hm", "Anna."),
        ("<reasoning>hm</reasoning>Anna.", None, "hm", "Anna."),
        ("◁think▷hm◁/think▷Anna.", None, "hm", "Anna."),
        ("<|thought_start|>hm<|thought_end|>Anna.", None, "hm", "Anna."),
        ("<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>Anna.<|end_of_solution|>", None, "hm", "Anna."),
        ("hm<|end|><|start|>assistant<|channel|>final<|message|>Anna.", ANALYSIS, "hm", "Anna."),
        (f"{ANALYSIS}hm<|channel|>final<|message|>Anna.<|return|>", None, "hm", "Anna."),
        (f"{ANALYSIS}hm<|end|><|channel|>final <|constrain|>json<|message|>Anna.", None, "hm", "Anna."),
        ("<|channel|>commentary to=all<|message|>hm<|end|><|channel|>final<|message|>Anna.", None, "hm", "Anna."),
        ("analysisWe ask.assistantfinalAnna.", None, "analysisWe ask.", "Anna."),
        ("analysisResult is its name.", None, "", "analysisResult is its name."),
        ("He wrote assistantfinal.", None, "", "He wrote assistantfinal."),
        ("Here are my reasoning steps:hm[BEGIN FINAL RESPONSE]Anna.[END FINAL RESPONSE]", None, "hm", "Anna."),
        ("hm[BEGIN FINAL RESPONSE]Anna.", "Here are my reasoning steps:", "hm", "Anna."),
        ("<think>hm</think></think>\nAnna.", None, "hm", "Anna."),
        ("hm", "<think>", "hm", ""),
        ("<think>1<think>2</think>3</think>Anna.", None, "1<think>23", "Anna."),
        ("<think>what is <think>?</think>It opens thoughts.", None, "what is <think>?", "It opens thoughts."),
        ("It says:\n<think>\nhm\n</think>\nand ends.", None, "", "It says:\n<think>\nhm\n</think>\nand ends."),
        ("It ends with `</think>` there.", None, "", "It ends with `</think>` there."),
        ("文書には「</think>」とあります。", None, "", "文書には「</think>」とあります。"),
        ('He said "x"</think>Anna.', None, 'He said "x"', "Anna."),
        ('<think>It says "</think>" there.</think>Anna.', None, 'It says "</think>" there.', "Anna."),
        ("<think>「</think>」とある。</think>Anna.", None, "「</think>」とある。", "Anna."),
        ('<think>the word "x"</think>"Anna."', None, 'the word "x"', '"Anna."'),
        ("<think>a</think>Anna,\n<think>b</think>in 1874.", None, "ab", "Anna,\nin 1874."),
        ("a</think>Anna,\n<think>b", "<think>", "ab", "Anna,\n"),
        ("[THINK]a[/THINK]Anna,\n[THINK]b[/THINK]in 1874.", None, "ab", "Anna,\nin 1874."),
        ("<think>a</think>Write `<think>`, or <think> so.", None, "a", "Write `<think>`, or <think> so."),
        ("<think>a</think>```\n<think>\n```\n<think>b</think>so", None, "ab", "```\n<think>\n```\nso"),
        ("<think>hm</think><answer><|begin_of_box|>Anna.<|end_of_box|></answer>", None, "hm", "Anna."),
        ("<|START_THINKING|>hm<|END_THINKING|><|START_TEXT|>Anna.<|END_TEXT|>", None, "hm", "Anna."),
        (f"{ANALYSIS}hm<|end|><|start|>assistant to=f.x<|channel|>commentary json<|message|>{{}}", None, "hm{}", ""),
        ("to=ken is to be read", None, "", "to=ken is to be read"),
        ("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Anna.<|END_RESPONSE|>", None, "hm", "Anna."),
        ("<think>no end", None, "no end", ""),
        ("<inner_thoughts>hm</inner_thoughts>Anna.", None, "hm", "Anna."),
        ('<Reasoning step="1">hm</Reasoning>Anna.', None, "hm", "Anna."),
        ("<|begin_of_thinking|>hm<|end_of_thinking|>Anna.", None, "hm", "Anna."),
        ("<|reasoning_start|>hm<|reasoning_end|>Anna.", None, "hm", "Anna."),
        ("<｜begin▁of▁thinking｜>hm<｜end▁of▁thinking｜>Anna.", None, "hm", "Anna."),
        ("[REFLECTION]hm[/REFLECTION]Anna.", None, "hm", "Anna."),
        ("<思考>hm</思考>Anna.", None, "hm", "Anna."),
        ("<think>hm</think>\n<answer>Anna.</answer>\n", None, "hm", "Anna.\n"),
        ("[thoughts](a.md) and <b>x</b>", None, "", "[thoughts](a.md) and <b>x</b>"),
        ("[1] says </answer>.", None, "", "[1] says </answer>."),
        ("<reasons>two</reasons>", None, "", "<reasons>two</reasons>"),
        ("<config name='x'>", None, "", "<config name='x'>"),
        ("Anna.<|im_end|>\n<|endoftext|>", None, "", "Anna."),
        ("<think>hm</think>Anna.<|eot_id|>", None, "hm", "Anna."),
        ("<|im_end|> ends a turn.\n", None, "", "<|im_end|> ends a turn.\n"),
        ("Turns end with `<|im_end|>`.", None, "", "Turns end with `<|im_end|>`."),
        ("<thou", None, "", "<thou"),
        ("a < b and <b>", None, "", "a < b and <b>"),
    ],
)
def test_thoughts_are_told_apart_however_the_text_is_cut(text, opened, thoughts, answer, size) -> None:
    splitter, pieces = ThoughtSplitter(opened), list[str]()
    for start in range(0, len(text), size):
        pieces += splitter.add(text[start : start + size])
    pieces += splitter.finish()
    last = max((at for at, piece in enumerate(pieces) if isinstance(piece, Thought)), default=-1)
    kept = pieces[last + 1 :] if splitter.taken_back else pieces  # what was given out before is thoughts, too
    assert "".join(piece for piece in pieces if isinstance(piece, Thought)) == thoughts
    assert "".join(piece for piece in kept if not isinstance(piece, Thought)) == answer


@pytest.mark.parametrize(
    ("template", "mode"),
    [(ANSWERING, "auto"), (ANSWERING, "off"), (IGNORING, "off"), (IGNORING, "on")],
)
def test_thoughts_are_no_answer_whatever_the_template_says(saying, make_index, encoder, template, mode) -> None:
    loaded = saying("<think>hm [1] 42.</think>Anna.")
    loaded.tokenizer.chat_template = template
    index = make_index({"lamp.txt": "The lamp was lit in 1874 by Anna."})
    with DocumentQA.open(index, loaded, encoder=encoder) as qa:
        answer = qa.ask("Who lit the lamp?", thinking=mode)
    assert (answer.text, answer.thinking) == ("Anna [1].", "hm [1] 42.")
    assert [citation.marked_by for citation in answer.citations] == ["added"]


def test_thoughts_that_were_not_expected_take_half_of_the_answer(saying: Callable[[str], Any]) -> None:
    loaded = saying("more ")
    said = loaded.tokenizer.convert_tokens_to_ids("more ")
    loaded.model.lm_head.weight.data.zero_()
    loaded.model.lm_head.weight.data[said] = 1.0
    generation = Engine(loaded).stream((), (said,), options=GenerationOptions(64, Thinking(0, "<think>")))
    closing = len(loaded.tokenizer("\n</think>\n\n", add_special_tokens=False)["input_ids"])
    assert generation.rest() == "more " * 32
    assert generation.thinking.count("more ") == 32 - closing
    assert (generation.completion_tokens, generation.finish) == (64, "length")


def test_thoughts_have_a_budget_of_their_own(saying: Callable[[str], Any]) -> None:
    loaded = saying("<think>going round and round")
    [start] = loaded.tokenizer("Answer:", add_special_tokens=False)["input_ids"][-1:]
    options = GenerationOptions(8, Thinking(64))
    generation = Engine(loaded).stream((), (start,), options=options)
    generation.rest()
    assert generation.thinking == "going round and round"
    assert generation.inside_thoughts
    assert (generation.text, generation.finish) == ("", "end")
    loaded = saying("more ")
    with_no_end = loaded.model.lm_head.weight
    said = loaded.tokenizer.convert_tokens_to_ids("more ")
    with_no_end.data[:, said] = 0
    with_no_end.data[said, said] = 1.0
    generation = Engine(loaded).stream((), (said,), options=GenerationOptions(4, Thinking(40, "<think>")))
    generation.shows_thinking = True
    pieces = list(generation)
    closing = len(loaded.tokenizer("\n</think>\n\n", add_special_tokens=False)["input_ids"])
    assert generation.thinking.count("more ") == 40 - closing, "and then the thoughts are closed"
    assert isinstance(pieces[0], Thought)
    assert generation.completion_tokens <= 40 + 4
    assert not generation.inside_thoughts
