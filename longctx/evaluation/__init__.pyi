from .drafts import draft_questions
from .options import Combination, EvaluationOptions
from .page import how_judged, report_page, report_tables
from .questions import Question, parse_questions, read_questions, write_questions
from .records import AnswerRecord, RecordedPassage
from .report import AskedQuestion, EvaluationReport, Mean, Proportion, Summary, proportion
from .runner import INTERRUPTED, EvaluationProgress, evaluate
from .scoring import Scores, answer_held, score, token_f1, without_marks

__all__ = [
    "INTERRUPTED",
    "AnswerRecord",
    "AskedQuestion",
    "Combination",
    "EvaluationOptions",
    "EvaluationProgress",
    "EvaluationReport",
    "Mean",
    "Proportion",
    "Question",
    "RecordedPassage",
    "Scores",
    "Summary",
    "answer_held",
    "draft_questions",
    "evaluate",
    "how_judged",
    "parse_questions",
    "proportion",
    "read_questions",
    "report_page",
    "report_tables",
    "score",
    "token_f1",
    "without_marks",
    "write_questions",
]
