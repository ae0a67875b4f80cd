"""Scaling methods beside each other under one probe: needles and reading at 1 to 32 times the native window.

    python benchmarks/bench_methods.py MODEL --multiples 1,2,4,8,16,32 --trials 4

Prompts and scores are those of `longctx probe`; the texts of a length are the same for every method. Results are kept
in --out, and the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from longctx.models import load_model
from longctx.probe import ProbeOptions, run_probe

METHODS = "none,linear,ntk,yarn,cope,cope_ntk,cope_yarn,dca"
TASKS = "needle,reading,perplexity"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--multiples", default="1,2,4,8,16,32", help="of the native window")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--depths", type=int, default=5)
    parser.add_argument("--text", type=Path, help="the haystack (default: prose made up)")
    parser.add_argument("--out", type=Path, default=Path(".longctx/methods"))
    given = parser.parse_args()
    loaded = load_model(given.model)
    multiples = [int(multiple) for multiple in given.multiples.split(",")]
    options = ProbeOptions(
        methods=tuple(given.methods.split(",")),
        lengths=tuple(loaded.native_window * multiple for multiple in multiples),
        tasks=tuple(given.tasks.split(",")),
        trials=given.trials,
        depths=given.depths,
        text=given.text,
    )
    report = run_probe(loaded, given.out, options, progress=lambda now: print(now.doing, file=sys.stderr))
    for task in options.tasks:
        print(f"\n{task}\n| | {' | '.join(f'{multiple}×' for multiple in multiples)} |")
        print(f"| --- |{' ---: |' * len(multiples)}")
        for method in report.methods:
            named = (task, method, None)
            cells = {cell.length: cell.score for cell in report.cells if (cell.task, cell.method, cell.depth) == named}
            scores = [cells.get(length) for length in options.lengths]
            print(f"| {method} | {' | '.join('–' if score is None else f'{score:.2f}' for score in scores)} |")


if __name__ == "__main__":
    main()
