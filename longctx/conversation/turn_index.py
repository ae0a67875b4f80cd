"""The index of a conversation's turns, which finds old turns that are relevant to a question.

It is a `CorpusIndex` in a folder beside the session file, searched as documents are: by meaning and by words. All of it
is derived from that file: before each search it adds the turns that it lacks, and if it is missing or damaged, it is
built again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from indexes import CorpusError, CorpusIndex, Document, Encoder, IndexBusy, Snapshot
from indexes.text import content_terms, serves
from longctx.errors import BadSession
from longctx.types import Message

_MOST_RECALLED = 8
_LOOKED_AT = 24  # passages of turns
_NEAR = 0.35  # cosine to the question from which a turn that shares no word with it is relevant

_SOURCE = "turn "


class TurnIndex:
    """Finds the turns of one conversation that are relevant to a question; nothing else uses the folder."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self._folder, self._encoder = folder, encoder
        self._index: CorpusIndex | None = None

    def find(self, query: str, history: Sequence[Message]) -> tuple[int, ...]:
        """Return the numbers, from 1, of the turns that are relevant to a query, best first. Raises CorpusError."""
        turns = list(zip(history[::2], history[1::2], strict=True))
        for mend in (self.close, self.forget):  # another process may have built it again; or it is damaged
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
        remove_turn_index(self._folder)

    def _find(self, query: str, turns: Sequence[tuple[Message, Message]]) -> tuple[int, ...]:
        if self._index is None:
            if (other := _held_by_another(self._folder)) is not None:
                raise BadSession(f"{self._folder} is no index of a conversation (it holds {other}): move it away")
            self._index = CorpusIndex.open(self._folder, self._encoder)
        texts = ["\n".join(message.content for message in turn) for turn in turns]
        documents = [Document(f"{_SOURCE}{number}", text, "") for number, text in enumerate(texts, start=1)]
        self._index.add(documents, wait=True)
        with self._index.snapshot() as snapshot:
            hits = snapshot.search(query, _LOOKED_AT)
            near, wanted = self._near(query, snapshot), content_terms(query)
        relevant = [h.chunk.source for h in hits if h.chunk.source in near or content_terms(h.chunk.text) & wanted]
        numbers = [int(source.removeprefix(_SOURCE)) for source in relevant]
        return tuple(dict.fromkeys(number for number in numbers if number <= len(turns)))[:_MOST_RECALLED]

    def _near(self, query: str, snapshot: Snapshot) -> set[str]:
        """The turns close to the query in meaning, if the encoder serves its language."""
        if not serves(self._encoder.languages, query):
            return set()
        return {hit.chunk.source for hit in snapshot.search(query, _LOOKED_AT, "dense") if hit.score >= _NEAR}


def remove_turn_index(folder: Path) -> None:
    """Remove the index of a conversation's turns, and no other index that has taken its place."""
    if _held_by_another(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)


def _held_by_another(folder: Path) -> str | None:
    """What an index holds that is no turn; None for nothing, as for one that is damaged or not there."""
    with suppress(CorpusError, OSError), CorpusIndex.open(folder, encoder=None, create=False) as index:
        return next((each.source for each in index.documents() if not each.source.startswith(_SOURCE)), None)
    return None
