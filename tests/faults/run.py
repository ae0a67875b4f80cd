"""Faults at any moment of the `longctx` command: SIGKILL, Ctrl-C, I/O errors, full disks, flips, swaps, pairs.

    python tests/faults/run.py [--kills 130] [--interrupts 26] [--errors 80] [--flips 80] [--swaps 40] [--pairs 30]
                               [--seed 0] [--only COMMAND …]

Nothing may be lost or doubled, nothing that is whole may be called damaged, and no wrong answer may come without a
word. The commands run in processes forked from this one, whose file operations `inject.c` (compiled here with `cc`)
counts and lets fail. `make test-faults` runs it for some minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import importlib
import importlib.util
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).parent
DOCUMENTS = 6
MODEL = str(HERE.parents[1] / "examples" / "models" / "passkey-llama")
INTERRUPT = -2
MEASURED = ("seconds", "first_token_seconds", "checksum", "read")  # what differs from run to run


@dataclass(frozen=True)
class Outcome:
    """How a forked process ended: its exit code or minus a signal, what it printed, and the operations it made."""

    status: int
    output: str
    errors: str
    operations: int = 0


@dataclass(frozen=True)
class Fault:
    """A fault at the n-th operation; errno 0 kills, INTERRUPT is Ctrl-C, and n = -1 only counts.

    Or two names are exchanged before it.
    """

    n: int
    errno: int = 0
    lasting: bool = False
    reads: bool = True
    exchange: tuple[Path, Path] | None = None


class Forked:
    """Runs functions in forked processes."""

    def __init__(self, library: ctypes.CDLL, under: Path) -> None:
        self._library, self._under = library, under

    @contextlib.contextmanager
    def running(self, action: Callable[[], int], fault: Fault | None) -> Iterator[Callable[[], Outcome]]:
        """Run a function in a process of its own; it may die by the fault. What is given waits for its end."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as told:
            if not (pid := os.fork()):
                self._child(action, fault, output.fileno(), errors.fileno(), told.fileno())

            def end() -> Outcome:
                _, status = os.waitpid(pid, 0)
                texts = [_text(file) for file in (output, errors)]
                return Outcome(os.waitstatus_to_exitcode(status), *texts, int(_text(told) or 0))

            yield end

    def run(self, action: Callable[[], int], fault: Fault | None) -> Outcome:
        """Run a function in a process of its own to its end."""
        with self.running(action, fault) as end:
            return end()

    def _child(self, action: Callable[[], int], fault: Fault | None, output: int, errors: int, told: int) -> NoReturn:
        code = 99
        try:
            os.dup2(output, 1)
            os.dup2(errors, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            if fault is not None and fault.exchange is not None:
                under, name, other = map(os.fsencode, (self._under, *fault.exchange))
                self._library.fault_exchange(under, fault.n, name, other)
            elif fault is not None:
                arguments = (fault.n, fault.errno, int(fault.lasting), int(fault.reads))
                self._library.fault_arm(os.fsencode(self._under), *arguments)
            try:
                code = action()
            except SystemExit as ended:
                code = int(ended.code or 0)
            os.write(told, str(self._library.fault_count()).encode())
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


class Bench:
    """A working folder in a known state, and the commands that change it."""

    def __init__(self, folder: Path, forked: Forked) -> None:
        from written_files import write_files

        self.folder, self.forked = folder, forked
        self.start = folder.with_name("start")
        self.new = folder.with_name("new-documents")
        folder.mkdir()
        write_documents(folder / "docs", range(DOCUMENTS), 1)
        write_documents(self.new, range(2, DOCUMENTS + 2), 2)
        self.command("ingest", "docs")
        self.command("chat", stdin="What is subject1?\n")
        write_documents(folder / "other-docs", range(9, 12), 9)
        self.command("ingest", "other-docs", "--index", "other")
        questions = [json.dumps({"question": f"What is subject{n}?", "answers": [f"subject{n}"]}) for n in range(3)]
        (folder / "questions.jsonl").write_text("\n".join(questions))
        conftest = _module(HERE.parent / "conftest.py")
        conftest.make_llama(folder.with_name("llama"), window=16_384)
        write_files(folder / "long-docs", {"long.txt": "The quick brown fox jumps over the lazy dog.\n" * 60})
        for index in ("long", "held"):
            self.command("ingest", "long-docs", "--index", index)
        formats = _module(HERE.parent / "indexes" / "storage" / "test_formats.py")
        write_files(folder / "old-docs", {f"{name}.md": text for name, text in formats.TEXTS.items()})
        formats.make_format_1(folder / "old", folder / "old-docs", HASHING)
        self.act("kept")
        self.act("eval on")
        half = folder / "half" / "results.jsonl"
        half.write_bytes(half.read_bytes()[:-20])
        self.forked.run(self.stopped_probe, None)
        self.act("packed")
        for left in ("held/kv-cache", "stopped/kv-cache", "home/int8"):
            assert any((folder / left).glob("*.safetensors")), left
        assert len(self.results("stopped")) < 4
        shutil.copytree(folder, self.start)

    def reset(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.start, self.folder)  # the times of files stay: copy2

    def command(self, *arguments: str, stdin: str = "", fault: Fault | None = None) -> Outcome:
        return self.forked.run(self._called(arguments, stdin), fault)

    def beside(self, action: str) -> contextlib.AbstractContextManager[Callable[[], Outcome]]:
        """Do an action while this process goes on; what is given waits for its end."""
        return self.forked.running(self._called(*ACTIONS[action]), None)

    def _called(self, arguments: tuple[str, ...], stdin: str) -> Callable[[], int]:
        def run() -> int:
            from longctx.cli import main

            os.chdir(self.folder)
            sys.argv, sys.stdin = ["longctx", *arguments], io.StringIO(stdin)
            main()

        return run

    def stopped_probe(self) -> int:
        """A probe that Ctrl-C stops while it reads its second text, of which it keeps keys and values."""
        from longctx.probe import ProbeOptions, run_probe

        def stop(progress: Any) -> None:
            if progress.done and "8,192 read" in progress.doing:
                raise KeyboardInterrupt

        os.chdir(self.folder)
        options = ProbeOptions(methods=("none",), tasks=("needle",), lengths=(8400, 8500), trials=1, depths=2)
        with contextlib.suppress(KeyboardInterrupt):
            run_probe(LLAMA, "stopped", options, progress=stop)
        return 0

    def prepare(self, action: str) -> None:
        """Make what an action finds, before it is run."""
        if action == "ingest":
            shutil.rmtree(self.folder / "docs")
            shutil.copytree(self.new, self.folder / "docs")
        if action == "pack":
            shutil.rmtree(self.folder / "home" / "int8")
        if action == "rebuild":
            shutil.rmtree(self.folder / ".longctx" / "dense")

    def act(self, action: str, fault: Fault | None = None) -> Outcome:
        arguments, stdin = ACTIONS[action]
        return self.command(*arguments, stdin=stdin, fault=fault)

    def state(self, index: str) -> dict[str, Any]:
        """All that is kept in an index and beside it, read without faults; problems of `verify` are in it."""
        verified = self.command("index", "verify", "--json", "--index", index)
        listed = self.command("index", "list", "--json", "--index", index)
        documents = json.loads(listed.output or "[]")
        all_of_them = ("--mode", "lexical", "-k", "99", "--json", "--index", index)
        searched = self.command("search", "subject3 Alpha fox", *all_of_them)
        # what scores alike stands in the order in which it was ingested, which a failure changes
        hits = sorted(hit["chunk"]["text"] for hit in json.loads(searched.output or "[]"))
        found: dict[str, Any] = {"problems": (verified.errors, verified.status), "hits": hits or searched.errors}
        found["documents"] = Counter(f"{Path(each['source']).name} {each['content_hash']}" for each in documents)
        hidden = (path for path in self.folder.rglob(".*") if not path.name.startswith(".tantivy-"))
        found["left behind"] = [str(path) for path in hidden if path.suffix in (".lock", ".new", ".part")]
        found["turns"] = self.turns()
        found["results"] = {name: self.results(name) for name in ("evaluated", "half", "probed", "stopped")}
        return found

    def results(self, name: str) -> list[str]:
        """The rows that `eval` or `probe` has kept, without what was measured, in order."""
        path = self.folder / name / "results.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one
        return sorted(json.dumps({key: row[key] for key in row if key not in MEASURED}, sort_keys=True) for row in rows)

    def turns(self) -> list[list[str]]:
        return [_turns(path) for path in sorted((self.folder / ".longctx-sessions").glob("*.session"))]


def _turns(path: Path) -> list[str]:
    from longctx.conversation.session_file import SessionFile

    with contextlib.closing(SessionFile.open(path)) as session:
        return [turn.question for turn in session.turns()]


_MAPPED = "--route map --window 400 --max-new-tokens 8"
_PROBED = "--methods none --tasks needle --lengths 192,224 --trials 1 --depths 2"
LLAMA = "../llama"  # beside the working folder: faults are in what is kept, and not in the weights
_STOPPED = "--methods none --tasks needle --lengths 8400,8500 --trials 1 --depths 2"
_WHOLE = "--route native --max-new-tokens 2 --kv-cache-size 50MB"
_IN_INT8 = ("ask", "Who jumps?", *_WHOLE.split(), "--model", LLAMA, "--quantization", "int8")
ACTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "ingest": (("ingest", "docs", "--prune"), ""),
    "remove": (("index", "remove", "docs/1.txt"), ""),
    "repair": (("index", "repair"), ""),
    "rebuild": (("search", "subject3"), ""),
    "migrate": (("index", "list", "--index", "old"), ""),
    "chat": (("chat",), "What is subject2?\n"),
    "eval": (("eval", "questions.jsonl", "--out", "evaluated"), ""),
    "map": (("ask", "How many subjects are there?", *_MAPPED.split(), "--model", MODEL), ""),
    "probe": (("probe", MODEL, *_PROBED.split(), "--out", "probed"), ""),
    "eval on": (("eval", "questions.jsonl", "--out", "half"), ""),
    "probe on": (("probe", LLAMA, *_STOPPED.split(), "--out", "stopped"), ""),
    "keep": (("ask", "Who jumps?", *_WHOLE.split(), "--model", LLAMA, "--index", "long"), ""),
    "kept": (("ask", "Who jumps?", *_WHOLE.split(), "--model", LLAMA, "--index", "held"), ""),
    "pack": ((*_IN_INT8, "--index", "held"), ""),
    "packed": ((*_IN_INT8, "--index", "held"), ""),
}
REFUSED = re.compile(r"another \w+ is writing")
ANSWERS = ("map", "keep", "kept", "pack", "packed")


def index_of(action: str) -> str:
    """The folder of the index that an action is about."""
    arguments, _ = ACTIONS[action]
    return arguments[arguments.index("--index") + 1] if "--index" in arguments else ".longctx"


def write_documents(folder: Path, numbers: range, version: int) -> None:
    folder.mkdir()
    for n in numbers:
        text = f"subject{n} in version{version} of document{n}.\n\n" + f"About subject{n}. " * (10 + 5 * n)
        (folder / f"{n}.txt").write_text(text)
        os.utime(folder / f"{n}.txt", (1.7e9 + version, 1.7e9 + version))


class Wrong(Exception):
    """What must not be."""


def check(bench: Bench, action: str, before: dict[str, Any], after: dict[str, Any], said: Outcome) -> None:
    """Check what a fault has left, and that the same command goes on from there to the right end."""
    index = index_of(action)
    left = bench.state(index)
    problems, status = left["problems"]
    if status or problems:
        raise Wrong(f"{index} is not whole: {problems}")
    known, held = before["documents"] | after["documents"], left["documents"]
    if lost := before["documents"] & after["documents"] - held:
        raise Wrong(f"lost: {lost}")
    names = [key.split()[0] for key in held.elements()]
    if held - known or len(names) != len(set(names)):
        raise Wrong(f"doubled or made up: {held - known} {names}")
    turns = [t for session in left["turns"] for t in session]
    if [t for session in before["turns"] for t in session] != turns[: len([t for s in before["turns"] for t in s])]:
        raise Wrong(f"turns were lost: {turns}")
    if said.status >= 0 and ("Traceback" in said.errors or "is damaged" in said.errors or "delete" in said.errors):
        raise Wrong(f"wrongly explained: {said.errors}")
    again = bench.act(action)
    if action != "remove" and again.status:
        raise Wrong(f"it does not go on: {again.status} {again.errors}")
    end = bench.state(index) | {"answer": again.output if action in ANSWERS else after["answer"]}
    kept = ("documents", "hits", "results", "answer", "left behind")
    if action != "chat" and (others := [key for key in kept if end[key] != after[key]]):
        raise Wrong("; ".join(f"it ends with other {key}: {end[key]} instead of {after[key]}" for key in others))


def faults_of(kind: str, operations: int, luck: random.Random) -> Fault:
    if kind in ("kills", "interrupts"):
        return Fault(luck.randint(1, operations), INTERRUPT if kind == "interrupts" else 0)
    error = luck.choice([errno.EIO, errno.ENOSPC])
    return Fault(luck.randint(1, operations), error, luck.random() < 0.5, error == errno.EIO)


@dataclass(frozen=True)
class Trial:
    """What was done under a fault, and what an index beside held before."""

    action: str
    fault: Fault
    said: Outcome
    other: Any = None


def done_whole(bench: Bench, actions: Iterable[str]) -> tuple[dict[str, int], dict[str, Any]]:
    """Do each action without a fault; returns its file operations, and the state that it leaves."""
    counts, afters = {}, {}
    for action in actions:
        bench.reset()
        bench.prepare(action)
        whole = bench.act(action, Fault(-1))
        assert whole.status == 0, (action, whole)
        counts[action], afters[action] = whole.operations, bench.state(index_of(action)) | {"answer": whole.output}
    return counts, afters


def is_wrong(bench: Bench, trial: Trial, before: Any, after: Any, other: Path | None = None) -> bool:
    """Whether a check of what a trial left fails, in whatever way; what it says is printed."""
    try:
        if other is not None and contents(other) != trial.other:
            raise Wrong("the other index has changed")
        check(bench, trial.action, before, after, trial.said)
    except Exception as error:
        text = f"{type(error).__name__} {error}\n   {trial.said.errors[-600:]}"
        print(f"WRONG: {trial.action}, {trial.fault}: {text}", flush=True)
        return True
    return False


def try_faults(bench: Bench, kind: str, actions: Sequence[str], trials: int, luck: random.Random) -> int:
    """Let commands fail; returns how many were wrong."""
    wrong, ends = 0, Counter[str]()
    bench.reset()
    before = {index: bench.state(index) for index in {index_of(action) for action in actions}}
    counts, afters = done_whole(bench, actions)
    print(f"{kind}: file operations of each command: {counts}", flush=True)
    for trial in range(trials):
        action = actions[trial % len(actions)]
        fault = faults_of(kind, counts[action], luck)
        bench.reset()
        bench.prepare(action)
        said = bench.act(action, fault)
        ends["killed" if said.status == -9 else "said" if said.status else "went on"] += 1
        wrong += is_wrong(bench, Trial(action, fault, said), before[index_of(action)], afters[action])
    print(f"{kind}: {trials} trials, {dict(ends)}, {wrong} wrong", flush=True)
    return wrong


def try_flips(bench: Bench, trials: int, luck: random.Random) -> int:
    """Flip a bit of a file, size and time kept; what is answered then is right, or says what is wrong."""
    wrong, ends = 0, Counter[str]()
    asked = [("search", "subject3", "--json"), ("index", "list", "--json"), ("index", "show", "docs/4.txt")]
    asked += [("ask", "What is subject2?"), ("search", "subject1", "--mode", "dense", "--json")]
    bench.reset()
    right = {ask: bench.command(*ask).output for ask in asked}
    turns = bench.turns()
    for trial in range(trials):
        bench.reset()
        files = sorted(
            p for f in (".longctx", ".longctx-sessions") for p in (bench.folder / f).rglob("*") if p.is_file()
        )
        file = luck.choice([p for p in files if p.stat().st_size])
        flip(file, luck)
        ask = asked[trial % len(asked)]
        done = bench.command(*ask)
        ends["right" if done.output == right[ask] else "said"] += 1
        if done.output != right[ask] and not (done.status and done.errors):
            wrong += 1
            print(f"WRONG: {file.name}: {ask} gives {done.output[:300]}", flush=True)
        with contextlib.suppress(Exception):  # an error says what is wrong
            if bench.turns() != turns:
                wrong += 1
                print(f"WRONG: {file.name}: other turns", flush=True)
    print(f"flips: {trials} trials, {dict(ends)}, {wrong} wrong", flush=True)
    return wrong


def try_swaps(bench: Bench, names: Sequence[str], trials: int, luck: random.Random) -> int:
    """Give the index's name to another index, or to a link to it; that one stays as it is, and so does this one."""
    wrong, ends = 0, Counter[str]()
    bench.reset()
    actions = [action for action in names if index_of(action) != "old"]
    before = {index: bench.state(index) for index in {index_of(action) for action in actions}}
    counts, afters = done_whole(bench, actions)
    other, link, aside = (bench.folder / name for name in ("other", "link", "aside"))
    for trial in range(trials):
        action, place = actions[trial // 2 % len(actions)], (other, link)[trial % 2]
        ours = bench.folder / index_of(action)
        bench.reset()
        bench.prepare(action)
        link.symlink_to(other)
        own, whole = ours.lstat().st_ino, contents(other)
        fault = Fault(luck.randint(1, counts[action]), exchange=(ours, place))
        said = bench.act(action, fault)
        if ours.lstat().st_ino != own:  # exchanged, and now back
            for old, new in ((ours, aside), (place, ours), (aside, place)):
                old.rename(new)
        ends["said" if said.status else "went on"] += 1
        wrong += is_wrong(bench, Trial(action, fault, said, whole), before[index_of(action)], afters[action], other)
    print(f"swaps: {trials} trials, {dict(ends)}, {wrong} wrong", flush=True)
    return wrong


def try_pairs(bench: Bench, names: Sequence[str], trials: int, luck: random.Random) -> int:
    """Do an action in two processes at about the same time: both are done, or one is refused by name."""
    wrong, ends = 0, Counter[str]()
    bench.reset()
    before = {index: bench.state(index) for index in {index_of(action) for action in names}}
    _, afters = done_whole(bench, names)
    for trial in range(trials):
        action = names[trial % len(names)]
        bench.reset()
        bench.prepare(action)
        with bench.beside(action) as end:
            time.sleep(luck.choice([0.0, luck.random()]))
            second = bench.act("repair" if action == "ingest" and luck.random() < 0.5 else action)
            both = (end(), second)
        refused = [said for said in both if said.status]
        ends["one refused" if refused else "both done"] += 1
        if action != "remove" and (len(refused) > 1 or any(not REFUSED.search(said.errors) for said in refused)):
            wrong += 1
            print(f"WRONG: two of {action}: {both}", flush=True)
        said = Outcome(0, "", "".join(said.errors for said in both))
        wrong += is_wrong(bench, Trial(action, Fault(-1), said), before[index_of(action)], afters[action])
    print(f"pairs: {trials} trials, {dict(ends)}, {wrong} wrong", flush=True)
    return wrong


def contents(folder: Path) -> dict[str, bytes]:
    """Each file of an index, without what SQLite makes beside its database to read it."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def flip(file: Path, luck: random.Random) -> None:
    status, data = file.stat(), bytearray(file.read_bytes())
    data[luck.randrange(len(data))] ^= 1 << luck.randrange(8)
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stand_in_for_the_encoder() -> Any:
    """An encoder that needs no weights, under the name of the default one: none of these faults is about meaning."""
    from hashing_encoder import HashingEncoder

    import indexes.manifest

    encoder = HashingEncoder()
    encoder.name = "default"
    indexes.manifest.load_encoder = lambda *_, **__: encoder
    return encoder


@contextlib.contextmanager
def compiled() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="longctx-faults-") as folder:
        library = Path(folder) / "inject.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "inject.c", "-ldl"], check=True)
        yield library


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"kills": 130, "interrupts": 26, "errors": 80, "flips": 80, "swaps": 40, "pairs": 30, "seed": 0}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs="+", choices=ACTIONS, default=[*ACTIONS], help="of the commands")
    given = parser.parse_args()
    if "LONGCTX_FAULTS" not in os.environ:
        with compiled() as library:
            threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}
            preloaded = {"LD_PRELOAD": str(library), "LONGCTX_FAULTS": str(library), "HF_HUB_OFFLINE": "1", **threads}
            return subprocess.run([sys.executable, *sys.argv], env=os.environ | preloaded, check=False).returncode
    library = ctypes.CDLL(os.environ["LONGCTX_FAULTS"])
    sys.path.append(str(HERE.parent / "support"))
    importlib.import_module("forked_longctx").import_everything()
    global HASHING
    HASHING = stand_in_for_the_encoder()
    luck, wrong = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory(prefix="longctx-faults-") as folder:
        os.environ["XDG_CONFIG_HOME"] = os.environ["LONGCTX_CACHE_DIR"] = str(Path(folder) / "work" / "home")
        bench = Bench(Path(folder) / "work", Forked(library, Path(folder) / "work"))
        for kind, trials in (("kills", given.kills), ("interrupts", given.interrupts), ("errors", given.errors)):
            wrong += try_faults(bench, kind, given.only, trials, luck) if trials else 0
        wrong += try_flips(bench, given.flips, luck) if given.flips else 0
        wrong += try_swaps(bench, given.only, given.swaps, luck) if given.swaps else 0
        wrong += try_pairs(bench, given.only, given.pairs, luck) if given.pairs else 0
    return 1 if wrong else 0


HASHING: Any = None

if __name__ == "__main__":
    sys.exit(main())
