from __future__ import annotations

from pathlib import Path

import pytest

from longctx import LoadedModel, load_model


@pytest.fixture(scope="module")
def loaded(tiny_llama: Path) -> LoadedModel:
    return load_model(tiny_llama)
