from .options import ALL_TASKS, DEFAULT_TASKS, ProbeOptions
from .render import draw_report, reach_text, score_text, write_markdown
from .report import ProbeReport, load_report
from .runner import ProbeProgress, run_probe
from .task_texts import TaskTexts

__all__ = [
    "ALL_TASKS",
    "DEFAULT_TASKS",
    "ProbeOptions",
    "ProbeProgress",
    "ProbeReport",
    "TaskTexts",
    "draw_report",
    "load_report",
    "reach_text",
    "run_probe",
    "score_text",
    "write_markdown",
]
