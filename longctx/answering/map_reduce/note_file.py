"""The file of a question's notes, so that a question that was stopped goes on where it was.

There is one file for each question, in the folder `notes` of the index. A reply is appended and flushed to disk as soon
as it is whole; a line that a killed process left unfinished is not read. Only replies to exactly the same prompt are
used, so that a part is read again when its documents have changed.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path

from indexes import CorpusError
from indexes.storage import HeldFolder, checksum

FOLDER = "notes"
MOST_QUESTIONS = 32  # whose notes are kept
MOST_BYTES = 64 << 20  # of all of them

_log = logging.getLogger(__name__)
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
        keeps: Whether replies are kept; False where the folder cannot be made or is a link, and once a write has
            failed, as on a disk that is full.
    """

    def __init__(self, index: Path, *question: str, within: HeldFolder | None = None) -> None:
        self._name = f"{key_of(question)[:32]}.jsonl"
        self._folder: HeldFolder | None = None
        try:
            if within is None:
                index.mkdir(mode=0o700, parents=True, exist_ok=True)
                within = HeldFolder(index)
            self._folder = within.make(FOLDER, 0o700)
            if self._folder.status(self._name) is not None:
                os.utime(self._name, dir_fd=self._folder.descriptor, follow_symlinks=False)  # the most recently asked
            _forget_oldest(self._folder, self._name)
        except CorpusError as error:
            _log.warning("the notes of the question are not kept: %s", error)
        except OSError:
            pass
        self.keeps = self._folder is not None
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
        if self._folder is None:
            return
        row = (key, *astuple(reply))
        # A line break on either side: a line that another process left unfinished stays alone.
        line = f"\n{json.dumps([*row, checksum(row)])}\n".encode()
        try:
            descriptor = os.open(self._name, _APPEND, 0o600, dir_fd=self._folder.descriptor)
            try:
                self.keeps = os.write(descriptor, line) == len(line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self.keeps = False

    def _read(self) -> dict[str, KeptReply]:
        replies: dict[str, KeptReply] = {}
        if self._folder is None:
            return replies
        with suppress(OSError), self._folder.open(self._name) as file:
            for line in file.read(2 * MOST_BYTES).split(b"\n"):
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


def _forget_oldest(folder: HeldFolder, asked: str) -> None:
    """Delete the notes of the questions that were asked longest ago, beyond both limits; and no other file.

    Those of the one that is asked now stay, also where the clock was set back.
    """
    statuses = [(name, folder.status(name)) for name in folder.names() if _NAME.fullmatch(name)]
    files = [(time, size, name) for name, status in statuses if status is not None for size, time in [status]]
    total = 0
    for place, (_, size, name) in enumerate(sorted(files, key=lambda file: (file[2] == asked, file), reverse=True)):
        total += size
        if place >= MOST_QUESTIONS or total > MOST_BYTES:
            folder.remove(name)
