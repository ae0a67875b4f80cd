"""`load_model`: dtypes, devices, quantised weights, adapters; against transformers, peft and bitsandbytes themselves."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from longctx import (
    BadRequest,
    DocumentQA,
    Engine,
    GenerationOptions,
    LoadedModel,
    ModelUnavailable,
    NotEnoughMemory,
    load_model,
)
from longctx.cli import app
from longctx.models import memory as memory_module
from longctx.models.estimate import estimate_model

IDS = torch.randint(2, 290, (100,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture(scope="module")
def checkpoint(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose matrices are large beside their scales, and whose answers are not one token repeated."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "llama"
    shutil.copytree(tiny_llama, folder)
    given = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "tie_word_embeddings": False}
    config = LlamaConfig.from_pretrained(tiny_llama, **given, head_dim=32)
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    return folder


def losses(loaded: LoadedModel, last: int) -> torch.Tensor:
    """The reference: minus the logarithms of the probabilities of the last tokens, from one pass over all of them."""
    with torch.no_grad():
        logits = loaded.model(torch.tensor([IDS]), use_cache=False).logits[0, -last - 1 : -1].float()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(IDS[-last:]), reduction="none")


def greedy(loaded: LoadedModel, ids: Sequence[int], count: int) -> str:
    ids = list(ids)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(loaded.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return str(loaded.tokenizer.decode(ids[-count:], skip_special_tokens=True))


def answer(engine: Engine, count: int = 8) -> str:
    return "".join(engine.stream(IDS[:60], IDS[60:], options=GenerationOptions(count)))


def test_dtypes_and_devices_are_named(checkpoint: Path) -> None:
    assert load_model(checkpoint).model.dtype == torch.float32
    half = load_model(checkpoint, dtype="bfloat16", device="cpu")
    assert (half.model.dtype, half.model.device.type) == (torch.bfloat16, "cpu")
    with pytest.raises(BadRequest, match="dtype is 'fp16': use auto, float32, bfloat16, float16"):
        load_model(checkpoint, dtype="fp16")  # type: ignore[arg-type]
    for device in ("cuda:77", "meta", "gpu", "", None):
        with pytest.raises(BadRequest, match=f"device is {device!r}, and what is here is cpu"):
            load_model(checkpoint, device=device)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="quantization is '3bit': use 4bit, 8bit, int8, auto or none"):
        load_model(checkpoint, quantization="3bit")  # type: ignore[arg-type]


@pytest.mark.parametrize(("quantization", "near"), [("4bit", 1e-3), ("8bit", 0.05)])
def test_the_engine_says_what_a_quantised_model_says(checkpoint: Path, quantization: Any, near: float) -> None:
    """In 8 bits, which columns are multiplied in 16 is settled anew for each block: this model's numbers are large."""
    loaded = load_model(checkpoint, quantization=quantization)
    assert loaded.quantization == quantization
    assert loaded.device_type != "cpu" or "quantization='int8', or a GGUF file of the model, is faster" in str(
        loaded.note
    )
    expected = losses(loaded, 30)
    for block in (16, None):
        engine = Engine(loaded, block=block)
        torch.testing.assert_close(torch.tensor(engine.token_losses(IDS, 30)), expected, atol=near, rtol=0)
        assert answer(engine) == greedy(loaded, IDS, 8)
    error = (losses(load_model(checkpoint), 30) - expected).abs().max()
    assert near < error < 2  # it is another model, and a near one


def test_8_bits_without_large_numbers_are_the_same_in_any_block(tiny_llama: Path) -> None:
    loaded = load_model(tiny_llama, quantization="8bit")
    expected = losses(loaded, 30)
    for block in (16, None):
        near = torch.tensor(Engine(loaded, block=block).token_losses(IDS, 30))
        torch.testing.assert_close(near, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantised_weights_take_what_was_planned(checkpoint: Path, quantization: Any, monkeypatch) -> None:
    loaded, whole = load_model(checkpoint, quantization=quantization), load_model(checkpoint)
    held, planned = (
        memory_module.weight_bytes(loaded.model),
        estimate_model(checkpoint, 64, quantization).needs[0].weights,
    )
    assert abs(held - planned) < 0.02 * planned
    assert memory_module.weight_bytes(whole.model) == estimate_model(checkpoint, 64).needs[0].weights
    matrices = [m for m in loaded.model.modules() if type(m).__module__.startswith("bitsandbytes")]
    assert len(matrices) == 2 * 7
    engine = Engine(loaded)
    monkeypatch.setattr(memory_module, "available_bytes", lambda _: 2**20)
    with pytest.raises(NotEnoughMemory, match=f"beside {-(-held // 2**20)} MiB of weights"):
        engine.prefix(IDS)


def test_a_package_that_is_missing_is_named(checkpoint: Path, lora: Path, tmp_path: Path, monkeypatch) -> None:
    gone = {"bitsandbytes"}
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else find(name))
    with pytest.raises(
        ModelUnavailable,
        match=r"'4bit', which needs bitsandbytes, from the extra \"quant\": .* pip install .* \"\.\[quant\]\"",
    ):
        load_model(checkpoint, quantization="4bit")
    gone.add("peft")
    with pytest.raises(
        ModelUnavailable, match=r"needs peft, from the extra \"peft\": .* pip install .* \"\.\[peft\]\""
    ):
        load_model(checkpoint, adapter=lora)
    gone.update(("gptqmodel", "optimum", "compressed_tensors"))
    for method, packages in {
        "gptq": "gptqmodel and optimum",
        "awq": "gptqmodel",
        "bitsandbytes": "bitsandbytes",
        "compressed-tensors": "compressed_tensors",
    }.items():
        config = {"quant_method": method, "bits": 4}
        folder = altered(checkpoint, tmp_path / method, "config.json", quantization_config=config)
        with pytest.raises(
            ModelUnavailable, match=f"quantised by {method}, which needs {packages}: .*pip install"
        ) as told:
            load_model(folder)
        assert ("pip install gptqmodel==" in str(told.value)) == (method in ("gptq", "awq"))
    with pytest.raises(BadRequest, match="quantised already, by awq: leave quantization='8bit' out"):
        load_model(tmp_path / "awq", quantization="8bit")


def altered(source: Path, folder: Path, file: str = "adapter_config.json", **changes: Any) -> Path:
    """A copy of a folder with these entries in one of its files."""
    shutil.copytree(source, folder)
    said = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(said | changes))
    return folder


@pytest.fixture(scope="module")
def lora(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the checkpoint, as peft writes it."""
    return make_lora(checkpoint, tmp_path_factory.mktemp("adapters") / "lora")


@contextmanager
def peft_alone() -> Iterator[None]:
    """Without what peft 0.21 makes transformers 5.23 say."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        yield


def make_lora(checkpoint: Path, folder: Path, **settings: Any) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
    )
    with peft_alone():
        model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(checkpoint), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    model.save_pretrained(folder)
    return folder


def theirs(checkpoint: Path, folder: Path) -> torch.Tensor:
    from peft import PeftModel

    with peft_alone():
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(checkpoint), folder).eval()
    with torch.no_grad():
        return model(torch.tensor([IDS]), use_cache=False).logits[0, -1]


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return loaded.model(torch.tensor([IDS]), use_cache=False).logits[0, -1]


@pytest.mark.parametrize("settings", [{}, {"use_dora": True, "use_rslora": True, "rank_pattern": {"q_proj": 2}}])
def test_an_adapter_changes_the_model_as_peft_does(checkpoint: Path, tmp_path: Path, settings: Any) -> None:
    folder = make_lora(checkpoint, tmp_path / "lora", **settings)
    expected = theirs(checkpoint, folder)
    loaded = load_model(checkpoint, adapter=folder)
    torch.testing.assert_close(logits(loaded), expected, atol=1e-4, rtol=1e-4)
    assert loaded.adapter == str(folder)
    assert not torch.allclose(expected, logits(load_model(checkpoint)), atol=1e-2)
    assert answer(Engine(loaded, block=16)) == greedy(loaded, IDS, 8)
    by_itself = load_model(folder)
    assert by_itself.name == str(checkpoint)
    torch.testing.assert_close(logits(by_itself), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["embed_tokens", "lm_head"]}])
def test_an_adapter_brings_the_tokens_that_it_was_trained_with(checkpoint: Path, tmp_path: Path, settings: Any) -> None:
    from peft import LoraConfig, get_peft_model

    tokenizer = load_model(checkpoint).tokenizer
    tokenizer.add_tokens(["<note>", "</note>"])
    tokenizer.save_pretrained(tmp_path / "lora")
    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    base.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with peft_alone():
        trained: Any = get_peft_model(base, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM", **settings))
        trained.save_pretrained(tmp_path / "lora", save_embedding_layers=True)
    loaded = load_model(checkpoint, adapter=tmp_path / "lora")
    assert len(loaded.tokenizer) == loaded.model.get_input_embeddings().num_embeddings == 292
    torch.testing.assert_close(loaded.model.get_input_embeddings().weight, base.get_input_embeddings().weight)
    torch.testing.assert_close(loaded.model.get_output_embeddings().weight, base.get_output_embeddings().weight)
    (tmp_path / "lora" / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match="does not go onto"):
        load_model(checkpoint, adapter=tmp_path / "lora")


def test_an_adapter_stays_beside_quantised_weights(checkpoint: Path, lora: Path) -> None:
    from peft import PeftModel

    loaded = load_model(checkpoint, adapter=lora, quantization="4bit")
    with peft_alone():
        reference = PeftModel.from_pretrained(load_model(checkpoint, quantization="4bit").model, lora).eval()
    with torch.no_grad():
        expected = reference(torch.tensor([IDS]), use_cache=False).logits[0, -1]
    torch.testing.assert_close(logits(loaded), expected, atol=1e-4, rtol=1e-4)
    assert type(loaded.model).__name__ == "LlamaForCausalLM"
    assert answer(Engine(loaded, block=16)) == greedy(loaded, IDS, 8)


def test_a_saved_prefix_is_the_models_that_read_it(checkpoint: Path, lora: Path, tmp_path: Path) -> None:
    models: list[Any] = [{}, {"adapter": lora}, {"quantization": "8bit"}, {"quantization": "4bit"}]
    models.append({"quantization": "4bit", "adapter": lora})
    engines = [Engine(load_model(checkpoint, **options)) for options in models]
    for number, engine in enumerate(engines):
        answer(engine)  # bitsandbytes lays weights out anew when they are first used
        engine.save_prefix(tmp_path / str(number), IDS)
    for number, options in enumerate(models):
        fresh = Engine(load_model(checkpoint, **options))
        refused = [fresh.load_prefix(tmp_path / str(other), IDS).refused for other in range(len(models))]
        assert [reason is None for reason in refused] == [other == number for other in range(len(models))]
        assert all("other weights" in reason for reason in refused if reason)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of type IA3: only LoRA"),
        ({"init_lora_weights": "pissa"}, "has init_lora_weights='pissa', which is not plain LoRA"),
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "has megatron_config="),
        ({"target_modules": ["nowhere"]}, r"does not go onto .*nowhere"),
        ({"r": 8}, r"does not go onto .*size mismatch"),
        ({"target_modules": ["q_proj"]}, r"does not go onto .* are in one of the two only"),
        ({"peft_type": None}, "of type None"),
    ],
)
def test_an_adapter_that_does_not_fit_says_why(checkpoint, lora, tmp_path: Path, changes: Any, message: str) -> None:
    folder = altered(lora, tmp_path / "lora", **changes)
    with pytest.raises(ModelUnavailable, match=message):
        load_model(checkpoint, adapter=folder)


def test_what_is_no_adapter_says_so(checkpoint: Path, tiny_llama: Path, lora: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=rf"does not go onto .*size mismatch.*trained on {checkpoint}"):
        load_model(tiny_llama, adapter=lora)
    with pytest.raises(ModelUnavailable, match=r"holds no adapter_config\.json"):
        load_model(checkpoint, adapter=checkpoint)
    with pytest.raises(BadRequest, match="is an adapter itself"):
        load_model(lora, adapter=lora)
    pickled = altered(lora, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(ModelUnavailable, match=r"no adapter_model\.safetensors, and pickles .* are not read"):
        load_model(checkpoint, adapter=pickled)
    damaged = altered(lora, tmp_path / "damaged")
    (damaged / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelUnavailable, match="does not go onto"):
        load_model(checkpoint, adapter=damaged)
    (damaged / "adapter_config.json").write_text("{")
    with pytest.raises(ModelUnavailable, match="no adapter's configuration"):
        load_model(damaged)
    lost = altered(lora, tmp_path / "lost", base_model_name_or_path=str(tmp_path / "gone"))
    with pytest.raises(ModelUnavailable, match=rf"was trained on {tmp_path}/gone: .* as its adapter"):
        load_model(lost)
    assert load_model(checkpoint, adapter=lost).adapter == str(lost)
    nameless = altered(lora, tmp_path / "nameless", base_model_name_or_path=None)
    with pytest.raises(ModelUnavailable, match="does not say what model it was trained on"):
        load_model(nameless)


def test_the_command_takes_the_same_options(checkpoint: Path, lora: Path, tmp_path: Path, encoder, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("The lamp turns once in forty seconds.")
    with DocumentQA.open(".longctx", encoder=encoder) as qa:
        qa.ingest("a.txt")
    runner = CliRunner()
    refused = runner.invoke(app, ["ask", "How fast?", "--quantization", "8bit"]).exception
    assert "quantization is '8bit', and there is no model to load" in str(refused)
    monkeypatch.setenv("LONGCTX_QUANTIZATION", "4bit")
    monkeypatch.setenv("LONGCTX_ADAPTER", str(lora))
    asked = ["ask", "How fast?", "--model", str(checkpoint), "--max-new-tokens", "4", "--device", "cpu"]
    assert "bfloat16" in str(runner.invoke(app, [*asked, "--dtype", "float64"]).exception)
    shown = runner.invoke(app, [*asked, "--json"], catch_exceptions=False).stdout
    loaded = load_model(checkpoint, quantization="4bit", adapter=lora)
    with DocumentQA.open(".longctx", loaded, encoder=encoder) as qa:
        assert json.loads(shown)["text"] == qa.ask("How fast?", max_new_tokens=4).text
