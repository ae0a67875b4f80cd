"""What a prompt may cost, on the command line: flags, settings, and the seconds that are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked_longctx import ForkedLongctx

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
PROSE = "The keeper walked along the shore in the evening and looked at the sea. "
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def home(make_index) -> Path:
    """A folder with an index of about 2,000 tokens of the demo model."""
    return make_index({"prose.txt": PROSE * 45 + "The pass key is 40917. " + PROSE * 45}).parent


@pytest.fixture
def run(home: Path, tmp_path: Path, forked_longctx: ForkedLongctx) -> Run:
    """Runs `longctx` there, with a cache folder of the test's own."""
    cache = {"LONGCTX_CACHE_DIR": str(tmp_path), "LONGCTX_INDEX": "index", "COLUMNS": "200"}
    return lambda *arguments, **environment: forked_longctx.run(*arguments, cwd=home, **cache | environment)


@pytest.fixture
def ask(run: Run, tmp_path: Path) -> Run:
    """Asks a model that is said to read 100 tokens a second; returns the answer as JSON."""
    assert run("estimate", DEMO, "--measure").returncode == 0
    [file] = tmp_path.glob("*.json")
    [(key, entry)] = json.loads(file.read_text()).items()
    file.write_text(json.dumps({key: entry | {"tokens_per_second": 100.0}}))
    asked = ("ask", "What is the pass key?", "--model", DEMO, "--scaling", "yarn", "--max-new-tokens", "4", "--json")
    return lambda *flags, **environment: json.loads(run(*asked, *flags, **environment).stdout)


def test_the_default_is_twenty_seconds_and_flags_change_it(ask: Run, home: Path) -> None:
    plan = ask()["plan"]
    assert plan["route"] == "retrieval"
    assert "more than the 1,186 tokens that 20 s allow at 59 tokens/s" in plan["reason"]
    assert 0 < plan["seconds"] <= 20
    more = ask("--budget", "2m")
    assert more["plan"]["route"] == "extended"
    assert 20 < more["plan"]["seconds"] <= 120
    assert 0 < more["usage"]["first_token_seconds"] <= more["usage"]["seconds"]
    assert ask("--prompt-tokens", "500")["plan"]["prompt_tokens"] <= 500
    assert ask(LONGCTX_BUDGET="120")["plan"]["route"] == "extended"
    few = ask("--prompt-tokens", "500", LONGCTX_BUDGET="120")["plan"]
    assert "500 tokens that prompt_tokens allows" in few["reason"], "a flag overrides a setting that limits the same"
    (home / "longctx.toml").write_text("prompt_tokens = 500\n")
    try:
        assert ask()["plan"]["prompt_tokens"] <= 500
        assert ask("--budget", "2m")["plan"]["route"] == "extended"
    finally:
        (home / "longctx.toml").unlink()


def test_explain_says_seconds_beside_tokens(ask: Run, run: Run) -> None:
    plan = ask()["plan"]
    flags = ("--model", DEMO, "--scaling", "yarn", "--max-new-tokens", "4", "--explain")
    shown = run("ask", "What is the pass key?", *flags).stdout.splitlines()[-1]
    expected = (
        f"the prompt has {plan['prompt_tokens']:,} tokens, about {plan['seconds']:.{plan['seconds'] < 9.95:d}f} s"
    )
    assert shown.startswith(f"{expected} to the first token; the first token came after ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--budget", "60x"), "setting budget is '60x': write seconds above 0, such as 90, 60s or 2m"),
        (("--budget", "0"), "setting budget is '0': write seconds above 0"),
        (("--budget", "-5s"), "setting budget is '-5s': write seconds above 0"),
        (("--budget", "nan"), "setting budget is 'nan': write seconds above 0"),
        (("--budget", "60s", "--prompt-tokens", "9"), "prompt_tokens is 9 and budget is 60 s, which limit the same"),
        (
            ("--prompt-tokens", "9", "--scaling", "yarn"),
            "more than the 9 tokens that prompt_tokens allows: allow more (--prompt-tokens",
        ),
    ],
)
def test_a_budget_that_cannot_be_is_said_in_one_line(run: Run, flags: tuple[str, ...], message: str) -> None:
    done = run("ask", "Why?", "--model", DEMO, *flags)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr


def test_estimate_shows_seconds_once_they_were_measured(run: Run, tmp_path: Path) -> None:
    plain = run("estimate", DEMO, "--context", "1024").stdout
    assert "--measure loads the model and measures it" in plain
    unknown = json.loads(run("estimate", DEMO, "--context", "1024", "--json").stdout)
    assert unknown["tokens_per_second"] is None
    assert [need["seconds"] for need in unknown["needs"]] == [None] * 3
    assert not list(tmp_path.iterdir()), "no weights are read"
    assert "it was measured to read" in run("estimate", DEMO, "--context", "1024", "--measure").stdout
    known = json.loads(run("estimate", DEMO, "--context", "1024", "--json").stdout)
    assert known["tokens_per_second"] > 0
    seconds = [need["seconds"] for need in known["needs"]]
    assert seconds == sorted(seconds)
    assert seconds[1] > 2 * seconds[0], "attention makes long prompts slower than in proportion"
