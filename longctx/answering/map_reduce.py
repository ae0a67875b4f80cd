"""Route `map`: documents of any length are read in parts that fit the native window, and an answer is made of notes.

1. Each part is condensed by the model to notes: lines that name their passages.
2. While the notes do not fit one prompt, groups of them are condensed again.
3. The last prompt has the question and all notes, with numbers that name the original passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from indexes import Chunk
from longctx.answering.backend import Backend
from longctx.answering.context import Prompt
from longctx.answering.extractive import citation
from longctx.answering.map_parts import Division, Room
from longctx.answering.note_file import KeptReply
from longctx.answering.note_taking import NoteTaker
from longctx.answering.notes import Note, by_value, goes_round, lines_of, notes_in, numbered, united
from longctx.engine import PrefillProgress
from longctx.errors import ContextTooLong
from longctx.planning import Policy, asks_for_order
from longctx.prompts import Framing, ReadingTask, assemble, condense_task, final_task, merge_task
from longctx.types import BudgetItem, Citation, Plan, QuestionRequest

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
        self._backend, self._options, self._policy, self._taker = backend, request.options, policy, taker
        self._question, self._kind = request.query, plan.kind
        self._chunks = {chunk.id: chunk for chunk in chunks}
        self._in_order = asks_for_order(self._question)
        self._condense = taker.frame(condense_task(self._question, self._kind))
        self._cut = self._unplaced = self._merges = 0
        self._omitted = ""
        self.done = 0
        self._divide(plan)

    def final(self) -> FinalPrompt | None:
        """Read all parts, and merge the notes until they fit one prompt.

        Returns:
            The last prompt; None if there is nothing on the question in any part.

        Raises:
            LongctxError: As `Backend.generate` does.
        """
        notes = united(self._read())
        if not notes:
            return None
        count, room = len(notes), self._room_for_notes(len(notes))
        # a list is merged by code alone, so that the number of its items is right
        notes = (self._first_that_fit if self._kind == "count" else self._merged)(notes, room)
        ranked = by_value(notes, in_order=self._in_order) if self._kind == "compare" else None
        task = self._last_task(count, ranked is not None)
        frame = self._taker.frame(task, self._options.system, self._options.thinking)
        lines = lines_of(ranked or notes, itemised=self._kind == "count")
        documents = self._backend.writer.texts(lines)
        tokens, new = len(frame) + sum(map(len, documents)), self._options.max_new_tokens
        thoughts = self._taker.thoughts(self._options.thinking)
        plan = Plan("map", "", self.plan.window, prompt_tokens=tokens, max_new_tokens=new, thinking_tokens=thoughts)
        said = "\n".join([*lines, task.instructions])
        return FinalPrompt(Prompt(frame, list(documents), self._passages(ranked or notes)), plan, said)

    def remarks(self) -> list[str]:
        """What a user should know of the reading, for the plan's reason."""
        taker = self._taker
        said = {
            f"{taker.reused} of the prompts had been answered before": taker.reused,
            f"the notes were merged in {self._merges} prompts": self._merges,
            f"{self._unplaced} lines of notes that no passage holds were left out": self._unplaced,
            f"the notes on {self._cut} parts were cut at {taker.new_tokens:,} tokens": self._cut,
            f"the model read less than half of {taker.truncated} prompts: give its window (--window)": taker.truncated,
        }
        return [remark for remark, count in said.items() if count] + ([self._omitted] if self._omitted else [])

    def _divide(self, plan: Plan) -> None:
        """Divide the documents into parts. Raises ContextTooLong."""
        taker, frame = self._taker, self._condense
        left = taker.room(frame, taker.new_tokens)
        if self._room_for_notes(1) < _LEAST_NOTES or left < _LEAST_NOTES:
            raise ContextTooLong(
                f"route map has rules of {len(frame):,} tokens, beside notes of {taker.new_tokens:,} or an answer of "
                f"{self._options.max_new_tokens:,} (--max-new-tokens), and the native window leaves no room for text: "
                "use a model with a longer window"
            )
        room = Room(min(self._policy.part_tokens, left), left)
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
        reason = f"{plan.reason}: {count:,} of up to {room.wanted:,} tokens, {tokens:,} tokens with their prompts"
        passages = len(self._chunks)
        self.plan = replace(
            plan, reason=reason, budget=budget, parts=count, prompt_tokens=tokens, passages_used=passages
        )

    def _read(self) -> Iterator[Note]:
        """The notes on all parts, in the order of the documents."""
        before, total, count = 0, sum(part.tokens for part in self.parts), len(self.parts)
        for number, part in enumerate(self.parts, start=1):
            doing = f"reading part {number} of {count}"
            yield from self._notes_on(part.chunks, PrefillProgress(before, total, 0.0, doing, number, count))
            self.done, before = number, before + part.tokens

    def _notes_on(self, chunks: Sequence[Chunk], at: PrefillProgress) -> Iterator[Note]:
        """The notes on some passages; where they were cut for their length, those on each half of the passages."""
        passages = [citation(chunk, number=number) for number, chunk in enumerate(chunks, start=1)]
        texts = self._backend.writer.texts([chunk.text_with_header for chunk in chunks])
        documents = assemble(self._backend.writer, passages, texts)
        reply = self._taker.reply(self._condense, documents, passages, at)
        if reply.finish == "length" and len(chunks) > 1 and not goes_round(reply.text):
            middle = len(chunks) // 2
            yield from self._notes_on(chunks[:middle], at)
            yield from self._notes_on(chunks[middle:], at)
        else:
            yield from self._taken(reply, [chunk.id for chunk in chunks], passages)

    def _taken(self, reply: KeptReply, chunk_ids: Sequence[int], shown: Sequence[Citation]) -> tuple[Note, ...]:
        text = reply.text
        if reply.finish == "length":
            self._cut += 1
            text = text[: text.rfind("\n")] if "\n" in text.strip() else text  # the last line is not whole
        taken = notes_in(text, chunk_ids, shown)
        self._unplaced += taken.unplaced
        return taken.notes

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
        groups = self._groups(notes, min(self._policy.part_tokens, taker.room(frame, taker.new_tokens)))
        for number, group in enumerate(groups, start=1):
            numbers, lines = numbered(group), lines_of(group)
            at = PrefillProgress(before, tokens, 0.0, f"merging notes, {number} of {len(groups)}", number, len(groups))
            documents = self._backend.writer.texts(lines)
            passages = self._passages(group)
            reply = taker.reply(frame, documents, passages, at)
            texts = ["\n".join(note.text for note in group if chunk_id in note.chunk_ids) for chunk_id in numbers]
            shown = [replace(passage, text=text) for passage, text in zip(passages, texts, strict=True)]
            yield from self._taken(reply, list(numbers), shown)
            before += sum(map(len, documents))
            self._merges += 1

    def _groups(self, notes: Sequence[Note], room: int) -> list[list[Note]]:
        """Notes in groups that fit a prompt, in their order; what is longer than a prompt by itself is left out."""
        groups: list[list[Note]] = [[]]
        used = 0
        for note, size in zip(notes, self._sizes(notes), strict=True):
            if size > room:
                self._omitted = "notes that are longer than a prompt were left out"
                continue
            if used + size > room:
                groups.append([])
                used = 0
            groups[-1].append(note)
            used += size
        return [group for group in groups if group]

    def _first_that_fit(self, notes: list[Note], room: int) -> list[Note]:
        fitting, used = list[Note](), 0
        for note, size in zip(notes, self._sizes(notes), strict=True):
            if used + size > room:
                self._omitted = f"of {len(notes):,} notes the first {len(fitting):,} fit the last prompt"
                break
            fitting.append(note)
            used += size
        return fitting

    def _sizes(self, notes: Sequence[Note]) -> list[int]:
        return list(map(len, self._backend.writer.texts(lines_of(notes, itemised=True))))

    def _tokens(self, notes: Sequence[Note]) -> int:
        return sum(self._sizes(notes))

    def _room_for_notes(self, count: int) -> int:
        task, thinking = self._last_task(count, by_value=True), self._options.thinking
        frame: Framing = self._taker.frame(task, self._options.system, thinking)
        thoughts = self._taker.thoughts(thinking) - self._taker.thoughts()  # beside those that `room` leaves out
        room = self._taker.room(frame, self._options.max_new_tokens) - thoughts
        return min(room, self._policy.part_tokens) if self._kind == "summarise" else room

    def _last_task(self, count: int, by_value: bool) -> ReadingTask:
        counted = count if self._kind == "count" else None
        sorted_by: Literal["rising", "falling"] | None = None
        if by_value:
            sorted_by = "rising" if self._in_order else "falling"
        return final_task(self._question, self._kind, count=counted, sorted_by=sorted_by)

    def _passages(self, notes: Sequence[Note]) -> list[Citation]:
        return [citation(self._chunks[i], number=number) for i, number in numbered(notes).items()]
