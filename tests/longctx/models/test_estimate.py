"""`longctx estimate`: counts against what was published, memory against what the parts take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from longctx import BadRequest, ModelUnavailable, load_model
from longctx.cli import app
from longctx.models.estimate import estimate_model
from longctx.models.known_shapes import known_shape
from longctx.models.memory import parse_bytes
from longctx.models.quantization import Quantization

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "parameters", "window"),
    [  # as the model cards and the safetensors indices of the checkpoints on the hub have them
        ("llama-7b", 6_738_415_616, 2048),
        ("LLaMA 13B", 13_015_864_320, 2048),
        ("llama-33b", 32_528_943_616, 2048),
        ("llama-65b", 65_285_660_672, 2048),
        ("meta-llama/Llama-2-7b-chat-hf", 6_738_415_616, 4096),
        ("Llama 2 13B", 13_015_864_320, 4096),
        ("llama2-70b", 68_976_648_192, 4096),
        ("codellama/CodeLlama-7b-Instruct-hf", 6_738_546_688, 16384),
        ("CodeLlama-7b-Python", 6_738_415_616, 16384),
        ("CodeLlama-13b-hf", 13_016_028_160, 16384),
        ("CodeLlama-34b-hf", 33_743_970_304, 16384),
        ("elyza/ELYZA-japanese-Llama-2-7b-fast-instruct", 6_845_263_872, 4096),
    ],
)
def test_families_are_known_by_name_with_their_published_counts(name: str, parameters: int, window: int) -> None:
    sizing = estimate_model(name, 1, available=GIB)
    assert (sizing.parameters, sizing.window) == (parameters, window)


def test_llama_2_at_128k() -> None:
    sizing = estimate_model("llama-2-7b", 131_072, available=80 * GIB)
    assert [need.tokens for need in sizing.needs] == [4096, 8192, 16384, 32768, 65536, 131072]
    assert sizing.needs[-1].cache == 64 * GIB
    assert sizing.needs[-1].weights == 2 * sizing.parameters
    assert sizing.needs[-1].fits
    assert sizing.needs[-1].total <= 80 * GIB
    small = estimate_model("llama-2-7b", 131_072, cache="int8", available=80 * GIB).needs[-1]
    assert small.cache == 131_072 * 2 * 32 * 32 * (128 + 4)


def test_llama_2_70b_in_4_bits_on_one_card() -> None:
    full, small = (estimate_model("llama-2-70b", 8192, q, available=80 * GIB) for q in (None, "4bit"))
    assert [need.fits for need in full.needs] == [False, False]
    assert full.longest == 0
    assert [need.fits for need in small.needs] == [True, True]
    assert 36 * GIB < small.needs[0].weights < 38 * GIB
    assert small.needs[0].cache == 4096 * 320 * 1024
    eight = estimate_model("llama-2-70b", 8192, "8bit", available=80 * GIB).needs[0].weights
    assert small.needs[0].weights < eight < full.needs[0].weights


@pytest.mark.parametrize(("bits", "group"), [(4, 128), (4, 32), (8, 128), (3, 128), (4, -1)])
@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_checkpoints_that_are_quantised_already(method: str, bits: int, group: int, tmp_path: Path) -> None:
    """As their tensors are laid out: packed weights and zero points, float16 scales, and GPTQ's groups of columns."""
    carried = {"quant_method": method, "bits": bits, "group_size": group}
    config = known_shape("llama-2-7b").to_dict() | {"quantization_config": carried}
    (tmp_path / "config.json").write_text(json.dumps(config))
    whole = 2 * (2 * 32000 * 4096 + 65 * 4096)  # embeddings, head and norms
    for rows, columns in 4 * [(4096, 4096)] + 2 * [(11008, 4096)] + [(4096, 11008)]:
        groups = 1 if group < 0 else columns // group
        qweight, qzeros, scales = 4 * rows * columns * bits // 32, 4 * groups * rows * bits // 32, 2 * groups * rows
        whole += 32 * (qweight + qzeros + scales + (4 * columns if method == "gptq" else 0))
    assert estimate_model(tmp_path, 1, available=GIB).needs[0].weights == whole
    if (bits, group) == (4, 128):
        assert round(whole / 1e9, 1) == 3.9  # the size of such files on the hub


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_checkpoints_that_bitsandbytes_has_quantised(bits: Quantization, tmp_path: Path) -> None:
    carried = {"quant_method": "bitsandbytes", f"load_in_{bits}": True}
    config = known_shape("llama-2-7b").to_dict() | {"quantization_config": carried}
    (tmp_path / "config.json").write_text(json.dumps(config))
    planned = [estimate_model(*given, available=GIB) for given in ((tmp_path, 1), ("llama-2-7b", 1, bits))]
    assert planned[0].needs == planned[1].needs


def test_what_fits_is_where_the_table_turns() -> None:
    sizing = estimate_model("llama-2-7b", available=40 * GIB)
    assert [need.tokens <= sizing.longest for need in sizing.needs] == [need.fits for need in sizing.needs]
    for tokens, fits in ((sizing.longest, True), (sizing.longest + 1, False)):
        need = estimate_model("llama-2-7b", tokens, available=40 * GIB).needs[-1]
        assert need.fits is fits
        assert (need.total <= 40 * GIB) or not fits


def test_a_checkpoints_configuration_is_enough(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_llama / "config.json").read_bytes())
    sizing = estimate_model(tmp_path, 4096, available=GIB)
    assert (sizing.window, sizing.token_bytes) == (2048, 2 * 2 * 2 * 8 * 4)
    assert sizing.parameters == sum(p.numel() for p in load_model(tiny_llama).model.parameters())


@pytest.mark.parametrize(
    ("text", "count"), [("80GiB", 80 * GIB), ("80 g", 80 * GIB), ("1.5GB", 1_500_000_000), ("12", 12), ("4kib", 4096)]
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "lots", "-1GiB", "0", "1 GiB of memory"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="80GiB"):
        parse_bytes(text)


def test_what_cannot_be_sized(tmp_path: Path) -> None:
    for name in ("nobody/nothing", str(tmp_path)):
        with pytest.raises(ModelUnavailable, match="llama-2-70b"):
            estimate_model(name)
    with pytest.raises(BadRequest, match="context is 0"):
        estimate_model("llama-2-7b", 0)
    with pytest.raises(BadRequest, match="memory on its server"):
        estimate_model("openai:http://localhost:8000/v1#llama")


def test_the_command_shows_a_table_and_json() -> None:
    arguments = ["estimate", "llama-2-7b", "--context", "131072", "--memory", "80GiB"]
    shown = CliRunner().invoke(app, arguments).stdout
    assert "6,738,415,616 parameters, native window 4,096" in shown
    assert "131,072" in shown
    assert "64.00 GiB" in shown
    assert "in 80.0 GiB of memory, up to " in shown
    plain = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert plain["needs"][-1]["cache"] == 64 * GIB
