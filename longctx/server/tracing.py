"""Spans for OpenTelemetry, where its API is installed; without an SDK that the process configures they cost nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Attributes = Mapping[str, str | int | float]


@contextmanager
def span(name: str, attributes: Attributes) -> Iterator[Any]:
    """Trace the `with` block as a span.

    Args:
        name: The name of the span, such as `longctx.ask`.
        attributes: What it is about; never the text of a question or a document.

    Yields:
        The span, whose `set_attributes` takes more; None without OpenTelemetry.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        yield None
        return
    with trace.get_tracer("longctx").start_as_current_span(name, attributes=dict(attributes)) as current:
        yield current
