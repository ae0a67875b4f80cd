"""The file of a question's notes, so that a question that was stopped goes on where it was.

There is one file for each question, in the folder `notes` of the index. A reply is appended and flushed to disk as soon
as it is whole; a line that a killed process left unfinished is not read. Only replies to exactly the same prompt are
used, so that a part is read again when its documents have changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path

from indexes.storage import checksum
from longctx.bounded_file import read_bounded

FOLDER = "notes"
MOST_QUESTIONS = 32  # whose notes are kept
MOST_BYTES = 64 << 20  # of all of them

_NAME = re.compile(r"[0-9a-f]{32}\.jsonl")
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # not for a pipe's reader to come


@dataclass(frozen=True, slots=True)
class KeptReply:
    """What a model wrote about a part.

    Attributes:
        text: The text.
        finish: Why it ended: 'length' if it was cut.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the text.
        top_logprobs: The likeliest first tokens with their log probabilities, where that was asked and told.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    top_logprobs: Mapping[str, float] | None = None


class NoteFile:
    """The replies to the prompts of one question.

    Attributes:
        keeps: Whether replies are kept; False once a write has failed, as in a folder that is read-only
            or on a disk that is full.
    """

    def __init__(self, index: Path, *question: str) -> None:
        self._path = index / FOLDER / f"{key_of(question)[:32]}.jsonl"
        self.keeps = True
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._path.exists():
                os.utime(self._path)  # the most recently asked question
            _forget_oldest(self._path.parent)
        self._replies = self._read()

    def get(self, key: str) -> KeptReply | None:
        """The reply to a prompt, if there is one.

        Args:
            key: The prompt's key.

        Returns:
            The reply.
        """
        return self._replies.get(key)

    def add(self, key: str, reply: KeptReply) -> None:
        """Keep a reply, on disk if that can be written.

        Args:
            key: The prompt's key.
            reply: The reply.
        """
        self._replies[key] = reply
        row = (key, *astuple(reply))
        # A line break on either side: a line that another process left unfinished stays alone.
        line = f"\n{json.dumps([*row, checksum(row)])}\n".encode()
        try:
            descriptor = os.open(self._path, _APPEND, 0o600)
            try:
                self.keeps = os.write(descriptor, line) == len(line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self.keeps = False

    def _read(self) -> dict[str, KeptReply]:
        replies: dict[str, KeptReply] = {}
        with suppress(OSError):
            for line in read_bounded(self._path).split(b"\n"):
                with suppress(ValueError, TypeError, RecursionError):  # damaged, or written to its half
                    *row, expected = json.loads(line)
                    if checksum(tuple(row)) == expected:
                        replies[row[0]] = KeptReply(*row[1:])
        return replies


def key_of(values: Sequence[object]) -> str:
    """Hash values.

    Args:
        values: What JSON can write.

    Returns:
        A SHA-256 in hexadecimal.
    """
    return sha256(json.dumps(values).encode()).hexdigest()


def _forget_oldest(folder: Path) -> None:
    """Delete the notes of the questions that were asked longest ago, beyond both limits; and no other file."""
    notes = (file for file in folder.glob("*.jsonl") if _NAME.fullmatch(file.name))
    files = sorted(notes, key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for place, file in enumerate(files):
        total += file.stat().st_size
        if place >= MOST_QUESTIONS or total > MOST_BYTES:
            file.unlink()
