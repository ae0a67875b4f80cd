"""What the commands print: answers, plans, places, errors, JSON."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longctx.cli.answer_texts import AnswerTexts
from longctx.cli.terminal import cell, echo, echo_json, name, secho
from longctx.reasons import Reason

if TYPE_CHECKING:
    from indexes import Chunk
    from longctx.types import Answer, BudgetItem, Citation


# The bases of our errors, by name: their packages would import torch to print one line.
_OURS = ("indexes.errors.CorpusError", "longctx.errors.LongctxError", "rope_scaling.errors.RopeScalingError")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # where a command's output goes into a file, it has no name
SOME_FAILED = 3  # the exit code when some files or questions failed
INTERRUPTED = 130  # the exit code that shells have for a process that Ctrl-C ended


def print_json(value: Any) -> None:
    """Print a value with dataclasses and mappings in it as JSON, with Japanese unescaped."""

    def plain(each: Any) -> dict[str, Any]:
        return dict(each) if isinstance(each, Mapping) else asdict(each)

    echo_json(json.dumps(value, ensure_ascii=False, indent=2, default=plain))


def print_sources(answer: Answer, texts: AnswerTexts) -> None:
    """Print the sources of an answer; all passages in the prompt if the model cites none, as it may have used any."""
    shown = answer.citations or answer.passages
    if shown:
        secho(f"\n{texts.sources if answer.citations else texts.passages}", bold=True)
    for citation in shown:
        by = texts.marked_by.get(citation.marked_by, "") if answer.citations else ""
        echo(f"[{citation.number}] {place(citation, texts)}{by}")


def print_pieces(pieces: Iterable[str]) -> None:
    """Print an answer as it comes; what a model thinks is shown dimmed, on standard error."""
    from longctx.types import Thought

    def show(text: str, is_thought: bool) -> None:
        if is_thought and text:
            secho(text, nl=False, err=True, dim=True)
        elif text:
            echo(text, nl=False)

    held = {True: "", False: ""}  # a carriage return, which may be the first half of a line's end
    unfinished = False  # whether thoughts have not ended their line; the answer begins on one of its own
    for piece in pieces:
        is_thought = isinstance(piece, Thought)
        if is_thought and piece:
            unfinished = not piece.endswith("\n")
        elif piece and unfinished:
            show(held[True], True)
            secho("", err=True)
            held[True], unfinished = "", False
        text = held[is_thought] + piece
        whole = text.removesuffix("\r")
        show(whole, is_thought)
        held[is_thought] = text[len(whole) :]
    for is_thought, text in held.items():
        show(text, is_thought)


def note_answer(answer: Answer) -> None:
    """Say what is unusual about an answer, if anything is."""
    if answer.note:
        end = "" if answer.note.endswith("。") else "."
        secho(f"\n{answer.note[:1].upper()}{answer.note[1:]}{end}", err=True, dim=True)


def note_unsupported(answer: Answer, texts: AnswerTexts) -> None:
    """Say which sentences no passage supports, and what the model wrote where the answer is a refusal instead."""
    if answer.refused and answer.unsupported:
        secho(f"\n{texts.wrote.format(' '.join(answer.unsupported))}", err=True, dim=True)
    elif answer.unsupported:
        secho(f"\n{texts.unsupported}", err=True, dim=True)


def note_unmeasured(answer: Answer, texts: AnswerTexts) -> bool:
    """Warn if no report shows that the model reads a window as long as the one used; return whether that is so."""
    unmeasured = answer.plan is not None and not answer.plan.measured
    if answer.plan is not None and unmeasured:
        secho(f"\n{texts.unmeasured.format(window=answer.plan.window)}", err=True, dim=True)
    return unmeasured


def print_plan(answer: Answer, texts: AnswerTexts) -> None:
    """Print how a question was answered: a table of what the window was used for and what was left out."""
    from rich.console import Console
    from rich.table import Table

    plan = answer.plan
    reason = texts.extractive if plan is None else texts.reason(plan.reasons)
    searched = "" if answer.search_query is None else f"\n{texts.searched.format(answer.search_query)}"
    caption = cell(f"{reason}{searched}")
    if plan is None:
        Console().print(f"{texts.no_plan}: {caption}")
        return
    kind = texts.reason([Reason(plan.kind)])
    title = texts.route.format(route=plan.route, window=plan.window, kind=kind)
    table = Table("", "", *texts.columns, title=title, caption=caption)
    read = texts.in_parts.format(plan.parts) if plan.route == "map" else texts.in_prompt
    for heading, shares in ((read, plan.budget), (texts.left_out, plan.left_out)):
        if shares:
            table.add_section()
            table.add_row(heading, style="bold")
        for share in _with_turns_together(shares):
            shown = short_path(share.name) if share.kind in ("document", "found") else share.name
            table.add_row(texts.shares[share.kind], cell(name(shown)), str(share.passages or ""), f"{share.tokens:,}")
    Console().print(table)
    before = answer.usage.reused_tokens
    taken = texts.taken.format(
        tokens=plan.prompt_tokens,
        expected="" if plan.seconds is None else texts.expected.format(duration(plan.seconds)),
        seconds=duration(answer.usage.first_token_seconds),
        reused=texts.reused.format(before) if before else "",
    )
    echo(taken)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: '0.4 s' (0.1 s is the least), '23 s', '36 min' or '5 h'."""
    if seconds < 9.95:
        return f"{max(seconds, 0.1):.1f} s"
    for below, unit, size in ((120, "s", 1), (7200, "min", 60)):
        if seconds < below:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:,.0f} h"


def _with_turns_together(shares: Sequence[BudgetItem]) -> Iterator[BudgetItem]:
    """The shares, with consecutive turns of a conversation as one: '4-187'."""
    runs: list[list[BudgetItem]] = []
    for share in shares:
        last = runs[-1][-1] if runs else None
        if last and last.kind == share.kind == "turn" and int(last.name) + 1 == int(share.name):
            runs[-1].append(share)
        else:
            runs.append([share])
    for run in runs:
        both = run[0].name if len(run) == 1 else f"{run[0].name}-{run[-1].name}"
        yield replace(run[0], name=both, tokens=sum(share.tokens for share in run))


def one_line(error: Exception) -> str:
    """Return an error in one line: the message of an error of ours; for another, its type too, and how to see more."""
    message = " ".join(str(error).split())
    if any(f"{base.__module__}.{base.__name__}" in _OURS for base in type(error).__mro__):
        return message
    if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
        return f"the output cannot be written: {error.strerror}"
    return f"{type(error).__name__}: {message} (unexpected: --debug shows where)"


def place(where: Chunk | Citation, texts: AnswerTexts) -> str:
    """Return a place as 'docs/guide.md, line 12, characters 345-402', with the page where there are pages.

    Args:
        where: The place.
        texts: The language.

    Returns:
        The place, on one line.
    """
    return texts.place.format(
        file=name(short_path(where.source)),
        position=texts.line.format(where.line) if where.page is None else texts.page.format(where.page),
        start=where.start,
        end=where.end,
    ) + (texts.copies.format(name(", ".join(map(short_path, where.copies)))) if where.copies else "")


def short_path(source: str) -> str:
    """Return a path relative to the working folder, if it lies below it."""
    path = Path(source)
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else source
