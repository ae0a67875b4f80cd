"""The notebooks run from top to bottom, offline; their own assertions are part of the test."""

import asyncio
import os
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)  # half a minute where the machine does nothing else
@pytest.mark.filterwarnings("default")  # the kernel's machinery has warnings of its own
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("01_rope_scaling", {"image/png": 5}),
        ("02_document_qa", {"image/png": 1}),
        ("03_conversation", {}),
        ("04_probe", {"image/png": 2, "text/markdown": 1}),
    ],
)
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, shown: dict[str, int]) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=800, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    asyncio.run(client.async_execute())  # execute() leaves its loop open
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    kinds = Counter(kind for output in outputs for kind in output["data"])
    assert {kind: kinds[kind] for kind in shown} == shown
