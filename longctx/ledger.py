"""Writing a plan down: what each part of the prompt takes, and what is left out of it. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from longctx.budget import Counts, Part, Windows
from longctx.types import Plan, Share, ShareKind

_NOT_SHOWN = "no probe's report shows that the model reads so far"


def write_down(counts: Counts, windows: Windows, parts: Sequence[Part], turns: Sequence[int], planned: Plan) -> Plan:
    """A plan with what each part of the prompt takes and what is left out of it."""
    assert planned.window is not None
    shares = [
        Share("system", "", counts.system),
        *_documents(counts, parts),
        *(Share("turn", str(number), counts.turns[number - 1]) for number in turns),
        Share("question", "", counts.question),
    ]
    prompt = sum(share.tokens for share in shares)
    free = windows.holds(planned.window) - prompt - counts.max_new_tokens
    shown = windows.shown or planned.window <= windows.native
    return replace(
        planned,
        reason=planned.reason if shown else f"{planned.reason}; {_NOT_SHOWN}",
        shown=shown,
        scale=max(1.0, planned.window / windows.native),
        shares=(*shares, Share("answer", "", counts.max_new_tokens), Share("free", "", free)),
        left_out=tuple(_left_out(counts, {part.place for part in parts}, set(turns))),
        places=tuple(part.place for part in parts),
        turns=tuple(turns),
        passages_found=len(counts.found),
        passages_used=len(parts),
        prompt_tokens=prompt,
        max_new_tokens=counts.max_new_tokens,
    )


def _documents(counts: Counts, parts: Sequence[Part]) -> Iterator[Share]:
    """What the passages of each document take, with their numbers and the fence around them."""
    tokens: Counter[str] = Counter()
    for number, part in enumerate(parts):
        tokens[part.document] += part.tokens + counts.numbers[number]
    passages = Counter(part.document for part in parts)
    for document, count in passages.items():
        yield Share("document", document, tokens[document] + counts.fences[document], count)


def _left_out(counts: Counts, chosen: set[int], turns: set[int]) -> Iterator[Share]:
    """What is not in the prompt: passages that were found, the other passages of each document, and old turns."""
    found = {one.part.place: one.part for one in counts.found}
    others = {part.place: part for part in counts.whole if part.place not in found}
    yield from _by_document("found", [part for place, part in found.items() if place not in chosen])
    yield from _by_document("document", [part for place, part in others.items() if place not in chosen])
    if counts.uncounted:
        yield Share("documents", f"{counts.uncounted:,} documents that were not counted", 0)
    for number, tokens in enumerate(counts.turns, start=1):
        if number not in turns:
            yield Share("turn", str(number), tokens)


def _by_document(kind: ShareKind, parts: Sequence[Part]) -> Iterator[Share]:
    tokens: Counter[str] = Counter()
    for part in parts:
        tokens[part.document] += part.tokens
    passages = Counter(part.document for part in parts)
    yield from (Share(kind, document, tokens[document], passages[document]) for document in sorted(passages))
