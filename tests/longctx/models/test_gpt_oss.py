"""gpt-oss: weights in MXFP4, attention sinks, and thoughts in messages of their own (OpenAI's harmony format)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from toy_families import VOCABULARY, save, toy_model
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from longctx import DocumentQA, Engine, GenerationOptions, LoadedModel, NotEnoughMemory, load_model
from longctx.engine import Thinking

pytestmark = pytest.mark.filterwarnings("ignore")  # of what transformers makes of a toy configuration

FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
SPECIAL = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"]
WINDOW = 2048
# as the model's own: the system prompt is the developer's, and an answer of the history is the channel `final` alone
TEMPLATE = (
    "<|start|>system<|message|>Reasoning: {{ reasoning_effort | default('medium') }}\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
    "{% for m in messages %}{% if m.role == 'system' %}<|start|>developer<|message|># Instructions\n\n{{ m.content }}"
    "{% elif m.role == 'assistant' %}{% if '<|channel|>analysis<|message|>' in m.content %}"
    "{{ raise_exception('tags in the content') }}{% endif %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
    "{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}{% endif %}<|end|>{% endfor %}<|start|>assistant"
)


def in_mxfp4(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Matrices (expert, input, output) in blocks of 32 inputs: codes of 4 bits, exponents, and what both stand for."""
    blocks = matrices.transpose(1, 2).unflatten(2, (-1, 32))
    exponents = (blocks.abs().amax(-1) / 6).log2().ceil().clamp(-126, 127)
    codes = (blocks / exponents.exp2()[..., None])[..., None].sub(FP4).abs().argmin(-1)
    packed = (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8)
    held = (FP4[codes] * exponents.exp2()[..., None]).flatten(2).transpose(1, 2).contiguous()
    return packed, (exponents + 127).to(torch.uint8), held


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A checkpoint as OpenAI's is written, and the same weights in float32 as a model of transformers."""
    model = toy_model("gpt_oss")
    folder = save(model, tmp_path_factory.mktemp("gpt-oss") / "model")
    written, held = {}, {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name.endswith(("gate_up_proj", "down_proj")):
            written[f"{name}_blocks"], written[f"{name}_scales"], held[name] = in_mxfp4(tensor)
        else:
            written[name] = tensor.bfloat16()
            held[name] = written[name].float()
    save_file(written, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "dtype": "bfloat16",
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    model.load_state_dict(held)
    return folder, model


def test_weights_in_mxfp4_give_the_scores_that_they_stand_for(checkpoint: tuple[Path, Any]) -> None:
    folder, model = checkpoint
    ids = torch.randint(3, VOCABULARY, (48,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]]), use_cache=False).logits[0, -8:]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[-8:]), reduction="none")
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 0.05)):
        loaded = load_model(folder, dtype=dtype, device="cpu")
        losses = Engine(loaded, block=7).token_losses(ids, 8)
        torch.testing.assert_close(torch.tensor(losses), expected, atol=tolerance, rtol=0)


def test_weights_that_do_not_fit_once_unpacked_are_refused_before_they_are_read(
    checkpoint: tuple[Path, Any], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint[0], tmp_path / "large")
    # a file with a hole in it: 256 GiB of codes are a TiB once they are unpacked
    header = {"x_blocks": {"dtype": "U8", "shape": [2**38], "data_offsets": [0, 2**38]}}
    text = json.dumps(header).encode()
    with (folder / "more.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 2**38)
    with pytest.raises(
        NotEnoughMemory, match=r"by mxfp4, which is unpacked on a CPU: the weights would take 1024.0 GiB"
    ):
        load_model(folder, device="cpu")


def scripted(tokens: list[str], start: int = 0) -> LoadedModel:
    """A model that writes these tokens from place `start` on, whatever was read: each place has its own embedding."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    bpe.add_special_tokens(SPECIAL)
    bpe.add_tokens([token for token in dict.fromkeys(tokens) if token not in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|return|>", chat_template=TEMPLATE)
    sizes = {"n_positions": WINDOW, "n_embd": 64, "n_layer": 1, "n_head": 1, "tie_word_embeddings": False}
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None, **sizes)
    ).eval()
    with torch.no_grad():
        for parameter in (*model.transformer.h.parameters(), model.lm_head.weight, *model.transformer.wte.parameters()):
            parameter.zero_()
        model.transformer.wpe.weight.zero_()
        for place, token in enumerate(tokens):
            model.transformer.wpe.weight[start + place, place] = 1.0
            model.lm_head.weight[tokenizer.convert_tokens_to_ids(token), place] = 1.0
    return LoadedModel("gpt-oss", model, tokenizer, WINDOW)


WRITTEN = [
    *[
        "<|channel|>",
        "analysis",
        "<|message|>",
        "hm",
        "<|end|>",
        "<|start|>",
        "assistant",
        "<|channel|>",
        "final",
        "<|message|>",
    ],
    "Anna.",
]


def test_thoughts_are_apart_in_an_answer_and_out_of_the_history(make_index, encoder) -> None:
    index = make_index({"lamp.txt": "Anna lit the lamp in 1874."})
    with DocumentQA.open(index, scripted([*WRITTEN, "<|return|>"]), encoder=encoder) as qa:
        prompt = qa.ask("Who lit the lamp?", max_new_tokens=24).usage.prompt_tokens
    with DocumentQA.open(index, scripted([*WRITTEN, "<|return|>"], prompt - 1), encoder=encoder) as qa:
        stream = qa.stream("Who lit the lamp?", max_new_tokens=24)
        pieces = list(stream)
        assert stream.answer.thinking == "hm"
        assert stream.answer.text == "Anna [1]."
        assert not any("hm" in piece or "<|" in piece for piece in pieces)


def test_thoughts_that_use_up_their_budget_are_closed_as_the_model_closes_them() -> None:
    loaded = scripted([*["on "] * 40, "Anna.", "<|return|>"], 0)
    closing = loaded.tokenizer(f"<|end|><|start|>assistant{FINAL}", add_special_tokens=False)["input_ids"]
    seen: list[int] = []
    loaded.model.register_forward_pre_hook(lambda module, args: seen.extend(args[0][0].tolist()))
    options = GenerationOptions(4, Thinking(40, ANALYSIS), prompt_lookup=False)
    generation = Engine(loaded).stream((), (5,), options=options)
    assert generation.rest() == "Anna."
    assert generation.thinking == "on " * (40 - len(closing))
    assert seen[-len(closing) - 1 : -1] == closing
