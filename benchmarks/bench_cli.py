"""Start-up of the command line beside an empty Python, in one run.

    python benchmarks/bench_cli.py [--runs 15]

The commands take turns, so that a noisy machine is noisy to all of them. The ratio counts, not the milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import typer'": ["-c", "import typer"],
    "longctx --version": ["-m", "longctx", "--version"],
    "longctx --help": ["-m", "longctx", "--help"],
    "longctx ask --help": ["-m", "longctx", "ask", "--help"],
}


def milliseconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    for arguments in COMMANDS.values():
        milliseconds(arguments)  # the first run compiles and fills the disk cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            times[name].append(milliseconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    print(f"{'command':<28}{'median ms':>10}{'min ms':>10}{'ratio':>8}")
    for name, median in medians.items():
        print(f"{name:<28}{median:>10.0f}{min(times[name]):>10.0f}{median / base:>7.1f}x")


if __name__ == "__main__":
    main()
