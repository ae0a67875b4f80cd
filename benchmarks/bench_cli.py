"""Start-up of the command line beside an empty Python, and a question through a server beside one without, in one run.

    python benchmarks/bench_cli.py [--runs 15]

The commands take turns, so that a noisy machine is noisy to all of them. The ratio counts, not the milliseconds.
Questions go to the demo model; the server has answered one before, and the same question is not asked twice.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import typer'": ["-c", "import typer"],
    "longctx --version": ["-m", "longctx", "--version"],
    "longctx --help": ["-m", "longctx", "--help"],
    "longctx ask --help": ["-m", "longctx", "ask", "--help"],
}
EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL = ["--model", str(EXAMPLES / "models" / "passkey-llama")]


def milliseconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


@contextmanager
def served(index: Path) -> Iterator[None]:
    """An index of the example documents with a server on it."""
    longctx = [sys.executable, "-m", "longctx"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*longctx, "ingest", str(EXAMPLES / "corpus"), "--index", str(index)], check=True, **quiet)
    server = subprocess.Popen([*longctx, "serve", "--index", str(index), *MODEL, "--port", "0"], **quiet)
    try:
        while not (index / "server.sock").exists() and server.poll() is None:
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


def show(times: dict[str, list[float]], base: str) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'command':<28}{'median ms':>10}{'min ms':>10}{'ratio':>8}")
    for name, median in medians.items():
        print(f"{name:<28}{median:>10.0f}{min(times[name]):>10.0f}{median / medians[base]:>7.2f}x")


def start_up(runs: int) -> None:
    for arguments in COMMANDS.values():
        milliseconds(arguments)  # the first run compiles and fills the disk cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            times[name].append(milliseconds(arguments))
    show(times, "python -c pass")


def questions(runs: int) -> None:
    ways = {"longctx ask --no-server": [*MODEL, "--no-server"], "longctx ask": []}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with TemporaryDirectory() as folder, served(Path(folder) / "index"):
        for run in range(-1, runs):
            for name, flags in ways.items():
                question = f"How is a doctor called on day {run + 2}?"
                asked = ["-m", "longctx", "ask", question, "--index", f"{folder}/index", "--max-new-tokens", "32"]
                took = milliseconds([*asked, *flags])
                if run >= 0:  # the first answer opens what later ones find open
                    times[name].append(took)
    show(times, "longctx ask --no-server")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    start_up(runs)
    questions(max(1, runs // 3))


if __name__ == "__main__":
    main()
