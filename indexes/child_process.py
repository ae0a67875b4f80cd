"""Child processes that run a module of ours."""

from __future__ import annotations

import json
import os
import sys


def isolated_command(module: str) -> list[str]:
    """The command that runs a module's `main` in a process which imports nothing of the working folder.

    Args:
        module: The name of the module.

    Returns:
        The command. The import path of the process is this one's, its entries absolute.
    """
    start = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main()"
    return [sys.executable, "-I", "-c", start, json.dumps([os.path.abspath(entry) for entry in sys.path])]
