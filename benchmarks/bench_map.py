"""Questions that need every document, asked of corpora beyond any window: route map beside route retrieval.

    python benchmarks/bench_map.py --data ../shared/data --model MODEL [--window 4096] [--windows 5 10 50] [--trials 3]

Each corpus consists of inspection reports on harbour lights: prose from a book, and in it a few sentences with figures,
so that the answers are known: how many stations have a fault, which ones, where the reading is largest, and in what
order stations were visited. Corpora are the same for the same seed and tokenizer. `--model` is what `longctx ask
--model` takes: a folder, or openai:URL#name. An answer is right where it has the number (how many), all names and no
other (which ones), the one name (the largest), or the names in their order (in what order).

right      share of the answers that are right          tokens   read and written for an answer, on average
seconds    for an answer, on average                     parts    that the documents were read in
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from indexes import Document
from longctx import DocumentQA, LoadedModel, LongctxError, Policy, ServedModel, load_model

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from train_demo_model import read_book

NAMES = [
    f"{first}{second}"
    for first in ("Alder", "Birch", "Cedar", "Dun", "Elm", "Fern", "Gorse", "Hazel", "Ivy", "Juniper", "Kelp", "Larch")
    for second in ("ness", "wick", "holm", "stead", "cliff", "mouth", "garth", "bury", "combe", "skerry")
]
FAULTS = ("cracked lens", "leaking roof", "broken stair")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
FOUND = (
    "The inspector found a {fault} at {name}.",
    "At {name} there is a {fault}, which has to be seen to.",
    "A {fault} was noted at {name} on the second day.",
    "{name} has a {fault}, as it had last year.",
)
FAULTY = (9, 14)  # stations: more than a search finds, and as many as an answer can name
IN_ORDER = 5
WORKS = ("painted", "swept", "rewired")
CHARACTERS_A_TOKEN = 4.2  # of English prose, to choose how long the reports are
CHARACTERS_A_REPORT = 6000  # at least


@dataclass(frozen=True)
class Corpus:
    """Reports, and what is true of them."""

    documents: list[Document]
    fault: str
    faulty: list[str]
    largest: str
    in_order: list[str]
    all_names: list[str]


@dataclass
class Result:
    """An answer, judged."""

    windows: float
    trial: int
    route: str
    what: str
    right: bool
    tokens: int
    seconds: float
    parts: int
    answer: str


def make_corpus(book: str, characters: int, seed: str) -> Corpus:
    """Reports of so many characters together, with figures from a draw of its own."""
    draw = random.Random(seed)
    count = max(3 * IN_ORDER, min(len(NAMES), characters // CHARACTERS_A_REPORT))
    names = draw.sample(NAMES, count)
    fault = draw.choice(FAULTS)
    faulty = set(draw.sample(names, draw.randint(min(FAULTY[0], count // 2), min(FAULTY[1], count - 1))))
    heights = draw.sample(range(100, 100 + 20 * count), count)
    turns = {work: draw.sample(names, IN_ORDER) for work in WORKS}
    documents = []
    for place, (name, height) in enumerate(zip(names, heights, strict=True)):
        facts = [f"The tide gauge at {name} read {height} cm."]
        other = draw.choice([each for each in FAULTS if each != fault])
        if name in faulty or draw.random() < 0.5:
            facts.append(draw.choice(FOUND).format(fault=fault if name in faulty else other, name=name))
        for work, order in turns.items():
            if name in order:
                facts.append(f"{name} was number {order.index(name) + 1} of the stations that were {work}.")
        text = with_facts(filler(book, characters // count, draw), facts, draw)
        title = f"Inspection report {place + 1}: {name}"
        documents.append(Document(f"report-{place + 1:03d}-{name}", f"{title}\n\n{text}\n", title))
    largest = names[heights.index(max(heights))]
    return Corpus(documents, fault, [name for name in names if name in faulty], largest, turns["painted"], names)


def filler(book: str, characters: int, draw: random.Random) -> list[str]:
    """Paragraphs from somewhere in the book."""
    start = draw.randrange(max(1, len(book) - characters))
    return [" ".join(p.split()) for p in book[start : start + characters].split("\n\n") if p.strip()] or [""]


def with_facts(paragraphs: Sequence[str], facts: Sequence[str], draw: random.Random) -> str:
    """The paragraphs, each fact at the end of one of them."""
    written = list(paragraphs)
    for fact in facts:
        place = draw.randrange(len(written))
        written[place] = f"{written[place]} {fact}".strip()
    return "\n\n".join(written)


def questions(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """(what it is about, the question)."""
    yield "how many", f"How many of the reports mention a {corpus.fault}?"
    yield "which ones", f"Which of the reports mention a {corpus.fault}? Name the stations."
    yield "largest", "Which report states the largest reading of a tide gauge? Name the station."
    yield "in order", f"In what order were the {IN_ORDER} stations painted that were painted, by all reports?"


def is_right(what: str, answer: str, corpus: Corpus) -> bool:
    """Judge an answer."""
    plain = re.sub(r"\[[\d\s,?]*\]", " ", answer)
    named = [name for name in re.findall(r"[A-Z][a-z]+", plain) if name in corpus.all_names]
    distinct = list(dict.fromkeys(named))
    if what == "how many":
        digits = re.findall(r"\d+", plain) + [str(NUMBERS.index(w)) for w in plain.lower().split() if w in NUMBERS]
        return digits[:1] == [str(len(corpus.faulty))]
    if what == "which ones":
        return set(distinct) == set(corpus.faulty)
    if what == "largest":
        return distinct[:1] == [corpus.largest]
    return distinct == corpus.in_order


def measure(options: argparse.Namespace, folder: Path) -> Iterator[Result]:
    book = read_book(options.data / "books" / "news-from-nowhere.txt")
    policy = Policy(part_tokens=options.part_tokens)
    model, native = open_model(options.model, options.window)
    for windows, trial in product(options.windows, range(options.trials)):
        corpus = make_corpus(book, round(windows * native * CHARACTERS_A_TOKEN), f"{options.seed} {windows:g} {trial}")
        with DocumentQA.open(folder / f"{windows:g}-{trial}", model, policy=policy) as qa:
            qa.index.add(corpus.documents)
            for (what, question), route in product(questions(corpus), options.routes):
                yield ask(qa, corpus, (what, question), route, (windows, trial, options.max_new_tokens))


def open_model(model: str, window: int | None) -> tuple[LoadedModel | ServedModel, int]:
    """The model, and its native window."""
    if model.startswith("openai:"):
        served = ServedModel.connect(model, window=window)
        return served, served.window
    loaded = load_model(model, native_window=window)
    return loaded, loaded.native_window


def ask(qa: DocumentQA, corpus: Corpus, asked: tuple[str, str], route: str, at: tuple[float, int, int]) -> Result:
    (what, question), (windows, trial, new_tokens) = asked, at
    began = time.monotonic()
    try:
        answer = qa.ask(question, route=route, max_new_tokens=new_tokens)
    except LongctxError as error:
        return Result(windows, trial, route, what, False, 0, time.monotonic() - began, 0, f"refused: {error}")
    tokens = answer.usage.prompt_tokens + answer.usage.completion_tokens
    right = is_right(what, answer.text, corpus)
    seconds = time.monotonic() - began
    return Result(windows, trial, route, what, right, tokens, seconds, answer.plan.parts, answer.text)


def summary(results: Sequence[Result]) -> Iterator[str]:
    """A row for each length, route and question, and one for each route."""
    yield f"{'windows':>8} {'route':<10} {'question':<11} {'right':>7} {'tokens':>10} {'seconds':>8} {'parts':>6}"
    groups = dict.fromkeys((each.windows, each.route, each.what) for each in results)
    for windows, route, what in [*groups, *dict.fromkeys(("all", each.route, "all") for each in results)]:
        some = [r for r in results if r.route == route and windows in ("all", r.windows) and what in ("all", r.what)]
        right, count = sum(each.right for each in some), len(some)
        tokens, seconds, parts = (sum(getattr(r, f) for r in some) / count for f in ("tokens", "seconds", "parts"))
        shown = windows if windows == "all" else f"{windows:g}×"
        yield f"{shown:>8} {route:<10} {what:<11} {right:>3}/{count:<3} {tokens:>10,.0f} {seconds:>8.1f} {parts:>6.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with books/news-from-nowhere.txt")
    parser.add_argument("--model", required=True, help="a folder, a hub name or openai:URL#name")
    parser.add_argument("--window", type=int, help="the native window in tokens, where it should be another")
    parser.add_argument(
        "--windows", type=float, nargs="+", default=[5, 10, 50], help="corpora of so many native windows"
    )
    parser.add_argument("--trials", type=int, default=3, help="corpora of each length")
    parser.add_argument("--routes", nargs="+", default=["map", "retrieval"])
    parser.add_argument("--part-tokens", type=int, default=Policy().part_tokens, help="the most tokens of a part")
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument(
        "--keep", type=Path, help="a folder for the indexes: a run that was stopped goes on with its notes"
    )
    parser.add_argument("--out", type=Path, help="write every answer here, as JSON lines")
    options = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as temporary:
        for result in measure(options, options.keep or Path(temporary)):
            results.append(result)
            where = f"{result.windows:g}× {result.route} {result.what} #{result.trial}"
            print(
                f"{where}: {'right' if result.right else 'WRONG'}  {' '.join(result.answer.split())[:160]}", flush=True
            )
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
    print("\n" + "\n".join(summary(results)))


if __name__ == "__main__":
    main()
