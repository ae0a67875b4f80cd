from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from indexes import CorpusIndex, Encoder

HEAVY = ("torch", "transformers", "faiss", "llama_index", "sentence_transformers", "numpy", "tantivy")
OF_SERVERS = ("psycopg", "pymilvus", "distributed", "ray", "fsspec", "indexes.storage.postgres.index", "indexes.milvus")
REPORT = """
import sys
try:
    from longctx.cli import main
    sys.argv = ["longctx", *sys.argv[1:]]
    main()
finally:
    print("LOADED", *[name for name in %r if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["ask", "--help"],
        ["eval", "--help"],
        ["chat", "--help"],
        ["ingest", "--help"],
        ["rope", "--help"],
        ["serve", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", REPORT % (HEAVY,), *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "LOADED"


def test_ingesting_what_is_unchanged_imports_no_model_and_no_search(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "a.txt").write_text("Nothing will be new.")
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        index.ingest(tmp_path / "a.txt")
    arguments = ["ingest", str(tmp_path / "a.txt"), "--index", str(tmp_path / "index")]
    done = subprocess.run([sys.executable, "-c", REPORT % (HEAVY,), *arguments], capture_output=True, text=True)
    assert "1 unchanged" in done.stdout
    assert done.stderr.splitlines()[-1] == "LOADED numpy"


def test_an_index_in_a_folder_imports_nothing_of_servers_and_clusters(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "a.txt").write_text("The lamp is lit at dusk.")
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        index.ingest(tmp_path / "a.txt")
    for arguments in (["ingest", str(tmp_path)], ["search", "lamp", "--mode", "lexical"], ["index", "verify"]):
        command = [sys.executable, "-c", REPORT % (OF_SERVERS,), *arguments, "--index", str(tmp_path / "index")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == "LOADED"


def test_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, longctx; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    import longctx

    assert longctx.__all__ == sorted(longctx.__all__)
    assert all(getattr(longctx, name).__module__.startswith("longctx.") for name in longctx.__all__)
    assert set(longctx.__all__) <= set(dir(longctx))
    with pytest.raises(AttributeError, match=r"attribute '?nothing"):
        _ = longctx.nothing


def test_every_public_name_of_indexes_is_there() -> None:
    import indexes

    assert indexes.__all__ == sorted(indexes.__all__)
    assert all(getattr(indexes, name).__doc__ for name in indexes.__all__)


@pytest.mark.parametrize(
    "file", ["indexes.py", "rope_scaling/__init__.py", "numpy.py", "faiss.py", "transformers/__init__.py"]
)
@pytest.mark.parametrize("arguments", [["script.py"], ["-c", "import longctx"], ["-m", "longctx", "--version"]])
def test_a_file_with_the_name_of_a_package_is_named(tmp_path: Path, file: str, arguments: list[str]) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine = 1\n")
    (tmp_path / "script.py").write_text("from longctx import DocumentQA\n")
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=tmp_path)
    mine = str(tmp_path / file.removesuffix("/__init__.py"))
    assert done.returncode == 1
    assert f"and {mine} is found instead: rename it" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("file", ["test.py", "utils/__init__.py", "numpy/data.csv", "ray.py", "Torch.py"])
def test_files_with_other_names_are_no_matter(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine = 1\n")
    done = subprocess.run([sys.executable, "-c", "import longctx"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
