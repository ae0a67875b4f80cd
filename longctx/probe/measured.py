"""What a report shows of a model, as the planner reads it. Knows reports and loaded models; runs none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from longctx.errors import BadReport
from longctx.models import LoadedModel, Measured, hash_tokenizer
from longctx.probe.report import ProbeReport, load_report
from rope_scaling.checkpoint import carried_scaling

Measurements = Sequence[Measured] | ProbeReport | str | Path
"""How far a model was seen to read: figures, a probe's report, or the folder that it was written to."""


def measured_by(shown: Measurements, loaded: LoadedModel) -> tuple[Measured, ...]:
    """How far a model was seen to read: in a report, each method's effective window over all tasks but perplexity.

    A method without an effective window is not among them. Raises BadReport for a report of another model: another
    tokenizer, or another scaling in the checkpoint. Weights are not compared, since an adapter or another dtype changes
    them.
    """
    report = load_report(shown) if isinstance(shown, str | Path) else shown
    if not isinstance(report, ProbeReport):
        return tuple(report)
    carried = carried_scaling(loaded.model.config)
    here = {"tokenizer": hash_tokenizer(loaded.tokenizer), "scaling": None if carried is None else repr(carried)}
    there = (report.model.tokenizer_sha256, report.model.carried)
    others = [name for (name, value), said in zip(here.items(), there, strict=True) if value != said]
    if others:
        raise BadReport(
            f"the report is of {report.model.name}, which has another {' and another '.join(others)} than "
            f"{loaded.name}: run `longctx probe {loaded.name}`"
        )
    reached = ((method, report.effective_window(method)) for method in report.methods)
    return tuple(Measured(method, tokens) for method, tokens in reached if tokens is not None)
