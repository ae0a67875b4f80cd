"""llama.cpp's state of a prefix in a file, behind a line that says what it was made from, and the prefix's token ids.

llama.cpp checks that a state fits the model's shape, but not that the same weights and the same RoPE made it, nor that
its numbers are those that were written.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from longctx.atomic_write import write_atomically
from longctx.engine import PrefixRefused, check_made_from
from longctx.models import hash_files, hash_tokens

_FORMAT = "longctx-llama-cpp-prefix-3"  # 1: without the hash of the state; 2: without the token ids
_LONGEST_HEAD = 65_536  # bytes
_UNREADABLE = (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError, struct.error)


def write_state(path: Path, state: Path, made_from: Mapping[str, str], ids: Sequence[int]) -> None:
    """Write a state file of llama.cpp's as the file `path`, whole or not at all, and for its owner alone.

    Args:
        path: The file.
        state: The state, of a prompt that begins with the prefix.
        made_from: What keys and values depend on, beside the tokens.
        ids: The token ids of the prefix.

    Raises:
        OSError: If it cannot be written.
    """
    stated = {"format": _FORMAT, "contents": hash_files(state), "tokens": hash_tokens(ids), "length": len(ids)}
    head, ids_layout = json.dumps({**stated, **made_from}), _ids_layout(len(ids))

    def write(new: Path) -> None:
        with new.open("wb") as file, state.open("rb") as content:
            file.write(f"{head}\n".encode() + ids_layout.pack(*ids))
            shutil.copyfileobj(content, file)

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, write, private=True)


def state_ids(path: Path, made_from: Mapping[str, str]) -> Sequence[int]:
    """The token ids of the prefix in a file.

    Args:
        path: The file.
        made_from: What it must have been made from.

    Returns:
        The ids; none if the file was made from anything else, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _head(file, made_from)[1]
    except (PrefixRefused, *_UNREADABLE):
        return ()


def read_state(path: Path, state: Path, made_from: Mapping[str, str], ids: Sequence[int] | None = None) -> None:
    """Take a state file of llama.cpp's out of the file `path`.

    Args:
        path: A file that `write_state` wrote.
        state: The file to write.
        made_from: What it must have been made from.
        ids: The token ids that its prefix must have; None for any.

    Raises:
        PrefixRefused: If the file is missing or damaged, or was made from something else.
    """
    wanted = {**made_from} if ids is None else {**made_from, "tokens": hash_tokens(ids)}
    try:
        with path.open("rb") as file:
            head, _ = _head(file, wanted)
            with state.open("wb") as content:
                shutil.copyfileobj(file, content)
    except FileNotFoundError:
        raise PrefixRefused(f"there is no file {path}") from None
    except _UNREADABLE as error:
        raise PrefixRefused(f"{path} cannot be read: {error}") from error
    if hash_files(state) != head.get("contents"):
        raise PrefixRefused(f"{path} was altered or cut short: its contents are not those that were written")


def _head(file: BinaryIO, wanted: Mapping[str, str]) -> tuple[dict[str, Any], Sequence[int]]:
    """What a file says of itself, and the token ids of its prefix. Raises PrefixRefused, and what is `_UNREADABLE`."""
    head = json.loads(file.readline(_LONGEST_HEAD))
    check_made_from(head, _FORMAT, wanted)
    layout = _ids_layout(min(int(head["length"]), os.fstat(file.fileno()).st_size))
    ids = layout.unpack(file.read(layout.size))
    if hash_tokens(ids) != head["tokens"]:
        raise PrefixRefused("its token ids are not those that were written")
    return head, ids


def _ids_layout(length: int) -> struct.Struct:
    return struct.Struct(f"<{length}i")
