"""What route `map` notes on one part of the documents.

For a list (how many, which ones, the largest, in what order) the notes are items, and what a small model writes down is
confirmed: the model is asked again about the sentences alone that hold a name, or the number of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from dataclasses import replace
from functools import partial

from indexes import Chunk
from indexes.text import content_terms
from longctx.answering.backend import Backend
from longctx.answering.extractive import citation
from longctx.answering.note_file import KeptReply
from longctx.answering.note_taking import NoteTaker
from longctx.answering.notes import Note, goes_round, names_in, notes_in
from longctx.answering.valued_notes import sentences_in, sentences_stating, states_value, with_value
from longctx.engine import PrefillProgress
from longctx.planning import asks_for_extreme, asks_for_order
from longctx.prompts import (
    ItemKind,
    ReadingTask,
    asking_which,
    assemble,
    condense_task,
    confirming_task,
    items_task,
    says_yes,
)
from longctx.types import Citation, QuestionKind

_YES_OR_NO = 8  # tokens
_NEARLY_ALL, _FEWEST_ITEMS = 0.8, 2  # items that tell by which of the question's words others are found
_MOST, _SOME_ITEMS = 0.65, 4  # and that tell by which words those are found that have nothing to do with it
_BEARING = 0.25  # of the question's terms are in a sentence that bears on it
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
        by_words: Whether words decided which values bear on the question, as the model confirmed none.
    """

    def __init__(self, backend: Backend, taker: NoteTaker, question: str, kind: QuestionKind) -> None:
        self._writer, self._taker = backend.writer, taker
        self._items = _item_kind(question, kind)
        self._question = asking_which(question) if self._items == "name" else question
        self._asked = content_terms(self._question)
        task = items_task(self._question, self._items) if self._items else condense_task(question, kind)
        self.frame = taker.frame(task)
        self.cut = self.unplaced = self.unconfirmed = 0
        self.by_words = False
        self._denied: list[Note] = []

    @property
    def lists(self) -> bool:
        """Whether the notes are items of a list."""
        return self._items is not None

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
            yield from self._confirmed(note, chunks)

    def consistent(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> Iterator[Note]:
        """Doubt the items that were found by other words than most: "the telephone is out of order", not the lift.

        Args:
            notes: The items found.
            chunks: All passages, by their ids.

        Yields:
            The items whose sentences hold the words of the question that most are found by, and of the others those
            that the model, asked more strictly, confirms once more.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        if self._items != "name":
            yield from notes
            return
        telling = self._telling(notes, chunks, _MOST, _SOME_ITEMS)
        for note in notes:
            shown = [chunks[chunk_id] for chunk_id in note.chunk_ids]
            said = [" ".join(self._sentences_on(note.text, chunk.text)) or chunk.text for chunk in shown]
            if telling <= content_terms(" ".join(said)) or self._confirms_strictly(
                note.text, shown, said, chunks.values()
            ):
                yield note
            else:
                self.unconfirmed += 1
                self._denied.append(note)

    def _confirms_strictly(
        self, item: str, shown: Sequence[Chunk], said: Sequence[str], chunks: Iterable[Chunk]
    ) -> bool:
        """Whether the model says yes to an item, and does not say it of a sentence without a word of the question."""
        task = confirming_task(self._question, item, strictly=True)
        if not self._confirms(task, _shown(shown), said):
            return False
        beside = ((chunk, each) for chunk in chunks for each in sentences_in(chunk.text))
        control = next(((chunk, each) for chunk, each in beside if not self._asked & content_terms(each)), None)
        return control is None or not self._confirms(task, _shown([control[0]]), [control[1]])

    def overlooked(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> Iterator[Note]:
        """Take notes on sentences that the model overlooked: a small one that is shown whole passages overlooks some.

        Names are looked for by the words of the question that nearly all items were found by, and the model is asked
        about such sentences alone. Values are in sentences that state one and hold enough of the question's words.

        Args:
            notes: The items found.
            chunks: All passages, by their ids.

        Yields:
            The items that were overlooked.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        settled = {chunk_id for note in notes for chunk_id in note.chunk_ids}
        find: Callable[[Chunk], Sequence[Note]] = self._valued_in
        if self._items == "name":
            settled.update(chunk_id for note in self._denied for chunk_id in note.chunk_ids)
            find = partial(self._named_in, self._telling(notes, chunks, _NEARLY_ALL, _FEWEST_ITEMS))
        for chunk in chunks.values():
            if chunk.id not in settled:
                for note in find(chunk):
                    yield from self._confirmed(note, [chunk])

    def _named_in(self, telling: Set[str], chunk: Chunk) -> Sequence[Note]:
        sentences = _sentences_with(telling, chunk.text) if telling else []
        if not sentences:
            return ()
        passages = _shown([chunk])
        documents = self._documents(passages, [" ".join(sentences)])
        return self.taken(self._taker.reply(self.frame, documents, passages, None), [chunk.id], passages)

    def _valued_in(self, chunk: Chunk) -> Sequence[Note]:
        return [
            Note(each, (chunk.id,)) for each in sentences_in(chunk.text) if states_value(each) and self._bears(each)
        ]

    def _bears(self, sentence: str) -> bool:
        return len(self._asked & content_terms(sentence)) >= _BEARING * len(self._asked) > 0

    def denied(self, chunks: Mapping[int, Chunk]) -> list[Note]:
        """The values that the model did not confirm, if words say that they bear on the question.

        Some models deny whatever they are asked about in a language, so that where nothing is confirmed, words decide.

        Args:
            chunks: All passages, by their ids.

        Returns:
            The sentences that state them; none for names, which models confirm.
        """
        if self._items == "name":
            return []
        bearing = [
            Note(sentence, (chunk_id,))
            for note in self._denied
            for chunk_id in note.chunk_ids
            for sentence in sentences_stating(chunks[chunk_id].text, note.text)
            if self._bears(sentence)
        ]
        self.by_words = bool(bearing)
        return bearing

    def _telling(self, notes: Sequence[Note], chunks: Mapping[int, Chunk], share: float, fewest: int) -> set[str]:
        """The question's terms that the sentences on such a share of the items hold."""
        found = [
            set[str]().union(*map(content_terms, sentences))
            for note in notes
            if (sentences := [each for i in note.chunk_ids for each in self._sentences_on(note.text, chunks[i].text)])
        ]
        least = max(fewest, share * len(found))
        return {term for term in self._asked if sum(term in terms for terms in found) >= least}

    def _confirmed(self, note: Note, chunks: Sequence[Chunk]) -> Iterator[Note]:
        sources = {chunk.source for chunk in chunks if chunk.id in note.chunk_ids}
        within = [chunk for chunk in chunks if chunk.source in sources]
        if self._items == "value":
            text = "\n\n".join(chunk.text for chunk in within if chunk.id in note.chunk_ids)
            note = replace(note, text=with_value(note.text, text, self._question))
        is_ordinal = self._items == "name" and _ORDINAL.fullmatch(note.text)
        if not is_ordinal and self._is_confirmed(note.text, within):
            yield from names_in(note) if self._items == "name" else [note]
            return
        self.unconfirmed += 1
        if not is_ordinal:
            self._denied.append(note)

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
        taken = notes_in(text, chunk_ids, shown, self._question if self.lists else "")
        self.unplaced += taken.unplaced
        return taken.notes

    def _is_confirmed(self, item: str, chunks: Sequence[Chunk]) -> bool:
        if self._items is None:
            return True
        passages = _shown(chunks)
        telling = [" ".join(self._sentences_on(item, chunk.text)) for chunk in chunks]
        if any(telling):
            named = [passage for passage, text in zip(passages, telling, strict=True) if text]
            task = confirming_task(self._question, item if self._items == "name" else "")
            return self._confirms(task, named, list(filter(None, telling)))
        if self._items != "name":
            return False
        return self._confirms(confirming_task(self._question), passages, [chunk.text_with_header for chunk in chunks])

    def _confirms(self, task: ReadingTask, passages: Sequence[Citation], texts: Sequence[str]) -> bool:
        documents = self._documents(passages, texts)
        return says_yes(self._taker.reply(self._taker.frame(task), documents, passages, None, _YES_OR_NO).text)

    def _sentences_on(self, item: str, text: str) -> list[str]:
        """The sentences of a text that state an item's value, or that hold its name beside words of the question."""
        if self._items != "name":
            return sentences_stating(text, item)
        terms = content_terms(item)
        return _sentences_with(terms - self._asked or terms, text)

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


def _sentences_with(terms: Set[str], text: str) -> list[str]:
    """The sentences that hold all of some terms."""
    return [sentence for sentence in sentences_in(text) if terms <= content_terms(sentence)]


def _shown(chunks: Sequence[Chunk]) -> list[Citation]:
    return [citation(chunk, number=number) for number, chunk in enumerate(chunks, start=1)]
