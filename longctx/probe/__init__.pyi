from .options import ALL_TASKS, DEFAULT_TASKS, ProbeOptions
from .render import ReportTable, draw_report, report_tables, write_markdown
from .report import ProbeReport, load_report
from .runner import ProbeProgress, run_probe
from .scoring import wilson
from .task_texts import TaskTexts

__all__ = [
    "ALL_TASKS",
    "DEFAULT_TASKS",
    "ProbeOptions",
    "ProbeProgress",
    "ProbeReport",
    "ReportTable",
    "TaskTexts",
    "draw_report",
    "load_report",
    "report_tables",
    "run_probe",
    "wilson",
    "write_markdown",
]
