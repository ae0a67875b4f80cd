"""The report of an evaluation as tables of text, and as one page of HTML without scripts or other files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any

from indexes.text import script_language
from longctx.evaluation.options import Combination
from longctx.evaluation.questions import Question
from longctx.evaluation.records import AnswerRecord, RecordedPassage
from longctx.evaluation.report import EvaluationReport, Mean, Proportion, Summary
from longctx.evaluation.scoring import Scores

_LABELS = {
    "found": "recall@{k}",
    "held": "answer held",
    "f1": "token F1",
    "marked": "marked",
    "marks_right": "marks right",
    "bare": "bare marks",
    "refused": "refused",
    "falsely_refused": "falsely refused",
    "prompt_tokens": "prompt tokens",
    "completion_tokens": "completion tokens",
    "seconds": "seconds",
}
_HEAD: dict[str, Callable[[Combination], str]] = {
    "model": lambda each: each.model or "none",
    "scaling": lambda each: each.scaling or "none",
    "route": lambda each: each.route,
    "mode": lambda each: each.mode,
}
_STYLE = """
body { font-family: system-ui, "Noto Sans", "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", Meiryo, sans-serif;
  line-height: 1.6; margin: 2rem; color: #222; background: #fff; overflow-wrap: anywhere }
table { border-collapse: collapse; margin-bottom: 1.5rem }
th, td { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top }
section { border-top: 2px solid #888; margin-top: 2rem }
.answers { display: flex; flex-wrap: wrap; gap: 1rem }
.answer { flex: 1 1 18rem; border: 1px solid #ccc; padding: 0 .8rem .5rem }
.text, blockquote { white-space: pre-wrap }
blockquote { margin: .3rem 0; padding-left: .6rem; border-left: 3px solid #ccc; color: #444 }
.scores, .error { font-size: .85em }
.error { color: #a00 }
"""


def report_tables(report: EvaluationReport, columns: int) -> list[list[list[str]]]:
    """The measures as tables of text: a row for each measure, a column for each combination.

    Args:
        report: The report.
        columns: The most combinations in a table.

    Returns:
        Tables of rows of cells; the first rows name what differs between combinations.
    """
    return [_table(report, report.summaries[i : i + columns]) for i in range(0, len(report.summaries), columns)]


def how_judged(report: EvaluationReport) -> str:
    """How recall and marks were judged.

    Args:
        report: The report.

    Returns:
        A sentence; empty if no question has a source or an answer.
    """
    ways = {"source": "by the question's source", "answer": "by a gold answer in the passage"}
    counts = [f"{count} {ways[way]}" for way, count in report.judged_by.items() if count]
    return f"recall and marks: questions judged {', '.join(counts)}" if counts else ""


def report_page(report: EvaluationReport) -> str:
    """The report as a page of HTML: the measures, and every question with its answers and sources side by side.

    Args:
        report: The report.

    Returns:
        The page.
    """
    tables = "".join(_html_table(table) for table in report_tables(report, max(1, len(report.summaries))))
    state = f"{len(report.records)} of {report.total} answers"
    stopped = f'<p class="error">stopped: {escape(report.stopped)}</p>' if report.stopped else ""
    questions = groupby(report.answers, key=lambda answer: id(answer[0]))
    sections = "".join(_section([*answers]) for _, answers in questions)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>longctx eval</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>longctx eval</h1>\n"
        f"<p>{state}; {escape(how_judged(report))}</p>\n{stopped}{tables}{sections}</body>\n</html>\n"
    )


def _table(report: EvaluationReport, summaries: Sequence[Summary]) -> list[list[str]]:
    named = [
        [name, *(value(summary.combination) for summary in summaries)]
        for name, value in _HEAD.items()
        if name == "route" or len({value(each.combination) for each in report.summaries}) > 1
    ]
    rows = [
        [label.format(k=report.k), *(_cell(getattr(summary, name)) for summary in summaries)]
        for name, label in _LABELS.items()
    ]
    return [*named, *rows, ["errors", *(f"{summary.errors} of {summary.asked}" for summary in summaries)]]


def _cell(measure: Proportion | Mean) -> str:
    if measure.value is None:
        return "–"
    return f"{measure.value:,.0f}" if measure.value >= 10 else f"{measure.value:.2f} ({measure.n})"


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    lines = (f"<tr><th>{escape(first)}</th>{_cells(rest)}</tr>" for first, *rest in rows)
    return "<table>\n" + "\n".join(lines) + "\n</table>\n"


def _cells(cells: Sequence[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)


def _section(answers: Sequence[tuple[Question, AnswerRecord, Scores]]) -> str:
    question = answers[0][0]
    gold = "not given" if question.answers is None else " / ".join(question.answers) or "none: to be refused"
    language = script_language(question.question) or "en"
    source = f"<p>Source: {escape(question.source)}</p>" if question.source else ""
    return (
        f'<section lang="{language}">\n<h2>{escape(question.id)}: {escape(question.question)}</h2>\n'
        f'<p>Gold answer: {escape(gold)}</p>\n{source}<div class="answers">\n'
        f"{''.join(_answer(record, scores) for _, record, scores in answers)}</div>\n</section>\n"
    )


def _answer(record: AnswerRecord, scores: Scores) -> str:
    text = (
        f'<p class="error">{escape(record.error)}</p>'
        if record.error
        else f'<p class="text" dir="auto">{escape(record.text)}</p>'
    )
    return (
        f'<div class="answer">\n<h3>{escape(record.combination.label)}</h3>\n{text}\n'
        f'<p class="scores">{escape("; ".join(_described(record, scores)))}</p>\n'
        f"{''.join(map(_source, record.citations))}</div>\n"
    )


def _described(record: AnswerRecord, scores: Scores) -> Iterator[str]:
    yes_no: dict[str, Any] = {"passage found": scores.found, "answer held": scores.held}
    yield from (f"{name}: {'yes' if value else 'no'}" for name, value in yes_no.items() if value is not None)
    if scores.f1 is not None:
        yield f"F1 {scores.f1:.2f}"
    if scores.marks:
        yield f"marks right: {sum(scores.marks)} of {len(scores.marks)}"
    if scores.refused:
        yield "refused"
    if not record.error:
        route = f"route {record.route_taken}, " if record.route_taken else ""
        yield f"{route}{record.prompt_tokens:,} + {record.completion_tokens:,} tokens, {record.seconds:.1f} s"


def _source(passage: RecordedPassage) -> str:
    place = f"page {passage.page}" if passage.page is not None else f"line {passage.line}"
    return (
        f"<p>[{passage.number}] {escape(passage.source)}, {place}</p>"
        f'<blockquote dir="auto">{escape(passage.text)}</blockquote>\n'
    )
