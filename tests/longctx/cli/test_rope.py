"""`longctx rope` and `longctx extend`, run as a user runs them."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_longctx import ForkedLongctx
from limited_files import files_up_to
from transformers import AutoModelForCausalLM, LlamaConfig

from longctx import BadRequest
from longctx.cli.extend import extend
from longctx.cli.rope import rope
from rope_scaling import PlotUnavailable, RopeScalingError

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy Llama 2: 128 dimensions a head, 4,096 tokens."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "toy"
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=256,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def longctx(forked_longctx: ForkedLongctx) -> Run:
    return lambda *arguments: forked_longctx.run(*map(str, arguments), COLUMNS="120")


def fails_in_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_rope_tells_what_the_model_has_and_what_would_change(longctx: Run, model: Path, tmp_path: Path) -> None:
    plot = tmp_path / "frequencies.png"
    result = longctx("rope", model, "--method", "yarn", "--to", 131_072, "--plot", plot)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for words in ("default", "yarn", "131,072", "1.34657", "10,000", "0.0312"):
        assert words in result.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_rope_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rope(str(model), json=True)
    alone = json.loads(capsys.readouterr().out)
    assert list(alone) == ["before"]
    assert alone["before"]["method"] == "default"
    rope(str(model), method="ntk", factor=8.0, json=True)
    both = json.loads(capsys.readouterr().out)
    assert both["before"] == alone["before"]
    assert both["after"]["window"] == 32_768
    assert both["after"]["rope_theta"] == pytest.approx(1e4 * 8 ** (128 / 126))
    ratio = both["after"]["inv_freq"][-1] / both["before"]["inv_freq"][-1]
    assert ratio == pytest.approx(1 / 8, rel=1e-6)


def test_extend_writes_a_checkpoint_that_transformers_loads(
    longctx: Run, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "long"
    result = longctx("extend", model, "--method", "yarn", "--to", 131_072, "--out", out, "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    said = json.loads(result.stdout)
    assert (said["method"], said["window"]) == ("yarn", 131_072)
    config = AutoModelForCausalLM.from_pretrained(said["out"]).config
    assert config.max_position_embeddings == 131_072
    assert config.rope_parameters["factor"] == 32.0
    rope(said["out"], json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["before"]["method"] == "yarn"
    assert shown["before"]["attention_factor"] == pytest.approx(1.3466, abs=5e-5)
    with pytest.raises(RopeScalingError, match="not an empty folder"):
        extend(str(model), to=131_072, out=out)
    with pytest.raises(RopeScalingError, match="scaled already"):
        extend(str(out), to=262_144, out=tmp_path / "more", method="linear")


def test_extending_a_scaled_checkpoint_by_its_own_scaling(model: Path, tmp_path: Path) -> None:
    extend(str(model), to=16_384, out=tmp_path / "long")
    extend(str(tmp_path / "long"), to=16_384, out=tmp_path / "again")
    one, two = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("long", "again"))
    assert one == two


def test_a_model_that_is_nowhere_gets_one_line(longctx: Run) -> None:
    fails_in_one_line(longctx("rope", "nobody/no-such-model"), "nobody/no-such-model", "hub")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "yran", "to": 8192}, "'yran': did you mean 'yarn'"),
        ({"method": "yarn", "to": 2048}, "2048 tokens is below the native 4096"),
        ({"method": "yarn", "factor": 0.5}, "factor is 0.5"),
        ({"factor": math.nan}, "factor is nan"),
        ({"to": 131_072, "factor": 4.0}, "factor 4.0 leads from 4096 tokens to 16384, not to 131072"),
        ({"method": "yarn"}, "give the window"),
        ({"method": "dynamic_ntk", "factor": 2.0}, "at_length"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str, model: Path) -> None:
    with pytest.raises(RopeScalingError, match=words):
        rope(str(model), **options)


def test_extend_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(RopeScalingError, match="/no/such/folder"):
        extend("/no/such/folder", to=8192, out=tmp_path / "out")


def test_a_plot_without_matplotlib_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        RopeScalingError,
        match=r'the extra "plot": in a checkout of longctx, pip install -c constraints.txt "\.\[plot\]"',
    ):
        rope(str(model), plot=tmp_path / "x.png")


def test_a_model_on_a_server_has_its_rope_there() -> None:
    for name in ("ollama:llama3.2", "http://localhost:8000/v1"):
        with pytest.raises(BadRequest, match=f"{name} is a server, which scales its model itself"):
            rope(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/x.png", "No such file"),
        ("folder.png", "Is a directory"),
        ("x.xyz", "not supported"),
        ("y.png", "too large"),
    ],
)
def test_a_plot_that_cannot_be_written_is_named_and_leaves_nothing(
    model: Path, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    with (
        files_up_to(1000 if name == "y.png" else 10**9),
        pytest.raises(PlotUnavailable, match=f"{name} cannot be .*{reason}"),
    ):
        rope(str(model), plot=tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
