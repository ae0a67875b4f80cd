"""Questions that need every document, asked of corpora beyond any window: route map beside route retrieval.

    python benchmarks/bench_map.py --data ../shared/data --model MODEL [--window 4096] [--windows 5 10 50] [--trials 3]

Each corpus consists of made reports: prose, and in it a few sentences with facts, so that the answers are known: how
many places something is said of, which ones, where a number is largest, and in what order they come. The questions of
two domains paraphrase what the reports say (made_reports.py). Corpora are the same for the same seed. `--model` is what
`longctx ask --model` takes: a folder, or openai:URL#name. An answer is right where it has the number (how many), all
names and no other (which ones), the one name (the largest), or the names in their order (in what order).

right      share of the answers that are right          tokens   read and written for an answer, on average
seconds    for an answer, on average                     parts    that the documents were read in
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

from longctx import DocumentQA, LoadedModel, LongctxError, Policy, ServedModel, load_model

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from made_reports import DOMAINS, Corpus, make_corpus, questions
from squad_questions import FILES, read_corpus
from train_demo_model import read_book

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
JAPANESE = ("weirs", "stores")
CHARACTERS_A_TOKEN = {name: 1.5 if name in JAPANESE else 4.2 for name in DOMAINS}  # to choose how long the reports are


@dataclass
class Result:
    """An answer, judged."""

    domain: str
    windows: float
    trial: int
    route: str
    what: str
    right: bool = False
    tokens: int = 0
    seconds: float = 0.0
    parts: int = 0
    answer: str = ""


def is_right(what: str, answer: str, corpus: Corpus) -> bool:
    """Judge an answer."""
    plain = re.sub(r"\[[\d\s,?]*\]", " ", unicodedata.normalize("NFKC", answer))
    places = {name: plain.find(name) for name in corpus.all_names}
    named = sorted((name for name in places if places[name] >= 0), key=places.__getitem__)
    if what == "how many":
        words = plain.lower().split()
        numbers = re.findall(r"\d+", plain) or [str(NUMBERS.index(word)) for word in words if word in NUMBERS]
        return numbers[:1] == [str(len(corpus.counted))]
    if what == "which ones":
        return set(named) == set(corpus.counted)
    if what == "largest":
        return named[:1] == [corpus.largest]
    return named == corpus.in_order


def read_prose(data: Path, domain: str) -> str:
    """What reports consist of besides their facts: a book in English, an encyclopedia's paragraphs in Japanese."""
    if domain not in JAPANESE:
        return read_book(data / "books" / "news-from-nowhere.txt")
    return "\n\n".join(text.strip() for _, text in read_corpus(data / FILES["ja"]).paragraphs)


def measure(options: argparse.Namespace, folder: Path) -> Iterator[Result]:
    policy = Policy(part_tokens=options.part_tokens)
    model, native = open_model(options.model, options.window, options.quantization)
    for name, windows, trial in product(options.domains, options.windows, range(options.trials)):
        domain, characters = DOMAINS[name], round(windows * native * CHARACTERS_A_TOKEN[name])
        prose = read_prose(options.data, name)
        corpus = make_corpus(domain, prose, characters, f"{options.seed} {name} {windows:g} {trial}")
        with DocumentQA.open(folder / f"{name}-{windows:g}-{trial}", model, policy=policy) as qa:
            qa.index.add(corpus.documents)
            for (what, question), route in product(questions(domain).items(), options.routes):
                if what in options.questions:
                    at = Result(name, windows, trial, route, what)
                    yield ask(qa, corpus, question, at, options.max_new_tokens)


def open_model(model: str, window: int | None, quantization: str | None) -> tuple[LoadedModel | ServedModel, int]:
    """The model, and its native window."""
    if model.startswith("openai:"):
        served = ServedModel.connect(model, window=window)
        return served, served.window
    loaded = load_model(model, native_window=window, quantization=quantization)
    return loaded, loaded.native_window


def ask(qa: DocumentQA, corpus: Corpus, question: str, at: Result, new_tokens: int) -> Result:
    began = time.monotonic()
    try:
        answer = qa.ask(question, route=at.route, max_new_tokens=new_tokens)
    except LongctxError as error:
        return replace(at, seconds=time.monotonic() - began, answer=f"refused: {error}")
    tokens = answer.usage.prompt_tokens + answer.usage.completion_tokens
    right = is_right(at.what, answer.text, corpus)
    seconds = time.monotonic() - began
    return replace(at, right=right, tokens=tokens, seconds=seconds, parts=answer.plan.parts, answer=answer.text)


def summary(results: Sequence[Result]) -> Iterator[str]:
    """A row for each domain, length, route and question, and one for each domain and route."""
    heads = f"{'domain':<8} {'windows':>8} {'route':<10} {'question':<11}"
    yield f"{heads} {'right':>7} {'tokens':>10} {'seconds':>8} {'parts':>6}"
    groups = dict.fromkeys((each.domain, each.windows, each.route, each.what) for each in results)
    groups |= dict.fromkeys((each.domain, None, each.route, "all") for each in results)
    for domain, windows, route, what in groups:
        some = [
            each
            for each in results
            if (each.domain, each.route) == (domain, route)
            and (windows is None or (each.windows, each.what) == (windows, what))
        ]
        right, count = sum(each.right for each in some), len(some)
        tokens, seconds, parts = (sum(getattr(r, f) for r in some) / count for f in ("tokens", "seconds", "parts"))
        shown = "all" if windows is None else f"{windows:g}×"
        yield (
            f"{domain:<8} {shown:>8} {route:<10} {what:<11} {right:>3}/{count:<3} {tokens:>10,.0f} {seconds:>8.1f} "
            f"{parts:>6.1f}"
        )


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
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS))
    parser.add_argument("--questions", nargs="+", default=["how many", "which ones", "largest", "in order"])
    parser.add_argument("--part-tokens", type=int, help="the most tokens of a part; by default, what longctx takes")
    parser.add_argument("--quantization", help="how the weights of a model of ours are kept, such as int8")
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
            where = f"{result.domain} {result.windows:g}× {result.route} {result.what} #{result.trial}"
            print(
                f"{where}: {'right' if result.right else 'WRONG'}  {' '.join(result.answer.split())[:160]}", flush=True
            )
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
    print("\n" + "\n".join(summary(results)))


if __name__ == "__main__":
    main()
