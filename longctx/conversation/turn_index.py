"""The turns of a conversation as an index, so that an old one is found when it bears on a question. Knows no model.

It is a `CorpusIndex` in a folder beside the conversation's file, searched as documents are: by meaning and by words.
All of it is derived from that file: before each search it takes in the turns that it lacks, and where it is missing or
damaged it is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from indexes import CorpusError, CorpusIndex, Document, Encoder, IndexBusy, Snapshot
from indexes.text import serves
from longctx.conversation.query_rewriting import content_terms
from longctx.types import Message

MOST_RECALLED = 8
_LOOKED_AT = 24  # passages of turns
_NEAR = 0.35  # cosine to the question from which a turn that has none of its words bears on it

_SOURCE = "turn "

Said = tuple[Message, Message]


class TurnIndex:
    """Finds the turns of one conversation that bear on a question. The folder is this class's own."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self._folder, self._encoder = folder, encoder
        self._index: CorpusIndex | None = None

    def find(self, query: str, history: Sequence[Message]) -> tuple[int, ...]:
        """The numbers, from 1, of the turns that bear on a query, best first. Raises CorpusError."""
        turns = list(zip(history[::2], history[1::2], strict=True))
        for mend in (self.close, self.forget):  # another process may have made it again; or it is damaged
            try:
                return self._find(query, turns)
            except IndexBusy:
                raise
            except (CorpusError, OSError):
                mend()
        return self._find(query, turns)

    def close(self) -> None:
        """Close the index; it is opened again when it is used."""
        if self._index is not None:
            self._index.close()
        self._index = None

    def forget(self) -> None:
        """Delete the index."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _find(self, query: str, turns: Sequence[Said]) -> tuple[int, ...]:
        if self._index is None:
            self._index = CorpusIndex.open(self._folder, self._encoder)
        documents = [Document(f"{_SOURCE}{number}", _text(turn), "") for number, turn in enumerate(turns, start=1)]
        self._index.add(documents, wait=True)
        with self._index.snapshot() as snapshot:
            hits = snapshot.search(query, _LOOKED_AT)
            near, wanted = self._near(query, snapshot), content_terms(query)
        bearing = [
            _number(h.chunk.source) for h in hits if h.chunk.source in near or content_terms(h.chunk.text) & wanted
        ]
        return tuple(dict.fromkeys(number for number in bearing if number <= len(turns)))[:MOST_RECALLED]

    def _near(self, query: str, snapshot: Snapshot) -> set[str]:
        """The turns that are like the query by their meaning, where the encoder knows its language."""
        if not serves(self._encoder.languages, query):
            return set()
        return {hit.chunk.source for hit in snapshot.search(query, _LOOKED_AT, "dense") if hit.score >= _NEAR}


def _text(turn: Said) -> str:
    return "\n".join(message.content for message in turn)


def _number(source: str) -> int:
    return int(source.removeprefix(_SOURCE))
