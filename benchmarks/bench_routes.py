"""Which way past the window pays: accuracy, tokens and seconds of each route, against the length of the document.

    python benchmarks/bench_routes.py --text ../shared/data/books/news-from-nowhere.txt [--trials 50] [--plot FILE]

The demo model, whose native window is 256 tokens, is asked for the pass key in prose of 0.5 to 64 native windows. It
has been fine-tuned for 32 of them and reads under the scaling that it brings; `--model examples/models/passkey-llama`
is the one that has not, under YaRN. Every route is asked about the same documents, each of them by itself. A document
that a route cannot hold whole is cut to its window at the end, as is done where nothing better is at hand: on 'native'
to the native window, on 'extended' to 32. 'self' refuses such a document.

right      of the answers hold the key                     tokens   the model reads for an answer, on average
seconds    for an answer, on average, the search included
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes import SearchFilter
from longctx import ContextTooLong, DocumentQA, Engine, GenerationOptions, LoadedModel, load_model
from longctx.prompts import PromptInputs, TokenWriter, build_prompt, choose_template
from longctx.types import Citation
from rope_scaling import RopeScaling, open_checkpoint

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from train_demo_model import read_book

MODEL = Path(__file__).parents[1] / "examples" / "models" / "passkey-llama-yarn-8k"
ROUTES = ("native", "extended", "retrieval", "self", "auto")
QUESTION, NEW = "What is the pass key?", 24
READS = {"native": 1, "extended": 32}  # the most native windows that a route reads; what is longer is cut to them


@dataclass(frozen=True)
class Document:
    """Prose of so many native windows with a key in it, and the file that holds it."""

    file: Path
    text: str
    key: str


@dataclass
class Score:
    """What a route came to at a length."""

    right: int = 0
    tokens: int = 0
    seconds: float = 0.0
    refused: int = 0


def make_documents(folder: Path, tokenizer: Any, book: str, windows: float, native: int, trials: int) -> list[Document]:
    """Documents of `windows` native windows, in tokens, each from another place of the book, the keys at all depths."""
    offsets = tokenizer(book, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    made, room = [], round(windows * native)
    for trial in range(trials):
        draw = random.Random(f"{windows:g} {trial}")
        key = f"{draw.randrange(10**5):05d}"
        first = draw.randrange(len(offsets) - room)
        prose = book[offsets[first][0] : offsets[first + room - 16][1]]  # the needle takes about 16 tokens
        sentence_ends = [i + 2 for i in range(len(prose) - 2) if prose[i : i + 2] == ". "] or [prose.rfind(" ") + 1]
        at = min(sentence_ends, key=lambda end: abs(end - len(prose) * (trial % 10) / 9))
        text = f"{prose[:at]}The pass key is {key}. {prose[at:]}"
        file = folder / f"{windows:g}-{trial}.txt"
        file.write_text(text)
        made.append(Document(file, text, key))
    return made


def load(folder: Path) -> LoadedModel:
    """The model, its native window, and the scaling that takes it further: its own, or YaRN as each prompt needs."""
    own = open_checkpoint(folder, config_only=True).scaling
    if own.method == "default":
        return load_model(folder, scaling="yarn")
    return load_model(folder, scaling=own, native_window=own.original_max_position_embeddings)


def ask(qa: DocumentQA, loaded: LoadedModel, document: Document, route: str, score: Score) -> None:
    """Ask about one document, on one route, in an engine that remembers nothing."""
    began = time.monotonic()
    only = SearchFilter((str(document.file),))
    try:
        answer = qa.ask(QUESTION, route=route, max_new_tokens=NEW, filters=only)
        text, tokens = answer.text, answer.usage.prompt_tokens
    except ContextTooLong:
        score.refused += 1
        if route not in READS:
            return
        text, tokens = ask_cut(loaded, document, READS[route])
    score.seconds += time.monotonic() - began
    score.right += document.key in text
    score.tokens += tokens


def ask_cut(loaded: LoadedModel, document: Document, windows: int) -> tuple[str, int]:
    """The answer from as much of a document's beginning as fits so many native windows, and the prompt's tokens."""
    writer = TokenWriter(loaded.tokenizer, choose_template(None, loaded.name, loaded.tokenizer))
    room = windows * loaded.native_window - NEW
    text = document.text
    fixed, ids = len(prompt(writer, "")), prompt(writer, text)
    while len(ids) > room:
        text = text[: len(text) * (room - fixed) // (len(ids) - fixed)]
        ids = prompt(writer, text)
    native, own = loaded.native_window, loaded.scaling
    far = own if isinstance(own, RopeScaling) else RopeScaling.for_window("yarn", windows * native, native)
    stream = Engine(loaded, prefix_bytes=0).stream((), ids, None if windows == 1 else far, GenerationOptions(NEW))
    return "".join(stream), len(ids)


def prompt(writer: TokenWriter, text: str) -> list[int]:
    return build_prompt(writer, [Citation("", "", None, 0, len(text), text, number=1)], PromptInputs(QUESTION))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, dict[float, Score]]:
    """Every route at every length; prints a line for each."""
    loaded = load(options.model)
    book = read_book(options.text)
    engine = Engine(loaded, prefix_bytes=0)  # what one route has read must not be there for the next
    scores: dict[str, dict[float, Score]] = {route: {} for route in ROUTES}
    print(f"{'windows':>7}  {'route':<10}{'right':>7}{'tokens':>8}{'seconds':>9}", flush=True)
    for windows in options.windows:
        documents = make_documents(folder, loaded.tokenizer, book, windows, loaded.native_window, options.trials)
        with DocumentQA.open(folder / f"index-{windows:g}", loaded) as made:
            made.ingest([document.file for document in documents], chunk_tokens=options.chunk_tokens)
            qa = DocumentQA(made.index, engine)
            for route in ROUTES:
                score = scores[route][windows] = Score()
                for document in documents:
                    ask(qa, loaded, document, route, score)
                report(windows, route, score, options.trials)
    return scores


def report(windows: float, route: str, score: Score, trials: int) -> None:
    done = "cut" if route in READS else "refused"
    cut = f"   {score.refused} {done}" if score.refused else ""
    print(
        f"{windows:>6g}×  {route:<10}{score.right / trials:>7.3f}{score.tokens / trials:>8.0f}"
        f"{score.seconds / trials:>9.3f}{cut}",
        flush=True,
    )


def summarise(scores: dict[str, dict[float, Score]], trials: int) -> None:
    """What the planner promises: never worse than the best single route, and cheaper than extending."""
    singles = [route for route in ROUTES if route != "auto"]
    behind = {
        windows: (max(scores[route][windows].right for route in singles) - auto.right) / trials
        for windows, auto in scores["auto"].items()
    }
    worst = max(behind, key=behind.__getitem__)
    print(f"\nauto is behind the best single route by {100 * behind[worst]:.1f} points at most ({worst:g}×)")
    for what in ("tokens", "seconds"):
        totals = {
            route: sum(getattr(score, what) for score in scores[route].values()) for route in ("auto", "extended")
        }
        print(f"{what} of auto over the whole range: {totals['auto'] / totals['extended']:.2f} of extended's")


def draw_plot(scores: dict[str, dict[float, Score]], trials: int, file: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 6), layout="constrained")
    for (route, by_length), marker in zip(scores.items(), "ovs^D", strict=True):
        style = {"marker": marker, "label": route, "linewidth": 3 if route == "auto" else 1.2, "alpha": 0.8}
        answered = {windows: score for windows, score in by_length.items() if score.tokens}
        above.plot(list(answered), [score.right / trials for score in answered.values()], **style)
        below.plot(list(answered), [score.tokens / trials for score in answered.values()], **style)
    above.set(ylabel="answers that are right", ylim=(-0.05, 1.05), xscale="log")
    below.set(xlabel="length of the document, in native windows", ylabel="tokens read for an answer", yscale="log")
    lengths = list(next(iter(scores.values())))
    below.set_xticks(lengths, [f"{length:g}" for length in lengths])
    above.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--text", type=Path, required=True, help="prose that the model was not trained on")
    parser.add_argument("--trials", type=int, default=50, help="documents of each length")
    parser.add_argument("--windows", type=float, nargs="+", default=[0.5, 1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--chunk-tokens", type=int, help="of a passage; without it, what the encoder takes")
    parser.add_argument("--plot", help="draw accuracy and tokens against length, into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scores = measure(Path(folder), options)
    summarise(scores, options.trials)
    if options.plot:
        draw_plot(scores, options.trials, options.plot)


if __name__ == "__main__":
    main()
