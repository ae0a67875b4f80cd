"""Coverage-guided fuzzing of all that reads what others wrote: files, encodings, servers' errors, keys and values.

    python tests/fuzz/run.py [--minutes 1] [--only "reader .pdf" …] [--out .longctx/fuzz]

Each target runs for that long in a process of its own. A crash is an exception that is none of the declared ones, a hang
takes over 10 s of processor time. Each kind is listed once, and its input kept. Needs atheris: `make test-fuzz`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any, NoReturn

from targets import TARGETS, ZIPPED, seeds

HANG = 10  # seconds of processor time
MOST_MEMORY = 3_000  # megabytes
LARGEST = 60_000  # bytes of a seed and of an input; the parts of a zip file may be larger
INSTRUMENTED = ["indexes", "longctx", "pypdf", "openpyxl", "pptx", "email", "zipfile", "html", "csv"]
ROOT = Path(__file__).parents[2]


class Hang(BaseException):
    """An input took too long."""


def late(*_: Any) -> NoReturn:
    raise Hang


class Watched:
    """A target that counts, keeps the first input of each kind of crash, and goes on."""

    def __init__(self, target: str, out: Path) -> None:
        self.found, self.one, self.written = out / "found.json", TARGETS[target](), 0.0
        before = json.loads(self.found.read_text()) if self.found.exists() else {}
        self.state: dict[str, Any] = {"executions": 0, "crashes": {}, "hangs": {}, "memory": []} | before
        signal.signal(signal.SIGVTALRM, late)

    def __call__(self, data: bytes) -> None:
        self.state["executions"] += 1
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
            self.one(data)
        except (Exception, Hang) as error:
            self.keep("hangs" if isinstance(error, Hang) else "crashes", error, data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if time.monotonic() - self.written > 2:
            self.write()

    def keep(self, what: str, error: BaseException, data: bytes) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if str(ROOT) in frame.filename][-1]
        where = f"{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno}"
        if where not in self.state[what]:
            self.found.with_name(f"{what}-{len(self.state[what])}").write_bytes(data)
            self.state[what][where] = str(error)[:200]
            self.write()

    def write(self) -> None:
        self.written = time.monotonic()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.state["memory"].append(pages * resource.getpagesize() >> 20)
        self.found.write_text(json.dumps(self.state, indent=1))


def fuzz(target: str, seconds: int, out: Path) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    def header(data: bytes, most: int, seed: int) -> bytes:
        """The header of a safetensors file mutated, with its length right."""
        end = 8 + min(int.from_bytes(data[:8], "little"), len(data))
        head = bytes(atheris.Mutate(data[8:end], end + 64))
        return (len(head).to_bytes(8, "little") + head + data[end:])[:most]

    def part(data: bytes, most: int, seed: int) -> bytes:
        """One part of a zip file mutated, and the rest as it is."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        chosen, out = sorted(parts)[seed % len(parts)], io.BytesIO()
        parts[chosen] = bytes(atheris.Mutate(parts[chosen], len(parts[chosen]) + 256))
        with zipfile.ZipFile(out, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        return out.getvalue() if len(out.getvalue()) <= most else data

    zipped, mutator = (
        target.endswith(ZIPPED),
        part if target.endswith(ZIPPED) else header if target == "prefix" else None,
    )
    options = [
        f"-max_total_time={seconds}",
        "-timeout=300",
        "-report_slow_units=300",
        f"-rss_limit_mb={MOST_MEMORY}",
        "-verbosity=0",
    ]
    options += [f"-max_len={1 << 20 if zipped else LARGEST}", f"-artifact_prefix={out}/died-", str(out / "corpus")]
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        atheris.Setup([sys.argv[0], *options], Watched(target, out), custom_mutator=mutator)
        atheris.Fuzz()


def run(target: str, seconds: float, out: Path) -> tuple[str, int]:
    """Fuzz until the time is over, on after an input that ended the process; returns a line, and how much was found."""
    (out / "corpus").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        if len(seed) <= LARGEST:
            (out / "corpus" / f"seed-{number}").write_bytes(seed)
    end = time.monotonic() + seconds
    while (left := int(end - time.monotonic())) > 0:
        command = [sys.executable, __file__, "--one", target, "--seconds", str(left), "--out", str(out)]
        with (out / "log").open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    state = json.loads((out / "found.json").read_text())
    for where, said in (state["crashes"] | state["hangs"]).items():
        print(f"{target}: {where}: {said}")
    crashes, memory = len(state["crashes"]) + len([*out.glob("died-*")]), state["memory"]
    size = f"{memory[-1]:>7} MB {memory[-1] - memory[len(memory) // 2]:>+6} MB"
    return f"{target:14} {state['executions']:>11,} {crashes:>8} {len(state['hangs']):>6} {size}", crashes + len(
        state["hangs"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=[*TARGETS], metavar="TARGET")
    parser.add_argument("--out", type=Path, default=ROOT / ".longctx" / "fuzz")
    for hidden in ("--one", "--seconds"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        fuzz(given.one, given.seconds, given.out)
    total = 0
    print(f"{'target':14} {'executions':>11} {'crashes':>8} {'hangs':>6} {'memory':>10} {'2nd half':>9}", flush=True)
    for target in given.only:
        line, found = run(target, 60 * given.minutes, given.out / target.replace(" ", ""))
        total += found
        print(line, flush=True)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
