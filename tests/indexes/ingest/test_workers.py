"""An ingest by several processes makes the index that one process makes, whatever becomes of the processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from executor_here import Here
from hand_made_pdf import text_pdf

from indexes import CorpusError, CorpusIndex, IngestProgress, IngestReport, ProcessWorkers, RayWorkers

QUERIES = ("lighthouse keeper", "灯台の霧笛", "wick oil", "page 2")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English, Japanese, PDFs, one of them broken, copies, an empty file: several batches, with few words to embed."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(4):
        text = f"# Log {number}\n\nThe lighthouse keeper of tower {number} trimmed the wick.\n\n"
        (folder / f"{number}-log.md").write_text(text + f"{'x' * 150}.\n" * 660)
    (folder / "0-mirror.md").write_bytes((folder / "0-log.md").read_bytes())
    (folder / "1-toudai.txt").write_text("灯台の霧笛は毎分鳴る。" * 100)
    (folder / "2-plan.pdf").write_bytes(text_pdf("The oil is in the cellar.", "And the boat comes on Friday."))
    (folder / "2-plan-again.pdf").write_bytes((folder / "2-plan.pdf").read_bytes())
    (folder / "3-broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (folder / "3-log-again.md").write_bytes((folder / "0-log.md").read_bytes())
    (folder / "4-empty.txt").write_bytes(b"")
    (folder / "5-last.txt").write_text("The supply boat brings lamp oil.")
    return folder


@pytest.fixture(scope="module")
def alone(files: Path, tmp_path_factory: pytest.TempPathFactory, encoder: Any) -> tuple[Any, ...]:
    """What one process makes of the files."""
    return made(files, tmp_path_factory.mktemp("alone") / "index", encoder, None)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessWorkers]:
    with ProcessWorkers(2) as processes:
        yield processes


def made(files: Path, index: Path, encoder: Any, executor: Executor | None, progress: Any = None) -> tuple[Any, ...]:
    with CorpusIndex.open(index, encoder) as corpus:
        report = corpus.ingest(files, executor=executor, progress=progress)
        assert corpus.verify().problems == ()
    return (without_time(report), *content(index, encoder))


def without_time(report: IngestReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in IngestReport.__slots__ if name != "seconds"}


def content(index: Path, encoder: Any) -> tuple[Any, ...]:
    """Everything in an index but the times of writing: what is searched for finds the same, with the same scores."""
    with CorpusIndex.open(index, encoder) as corpus:
        public = [
            corpus.documents(),
            corpus.chunks(),
            *(corpus.search(query, mode=mode) for query in QUERIES for mode in ("dense", "lexical", "hybrid")),
            *(corpus.content_idf(query) for query in QUERIES),
        ]
    with closing(sqlite3.connect(index / "corpus.sqlite3")) as database:
        rows = [
            database.execute("SELECT id, source, content_hash, checksum FROM documents ORDER BY id").fetchall(),
            database.execute("SELECT source, document_id FROM copies ORDER BY source").fetchall(),
            *(
                database.execute(f"SELECT * FROM {each}").fetchall()
                for each in ("texts", "chunks", "vectors", "tables")
            ),
            database.execute("SELECT * FROM meta WHERE key LIKE 'enc%' OR key = 'chunking'").fetchall(),
        ]
    return public, rows


def test_two_processes_make_the_same_index(files: Path, alone: Any, processes: Any, tmp_path: Path, encoder) -> None:
    assert made(files, tmp_path / "index", encoder, processes) == alone
    report = alone[0]
    assert (report["added"], report["copies"], report["empty"], len(report["failed"])) == (10, 3, 1, 1)


@pytest.mark.parametrize("when", [(1,), (2, 9)])
def test_a_worker_that_is_killed_costs_nothing(when, files: Path, alone, processes, tmp_path: Path, encoder) -> None:
    calls, killed = 0, 0

    def kill(_: IngestProgress) -> None:
        nonlocal calls, killed
        calls += 1
        children = multiprocessing.active_children()
        if calls in when and children:
            os.kill(children[calls % len(children)].pid, signal.SIGKILL)
            killed += 1

    processes.submit(os.getpid).result()  # they are there, also for a test that runs alone
    assert made(files, tmp_path / "index", encoder, processes, kill) == alone
    assert killed == len(when)


def test_a_ray_cluster_makes_the_same_index_and_loses_nothing_with_a_worker(
    files: Path, alone: Any, tmp_path: Path, encoder: Any
) -> None:
    ray = pytest.importorskip("ray", reason='the extra "ray" is not installed')
    with pytest.raises(CorpusError, match="Ray is not started"):
        RayWorkers()
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    try:
        workers, killed = RayWorkers(), list[int]()
        with pytest.raises(ValueError, match="invalid literal"):
            workers.submit(int, "one").result()

        def kill(progress: IngestProgress) -> None:
            if progress.doing == "embedding" and not killed:
                killed.append(workers.submit(os.getpid).result())
                os.kill(killed[0], signal.SIGKILL)

        assert made(files, tmp_path / "index", encoder, workers, kill) == alone
        assert killed
    finally:
        ray.shutdown()


def test_bytes_travel_where_a_worker_does_not_see_the_file(files: Path, alone: Any, tmp_path: Path, encoder) -> None:
    sent = []

    def elsewhere(first: Any, second: Any) -> tuple[Any, Any]:
        if hasattr(second, "real"):
            sent.append(second.data is not None)
            second = second._replace(real="/nowhere/at/all", root=None)
        return first, second

    assert made(files, tmp_path / "index", encoder, Here(elsewhere)) == alone
    assert sent == [False, True, True, True], "the first is asked for without, and from then on they are sent along"


def test_what_every_worker_dies_of_is_named_as_failed(files: Path, tmp_path: Path, encoder: Any) -> None:
    def deadly(first: Any, second: Any) -> tuple[Any, Any]:
        given = [second.path] if hasattr(second, "real") else [document.source for document in second]
        if any(Path(source).name in ("2-plan.pdf", "2-plan-again.pdf", "0-log.md") for source in given):
            raise BrokenProcessPool
        return first, second

    with CorpusIndex.open(tmp_path / "index", encoder) as corpus:
        report = corpus.ingest(files, executor=Here(deadly))
        failed = {Path(failure.source).name: failure.reason for failure in report.failed}
        assert "workers died" in failed["2-plan.pdf"]
        together = {"0-log.md", "0-mirror.md", "1-log.md"}
        assert failed.keys() == together | {"2-plan.pdf", "2-plan-again.pdf", "3-broken.pdf"}
        assert (report.added, report.copies) == (len(corpus.documents()), 0)
        again = corpus.ingest(files)
    assert again.added == 10 - report.added
    assert [Path(failure.source).name for failure in again.failed] == ["3-broken.pdf"]


@pytest.mark.parametrize(("field", "said"), [("code", "another version"), ("fingerprint", "other weights")])
def test_a_worker_of_another_version_is_refused(field: str, said: str, files: Path, tmp_path: Path, encoder) -> None:
    def other(first: Any, second: Any) -> tuple[Any, Any]:
        return (first._replace(**{field: "0"}) if hasattr(first, field) else first), second

    with CorpusIndex.open(tmp_path / "index", encoder) as corpus:
        with pytest.raises(CorpusError, match=said) as refused:
            corpus.ingest(files, executor=Here(other))
        assert corpus.documents() == []
    assert "\n" not in str(refused.value)


def test_an_interrupted_ingest_goes_on(files: Path, alone: Any, processes: Any, tmp_path: Path, encoder: Any) -> None:
    def stop(progress: IngestProgress) -> None:
        if progress.chunks:
            raise KeyboardInterrupt

    with CorpusIndex.open(tmp_path / "index", encoder) as corpus:
        with pytest.raises(KeyboardInterrupt):
            corpus.ingest(files, executor=processes, progress=stop)
        corpus.ingest(files, executor=processes)
    assert content(tmp_path / "index", encoder)[0] == alone[1]


_STARTS_A_WORKER = """
import os
from indexes import ProcessWorkers
if __name__ == "__main__":
    with ProcessWorkers(1) as workers:
        print(workers.submit(os.getpid).result(), flush=True)
        input()
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "starts.py"
    script.write_text(_STARTS_A_WORKER)
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid
        parent.kill()
        assert parent.stdout.read() == b"", "nothing comes, and no process has the pipe open"


def test_no_workers_are_refused() -> None:
    with pytest.raises(CorpusError, match="0 workers"):
        ProcessWorkers(0)


INTERRUPTED = """
import contextlib, os, signal, threading, time, psutil
from indexes import ProcessWorkers

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background

def interrupt():
    is_importing = False
    while not is_importing:
        time.sleep(0.01)
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                is_importing |= any("torch" in mapped.path for mapped in child.memory_maps())
    os.killpg(0, signal.SIGINT)

try:
    with ProcessWorkers(1) as workers:
        threading.Thread(target=interrupt).start()
        workers.submit(abs, -1)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has mapped is read from /proc")
def test_ctrl_c_while_workers_start_is_for_their_parent_alone() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True)
    assert (done.stdout, "Traceback" in done.stderr) == ("interrupted\n", False), done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot leave the working folder out")
def test_workers_import_nothing_of_the_working_folder(tmp_path: Path) -> None:
    here, program = tmp_path / "here", tmp_path / "there" / "program.py"
    here.mkdir()
    program.parent.mkdir()
    for module in ("struct", "selectors", "numpy", "indexes"):
        (here / f"{module}.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    program.write_text(
        "from os import getenv\nfrom indexes import ProcessWorkers\n"
        "if __name__ == '__main__':\n    with ProcessWorkers(1) as workers:\n"
        "        print(workers.submit(getenv, 'PYTHONSAFEPATH', 'as before').result())\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, cwd=here)
    assert done.stdout == "as before\n", done.stderr
    assert not (here / "imported").exists()
