"""Checkpoints that GPTQ-Model has really quantised, on the CPU: the demo model, which finds pass keys in 4 bits, too.

The package is large and compiled where it is installed: where it is not there, or not what transformers asks for
beside it, the tests are skipped. See docs/models.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from longctx import DocumentQA, Engine, GenerationOptions, LoadedModel, load_model
from longctx.models.estimate import estimate_model

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
KEY = "The pass key is 40917."
MISSING = [name for name in ("gptqmodel", "optimum", "accelerate") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"GPTQ and AWQ need {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore"),  # its own, and those of what it imports
    pytest.mark.timeout(600),
]
QUANTISE = """
import sys
import gptqmodel
from gptqmodel.quantization import METHOD, FORMAT
given = {"awq": {"quant_method": METHOD.AWQ, "format": FORMAT.GEMM}, "gptq": {}}[sys.argv[3]]
kernel = {"awq": {"backend": gptqmodel.BACKEND.AWQ_TORCH}, "gptq": {}}[sys.argv[3]]
model = gptqmodel.GPTQModel.load(sys.argv[1], gptqmodel.QuantizeConfig(bits=4, group_size=32, **given), device="cpu")
model.quantize(["The pass key is 40917. It was warm. The keeper looked at the sea. " * 8] * 16, batch_size=1, **kernel)
model.save(sys.argv[2])
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GPTQMODEL_CPU_WORKERS": "2"}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, whose matrices have been given rows and columns of zeros until the package takes their shapes."""
    folder = tmp_path_factory.mktemp("wide")
    loaded = load_model(DEMO)
    config = loaded.model.config
    more = 384 - config.intermediate_size
    for layer in loaded.model.model.layers:
        for name, pad in (("gate_proj", (0, 0, 0, more)), ("up_proj", (0, 0, 0, more)), ("down_proj", (0, more))):
            matrix = getattr(layer.mlp, name)
            matrix.weight = torch.nn.Parameter(torch.nn.functional.pad(matrix.weight.detach(), pad))
    config.intermediate_size = 384
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["gptq", "awq"])
def quantised(request: pytest.FixtureRequest, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "demo"
    command = [sys.executable, "-c", QUANTISE, str(wide), str(folder), request.param]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=folder.parent, capture_output=True, text=True)  # it writes logs
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "config.json").read_text())["quantization_config"]["quant_method"] == request.param
    return folder


def greedy(model: Any, ids: list[int], count: int) -> list[int]:
    for _ in range(count):
        with torch.no_grad():
            ids = [*ids, int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())]
    return ids[-count:]


def question(loaded: LoadedModel) -> list[int]:
    asked = f"{KEY} It was warm. What is the pass key?"
    template = loaded.tokenizer.apply_chat_template
    return list(template([{"role": "user", "content": asked}], add_generation_prompt=True)["input_ids"])


def test_the_engine_says_what_the_model_says_in_transformers(quantised: Path) -> None:
    """The package's kernel multiplies in bfloat16, and adds up in another order for another number of rows."""
    loaded = load_model(quantised, dtype="float32", device="cpu")
    theirs: Any = AutoModelForCausalLM.from_pretrained(quantised, dtype=torch.float32, device_map="cpu")
    assert len([m for m in loaded.model.modules() if type(m).__module__.startswith("gptqmodel")]) == 4 * 7
    ids = question(loaded)
    said = loaded.tokenizer.decode(greedy(theirs, ids, 12), skip_special_tokens=True)
    text = (ids * 3)[:200]
    with torch.no_grad():
        logits = theirs(torch.tensor([text]), use_cache=False).logits[0, -31:-1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(text[-30:]), reduction="none")
    for block in (16, None):
        engine = Engine(loaded, block=block)
        assert "".join(engine.stream(ids, (), options=GenerationOptions(12))) == said == KEY
        torch.testing.assert_close(torch.tensor(engine.token_losses(text, 30)), expected, atol=0.05, rtol=0)


def test_a_plan_counts_what_the_file_holds(quantised: Path) -> None:
    held = sum(tensor.nbytes for tensor in load_file(quantised / "model.safetensors").values())
    assert abs(estimate_model(quantised, 64).needs[0].weights - held) < 0.001 * held


def test_a_document_is_asked_and_only_the_answer_is_printed(quantised: Path, encoder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"The keeper looked at the sea. {KEY} It was warm.")
    with DocumentQA.open(tmp_path / "index", encoder=encoder) as qa:
        qa.ingest([tmp_path / "a.txt"])
    asked = ["ask", "What is the pass key?", "--index", str(tmp_path / "index"), "--model", str(quantised), "--json"]
    program = "import sys; from longctx.cli import main; sys.argv[0] = 'longctx'; main()"
    command = [sys.executable, "-c", program, *asked, "--max-new-tokens", "12", "--device", "cpu"]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout)["text"] == "The pass key is 40917 [1]."
    assert "INFO:" not in done.stderr
