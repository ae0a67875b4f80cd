"""Checkpoints in 8-bit floats with a scale for each block, as DeepSeek's and Qwen's are, on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_families import VOCABULARY, save, toy_model

from longctx import Engine, load_model

BLOCK, LARGEST = 32, 448  # the largest number of e4m3


@pytest.mark.filterwarnings("ignore")  # of what transformers makes of a toy configuration
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05), ("auto", 1e-5)])
def test_scores_are_those_of_the_numbers_that_are_stored(dtype, tolerance: float, tmp_path: Path) -> None:
    model = toy_model("llama")
    folder, written, held = save(model, tmp_path / "model"), {}, {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        written[name] = held[name] = tensor
        if name.endswith("proj.weight"):
            blocks = tensor.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK))
            scales = blocks.abs().amax((1, 3), keepdim=True) / LARGEST
            codes = (blocks / scales).to(torch.float8_e4m3fn)
            written[name] = codes.flatten(2).flatten(0, 1)
            written[f"{name}_scale_inv"] = scales.flatten(2).flatten(0, 1)
            held[name] = (codes.float() * scales).flatten(2).flatten(0, 1)
    save_file(written, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    quantized = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantized}))
    model.load_state_dict(held)
    ids = torch.randint(3, VOCABULARY, (48,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]]), use_cache=False).logits[0, -8:]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[-8:]), reduction="none")
    losses = Engine(load_model(folder, dtype=dtype, device="cpu"), block=7).token_losses(ids, 8)
    torch.testing.assert_close(torch.tensor(losses), expected, atol=tolerance, rtol=0)
