"""What route `map` notes on one part of the documents.

For a list (how many, which ones, the largest, in what order) the notes are items, and what a small model writes down is
confirmed: the model is asked again about the sentences alone that hold a name, or the number of a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import replace

from indexes import Chunk
from indexes.text import ends_sentence
from longctx.answering.backend import Backend
from longctx.answering.map_reduce.confirming import Confirmer
from longctx.answering.map_reduce.note_file import KeptReply
from longctx.answering.map_reduce.note_taking import NoteTaker
from longctx.answering.map_reduce.notes import Note, goes_round, names_in, notes_in
from longctx.answering.map_reduce.valued_notes import (
    sentences_in,
    sentences_stating,
    states_value,
    with_own_name,
    with_value,
)
from longctx.answering.quotable import citation
from longctx.engine import PrefillProgress
from longctx.planning import asks_for_extreme, asks_for_order
from longctx.prompts import ItemKind, ReadingTask, asking_which, assemble, condense_task, items_task
from longctx.types import Citation, QuestionKind

_YES_OR_NO, _LIKELIEST = 8, 20  # tokens of such a reply, and first ones whose probability is asked for
_NEARLY_ALL, _FEWEST_ITEMS = 0.8, 2  # items that tell by which of the question's words others are found
_ORDINAL = re.compile(r"\W*\d+\s*(?:st|nd|rd|th|番目?|位)\W*", re.IGNORECASE)  # a place in an order is no name


class PartReader:
    """Takes notes on parts.

    Args:
        backend: The model.
        taker: Gets the model's replies.
        question: The question.
        kind: What it asks for.

    Attributes:
        frame: What stands around the passages of a part.
        cut: How many parts' notes were cut for their length.
        unplaced: How many lines were left out because no passage holds them.
        unconfirmed: How many items were left out because the model, asked again, did not confirm them.
        confirmer: Asks about items; None where the notes are sentences.
    """

    def __init__(self, backend: Backend, taker: NoteTaker, question: str, kind: QuestionKind) -> None:
        self._writer, self._taker = backend.writer, taker
        self._items = _item_kind(question, kind)
        self._question = asking_which(question) if self._items == "name" else question
        task = items_task(self._question, self._items) if self._items else condense_task(question, kind)
        self.frame = taker.frame(task)
        self.cut = self.unplaced = self.unconfirmed = 0
        self.confirmer = Confirmer(self._reply_on, self._question, self._items) if self._items else None

    def notes_on(self, chunks: Sequence[Chunk], at: PrefillProgress) -> Iterator[Note]:
        """Take the notes on some passages; where they are cut for their length, those on each half of the passages.

        Args:
            chunks: The passages.
            at: How far the reading is.

        Yields:
            The notes, in the order of the passages.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        passages = _shown(chunks)
        documents = self._documents(passages, [chunk.text_with_header for chunk in chunks])
        reply = self._taker.reply(self.frame, documents, passages, at)
        if reply.finish == "length" and len(chunks) > 1 and not goes_round(reply.text):
            middle = len(chunks) // 2
            yield from self.notes_on(chunks[:middle], at)
            yield from self.notes_on(chunks[middle:], at)
            return
        for note in self.taken(reply, [chunk.id for chunk in chunks], passages):
            yield from self._asked_about(note, chunks)

    def items(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> list[Note]:
        """Choose the items of a list, and look for those that were overlooked.

        Args:
            notes: The items that the model wrote down.
            chunks: All passages, by their ids.

        Returns:
            The items that it confirms.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        assert self.confirmer is not None
        kept = self.confirmer.confirmed([*dict.fromkeys(notes)], chunks)
        kept += self.confirmer.confirmed([*self._overlooked(kept, chunks)], chunks)
        self.unconfirmed += len(self.confirmer.denied)
        return kept or self.confirmer.bearing_by_words(chunks)

    def _overlooked(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> Iterator[Note]:
        """Take notes on sentences that the model overlooked: a small one that is shown whole passages overlooks some.

        Yields:
            The items found, about which the model has been asked.
        """
        find = self._overlooked_names if self._items == "name" else self._overlooked_values
        for chunk, found in find(notes, chunks):
            for note in found:
                yield from self._asked_about(note, [chunk])

    def _overlooked_names(
        self, notes: Sequence[Note], chunks: Mapping[int, Chunk]
    ) -> Iterator[tuple[Chunk, Sequence[Note]]]:
        """Ask the model about the sentences alone that hold those words of the question by which others were found."""
        assert self.confirmer is not None
        settled = {chunk_id for note in notes for chunk_id in note.chunk_ids}
        telling = self.confirmer.telling_terms(notes, chunks, _NEARLY_ALL, _FEWEST_ITEMS)
        for chunk in chunks.values() if telling else ():
            sentences = [] if chunk.id in settled else self.confirmer.unasked(chunk, telling)
            if sentences:
                passages = _shown([chunk])
                documents = self._documents(passages, [" ".join(sentences)])
                reply = self._taker.reply(self.frame, documents, passages, None)
                yield chunk, self.taken(reply, [chunk.id], passages)

    def _overlooked_values(
        self, notes: Sequence[Note], chunks: Mapping[int, Chunk]
    ) -> Iterator[tuple[Chunk, Sequence[Note]]]:
        """Take the whole sentences that state a value and hold enough of the question's words."""
        assert self.confirmer is not None
        known = {
            each for note in notes for i in note.chunk_ids for each in sentences_stating(chunks[i].text, note.text)
        }
        for chunk in chunks.values():
            said = [each for each in sentences_in(chunk.text) if each not in known and self.confirmer.bears(each)]
            yield chunk, [Note(each, (chunk.id,)) for each in said if ends_sentence(each) and states_value(each)]

    def _asked_about(self, note: Note, chunks: Sequence[Chunk]) -> Iterator[Note]:
        """The items in a note, each of which the model is asked about."""
        if self.confirmer is None:
            yield note
            return
        sources = {chunk.source for chunk in chunks if chunk.id in note.chunk_ids}
        within = [chunk for chunk in chunks if chunk.source in sources]
        if self._items != "name":
            text = "\n\n".join(chunk.text for chunk in within if chunk.id in note.chunk_ids)
            whole = with_value(note.text, text, self._question)
            note = replace(note, text=with_own_name(whole, text, within[0].title, self._question))
        for item in names_in(note) if self._items == "name" else [note]:
            if self._items == "name" and _ORDINAL.fullmatch(item.text):
                self.unconfirmed += 1
                continue
            self.confirmer.ask_about(item, within)
            yield item

    def taken(self, reply: KeptReply, chunk_ids: Sequence[int], shown: Sequence[Citation]) -> tuple[Note, ...]:
        """Read the notes in a reply, and count what is left out of them.

        Args:
            reply: The reply.
            chunk_ids: The passages, in the order of their numbers: [1] is the first.
            shown: What the model was shown of each.

        Returns:
            The notes that passages hold.
        """
        text = reply.text
        if reply.finish == "length":
            self.cut += 1
            text = text[: text.rfind("\n")] if "\n" in text.strip() else text  # the last line is not whole
        taken = notes_in(text, chunk_ids, shown, self._question if self._items else "")
        self.unplaced += taken.unplaced
        return taken.notes

    def _reply_on(self, task: ReadingTask, chunks: Sequence[Chunk], texts: Sequence[str]) -> KeptReply:
        passages = _shown(chunks)
        documents = self._documents(passages, texts)
        return self._taker.reply(self._taker.frame(task), documents, passages, None, _YES_OR_NO, _LIKELIEST)

    def _documents(self, passages: Sequence[Citation], texts: Sequence[str]) -> list[Sized]:
        return assemble(self._writer, passages, self._writer.texts(texts))


def _item_kind(question: str, kind: QuestionKind) -> ItemKind | None:
    """What the notes for a question are; None where they are sentences."""
    if kind == "count":
        return "name"
    if kind != "compare":
        return None
    if asks_for_order(question):
        return "place"
    return "value" if asks_for_extreme(question) else None


def _shown(chunks: Sequence[Chunk]) -> list[Citation]:
    return [citation(chunk, number=number) for number, chunk in enumerate(chunks, start=1)]
