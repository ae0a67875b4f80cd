"""llama.cpp's state of a prefix in a file, behind a line that says what it was made from.

llama.cpp checks that a state fits the model's shape, but not that the same weights and the same RoPE made it, nor that
its numbers are those that were written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from longctx.atomic_write import write_atomically
from longctx.engine import PrefixRefused, check_made_from
from longctx.models import hash_files

_FORMAT = "longctx-llama-cpp-prefix-2"  # 1: without the hash of the state
_LONGEST_HEAD = 65_536  # bytes


def write_state(path: Path, state: Path, fingerprint: Mapping[str, str]) -> None:
    """Write a state file of llama.cpp's as the file `path`, whole or not at all, and for its owner alone."""
    head = json.dumps({"format": _FORMAT, "contents": hash_files(state), **fingerprint})

    def write(new: Path) -> None:
        with new.open("wb") as file, state.open("rb") as content:
            file.write(f"{head}\n".encode())
            shutil.copyfileobj(content, file)

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, write, private=True)


def read_state(path: Path, state: Path, fingerprint: Mapping[str, str]) -> None:
    """Take a state file of llama.cpp's out of the file `path`.

    Args:
        path: A file that `write_state` wrote.
        state: The file to write.
        fingerprint: What it must have been made from.

    Raises:
        PrefixRefused: If the file is missing or damaged, or was made from something else.
    """
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline(_LONGEST_HEAD))
            check_made_from(head, _FORMAT, fingerprint)
            with state.open("wb") as content:
                shutil.copyfileobj(file, content)
    except FileNotFoundError:
        raise PrefixRefused(f"there is no file {path}") from None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise PrefixRefused(f"{path} cannot be read: {error}") from None
    if hash_files(state) != head.get("contents"):
        raise PrefixRefused(f"{path} was altered or cut short: its contents are not those that were written")
