"""Risky formats are read in a child process with limits: what it costs is measured, and what is left of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from saved_file import saved

from indexes import CorpusIndex
from indexes.readers.base import ReadLimits
from indexes.readers.registry import read_document
from indexes.readers.sandbox import end_sandbox

PAGE = b"<p>some text</p>"


@pytest.fixture(autouse=True)
def _no_child_is_left():
    end_sandbox()
    yield
    end_sandbox()


def children() -> list[psutil.Process]:
    """The processes that read for this one."""
    return [
        child for child in psutil.Process().children() if "indexes.readers.sandbox_worker" in " ".join(child.cmdline())
    ]


def slow_pdf() -> bytes:
    """A few kilobytes whose text takes pypdf minutes to put together: a hundred pages with one content."""
    writer = pypdf.PdfWriter()
    stream = DecodedStreamObject()
    stream.set_data(b"BT /F 1 Tf " + b"(x) Tj 1 1 Td " * 400_000 + b"ET")
    content = writer._add_object(stream.flate_encode())
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(name): NameObject(value) for name, value in font.items()})
    fonts = DictionaryObject({NameObject("/F"): font})
    for _ in range(100):
        page = writer.add_blank_page(100, 100)
        page[NameObject("/Contents")] = content
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    return saved(writer)


MANY_LISTS = b"[" + b"[]," * 8_000_000 + b"1]"


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read(refusal):
    assert refusal("a.pdf", slow_pdf(), max_seconds=1.0) == "takes more than 1 s to read; raise --max-seconds"
    assert not children()
    assert read_document(Path("a.html"), PAGE).text == "some text"


def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_is_read(refusal):
    reason = refusal("a.json", MANY_LISTS, max_memory=200_000_000)
    assert reason == "takes more than 200 MB of memory to read"
    assert not children(), "a process that has run out of memory is not used again"
    assert read_document(Path("a.html"), PAGE).text == "some text"


def test_one_process_reads_file_after_file(refusal):
    read_document(Path("a.html"), PAGE)
    first = children()
    refusal("a.pdf", b"no PDF")
    read_document(Path("a.json"), b"[1]")
    assert len(first) == 1
    assert children() == first


def test_text_is_read_without_another_process():
    for name in ("a.txt", "a.md", "a.rst", "a.py", "a.c", "a.csv"):
        read_document(Path(name), b"text")
    assert not children()


def test_a_process_that_was_killed_is_replaced():
    read_document(Path("a.html"), PAGE)
    [child] = children()
    child.kill()
    while child.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert read_document(Path("a.html"), PAGE).text == "some text"


def test_a_process_that_dies_over_a_file_is_that_files_failure(refusal):
    """As from a fault in a library written in C."""
    read_document(Path("a.html"), PAGE)
    [child] = children()
    child.suspend()
    killer = subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(0.2); os.kill({child.pid}, 9)"])
    try:
        assert refusal("a.html", PAGE).startswith("brought down the process that read it (SIGKILL)")
    finally:
        killer.wait()
    assert read_document(Path("a.html"), PAGE).text == "some text"


def test_an_ingest_ends_its_process_and_reports_what_it_could_not_read(tmp_path, encoder):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "slow.pdf").write_bytes(slow_pdf())
    (tmp_path / "corpus" / "a.html").write_bytes(PAGE)
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        report = index.ingest(
            tmp_path / "corpus", limits=ReadLimits(max_seconds=5.0)
        )  # enough for a.html, on any machine
        assert report.added == 1
        assert [(Path(failure.source).name, failure.reason) for failure in report.failed] == [
            ("slow.pdf", "takes more than 5 s to read; raise --max-seconds")
        ]
    assert not children()


def run(script: str, folder: Path) -> subprocess.CompletedProcess:
    """A process of its own, standing in `folder`, that finds the package as this one does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_memory_stays_within_the_limits(tmp_path):
    """Peak resident memory, as the system counts it: of the process that asks, and of those that read."""
    (tmp_path / "many.json").write_bytes(MANY_LISTS)
    (tmp_path / "slow.pdf").write_bytes(slow_pdf())
    (tmp_path / "long.html").write_bytes(b"<i>x</i><br>" * 300_000)
    (tmp_path / "lines.csv").write_bytes(b"\n" * 10_000_000 + b"x")
    (tmp_path / "headings.md").write_bytes(b"# a\n" * 2_000_000)
    done = run(
        """
        import json, resource
        from pathlib import Path
        from indexes.errors import UnreadableFile
        from indexes.readers.base import ReadLimits
        from indexes.readers.registry import read_document
        from indexes.readers.sandbox import end_sandbox

        def peak(whose):
            return resource.getrusage(whose).ru_maxrss / 1024

        outcomes, before = {}, peak(resource.RUSAGE_SELF)
        for path in sorted(Path().iterdir()):
            data = path.read_bytes()
            limits = ReadLimits(max_memory=300_000_000, max_seconds=1.0 if path.name == "slow.pdf" else 600.0)
            try:
                outcomes[path.name] = len(read_document(path, data, limits).text)
            except UnreadableFile as error:
                outcomes[path.name] = error.reason
        end_sandbox()
        print(json.dumps([outcomes, peak(resource.RUSAGE_SELF) - before, peak(resource.RUSAGE_CHILDREN)]))
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    outcomes, own, childrens = json.loads(done.stdout)
    assert outcomes == {
        "headings.md": 8_000_000,
        "lines.csv": 10_000_001,
        "long.html": 600_000 - 1,
        "many.json": "takes more than 300 MB of memory to read",
        "slow.pdf": "takes more than 1 s to read; raise --max-seconds",
    }
    assert own < 250, "MB: a few times the largest file, and its headings"
    assert 150 < childrens < 300 + 100, "MB: the limit, and what Python takes itself"


def test_no_module_of_the_folder_that_one_stands_in_is_run(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('run')")
    (tmp_path / "lxml.py").write_text("raise SystemExit('run')")
    done = run(
        """
        import sys
        sys.path.remove("")  # as for an installed command
        from pathlib import Path
        from indexes.readers.registry import read_document
        print(read_document(Path("a.html"), b"<p>text").text)
        """,
        tmp_path,
    )
    assert done.stdout == "text\n", done.stderr


def test_a_child_does_not_outlive_its_parent(tmp_path):
    done = run(
        """
        import os, signal
        from pathlib import Path
        from indexes.readers.registry import read_document
        import psutil
        read_document(Path("a.html"), b"<p>text")
        print(psutil.Process().children()[0].pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    assert done.returncode == -signal.SIGKILL
    try:
        psutil.Process(int(done.stdout)).wait()
    except psutil.NoSuchProcess:
        return
