"""Numbers as people write them: the same in every flag, in the environment and in longctx.toml, and in sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from longctx import BadRequest
from longctx.cli import app
from longctx.quantities import parse_count, parse_size, parse_tokens
from longctx.settings import load_settings


@pytest.mark.parametrize(
    ("text", "tokens"), [("8k", 8192), ("128K", 131_072), ("1M", 2**20), ("32,768", 32768), ("1.5k", 1536), (7, 7)]
)
def test_tokens(text: Any, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "size"), [("200MB", 200_000_000), ("24GB", 24 * 10**9), ("80GiB", 80 * 2**30), (5, 5)]
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "8kk", "1.0001k", "-8k", "eight", True, 10**400, "9" * 400])
def test_what_is_no_number_of_tokens(text: Any) -> None:
    with pytest.raises(ValueError, match="write a number of tokens, such as 32768 or 32k"):
        parse_tokens(text)


@pytest.mark.parametrize("text", [10**400, f"{10**400}GB"])
def test_a_size_that_nothing_holds_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="more than can be counted"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("5", 5),
        ("１，２３４", 1234),
        ("five", 5),
        ("Twenty-one", 21),
        ("forty two", 42),
        ("三", 3),
        ("二十一", 21),
        ("百五", 105),
        ("", None),
        ("-5", None),
        ("2.5", None),
        ("several", None),
        ("9" * 5000, None),
    ],
)
def test_counts_in_digits_and_in_words(text: str, count: int | None) -> None:
    assert parse_count(text) == count


def test_settings_take_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGCTX_WINDOW", "32k")
    Path("longctx.toml").write_text(
        'max_size = "200MB"\nprompt_tokens = "8k"\nmax_seconds = "2m"\nthinking_tokens = "2k"\n'
    )
    found = load_settings()
    assert (found.window, found.max_size, found.prompt_tokens) == (32768, 200_000_000, 8192)
    assert (found.max_seconds, found.thinking_tokens) == (120.0, 2048)
    assert load_settings(window="1k").window == 1024
    monkeypatch.setenv("LONGCTX_WINDOW", "wide")
    with pytest.raises(BadRequest, match="setting window is 'wide': write a number of tokens"):
        load_settings()


@pytest.mark.parametrize("method", ["dynamic-ntk", "Dynamic_NTK", "dynamic"])
def test_rope_takes_short_numbers_and_either_spelling(method: str, short_llama: Path) -> None:
    result = CliRunner().invoke(app, ["rope", str(short_llama), "--to", "1k", "--method", method, "--json"])
    after = json.loads(result.output)["after"]
    assert (after["method"], after["window"]) == ("dynamic_ntk", 1024)


def test_estimate_and_extend_take_short_numbers(short_llama: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    sizing = json.loads(run(app, ["estimate", str(short_llama), "--context", "1k", "--memory", "1GB", "--json"]).output)
    assert (sizing["needs"][-1]["tokens"], sizing["memory"]) == (1024, 10**9)
    out = str(tmp_path / "out")
    written = run(app, ["extend", str(short_llama), "--to", "1k", "--method", "linear", "--out", out, "--json"])
    assert json.loads(written.output)["window"] == 1024
    bytes_of_memory = run(app, ["estimate", str(short_llama), "--memory", "24"])
    assert bytes_of_memory.exit_code == 2
    assert "Write the unit, such as 80GiB" in " ".join(bytes_of_memory.output.replace("│", " ").split())
    refused = run(app, ["extend", str(short_llama), "--to", "far", "--out", out])
    assert refused.exit_code == 2
    assert "write a number of tokens" in " ".join(refused.output.replace("│", " ").split())
