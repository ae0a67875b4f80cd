"""The conversations in a folder: listing, renaming and deleting them. What was said is `Conversation`'s business."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from longctx.conversation.session_file import SUFFIX, SessionFile, session_path
from longctx.conversation.turn_index import remove_turn_index
from longctx.errors import BadRequest

_BESIDE = ("", "-wal", "-shm", "-journal")  # the files of an SQLite database


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation, without what was said.

    Attributes:
        name: Its name.
        changed_at: When its file was last written, as "2026-11-23T09:30:00Z" (UTC).
    """

    name: str
    changed_at: str


class NoConversation(BadRequest):
    """There is no conversation of that name."""


class ConversationFolder:
    """The folder that holds the session files of conversations.

    Args:
        path: The folder, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, index: Path) -> ConversationFolder:
        """The folder in which the conversations about an index are kept, where no other is named.

        Args:
            index: The index's folder.

        Returns:
            The folder beside it, named after it.
        """
        return cls(index.with_name(f"{index.name}-sessions"))

    def all(self) -> list[ConversationInfo]:
        """List the conversations, the one that was last written first."""
        files: list[tuple[float, Path]] = []
        for file in self.path.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                files.append((file.stat().st_mtime, file))
        return [
            ConversationInfo(file.stem, datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
            for time, file in sorted(files, reverse=True)
        ]

    def find(self, name: str) -> Path:
        """Find the file of a conversation.

        Args:
            name: The conversation's name.

        Returns:
            Its file.

        Raises:
            NoConversation: If there is none of that name.
        """
        path = session_path(self.path, name)
        if not path.is_file():
            raise NoConversation(f"there is no conversation {name!r}: list them first")
        return path

    def rename(self, name: str, new: str) -> None:
        """Rename a conversation.

        Args:
            name: Its name.
            new: The name that it gets.

        Raises:
            BadRequest: If there is no such conversation, or already one of the new name, or it cannot be a file's.
        """
        old, target = self.find(name), session_path(self.path, new)
        if target == old:
            return
        if target.exists():
            raise BadRequest(f"there is already a conversation {new!r}: choose another name")
        with closing(SessionFile.open(old)):  # what a killed process left in the log goes into the file
            pass
        old.rename(target)
        remove_turn_index(old.with_suffix(".index"))  # it is made again when it is needed

    def delete(self, name: str) -> None:
        """Delete a conversation.

        Args:
            name: Its name. Raises BadRequest if there is none.
        """
        path = self.find(name)
        for suffix in _BESIDE:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        remove_turn_index(path.with_suffix(".index"))

    def free_name(self, wish: str) -> str:
        """Make a name that no conversation has yet.

        Args:
            wish: What it should be like, such as the first question.

        Returns:
            A name that can be a file's, with a number behind it where the plain one is taken.

        Raises:
            BadRequest: If ten thousand are taken.
        """
        words = "".join(c if c.isalnum() or c in " -_" else " " for c in wish)
        plain = " ".join(words.split()).lstrip("-_ ")[:40].strip() or "conversation"
        plain = plain.encode()[:150].decode(errors="ignore").strip() or "conversation"
        for number in range(1, 10_000):
            name = plain if number == 1 else f"{plain} {number}"
            if not session_path(self.path, name).exists():
                return name
        raise BadRequest(f"there are 10,000 conversations named {plain!r}: delete some")
