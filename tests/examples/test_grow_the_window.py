"""What `make demo` ends with: the model alone is lost in a long document, and YaRN and retrieval find the key."""

import logging
import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "grow_the_window.py"


@pytest.mark.parametrize("options", [(), ("--seed", "3")])
def test_wrong_right_right(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed, noise = capfd.readouterr()
    [key] = re.findall(r"The pass key is (\d{5})\.\n", printed)
    rows = re.findall(
        r"^(without scaling|YaRN|retrieval) +([\d,]+) +[\d.]+ +(wrong|right): (.*)$", printed, re.MULTILINE
    )
    assert [(name, verdict) for name, _, verdict, _ in rows] == [
        ("without scaling", "wrong"),
        ("YaRN", "right"),
        ("retrieval", "right"),
    ]
    assert [key in answer for _, _, _, answer in rows] == [False, True, True]
    unscaled, yarn, retrieval = (int(tokens.replace(",", "")) for _, tokens, _, _ in rows)
    assert unscaled == yarn > 16 * 256 > 256 > retrieval
    assert printed.count("longctx ask") == 1
    assert noise == ""
    # which is imported here for the first time, or was before: on a processor with bf16 it has something to warn of
    assert not logging.getLogger("bitsandbytes").isEnabledFor(logging.WARNING)
