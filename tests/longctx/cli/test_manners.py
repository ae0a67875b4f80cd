"""What every command has in common: help, the version, Ctrl-C, and what it shows while it works."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command_line import run_here
from forked_longctx import ForkedLongctx

from indexes import CorpusIndex, Encoder
from longctx.cli.output import one_line

FILES = 9
Command = Callable[..., tuple[str, str, int]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"The lamp of lighthouse {number} turns once in {number + 20} seconds.")
    return folder


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `longctx` in this process: what it prints, what it says on standard error, and how it ends."""
    monkeypatch.chdir(tmp_path)
    return partial(run_here, monkeypatch)


@pytest.mark.parametrize("arguments", [(), ("ask",), ("ingest",), ("index",), ("index", "list"), ("extend",)])
def test_h_is_help(command: Command, arguments: tuple[str, ...]) -> None:
    short, full = command(*arguments, "-h"), command(*arguments, "--help")
    assert short == full
    assert (short[1], short[2]) == ("", 0)
    assert "Usage:" in short[0]


@pytest.mark.parametrize("arguments", [(), ("index",)])
def test_without_a_command_the_help_is_printed(command: Command, arguments: tuple[str, ...]) -> None:
    assert command(*arguments) == command(*arguments, "--help")


def test_the_version(command: Command) -> None:
    assert command("-V") == command("--version")
    assert re.fullmatch(r"longctx \d+\.\d+\.\d+(\.dev\d+)?\n", command("-V")[0])


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart", "prometheus_client", "watchfiles"])
def test_a_server_without_one_of_its_packages_says_what_to_install(
    command: Command, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    _, said, code = command("serve")
    assert said == (
        f'longctx: {package} is not installed: get the extra "server": in a checkout of longctx, '
        'pip install -c constraints.txt ".[server]"\n'
    )
    assert code == 1


def test_an_ingest_that_ctrl_c_stops_says_what_is_in_and_goes_on(
    command: Command, corpus: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes as the sixth file is read, after two batches of two files each."""
    import indexes.ingest.files
    import indexes.ingest.pipeline

    read = indexes.ingest.files.read_document
    taken = []

    def stop_at_the_sixth(path: Path, *rest: object) -> object:
        taken.append(path)
        if len(taken) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return read(path, *rest)

    monkeypatch.setattr("longctx.cli.progress._SECONDS_BETWEEN_LINES", float("inf"))
    monkeypatch.setattr(indexes.ingest.pipeline, "_PENDING_CHARACTERS", 500)
    monkeypatch.setattr(indexes.ingest.files, "read_document", stop_at_the_sixth)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        printed, said, code = command("ingest", "docs")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (printed, code) == ("", 130)
    assert said == f"interrupted: 4 of {FILES} files are in the index; run the same command again to go on\n"
    with CorpusIndex.open(".longctx", encoder) as index:
        assert len(index.documents()) == 4
    printed, _, code = command("ingest", "docs")
    assert (f"{FILES - 4} added, 0 changed, 4 unchanged" in printed, code) == (True, 0)


def test_ctrl_c_elsewhere_ends_in_one_line(forked_longctx: ForkedLongctx, command: Command, corpus: Path) -> None:
    assert command("ingest", "docs")[2] == 0
    reading, writing = os.pipe()
    with forked_longctx.start("chat", stdin=reading) as chat:
        while "No model was given" not in chat.stderr:
            assert chat.poll() is None, chat.stderr
        time.sleep(0.5)  # a signal that comes just before a read blocks does not end it
        chat.send_signal(signal.SIGINT)
        again = time.monotonic() + 10
        while chat.poll() is None:
            time.sleep(0.05)
            if time.monotonic() > again:
                chat.send_signal(signal.SIGINT)
                again += 10
        assert chat.wait() == 130
        assert chat.stderr.endswith("\ninterrupted\n")
        assert "Traceback" not in chat.stderr
    os.close(reading)
    os.close(writing)


def test_ctrl_c_while_the_commands_are_imported_ends_in_one_line() -> None:
    program = (
        "import sys, types\n"
        "class Stopped(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        raise KeyboardInterrupt\n"
        "sys.modules['longctx.cli'] = Stopped('longctx.cli')\n"
        "from longctx.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "\ninterrupted\n", 130)


def test_a_second_ctrl_c_ends_at_once_without_a_traceback(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, longctx.cli as cli\n"
        "def interrupted(*_):\n"
        "    raise KeyboardInterrupt\n"
        "cli.ask.open_qa = interrupted\n"
        "cli.echo = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['longctx', 'ask', 'Who?']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", -signal.SIGINT)


def test_without_a_terminal_a_short_ingest_says_nothing_and_a_long_one_a_line_now_and_then(
    command: Command, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longctx.cli.progress._SECONDS_BETWEEN_LINES", float("inf"))
    _, said, _ = command("ingest", "docs")
    assert said == ""
    (corpus / "0.txt").write_text("Another text.")
    (corpus / "bad.pdf").write_bytes(b"%PDF-1.7\nnot really")
    monkeypatch.setattr("longctx.cli.progress._SECONDS_BETWEEN_LINES", 0.0)
    _, said, _ = command("ingest", "docs")
    lines = said.splitlines()
    assert lines[0] == "looking for files"
    for line in (
        f"0/{FILES + 1} files, 0 chunks  reading files",
        f"{FILES}/{FILES + 1} files, 0 chunks  loading the encoder: docs/bad.pdf",
        f"{FILES}/{FILES + 1} files, 0 chunks  embedding: docs/0.txt",
        f"{FILES + 1}/{FILES + 1} files, 1 chunks  writing the index: docs/0.txt",
    ):
        assert line in lines
    assert lines[-1].startswith("failed: docs/bad.pdf: ")


def test_a_terminal_sees_what_an_ingest_is_doing(forked_longctx: ForkedLongctx, corpus: Path) -> None:
    ours, theirs = pty.openpty()
    with forked_longctx.start("ingest", "docs", cwd=corpus.parent, stderr=theirs, COLUMNS="120") as process:
        os.close(theirs)
        shown = "".join(iter(lambda: read_terminal(ours), ""))
        assert process.wait() == 0
        assert f"{FILES} added" in process.stdout
    os.close(ours)
    doing = (
        "opening the index",
        "looking for files",
        "reading files",
        "loading the encoder",
        "embedding",
        "writing the index",
    )
    places = [shown.index(each) for each in doing]
    assert places == sorted(places)
    assert f"{FILES}/{FILES} files" in shown
    assert "0/?" not in shown
    assert "━" in shown
    assert "Loading weights" not in shown
    assert "it/s" not in shown, "no bar of a library"


def read_terminal(descriptor: int) -> str:
    """What was written on the other side; empty when that is closed."""
    try:
        return os.read(descriptor, 65536).decode(errors="replace")
    except OSError:
        return ""


def test_output_into_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space") as caught:
        full.write(b"answer")
    assert one_line(caught.value) == "the output cannot be written: No space left on device"
