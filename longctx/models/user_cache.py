"""The user's cache folder, and small facts in it that are dear to find out again, kept as JSON.

Losing a file costs a measurement. So one that is missing, damaged or cannot be written is no error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from longctx.atomic_write import write_atomically
from longctx.bounded_file import read_bounded

CACHE_FOLDER = "LONGCTX_CACHE_DIR"  # the environment variable


def kept_values(name: str) -> Mapping[str, Any]:
    """All that is kept in a file.

    Args:
        name: The file's name.

    Returns:
        The values by key.
    """
    with suppress(OSError, RuntimeError, ValueError, RecursionError):
        kept = json.loads(read_bounded(cache_path(name)))
        return kept if isinstance(kept, dict) else {}
    return {}


def keep_value(name: str, key: str, value: Any) -> None:
    """Keep a value for later runs; without a word where the cache folder cannot be written.

    Args:
        name: The file's name.
        key: What the value is of.
        value: Anything that JSON can hold.
    """

    def write(temporary: Path) -> None:
        kept = {**kept_values(name), key: value}
        temporary.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")

    with suppress(OSError, RuntimeError):
        path = cache_path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, write, private=True)


def cache_path(name: str) -> Path:
    """Where a file or a folder of a name is kept. Raises RuntimeError if there is no home folder."""
    given = os.environ.get(CACHE_FOLDER)
    if given:
        return Path(given).expanduser() / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "longctx" / name
