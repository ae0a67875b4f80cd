"""Candidates for a prompt: what could go into it, counted in the model's tokens; and the prompt of a plan.

Everything that an answer can need is read from one snapshot of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import takewhile

from indexes import Chunk, SearchFilter, SearchHit
from longctx.answering.evidence import standing_out
from longctx.answering.quotable import citation
from longctx.answering.source import Passages
from longctx.planning import FoundPassage, PassageCost, Policy, PromptCosts, Windows, plan, priced
from longctx.prompts import Framing, PromptInputs, PromptWriter, assemble, check_turns
from longctx.types import Citation, Message, Plan, QuestionRequest

_CHARACTERS_A_TOKEN = 16  # more than any text has on average: documents beyond it need no counting
_CHUNKS_AT_ONCE = 256
_NEIGHBOURS = 32  # on either side of a passage, at most
# And for one fact. In 110 documents of 30,000 tokens the answer is in the prompt of .980 of the questions without
# neighbours, and of .984 with one or with four.
_NEIGHBOURS_OF_A_FACT = 1


@dataclass(frozen=True, slots=True)
class CandidateContext:
    """What could go into a prompt.

    Attributes:
        costs: Token counts, for the planner.
        inputs: The question as it goes into the prompt, with the whole history.
        chunks: The passages by chunk id.
        parts: The same passages as the backend's writer writes them, by chunk id.
        question_idf: The inverse document frequencies of the question's content terms, in the index.
    """

    costs: PromptCosts
    inputs: PromptInputs
    chunks: dict[int, Chunk]
    parts: dict[int, Sized]
    question_idf: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt of a plan.

    Attributes:
        frame: What stands before and after the passages.
        documents: The passages with their numbers and fences, as the backend's writer writes them.
        passages: Where the passages come from, in the order of their numbers.
    """

    frame: Framing
    documents: list[Sized]
    passages: list[Citation]


def gather(
    snapshot: Passages,
    hits: Sequence[SearchHit],
    request: QuestionRequest,
    writer: PromptWriter,
    largest: int,
    thinking_tokens: int = 0,
) -> CandidateContext:
    """Collect and count everything that a prompt could hold.

    That is the passages found with their neighbours, all passages of all documents if they could fit, and the turns of
    the conversation.

    Args:
        snapshot: The index at one generation.
        hits: What was found there, best first.
        request: The question with its options, its kind among them, and its history.
        writer: Writes the parts of a prompt and so counts their tokens.
        largest: The largest window in tokens: what cannot fit it is not counted.
        thinking_tokens: Room for thoughts, beside that for the answer.

    Returns:
        The candidates with their costs.

    Raises:
        BadRequest: For turns that the prompt template cannot write.
    """
    inputs = PromptInputs(
        request.question,
        request.options.system,
        request.history or (),
        conversing=request.history is not None,
        kind=request.options.kind or "locate",
        thinking=request.options.thinking,
    )
    check_turns((*inputs.history, Message("user", inputs.question)))
    # 1. all documents, as far as a window could hold them
    whole, parts, uncounted = _whole(snapshot, request.options.filters, writer, largest)
    # 2. the passages found, and the neighbours of those that stand out. A hit may be a part of its chunk, where another
    # hit shows the rest: where the chunk is known, it is taken whole.
    idf = snapshot.content_idf(request.query)
    stand_out = [True] * len(hits)
    most = _NEIGHBOURS
    if inputs.kind == "locate":
        most = max(_NEIGHBOURS_OF_A_FACT, request.options.expand)
        if snapshot.own_scores:
            stand_out = standing_out(idf, hits, request.options.score_cutoff)
    runs = [
        _with_neighbours(snapshot, hit.chunk, largest, len(hits), most if stands_out else 0)
        for hit, stands_out in zip(hits, stand_out, strict=True)
    ]
    chunks = {chunk.id: chunk for before, chunk, after in runs for chunk in (*before, chunk, *after)} | whole
    before = request.last or ()
    last = snapshot.chunks_by_id(before, request.options.filters) if before else {}
    chunks |= {chunk_id: chunk for chunk_id, chunk in last.items() if chunk_id not in chunks}
    missing = [chunk for chunk in chunks.values() if chunk.id not in parts]
    parts |= zip(
        (chunk.id for chunk in missing), writer.texts([chunk.text_with_header for chunk in missing]), strict=True
    )

    # 3. what each of these costs, and what stands around them
    def cost(chunk: Chunk) -> PassageCost:
        return PassageCost(chunk.id, chunk.source, len(parts[chunk.id]))

    titles = {chunk.source: chunk.title for chunk in chunks.values()}
    fences = zip(titles, writer.fences(list(titles.values())), strict=True)
    frame = writer.frame(replace(inputs, history=()))
    giving_up = writer.frame(replace(inputs, history=(), may_give_up=True))
    costs = PromptCosts(
        system=len(frame.head),
        question=len(frame.tail),
        max_new_tokens=request.options.max_new_tokens + thinking_tokens,
        found=tuple(
            FoundPassage(cost(c), tuple(map(cost, before)), tuple(map(cost, after)), stands_out)
            for (before, c, after), stands_out in zip(runs, stand_out, strict=True)
        ),
        whole=tuple(map(cost, whole.values())),
        uncounted=uncounted,
        turns=_turns(writer, inputs, request.recalled, largest),
        recalled=request.recalled,
        fences={source: len(before) + len(after) for source, (before, after) in fences},
        numbers=tuple(map(len, writer.numbers(len(chunks)))),
        give_up=len(giving_up) - len(frame),
        kind=inputs.kind,
        passages_only=snapshot.passages_only,
        last=tuple(cost(chunks[i]) for i in takewhile(last.__contains__, before)),
        conversing=inputs.conversing,
    )
    return CandidateContext(costs, inputs, chunks, parts, idf)


def plan_prompt(candidates: CandidateContext, writer: PromptWriter, windows: Windows, policy: Policy) -> Plan:
    """Plan an answer, counted on the prompt that the plan makes.

    A turn is counted as it stands alone before the question; between others it may take a token more or less. Where a
    plan would take more than it says, it is made again with a turn counted so much longer.

    Args:
        candidates: What could go into the prompt.
        writer: The writer that counted them.
        windows: The model's windows.
        policy: Which route is wanted, and how a window is shared.

    Returns:
        The plan, with exact token counts.

    Raises:
        BadRequest: For a route that does not exist.
        ContextTooLong: If no route fits the windows.
    """
    costs = candidates.costs
    while True:
        made = plan(costs, windows, policy)
        both = [(each, _longer(candidates, writer, each)) for each in (made, made.fallback) if each is not None]
        over = {each.turns[0]: longer for each, longer in both if longer > 0}
        if not over:
            first, *others = [priced(_as_written(each, longer), policy.budget) for each, longer in both]
            return replace(first, fallback=others[0] if others else None)
        turns = tuple(tokens + over.get(number, 0) for number, tokens in enumerate(costs.turns, start=1))
        costs = replace(costs, turns=turns)


def with_cached(
    candidates: CandidateContext, writer: PromptWriter, backend_has: Callable[[Prompt, int], int | None]
) -> CandidateContext:
    """Count what need not be read again: of all documents, and of the last prompt's passages.

    Args:
        candidates: What could go into the prompt.
        writer: The writer that counted them.
        backend_has: How many first tokens of a prompt the model has at hand, given how many may follow it; None where
            that is not known.

    Returns:
        The candidates. Of the last passages, those that would have to be read again are left out.
    """
    costs = candidates.costs
    more = costs.max_new_tokens + sum(costs.turns)
    if not costs.uncounted and costs.whole:
        everything = _without_turns(candidates, writer, [part.chunk_id for part in costs.whole])
        costs = replace(costs, cached=backend_has(everything, more) or 0)
    if costs.last:
        prompt = _without_turns(candidates, writer, [part.chunk_id for part in costs.last])
        cached = backend_has(prompt, more)
        if cached is not None:
            costs = replace(costs, last=_read_before(candidates, prompt, cached), last_cached=cached)
    return replace(candidates, costs=costs)


def _without_turns(candidates: CandidateContext, writer: PromptWriter, chunk_ids: Sequence[int]) -> Prompt:
    return _prompt(candidates, writer, writer.frame(replace(candidates.inputs, history=())), chunk_ids)


def _read_before(candidates: CandidateContext, prompt: Prompt, cached: int) -> tuple[PassageCost, ...]:
    """The last passages that lie within the first `cached` tokens of the prompt with them."""
    last, at = candidates.costs.last, len(prompt.frame.head)
    read = 0
    for part in prompt.documents:
        at += len(part)
        if read < len(last) and at <= cached and part is candidates.parts[last[read].chunk_id]:
            read += 1
    return last[:read]


def render(candidates: CandidateContext, writer: PromptWriter, plan: Plan) -> Prompt:
    """Write the prompt of a plan.

    Args:
        candidates: What the plan was made from.
        writer: The writer that counted them.
        plan: Which passages and turns to write.

    Returns:
        The prompt, of exactly `plan.prompt_tokens` tokens.
    """
    return _prompt(candidates, writer, _frame(candidates, writer, plan), plan.chunk_ids)


def _prompt(candidates: CandidateContext, writer: PromptWriter, frame: Framing, chunk_ids: Sequence[int]) -> Prompt:
    passages = [citation(candidates.chunks[i], number=number) for number, i in enumerate(chunk_ids, start=1)]
    return Prompt(frame, assemble(writer, passages, [candidates.parts[i] for i in chunk_ids]), passages)


def _whole(
    snapshot: Passages, filters: SearchFilter | None, writer: PromptWriter, largest: int
) -> tuple[dict[int, Chunk], dict[int, Sized], int]:
    """The passages of all documents, until they are more than `largest` tokens; and how many documents are left."""
    allowed = list({document.copy_of or document.source: document for document in snapshot.documents(filters)}.values())
    if sum(document.characters for document in allowed) > _CHARACTERS_A_TOKEN * largest:
        return {}, {}, len(allowed)
    chunks: dict[int, Chunk] = {}
    parts: dict[int, Sized] = {}
    counted = 0
    for batch in _batches(snapshot.chunks(filters)):
        if counted > largest:
            done = {chunk.source for chunk in chunks.values()}
            left = {chunk.source for chunk in batch} | {document.source for document in allowed} - done
            return chunks, parts, len(left)
        texts = writer.texts([chunk.text_with_header for chunk in batch])
        chunks |= {chunk.id: chunk for chunk in batch}
        parts |= {chunk.id: text for chunk, text in zip(batch, texts, strict=True)}
        counted += sum(map(len, texts))
    return chunks, parts, 0


def _batches(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    for start in range(0, len(chunks), _CHUNKS_AT_ONCE):
        yield chunks[start : start + _CHUNKS_AT_ONCE]


def _with_neighbours(
    snapshot: Passages, chunk: Chunk, largest: int, hits: int, most: int
) -> tuple[Sequence[Chunk], Chunk, Sequence[Chunk]]:
    """A passage, and those before and after it, nearest first: at most so many as could have room beside other hits."""
    reach = min(_NEIGHBOURS, most, 1 + largest // (2 * hits * max(1, chunk.tokens)))
    before, after = snapshot.neighbours(chunk, reach) if reach else ([], [])
    return before[::-1], chunk, after


def _turns(writer: PromptWriter, inputs: PromptInputs, recalled: Sequence[int], largest: int) -> tuple[int, ...]:
    """Tokens of each turn of the conversation, oldest first; of those that can have no room, the text alone's."""
    lengths = list(map(len, writer.texts([message.content for message in inputs.history])))
    tokens = [said + answered for said, answered in zip(lengths[::2], lengths[1::2], strict=True)]
    recent, alone = 0, len(writer.frame(replace(inputs, history=())))
    for number in range(len(tokens), 0, -1):
        if recent <= largest or number in recalled:
            turn = inputs.history[2 * number - 2 : 2 * number]
            tokens[number - 1] = len(writer.frame(replace(inputs, history=turn))) - alone
            recent += tokens[number - 1]
    return tuple(tokens)


def _frame(candidates: CandidateContext, writer: PromptWriter, plan: Plan) -> Framing:
    """What stands around the passages in the prompt of a plan."""
    history = candidates.inputs.history
    kept = tuple(message for number in plan.turns for message in history[2 * number - 2 : 2 * number])
    return writer.frame(replace(candidates.inputs, history=kept, may_give_up=plan.fallback is not None))


def _longer(candidates: CandidateContext, writer: PromptWriter, plan: Plan) -> int:
    """How many tokens the prompt of a plan has more than the plan says."""
    if not plan.turns:
        return 0
    said = sum(item.tokens for item in plan.budget if item.kind in ("system", "turn", "question"))
    return len(_frame(candidates, writer, plan)) - said


def _as_written(plan: Plan, longer: int) -> Plan:
    """A plan with the tokens that its turns really take."""
    if not longer:
        return plan
    first = str(plan.turns[0])
    less = {("turn", first): longer, ("free", ""): -longer}
    budget = [replace(item, tokens=item.tokens + less.get((item.kind, item.name), 0)) for item in plan.budget]
    return replace(plan, budget=tuple(budget), prompt_tokens=plan.prompt_tokens + longer)
