"""Running an evaluation: every question under every combination, each answer kept as it comes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from indexes import Chunk, CorpusError, CorpusIndex, DocumentInfo, SearchFilter
from longctx.errors import BadRequest, LongctxError, ServerFailed
from longctx.evaluation.options import Combination, EvaluationOptions
from longctx.evaluation.page import report_page
from longctx.evaluation.questions import Question
from longctx.evaluation.records import PAGE, SUMMARY, AnswerRecord, RecordedPassage, open_records
from longctx.evaluation.report import AskedQuestion, EvaluationReport
from longctx.qa import DocumentQA
from longctx.result_file import Results, write_result_text
from longctx.types import Answer, Citation, QuestionRequest
from rope_scaling import RopeScalingError

INTERRUPTED = "interrupted"
"""Why an evaluation stopped, after Ctrl-C: `EvaluationReport.stopped`."""

OpenQA = Callable[[str | None, str | None], DocumentQA]
_SERVER_FAILURES = 3  # questions in a row: the server is lost, and it is not one of the questions
_SHOWN = 10  # questions that an error lists


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far an evaluation is.

    Attributes:
        done: Answers that are there, those of earlier runs among them.
        total: All of them.
        doing: What is asked next.
    """

    done: int
    total: int
    doing: str


EvaluationCallback = Callable[[EvaluationProgress], None]


def evaluate(
    index: CorpusIndex,
    questions: Sequence[Question],
    open_qa: OpenQA,
    options: EvaluationOptions | None = None,
    *,
    out: str | Path | None = None,
    progress: EvaluationCallback | None = None,
) -> EvaluationReport:
    """Ask every question under every combination, and measure the answers.

    An error of one question, such as ContextTooLong, is kept as its result. A server that is lost, and Ctrl-C, stop the
    evaluation: the report is of what there is, and says why in `stopped`. With `out`, answers are written to
    `results.jsonl` as they come, and the same call goes on from there; `summary.json` and `report.html` are written at
    the end.

    Args:
        index: The index that the questions are about; it stays open.
        questions: The questions.
        open_qa: Opens that index with a model and a scaling; called once for each pair that has something left to ask,
            and what it returns is closed.
        options: What to compare; None is the default of each option.
        out: The folder for the answers; None keeps nothing.
        progress: Called before each question and at the end.

    Returns:
        The report.

    Raises:
        BadRequest: If a question names a source that is not in the index, or the folder holds another evaluation or
            cannot be written to.
        LongctxError: If a model cannot be opened and there is no answer yet.
        CorpusError: If the index cannot be read.
        RopeScalingError: If a model cannot have a scaling, and there is no answer yet.
    """
    chosen = options or EvaluationOptions()
    asked = _asked(index, questions)
    keys = {each.key(combination) for each in asked for combination in chosen.combinations()}
    folder = None if out is None else Path(out)
    with open_records(folder, {**chosen.fingerprint(), "index": _identity(index)}, keys) as records:
        run = _Run(asked, chosen, records, progress)
        stopped = ""
        try:
            run.ask_all(open_qa)
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        except (LongctxError, CorpusError, RopeScalingError) as error:
            if not records.known:
                raise
            stopped = str(error)
        combinations, k = chosen.combinations(), chosen.ask.k
        report = EvaluationReport(asked, combinations, records.known, k, stopped, records.note)
        if folder is not None:
            write_report(report, folder)
    return report


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write `summary.json` and `report.html`.

    Args:
        report: The report.
        folder: The folder.

    Raises:
        BadRequest: If they cannot be written.
    """
    summary = json.dumps(report.as_dict(), ensure_ascii=False, indent=2) + "\n"
    for name, text in ((SUMMARY, summary), (PAGE, report_page(report))):
        write_result_text(folder / name, text)


class _Run:
    """The questions of an evaluation, and the answers so far."""

    def __init__(
        self,
        asked: Sequence[AskedQuestion],
        options: EvaluationOptions,
        records: Results[AnswerRecord],
        progress: EvaluationCallback | None,
    ) -> None:
        self.asked, self.options, self.records = asked, options, records
        self.total = len(asked) * len(options.combinations())
        self._progress = progress
        self._hits: dict[tuple[str, str], tuple[RecordedPassage, ...]] = {}
        self._failures = 0

    def ask_all(self, open_qa: OpenQA) -> None:
        """Ask what has no answer yet. Raises ServerFailed if a question has none at the end."""
        failure = None
        for (model, scaling), combinations in groupby(self.options.combinations(), key=lambda each: each[:2]):
            missing = [
                (each, combination)
                for combination in combinations
                for each in self.asked
                if each.key(combination) not in self.records.known
            ]
            if not missing:
                continue
            self._tell(f"opening {model or 'the index'}")
            with open_qa(model, scaling) as qa:
                for each, combination in missing:
                    self._tell(f"{combination.label}: {each.question.question}")
                    failure = self._ask(qa, each, combination) or failure
        if failure is not None:
            raise failure
        self._tell("")

    def _ask(self, qa: DocumentQA, asked: AskedQuestion, combination: Combination) -> ServerFailed | None:
        """Ask one question and keep what came out. Returns a failure of the server, which is not kept."""
        question = asked.question.question
        begun = AnswerRecord(question=question, occurrence=asked.occurrence, **combination._asdict())
        hits: tuple[RecordedPassage, ...] = ()
        try:
            hits = self._search(qa, question, combination.mode)
            options = self.options.ask.updated(route=combination.route, mode=combination.mode)
            # the same prompt whatever was asked before, and however often the evaluation was stopped
            answer = qa.run(QuestionRequest(question, options, last=())).answer
            record = _record(begun, answer, hits)
        except ServerFailed as failure:
            self._failures += 1
            if self._failures == _SERVER_FAILURES:
                raise
            return failure
        except LongctxError as error:
            record = begun.model_copy(update={"hits": hits, "error": f"{type(error).__name__}: {error}"})
        self._failures = 0
        self.records.add(record)
        return None

    def _search(self, qa: DocumentQA, question: str, mode: str) -> tuple[RecordedPassage, ...]:
        """The passages found, which are the same whatever the model."""
        if (question, mode) not in self._hits:
            ask = self.options.ask
            hits = qa.index.search(question, ask.k, mode, filters=ask.filters)
            self._hits[question, mode] = tuple(_passage(hit.chunk) for hit in hits)
        return self._hits[question, mode]

    def _tell(self, doing: str) -> None:
        if self._progress is not None:
            self._progress(EvaluationProgress(len(self.records.known), self.total, doing))


def _asked(index: CorpusIndex, questions: Sequence[Question]) -> tuple[AskedQuestion, ...]:
    """The questions with their documents. Raises BadRequest for sources that are not in the index."""
    sources = {question.source for question in questions if question.source}
    documents = {
        source: frozenset(
            name for document in _documents(index, source) for name in (document.source, *document.copies)
        )
        for source in sources
    }
    if missing := [question for question in questions if question.source and not documents[question.source]]:
        named = "; ".join(f"{question.source} (question {question.id})" for question in missing[:_SHOWN])
        more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise BadRequest(
            f"{len(missing)} of {len(questions)} questions name a source that is not in the index {index.name}: "
            f"{named}{more}; see `longctx index list`"
        )
    if not questions:
        raise BadRequest("there are no questions: give at least one")
    seen, asked = Counter[str](), []
    for question in questions:
        seen[question.question] += 1
        held_by = documents[question.source] if question.source else frozenset()
        asked.append(AskedQuestion(question, seen[question.question], held_by))
    return tuple(asked)


def _documents(index: CorpusIndex, source: str) -> Sequence[DocumentInfo]:
    """Those that a question's source names, in any folder if none is meant from here: files of questions are shared."""
    return index.documents(SearchFilter(source)) or index.documents(SearchFilter(str(Path("/*") / source)))


def _identity(index: CorpusIndex) -> str:
    """What tells the contents of an index from others: how many documents it has, and a hash of them."""
    documents = index.documents()
    listed = json.dumps([index.info().encoder, [(each.source, each.content_hash) for each in documents]])
    return f"{len(documents)} documents, {hashlib.sha256(listed.encode()).hexdigest()[:12]}"


def _record(begun: AnswerRecord, answer: Answer, hits: tuple[RecordedPassage, ...]) -> AnswerRecord:
    return begun.model_copy(
        update={
            "route_taken": answer.plan.route if answer.plan else "",
            "text": answer.text,
            "refused": answer.refused,
            "citations": tuple(map(_passage, answer.citations)),
            "unsupported": answer.unsupported,
            "hits": hits,
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "seconds": round(answer.usage.seconds, 3),
        }
    )


def _passage(place: Chunk | Citation) -> RecordedPassage:
    names = RecordedPassage.model_fields
    return RecordedPassage(**{name: getattr(place, name) for name in names if hasattr(place, name)})
