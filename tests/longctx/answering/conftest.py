from __future__ import annotations

from collections.abc import Iterator

import pytest

from longctx import DocumentQA


@pytest.fixture(scope="module")
def qa(request: pytest.FixtureRequest, make_index, encoder) -> Iterator[DocumentQA]:
    """Answers without a model from the `TEXTS` of a module."""
    with DocumentQA.open(make_index(request.module.TEXTS), encoder=encoder) as qa:
        yield qa
