"""Confirming the items of a list on route `map`: the model is asked once more about each that it wrote down.

Whether a small model says yes tells little: of one kind of item it says it of all, of another of none. How much
likelier yes is than no tells items from others, if it is compared with what the model says of sentences about something
else (after contextual calibration: Zhao et al., arXiv 2102.09690).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from statistics import fmean

from indexes import Chunk
from indexes.text import content_terms, ends_sentence
from longctx.answering.map_reduce.note_file import KeptReply
from longctx.answering.map_reduce.notes import Note
from longctx.answering.map_reduce.telling_items import Cut, common_terms, cut_between, dividing_terms
from longctx.answering.map_reduce.valued_notes import sentences_in, sentences_stating, states_value
from longctx.prompts import ItemKind, ReadingTask, confirming_tasks, says_yes, yes_odds

_CONTROLS = 12  # sentences about something else that the model is asked about
_MOST_SENTENCES = 4  # on an item that are asked about
_UNDER_HEADING = 3  # sentences, with the heading
_SURE = 3.0  # nats between items and those: more leaves no doubt
_MOST, _SOME_ITEMS = 0.65, 4  # items that tell by which of the question's words others are found
_BEARING = 0.25  # of the question's terms are in a sentence that bears on it

Asking = Callable[[ReadingTask, Sequence[Chunk], Sequence[str]], KeptReply]
"""Gets a model's reply to a task: about passages, and what it is to be shown of each."""


class Confirmer:
    """Asks a model about the items that it wrote down.

    Args:
        ask: Gets its replies.
        question: The question, as parts are asked.
        items: What an item consists of.

    Attributes:
        denied: The items that are not confirmed.
        by_words: Whether words decided which values bear on the question, as the model confirmed none.
    """

    def __init__(self, ask: Asking, question: str, items: ItemKind) -> None:
        self._ask, self._question = ask, question
        self._names = items == "name"
        self._asked = content_terms(question)
        self._odds: dict[Note, float] = {}  # of yes over no, in nats
        self._deciding: set[str] = set()  # the sentences of which these are
        self._cut: Cut | None = None
        self._kept: list[Note] = []
        self._dividing: set[str] = set()  # the terms without which an item is none
        self.denied: list[Note] = []
        self.by_words = False

    def ask_about(self, note: Note, chunks: Sequence[Chunk]) -> None:
        """Ask whether an item belongs to the answer.

        Args:
            note: The item.
            chunks: The passages of its document that may tell. Where sentences name it, or state its value, those alone
                are shown.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        telling = [(chunk, each) for chunk in chunks for each in self._shown(note.text, chunk.text)]
        if telling:
            self._odds[note], sentence = self._odds_of(note.text, telling)
            self._deciding.add(sentence)
        elif self._names:  # only the title names it
            (task,) = confirming_tasks(self._question)
            reply = self._ask(task, chunks, [chunk.text_with_header for chunk in chunks])
            odds = yes_odds(reply.top_logprobs or {}) if says_yes(reply.text) else None
            self._odds[note] = _certain(reply) if odds is None else odds
        else:
            self._odds[note] = -math.inf

    def confirmed(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> list[Note]:
        """Choose the items that the model confirms.

        Args:
            notes: Items that it was asked about. Those of the first call decide how sure it has to be.
            chunks: All passages, by their ids.

        Returns:
            Those that it is surer of than of sentences about something else, or, where it cannot tell these apart or
            does not say how sure it is, those to which it says yes. Unless it is far surer, words have a say: what was
            found by the same words of the question as most may be half as sure, and a name that was found by others is
            none ("the telephone is out of order", where most say it of the lift, or where the model is clearly surer of
            those that say it of the lift).

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        if self._cut is None:
            self._cut = self._found_cut(notes, chunks)
        kept = [note for note in notes if self._odds[note] > self._cut.odds]
        found = [*self._kept, *kept]
        if self._cut.apart < _SURE and (telling := self.telling_terms(found, chunks, _MOST, _SOME_ITEMS)):
            nearly = [note for note in notes if self._odds[note] > self._cut.odds - self._cut.apart / 4]
            alike = [note for note in nearly if telling <= self._terms_on(note, chunks)]
            if self._names:
                said = [(self._odds[note], self._terms_on(note, chunks)) for note in (*self._kept, *alike)]
                self._dividing |= dividing_terms(self._asked, said, _SOME_ITEMS, self._cut.apart / 4)
                alike = [note for note in alike if self._dividing <= self._terms_on(note, chunks)]
            kept = alike if self._names else [note for note in notes if note in kept or note in alike]
        self._kept += kept
        self.denied += [note for note in notes if note not in kept]
        return kept

    def telling_terms(self, notes: Sequence[Note], chunks: Mapping[int, Chunk], share: float, fewest: int) -> set[str]:
        """Find the terms of the question by which items were found.

        Args:
            notes: The items.
            chunks: All passages, by their ids.
            share: Of how many items the sentences have to hold a term, from 0 to 1.
            fewest: The least number of such items.

        Returns:
            The terms.
        """
        return common_terms(self._asked, [self._terms_on(note, chunks) for note in notes], share, fewest)

    def _terms_on(self, note: Note, chunks: Mapping[int, Chunk]) -> set[str]:
        """The terms of the sentences on an item, or of its passages, where only their title names it."""
        texts = [chunks[chunk_id].text for chunk_id in note.chunk_ids]
        said = [each for text in texts for each in self.sentences_on(note.text, text)]
        return content_terms("\n".join(said or texts))

    def support(self, note: Note, chunks: Mapping[int, Chunk]) -> tuple[float, int]:
        """Tell how well an item is supported, for comparison with others.

        Args:
            note: The item.
            chunks: All passages, by their ids.

        Returns:
            How sure the model is of it, where it confirmed it, and how many of the question's terms are in a sentence
            on it.
        """
        odds = max((odds for asked, odds in self._odds.items() if asked.text == note.text), default=-math.inf)
        texts = [chunks[chunk_id].text for chunk_id in note.chunk_ids]
        shared = [self._shared(each) for text in texts for each in self.sentences_on(note.text, text)]
        return odds, max(shared, default=0)

    def bearing_by_words(self, chunks: Mapping[int, Chunk]) -> list[Note]:
        """Choose among the values that the model did not confirm by words: some models deny whatever they are asked.

        Args:
            chunks: All passages, by their ids.

        Returns:
            The sentences that state them and bear on the question; none for names.
        """
        found = [
            Note(sentence, (chunk_id,))
            for note in ([] if self._names else self.denied)
            for chunk_id in note.chunk_ids
            for sentence in sentences_stating(chunks[chunk_id].text, note.text)
            if self.bears(sentence)
        ]
        self.by_words = bool(found)
        return found

    def bears(self, sentence: str) -> bool:
        """Whether a sentence holds enough of the question's words."""
        return self._shared(sentence) >= _BEARING * len(self._asked) > 0

    def _shared(self, sentence: str) -> int:
        """How many of the question's terms a sentence holds."""
        return len(self._asked & content_terms(sentence))

    def sentences_on(self, item: str, text: str) -> list[str]:
        """Choose the sentences of a text that may tell whether an item belongs to the answer.

        Args:
            item: The item.
            text: The text.

        Returns:
            Those that state its value, or that hold its name, but for the question's words.
        """
        if not self._names:
            return sentences_stating(text, item)
        terms = content_terms(item)
        return sentences_with(terms - self._asked or terms, text)

    def unasked(self, chunk: Chunk, terms: Set[str]) -> list[str]:
        """Choose the sentences of a passage that hold some terms and that the model was not asked about.

        Args:
            chunk: The passage.
            terms: The terms, all of them.

        Returns:
            The sentences without those on an item that was denied; none where one was denied that the title names.
        """
        asked = [self._shown(note.text, chunk.text) for note in self.denied if chunk.id in note.chunk_ids]
        if not all(asked):
            return []
        return [
            sentence
            for sentence in sentences_with(terms, chunk.text)
            if not any(sentence in shown for each in asked for shown in each)
        ]

    def _shown(self, item: str, text: str) -> list[str]:
        """The sentences on an item; one that says no more than its name, as a heading, with those that follow it."""
        on = self.sentences_on(item, text)
        if not self._names:
            return on
        sentences, named = sentences_in(text), content_terms(item)
        return [
            each
            if ends_sentence(each) or len(content_terms(each) - named) > 1
            else " ".join(sentences[place : place + _UNDER_HEADING])
            for place, each in enumerate(sentences)
            if each in on
        ]

    def _found_cut(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> Cut:
        """What tells the items from others; a model that only says yes or no is trusted if it denies all controls."""
        controls = self._controls(notes, chunks)
        told = [self._odds[note] for note in notes if math.isfinite(self._odds[note])]
        if told:
            return cut_between(told, [each for each in controls if math.isfinite(each)])
        return Cut(apart=math.inf if controls and max(controls) < 0 else 0.0)

    def _controls(self, notes: Sequence[Note], chunks: Mapping[int, Chunk]) -> list[float]:
        """The odds of sentences about something else, with the same names or values too where there are any."""
        odds = list[float]()
        for note in notes[:: -(-len(notes) // _CONTROLS) or 1]:
            source = chunks[note.chunk_ids[0]].source
            others = [
                (self._likeness(note.text, sentence), chunk, sentence)
                for chunk in chunks.values()
                if chunk.source == source
                for sentence in sentences_in(chunk.text)
                if ends_sentence(sentence) and not self.bears(sentence) and sentence not in self._deciding
            ]
            if others:
                _, chunk, sentence = max(others, key=lambda other: other[0])
                odds.append(self._odds_of(note.text, [(chunk, sentence)])[0])
        return odds

    def _likeness(self, item: str, sentence: str) -> tuple[bool, int]:
        """How like the sentence on an item one is that has nothing to do with the question: the liker, the better."""
        like = bool(self.sentences_on(item, sentence)) if self._names else states_value(sentence)
        return like, -self._shared(sentence)

    def _odds_of(self, item: str, said: Sequence[tuple[Chunk, str]]) -> tuple[float, str]:
        """The odds of an item by the sentence that tells most; infinite where the model does not say how sure it is.

        Each sentence is shown alone, since small models overlook what one of several says, and those that share words
        with the question come first.

        Args:
            item: The item.
            said: The sentences, with the passages that hold them.

        Returns:
            The mean over the wordings, in nats, and the sentence.
        """
        said = sorted(said, key=lambda pair: -self._shared(pair[1]))[:_MOST_SENTENCES]
        first, *others = confirming_tasks(self._question, item=item if self._names else "", value=not self._names)
        replies = [self._ask(first, [chunk], [sentence]) for chunk, sentence in said]
        told = [yes_odds(reply.top_logprobs or {}) for reply in replies]
        sure = [odds for odds in told if odds is not None]
        if len(sure) < len(told):
            certain = [_certain(reply) for reply in replies]
            return max(certain), said[certain.index(max(certain))][1]
        chunk, sentence = said[sure.index(max(sure))]
        stricter = [yes_odds(self._ask(task, [chunk], [sentence]).top_logprobs or {}) for task in others]
        return fmean([max(sure), *(odds for odds in stricter if odds is not None)]), sentence


def _certain(reply: KeptReply) -> float:
    """Odds by a reply's text alone."""
    return math.inf if says_yes(reply.text) else -math.inf


def sentences_with(terms: Set[str], text: str) -> list[str]:
    """Choose the sentences of a text that hold all of some terms."""
    return [sentence for sentence in sentences_in(text) if terms <= content_terms(sentence)]
