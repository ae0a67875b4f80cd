"""Answers of a real model on XQuAD (English) and JSQuAD (Japanese), beside llama-index's default prompt.

    python benchmarks/bench_answers.py --data ../shared/data --model openai:http://127.0.0.1:8080/v1#qwen --out answers
        [--part passages|end-to-end] [--questions 100] [--languages en,ja] [--ask k=5] [--label NAME] [--report]

Same model, same questions, greedy. In part `passages` both systems get the same five paragraphs: the gold one, two of
its article and two of others, and with them questions of other articles, which have no answer there. In part
`end-to-end` every paragraph of the split is a document with its title, and longctx's `ask` stands beside llama-index's
VectorStoreIndex with the same encoder at k = 2 and 5. Every answer is kept in OUT/answers.jsonl as it comes, and the
same command goes on; another `--label` asks longctx again, after a change of it. `--report` prints the figures of what
is there. Differences are paired, with 95 % intervals of 10,000 bootstrap samples.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from answer_systems import NEW_TOKENS, PEER_KS, Systems
from squad_questions import FILES, Asked, Corpus, choose, read_corpus

from longctx import LongctxError, ServerFailed
from longctx.evaluation import AnswerRecord, Scores, score

SAMPLES = 10_000


class Key(NamedTuple):
    """What was asked; `how` holds what else the answer depends on."""

    part: str
    language: str
    system: str
    how: str
    answerable: bool
    id: str


class Answers:
    """The answers in a file, and those that are added."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("a+b")
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]  # a line that a kill cut short is asked again
        self._file.truncate(len(whole))
        lines = [json.loads(line) for line in whole.decode().split("\n") if line]
        self.known = {Key(*line["key"]): AnswerRecord(**line["record"]) for line in lines}

    def add(self, key: Key, record: AnswerRecord) -> None:
        self.known[key] = record
        line = {"key": key, "record": record.model_dump()}
        self._file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
        self._file.flush()


def key_of(asked: Asked, part: str, language: str, system: str, options: argparse.Namespace) -> Key:
    how = [options.model.rpartition("#")[2], f"seed {options.seed}", f"{NEW_TOKENS} tokens"]
    if system == "longctx":
        how += [f"label {options.label}", *(sorted(options.ask) if part == "end-to-end" else ())]
    return Key(part, language, system, ", ".join(how), asked.answerable, asked.question.id)


def names(part: str) -> list[str]:
    return ["longctx", "llama-index"] if part == "passages" else ["longctx", *(f"llama-index k={k}" for k in PEER_KS)]


def run(part: str, language: str, corpus: Corpus, questions: Sequence[Asked], answers: Answers, options: Any) -> None:
    """Ask what is missing, paragraph by paragraph: all of its questions to one system, then to the next.

    So prompts that begin alike follow one another, and both systems meet the same load of the machine.
    """
    missing = [a for a in questions for s in names(part) if key_of(a, part, language, s, options) not in answers.known]
    if not missing:
        return
    answering, done, total = Systems(language, corpus, options).of(part), 0, len(missing)
    for _, group in groupby(questions, key=lambda asked: asked.paragraph):
        same = list(group)
        for system in names(part):
            for asked in same:
                key = key_of(asked, part, language, system, options)
                if key in answers.known:
                    continue
                try:
                    record = answering[system](asked)
                except ServerFailed:
                    raise
                except LongctxError as error:
                    record = AnswerRecord(question=asked.question.question, error=f"{type(error).__name__}: {error}")
                answers.add(key, record)
                done += 1
        print(f"\r{part} {language}: {done} of {total} answers", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


MEASURES: dict[str, Callable[[Scores, AnswerRecord], float | None]] = {
    "passage found": lambda scores, record: scores.found if record.hits else None,
    "answer held": lambda scores, record: scores.held,
    "token F1": lambda scores, record: scores.f1,
    "bare marks": lambda scores, record: scores.bare,
    "marked": lambda scores, record: scores.marked,
    "marks right": lambda scores, record: float(np.mean(scores.marks)) if scores.marks else None,
    "refused": lambda scores, record: scores.refused,
    "prompt tokens": lambda scores, record: record.prompt_tokens,
    "completion tokens": lambda scores, record: record.completion_tokens,
    "seconds": lambda scores, record: record.seconds,
}


def scored(
    part: str, language: str, questions: Sequence[Asked], answers: Answers, options: Any
) -> dict[str, list[tuple[Scores, AnswerRecord]]]:
    """For each system, the answers to the questions that all of them have answered, with their scores."""
    table: dict[str, list[tuple[Scores, AnswerRecord]]] = {system: [] for system in names(part)}
    for asked in questions:
        keys = {system: key_of(asked, part, language, system, options) for system in table}
        if all(key in answers.known for key in keys.values()):
            gold = {str(asked.paragraph)} if asked.answerable else ()
            for system, key in keys.items():
                record = answers.known[key]
                table[system].append((score(asked.question, record, gold), record))
    return table


def report(part: str, language: str, questions: Sequence[Asked], answers: Answers, options: Any) -> None:
    for answerable in (True, False):
        asked = [each for each in questions if each.answerable == answerable]
        table = scored(part, language, asked, answers, options)
        if not table["longctx"]:
            continue
        kind = "questions" if answerable else "unanswerable questions"
        print(f"\n{part}, {language}: {len(table['longctx'])} of {len(asked)} {kind}, {options.model}")
        print(f"| | {' | '.join(table)} | {' | '.join(f'longctx less {name}' for name in [*table][1:])} |")
        print(f"| --- | {' | '.join(['---:'] * (2 * len(table) - 1))} |")
        for measure, of in MEASURES.items():
            values = [[of(*each) for each in column] for column in table.values()]
            if any(value is not None for column in values for value in column):
                cells = [*map(mean, values), *(difference(values[0], other) for other in values[1:])]
                print(f"| {measure} | {' | '.join(cells)} |", flush=True)
        if marks := [mark for scores, _ in table["longctx"] for mark in scores.marks or ()]:
            print(f"marks of longctx: {sum(marks)} of {len(marks)} right")
        if answerable:
            column = table["longctx"]
            supported = [(bool(scores.held), not (each.refused or each.unsupported)) for scores, each in column]
            both = supported.count((True, True))
            held, counted = (sum(each) for each in zip(*supported, strict=True))
            print(f"support: {both} of the {held} answers that hold count as supported, {both} of {counted} such hold")
        for system, column in table.items():
            for _, record in column:
                if record.error:
                    print(f"{system}: {record.question}: {record.error}")


def mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f} ({len(known)})" if known else "–"


def difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> str:
    """The mean of the paired differences, with its bootstrap interval."""
    pairs = [float(a) - float(b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not pairs:
        return "–"
    drawn = np.random.default_rng(0).choice(np.array(pairs), (SAMPLES, len(pairs))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{np.mean(pairs):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--model", required=True, help="openai:URL#name")
    parser.add_argument("--out", type=Path, required=True, help="the folder for answers, corpora and indexes")
    parser.add_argument("--part", choices=("passages", "end-to-end"), help="default: both")
    parser.add_argument("--questions", type=int, default=100, help="of each language")
    parser.add_argument("--unanswerable", type=int, default=50, help="of each language, in part passages")
    parser.add_argument("--languages", default="en,ja")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ask", action="append", default=[], metavar="NAME=VALUE", help="an option of ask, end to end")
    parser.add_argument("--label", default="", help="a name for this state of longctx")
    parser.add_argument("--report", action="store_true", help="ask nothing")
    options = parser.parse_args()
    answers = Answers(options.out / "answers.jsonl")
    for part in (options.part,) if options.part else ("passages", "end-to-end"):
        for language in options.languages.split(","):
            corpus = read_corpus(options.data / FILES[language])
            unanswerable = options.unanswerable if part == "passages" else 0
            questions = list(choose(corpus, options.questions, unanswerable, options.seed))
            if not options.report:
                try:
                    run(part, language, corpus, questions, answers, options)
                except (ServerFailed, KeyboardInterrupt) as stopped:
                    sys.exit(
                        f"\n{stopped or 'interrupted'}: {len(answers.known)} answers are kept; run it again to go on"
                    )
            report(part, language, questions, answers, options)


if __name__ == "__main__":
    main()
