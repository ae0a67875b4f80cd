"""What could go into a prompt, counted in the model's tokens. Knows the index and prompts; knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic

from indexes import Chunk, CorpusIndex, SearchFilter, SearchHit
from longctx.answering.extractive import citation
from longctx.planning import FoundPassage, PassageCost, Policy, PromptCosts, Windows, plan
from longctx.prompts import Framing, PartT, PromptInputs, PromptWriter, assemble, check_turns
from longctx.types import Citation, Message, Plan

_CHARACTERS_A_TOKEN = 16  # more than any text has on average: documents beyond it need no counting
_CHUNKS_AT_ONCE = 256
_NEIGHBOURS = 32  # on either side of a passage, at most


@dataclass(frozen=True, slots=True)
class CandidateContext(Generic[PartT]):
    """Counts for the planner, and the passages and the parts of a prompt behind them."""

    counts: PromptCosts
    asked: PromptInputs
    chunks: dict[int, Chunk]
    parts: dict[int, PartT]


@dataclass(frozen=True, slots=True)
class Prompt(Generic[PartT]):
    """A prompt of a plan: what stands around the passages, they with numbers and fences, and where they are from."""

    frame: Framing
    documents: list[PartT]
    passages: list[Citation]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look for an answer: the `hits` of a search among the documents that `filters` allow.

    `recalled` are the numbers of the turns of the conversation that bear on the question, best first.
    """

    index: CorpusIndex
    hits: Sequence[SearchHit]
    filters: SearchFilter | None = None
    recalled: tuple[int, ...] = ()


def gather(
    scope: Scope, writer: PromptWriter[PartT], asked: PromptInputs, max_new_tokens: int, largest: int
) -> CandidateContext[PartT]:
    """Count everything that a prompt in a window of `largest` tokens could hold. Raises BadRequest as templates do."""
    check_turns((*asked.history, Message("user", asked.question)))
    whole, parts, uncounted = _whole(scope, writer, largest)
    runs = [_surroundings(scope.index, hit.chunk, largest, len(scope.hits)) for hit in scope.hits]
    # a hit may be a part of its chunk, where another hit shows the rest: where the chunk is known, it is taken whole
    chunks = {chunk.id: chunk for before, chunk, after in runs for chunk in (*before, chunk, *after)} | whole
    missing = [chunk for chunk in chunks.values() if chunk.id not in parts]
    parts |= zip((chunk.id for chunk in missing), writer.texts([chunk.text for chunk in missing]), strict=True)

    def part(chunk: Chunk) -> PassageCost:
        return PassageCost(chunk.id, chunk.source, len(parts[chunk.id]))

    titles = {chunk.source: chunk.title for chunk in chunks.values()}
    fences = zip(titles, writer.fences(list(titles.values())), strict=True)
    frame = writer.frame(replace(asked, history=()))
    giving_up = writer.frame(replace(asked, history=(), may_give_up=True))
    counts = PromptCosts(
        system=len(frame.head),
        question=len(frame.tail),
        max_new_tokens=max_new_tokens,
        found=tuple(
            FoundPassage(part(c), tuple(map(part, before)), tuple(map(part, after))) for before, c, after in runs
        ),
        whole=tuple(map(part, whole.values())),
        uncounted=uncounted,
        turns=_turns(writer, asked, scope.recalled, largest),
        recalled=scope.recalled,
        fences={source: len(before) + len(after) for source, (before, after) in fences},
        numbers=tuple(map(len, writer.numbers(len(chunks)))),
        give_up=len(giving_up) - len(frame),
    )
    return CandidateContext(counts, asked, chunks, parts)


def plan_prompt(
    material: CandidateContext[PartT], writer: PromptWriter[PartT], windows: Windows, policy: Policy
) -> Plan:
    """The plan for a question, counted on the prompt that it makes. Raises as `planner.plan` does.

    A turn is counted as it stands alone before the question; between others it may take a token more or less. Where a
    plan would take more than it says, it is made again with a turn counted so much longer.
    """
    counts = material.counts
    while True:
        made = plan(counts, windows, policy)
        both = [(each, _longer(material, writer, each)) for each in (made, made.otherwise) if each is not None]
        over = {each.turns[0]: longer for each, longer in both if longer > 0}
        if not over:
            first, *others = [_as_written(each, longer) for each, longer in both]
            return replace(first, otherwise=others[0] if others else None)
        turns = tuple(tokens + over.get(number, 0) for number, tokens in enumerate(counts.turns, start=1))
        counts = replace(counts, turns=turns)


def render(material: CandidateContext[PartT], writer: PromptWriter[PartT], plan: Plan) -> Prompt[PartT]:
    """The prompt of a plan."""
    passages = [citation(material.chunks[place], number=number) for number, place in enumerate(plan.places, start=1)]
    documents = assemble(writer, passages, [material.parts[place] for place in plan.places])
    return Prompt(_frame(material, writer, plan), documents, passages)


def _whole(scope: Scope, writer: PromptWriter[PartT], largest: int) -> tuple[dict[int, Chunk], dict[int, PartT], int]:
    """The passages of all documents, until they are more than `largest` tokens; and how many documents are left."""
    allowed = scope.index.documents(scope.filters)
    if sum(document.characters for document in allowed) > _CHARACTERS_A_TOKEN * largest:
        return {}, {}, len(allowed)
    chunks: dict[int, Chunk] = {}
    parts: dict[int, PartT] = {}
    counted = 0
    for batch in _batches(scope.index.chunks(scope.filters)):
        if counted > largest:
            left = {chunk.source for chunk in batch} | {d.source for d in allowed} - _sources(chunks)
            return chunks, parts, len(left)
        texts = writer.texts([chunk.text for chunk in batch])
        chunks |= {chunk.id: chunk for chunk in batch}
        parts |= {chunk.id: text for chunk, text in zip(batch, texts, strict=True)}
        counted += sum(map(len, texts))
    return chunks, parts, 0


def _sources(chunks: dict[int, Chunk]) -> set[str]:
    return {chunk.source for chunk in chunks.values()}


def _batches(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    for start in range(0, len(chunks), _CHUNKS_AT_ONCE):
        yield chunks[start : start + _CHUNKS_AT_ONCE]


def _surroundings(
    index: CorpusIndex, chunk: Chunk, largest: int, hits: int
) -> tuple[Sequence[Chunk], Chunk, Sequence[Chunk]]:
    """A passage, and as many of those before and after it, nearest first, as could have room beside the other hits."""
    reach = min(_NEIGHBOURS, 1 + largest // (2 * hits * max(1, chunk.tokens)))
    before, after = index.neighbours(chunk, reach)
    return before[::-1], chunk, after


def _turns(writer: PromptWriter[PartT], asked: PromptInputs, recalled: Sequence[int], largest: int) -> tuple[int, ...]:
    """Tokens of each turn of the conversation, oldest first; of those that can have no room, the text alone's."""
    lengths = list(map(len, writer.texts([message.content for message in asked.history])))
    tokens = [said + answered for said, answered in zip(lengths[::2], lengths[1::2], strict=True)]
    recent, alone = 0, len(writer.frame(replace(asked, history=())))
    for number in range(len(tokens), 0, -1):
        if recent <= largest or number in recalled:
            turn = asked.history[2 * number - 2 : 2 * number]
            tokens[number - 1] = len(writer.frame(replace(asked, history=turn))) - alone
            recent += tokens[number - 1]
    return tuple(tokens)


def _frame(material: CandidateContext[PartT], writer: PromptWriter[PartT], plan: Plan) -> Framing:
    """What stands around the passages in the prompt of a plan."""
    history = material.asked.history
    kept = tuple(message for number in plan.turns for message in history[2 * number - 2 : 2 * number])
    return writer.frame(replace(material.asked, history=kept, may_give_up=plan.otherwise is not None))


def _longer(material: CandidateContext[PartT], writer: PromptWriter[PartT], plan: Plan) -> int:
    """How many tokens the prompt of a plan has more than the plan says."""
    if not plan.turns:
        return 0
    said = sum(share.tokens for share in plan.shares if share.kind in ("system", "turn", "question"))
    return len(_frame(material, writer, plan)) - said


def _as_written(plan: Plan, longer: int) -> Plan:
    """A plan with the tokens that its turns really take."""
    if not longer:
        return plan
    assert plan.prompt_tokens is not None
    first = str(plan.turns[0])
    less = {("turn", first): longer, ("free", ""): -longer}
    shares = [replace(share, tokens=share.tokens + less.get((share.kind, share.name), 0)) for share in plan.shares]
    return replace(plan, shares=tuple(shares), prompt_tokens=plan.prompt_tokens + longer)
