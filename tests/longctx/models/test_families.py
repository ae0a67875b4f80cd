"""Each family of models end to end, with its own kind of tokenizer, from files as its checkpoints have them.

The models are made so that, whatever they are asked, they say one sentence in Japanese: the last token read alone says
which comes next. So what is shown is right only if prompts, tokens, decoding and the end of a turn are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from longctx import DocumentQA, load_model
from longctx.models.tokenizer import load_tokenizer
from longctx.prompts.parts import PromptInputs
from longctx.prompts.templates import choose_template
from longctx.prompts.writer import TokenWriter, build_prompt

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SAID = "灯台は🗼。"
CORPUS = "灯台は一八七四年に建てられた。 </s> [INST] <FILL_ME> <|im_end|> The lamp turns once in forty seconds."
TEXTS = [SAID, CORPUS, "two  spaces", "質問に日本語で答えてください。\n12345", "def f(x):\n    return x ** 2  # 二乗"]


@dataclass(frozen=True)
class Parts:
    """What tokenizers are made of: a sentencepiece model, and what trains byte-level BPE."""

    sentencepiece: Any
    byte_level: Callable[[list[str]], Any]


@dataclass(frozen=True)
class Family:
    """A checkpoint's name, the type of its configuration, the template that fits it, and what writes its tokenizer."""

    name: str
    kind: str
    template: str
    write: Callable[[Path, Parts], None]
    bos: int | None = 1


def sentencepiece_files(**config: Any) -> Callable[[Path, Parts], None]:
    """tokenizer.model, and tokenizer_config.json if it is to say something."""

    def write(folder: Path, parts: Parts) -> None:
        (folder / "tokenizer.model").write_bytes(parts.sentencepiece.serialized_model_proto())
        if config:
            (folder / "tokenizer_config.json").write_text(json.dumps(config))

    return write


def longer_vocabulary(highest: float) -> Callable[[Path, Parts], None]:
    """Llama's pieces and, after them, Japanese ones, as ELYZA's "fast" models have them; the first has that score."""

    def write(folder: Path, parts: Parts) -> None:
        from sentencepiece import sentencepiece_model_pb2

        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(parts.sentencepiece.serialized_model_proto())
        known = {piece.piece for piece in proto.pieces}
        added = [*"霧笛鳴毎分塔語はで", "霧笛", "毎分", "日本", "に日本", "語で", "本語"]
        for number, piece in enumerate(piece for piece in added if piece not in known):
            proto.pieces.add(piece=piece, score=highest - number / 8)
        (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))

    return write


def qwen_files(folder: Path, parts: Parts) -> None:
    bpe = parts.byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    bpe.model.save(str(folder))
    added = {
        str(bpe.token_to_id(token)): {"content": token, "special": True}
        for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    }
    config = {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>"}
    config |= {"added_tokens_decoder": added, "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def without_bos(folder: Path, parts: Parts) -> None:
    from transformers import PreTrainedTokenizerFast

    bpe = parts.byte_level(["</s>"])
    PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>").save_pretrained(folder)


LLAMA = sentencepiece_files(tokenizer_class="LlamaTokenizer", legacy=False)
MISTRAL = "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"
FAMILIES = [
    Family("huggyllama/llama-7b", "llama", "plain", LLAMA),
    Family("meta-llama/Llama-2-7b-chat-hf", "llama", "llama-2", LLAMA),
    Family("somewhere/llama-2-13b-chat", "llama", "llama-2", sentencepiece_files()),
    Family(
        "codellama/CodeLlama-7b-Instruct-hf",
        "llama",
        "code-llama",
        sentencepiece_files(tokenizer_class="CodeLlamaTokenizer"),
    ),
    Family("elyza/ELYZA-japanese-Llama-2-7b-instruct", "llama", "elyza", LLAMA),
    Family("elyza/ELYZA-japanese-Llama-2-7b-fast-instruct", "llama", "elyza", longer_vocabulary(-1000.0)),
    Family("elyza/ELYZA-japanese-Llama-2-13b-fast-instruct", "llama", "elyza", longer_vocabulary(0.0)),
    Family(
        "mistralai/Mistral-7B-Instruct-v0.1",
        "mistral",
        "chat",
        sentencepiece_files(tokenizer_class="LlamaTokenizer", chat_template=MISTRAL),
    ),
    Family("Qwen/Qwen2-0.5B-Instruct", "qwen2", "chat", qwen_files, bos=None),
    Family("mine/without-bos", "llama", "plain", without_bos, bos=None),
]


def make_speaker(folder: Path, family: Family, parts: Parts) -> None:
    """A checkpoint that says SAID: attention and MLPs add nothing, and each token of SAID points to the next."""
    folder.mkdir(parents=True)
    family.write(folder, parts)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model(family.kind, **sizes, num_key_value_heads=2, max_position_embeddings=2048)
    config.save_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    config.vocab_size, config.tie_word_embeddings = len(tokenizer), False
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    said = [*tokenizer(SAID, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert len(set(said)) == len(said) < 64, "no token of it can come twice"
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                parameter.zero_()
        embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        embeddings.zero_()
        head.zero_()
        embeddings[:, 0] = 1.0  # after anything else, the first
        for place, token in enumerate(said):
            head[token, place] = 1.0
            embeddings[token] = torch.eye(64)[place + 1]
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def parts(sentencepiece: Any, byte_level_bpe: Any) -> Parts:
    return Parts(sentencepiece, byte_level_bpe)


@pytest.fixture(scope="module")
def index(make_index: Any) -> Path:
    return make_index({"toudai.md": CORPUS})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name.split("/")[1])
def test_a_family_answers(family: Family, parts: Parts, index: Path, encoder: Any, tmp_path: Path) -> None:
    folder = tmp_path / family.name
    make_speaker(folder, family, parts)
    loaded = load_model(folder)
    tokenizer = loaded.tokenizer
    template = choose_template(None, loaded.name, tokenizer)
    assert (template.name, tokenizer.bos_token_id) == (family.template, family.bos)
    with DocumentQA.open(index, loaded, encoder=encoder) as qa:
        stream = qa.stream("灯台はいつ建てられましたか？", max_new_tokens=40)
        pieces = list(stream)
    assert "".join(pieces).strip() == stream.answer.text == SAID.replace("。", " [1]。")
    assert len(pieces) > 2
    prompt = build_prompt(
        TokenWriter(tokenizer, template), stream.answer.passages, PromptInputs("灯台はいつ建てられましたか？")
    )
    assert stream.answer.usage.prompt_tokens == len(prompt)
    assert stream.answer.usage.completion_tokens == len(tokenizer(SAID, add_special_tokens=False)["input_ids"]) + 1
    assert prompt.count(family.bos) == (0 if family.bos is None else 1)
    if (folder / "tokenizer.model").exists():
        reference = type(parts.sentencepiece)(model_file=str(folder / "tokenizer.model"))
        for text in TEXTS:
            text = text.replace("</s>", "").replace("<FILL_ME>", "")
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text), text
