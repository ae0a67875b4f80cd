"""The notebooks run from top to bottom, offline; their own assertions are part of the test."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


SHOWN = {
    "01_rope_scaling": {"image/png": 5},
    "02_document_qa": {"image/png": 1},
    "03_conversation": {},
    "04_probe": {"image/png": 2, "text/markdown": 1},
    "05_own_folder": {},
}


@pytest.mark.timeout(900)  # half a minute for each where the machine does nothing else
@pytest.mark.filterwarnings("default")  # the kernel's machinery has warnings of its own
def test_the_notebooks_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebooks = {name: nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4) for name in SHOWN}
    # One kernel for all, emptied before each: to import torch and what stands on it takes as long as most notebooks.
    cells = []
    for name, notebook in notebooks.items():
        (tmp_path / name).mkdir()
        for cell in notebook.cells:
            cell.id = f"{name[:2]}-{cell.id}"  # which is the notebook's own
        cells += [nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {tmp_path / name}"), *notebook.cells]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=800, kernel_name="python3")
    asyncio.run(client.async_execute())  # execute() leaves its loop open
    for name, shown in SHOWN.items():
        outputs = [output for cell in notebooks[name].cells for output in cell.get("outputs", []) if "data" in output]
        kinds = Counter(kind for output in outputs for kind in output["data"])
        assert {kind: kinds[kind] for kind in shown} == shown, name


@pytest.mark.parametrize("place", ["examples", ".", "docs/api"])
def test_the_notebooks_find_their_files_without_an_editable_install(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / place)
    installed = SimpleNamespace(__file__="/elsewhere/site-packages/longctx/__init__.py")
    for name in [name for name in SHOWN if name != "01_rope_scaling"]:
        notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
        [setup] = [cell.source for cell in notebook.cells if "longctx.__file__" in cell.source]
        names = {"longctx": installed, "Path": Path}
        exec("\n".join(line for line in setup.splitlines() if line.startswith(("here", "places", "examples"))), names)
        assert names["examples"] == ROOT / "examples", name
