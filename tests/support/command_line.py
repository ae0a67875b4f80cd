"""`longctx` in this process."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from longctx.cli import main


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[str, str, int]:
    """Run a command line: what it prints, what it says on standard error, and how it ends."""
    monkeypatch.setattr(sys, "argv", ["longctx", *arguments])
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        main()
    return output.getvalue(), errors.getvalue(), int(ended.value.code or 0)
