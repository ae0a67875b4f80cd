"""Route `map`: documents of any length are read in parts that fit the native window, and an answer is made of notes.

1. Each part is condensed by the model to notes: lines that name their passages.
2. While the notes do not fit one prompt, groups of them are condensed again.
3. The last prompt has the question and all notes, with numbers that name the original passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from indexes import Chunk
from longctx.answering.backend import Backend
from longctx.answering.context import Prompt
from longctx.answering.map_reduce.note_taking import NoteTaker
from longctx.answering.map_reduce.notes import Note, lines_of, numbered, united
from longctx.answering.map_reduce.part_reading import PartReader
from longctx.answering.map_reduce.parts import Division, Room
from longctx.answering.map_reduce.valued_notes import best_supported, by_value, extremes, one_in_each_place, state_dates
from longctx.answering.quotable import citation
from longctx.engine import PrefillProgress
from longctx.errors import ContextTooLong
from longctx.planning import Policy, asks_for_extreme, asks_for_order, extremes_asked_for, stated_count
from longctx.prompts import Framing, ReadingTask, final_task, listing, merge_task
from longctx.reasons import Reason
from longctx.types import BudgetItem, Citation, Plan, QuestionRequest

_PART_TOKENS = 4096  # of passages in a part, and of notes that are merged or make a summary
_LIST_PART_TOKENS = 320  # a passage, or a few short ones: small models overlook items in longer parts
_LEAST_NOTES = 32  # tokens of notes that the last prompt must have room for
_PROGRESS = 0.9  # merging that leaves more of the tokens than this is given up


@dataclass(frozen=True, slots=True)
class FinalPrompt:
    """The prompt with all notes.

    Attributes:
        prompt: The prompt; its passages are those that the notes come from.
        plan: How long it is.
        said: The notes, and what the model is told about them.
    """

    prompt: Prompt
    plan: Plan
    said: str


@dataclass(frozen=True, slots=True)
class ListedAnswer:
    """An answer that is a list.

    Attributes:
        text: The list, with marks.
        passages: The passages that they name.
    """

    text: str
    passages: list[Citation]


class MapReduce:
    """Reads documents for one question.

    Args:
        backend: The model.
        request: The question with its options.
        policy: How long parts are.
        plan: The plan that chose route `map`.
        chunks: All passages of the documents.
        taker: Gets the model's replies.

    Attributes:
        parts: What is read in one prompt each.
        plan: The plan with the parts.
        done: How many parts have been read.
    """

    def __init__(
        self,
        backend: Backend,
        request: QuestionRequest,
        policy: Policy,
        plan: Plan,
        chunks: Sequence[Chunk],
        taker: NoteTaker,
    ) -> None:
        self._backend, self._options, self._taker = backend, request.options, taker
        self._question, self._kind = request.query, plan.kind
        self._chunks = {chunk.id: chunk for chunk in chunks}
        self._in_order = asks_for_order(self._question)
        self._reader = PartReader(backend, taker, self._question, self._kind)
        self._merges = 0
        self._omitted: list[Reason] = []
        self._surplus: list[Note] = []
        self.done = 0
        self._notes_tokens = policy.part_tokens or _PART_TOKENS
        self._part_tokens = policy.part_tokens or (_LIST_PART_TOKENS if self._reader.confirmer else _PART_TOKENS)
        self._divide(plan)

    def notes(self) -> list[Note]:
        """Read all parts.

        Returns:
            What they hold on the question, each once.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        notes, chunks = [*self._read()], self._chunks
        names_of = self._question if self._kind == "count" else ""
        if self._reader.confirmer:
            notes = self._reader.items(notes, chunks)
            places = {chunk_id: place for place, chunk_id in enumerate(chunks)}
            notes.sort(key=lambda note: places[note.chunk_ids[0]])
        return united(notes, names_of)

    def listed(self, notes: list[Note]) -> ListedAnswer | None:
        """The answer that a list is, or its first items, made without the model.

        Args:
            notes: The notes.

        Returns:
            All items, counted, or in their order, as many as the question states at most, or those with the largest or
            smallest value, or the latest or earliest date; None for another question, and where the notes do not tell
            it by numbers.
        """
        if self._kind == "count":
            return self._list_of(notes)
        extreme, ranked = asks_for_extreme(self._question), self._ranked(notes)
        if ranked is None:
            return None
        if self._in_order:
            return self._ordered(ranked)
        if not (extreme in ("largest", "smallest") or (extreme in ("latest", "earliest") and state_dates(ranked))):
            return None
        count = extremes_asked_for(self._question)
        return self._list_of(extremes(ranked, count, smallest=extreme in ("smallest", "earliest")), counted=False)

    def _ordered(self, ranked: Sequence[Note]) -> ListedAnswer:
        """The items in their order, as many as the question states; what is more, or missing, is said."""
        stated, kept, confirmer = stated_count(self._question), ranked, self._reader.confirmer
        if stated and stated.is_limit:
            kept = ranked[: stated.count]
        elif stated and confirmer:
            kept = best_supported(ranked, stated.count, lambda note: confirmer.support(note, self._chunks))
            self._surplus = [note for note in ranked if note not in kept]
        count = stated.count if stated else None
        return self._list_of(kept, counted=False, stated=count, surplus=len(self._surplus))

    def _list_of(
        self, notes: Sequence[Note], *, counted: bool = True, stated: int | None = None, surplus: int = 0
    ) -> ListedAnswer:
        items = lines_of([replace(note, text=note.text.rstrip(" .。")) for note in notes])
        text = listing(self._question, items, counted=counted, in_order=self._in_order, stated=stated, surplus=surplus)
        return ListedAnswer(text, self._passages(notes))

    def final(self, notes: list[Note]) -> FinalPrompt:
        """Merge notes until they fit one prompt.

        Args:
            notes: The notes.

        Returns:
            The last prompt.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        notes = self._merged(notes, self._room_for_notes())
        ranked = self._ranked(notes)
        task = self._last_task(ranked is not None)
        frame = self._taker.frame(task, self._options.system, self._options.thinking)
        lines = lines_of(ranked or notes)
        documents = self._backend.writer.texts(lines)
        tokens, new = len(frame) + sum(map(len, documents)), self._options.max_new_tokens
        thoughts = self._taker.thoughts(self._options.thinking)
        plan = Plan("map", (), self.plan.window, prompt_tokens=tokens, max_new_tokens=new, thinking_tokens=thoughts)
        said = "\n".join([*lines, task.instructions])
        return FinalPrompt(Prompt(frame, list(documents), self._passages(ranked or notes)), plan, said)

    def remarks(self) -> list[Reason]:
        """What a user should know of the reading, for the plan's reasons."""
        taker, reader = self._taker, self._reader
        counted = (
            Reason("answered_before", (taker.reused,)),
            Reason("merged", (self._merges,)),
            Reason("unplaced", (reader.unplaced,)),
            Reason("unconfirmed", (reader.unconfirmed,)),
            Reason("notes_cut", (reader.cut, taker.new_tokens)),
            Reason("prompts_cut", (taker.truncated,)),
        )
        remarks = [remark for remark in counted if remark.values[0]]
        if reader.confirmer is not None and reader.confirmer.by_words:
            remarks.append(Reason("judged_by_words"))
        if self._surplus:
            remarks.append(Reason("surplus", (", ".join(note.text for note in self._surplus),)))
        return remarks + self._omitted

    def _divide(self, plan: Plan) -> None:
        """Divide the documents into parts. Raises ContextTooLong."""
        taker, frame = self._taker, self._reader.frame
        left = taker.room(frame, taker.new_tokens)
        if left < _LEAST_NOTES or (self._kind != "count" and self._room_for_notes() < _LEAST_NOTES):
            raise ContextTooLong(
                f"route map has rules of {len(frame):,} tokens, beside notes of {taker.new_tokens:,} or an answer of "
                f"{self._options.max_new_tokens:,} (--max-new-tokens), and the native window leaves no room for text: "
                "use a model with a longer window"
            )
        room = Room(min(self._part_tokens, left), left)
        division = Division(self._backend.writer, room)
        self.parts = division.parts(list(self._chunks.values()))
        count = len(self.parts)
        numbers = sum(part.tokens - part.bare for part in self.parts)
        budget = (
            BudgetItem("system", "", count * len(frame.head) + numbers),
            *(BudgetItem("document", *item) for item in division.documents),
            BudgetItem("question", "", count * len(frame.tail)),
        )
        tokens = sum(item.tokens for item in budget)
        *before, in_parts = plan.reasons
        reasons = (*before, Reason("divided", (in_parts, count, room.wanted, tokens)))
        passages = len(self._chunks)
        self.plan = replace(
            plan, reasons=reasons, budget=budget, parts=count, prompt_tokens=tokens, passages_used=passages
        )

    def _read(self) -> Iterator[Note]:
        """The notes on all parts, in the order of the documents."""
        before, total, count = 0, sum(part.tokens for part in self.parts), len(self.parts)
        for number, part in enumerate(self.parts, start=1):
            doing = f"reading part {number} of {count}"
            yield from self._reader.notes_on(part.chunks, PrefillProgress(before, total, 0.0, doing, number, count))
            self.done, before = number, before + part.tokens

    def _merged(self, notes: list[Note], room: int) -> list[Note]:
        """Fewer notes, until they fit."""
        while (tokens := self._tokens(notes)) > room:
            fewer = united(self._merge(notes, tokens))
            if not fewer or self._tokens(fewer) > _PROGRESS * tokens:
                return self._first_that_fit(notes, room)
            notes = fewer
        return notes

    def _merge(self, notes: Sequence[Note], tokens: int) -> Iterator[Note]:
        """One round: notes on groups of notes."""
        taker, before = self._taker, 0
        frame = taker.frame(merge_task(self._question, self._kind))
        groups = self._groups(notes, min(self._notes_tokens, taker.room(frame, taker.new_tokens)))
        for number, group in enumerate(groups, start=1):
            numbers, lines = numbered(group), lines_of(group)
            at = PrefillProgress(before, tokens, 0.0, f"merging notes, {number} of {len(groups)}", number, len(groups))
            documents = self._backend.writer.texts(lines)
            passages = self._passages(group)
            reply = taker.reply(frame, documents, passages, at)
            texts = ["\n".join(note.text for note in group if chunk_id in note.chunk_ids) for chunk_id in numbers]
            shown = [replace(passage, text=text) for passage, text in zip(passages, texts, strict=True)]
            yield from self._reader.taken(reply, list(numbers), shown)
            before += sum(map(len, documents))
            self._merges += 1

    def _groups(self, notes: Sequence[Note], room: int) -> list[list[Note]]:
        """Notes in groups that fit a prompt, in their order; what is longer than a prompt by itself is left out."""
        groups: list[list[Note]] = [[]]
        used = 0
        for note, size in zip(notes, self._sizes(notes), strict=True):
            if size > room:
                self._omitted = [Reason("notes_too_long")]
                continue
            if used + size > room:
                groups.append([])
                used = 0
            groups[-1].append(note)
            used += size
        return [group for group in groups if group]

    def _first_that_fit(self, notes: Sequence[Note], room: int) -> list[Note]:
        fitting, used = list[Note](), 0
        for note, size in zip(notes, self._sizes(notes), strict=True):
            if used + size > room:
                self._omitted = [Reason("notes_beyond", (len(notes), len(fitting)))]
                break
            fitting.append(note)
            used += size
        return fitting

    def _ranked(self, notes: list[Note]) -> list[Note] | None:
        if self._kind != "compare":
            return None
        if self._in_order:
            notes = one_in_each_place(notes, {i: chunk.text for i, chunk in self._chunks.items()}, self._question)
        return by_value(notes, in_order=self._in_order)

    def _sizes(self, notes: Sequence[Note]) -> list[int]:
        return list(map(len, self._backend.writer.texts(lines_of(notes))))

    def _tokens(self, notes: Sequence[Note]) -> int:
        return sum(self._sizes(notes))

    def _room_for_notes(self) -> int:
        task, thinking = self._last_task(by_value=True), self._options.thinking
        frame: Framing = self._taker.frame(task, self._options.system, thinking)
        thoughts = self._taker.thoughts(thinking) - self._taker.thoughts()  # beside those that `room` leaves out
        room = self._taker.room(frame, self._options.max_new_tokens) - thoughts
        return min(room, self._notes_tokens) if self._kind == "summarise" else room

    def _last_task(self, by_value: bool) -> ReadingTask:
        return final_task(self._question, self._kind, by_value=by_value)

    def _passages(self, notes: Sequence[Note]) -> list[Citation]:
        return [citation(self._chunks[i], number=number) for i, number in numbered(notes).items()]
