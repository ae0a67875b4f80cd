"""Ask about a document that is 16 times as long as the model's window, in three ways.

    python examples/grow_the_window.py [--seed N]

The model is the small Llama that comes with longctx. It was trained on texts of 256 tokens and can do one thing: find
a pass key in prose. The document is written here, with a key that the seed chooses. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from longctx import Answer, DocumentQA, LoadedModel, load_model

MODEL = Path(__file__).parent / "models" / "passkey-llama"
WINDOWS = 16  # the document's length, in native windows of the model
QUESTION = "What is the pass key?"

WHO = ("The old gardener", "A young sailor", "Our neighbour", "The postman", "A tired traveller", "The schoolmaster")
DID = ("walked slowly along", "sat down beside", "had often thought about", "turned away from", "came back to")
WHAT = ("the river", "the empty house", "the garden wall", "the wooden bridge", "the market square", "the orchard")
WHEN = ("in the early morning", "before the rain began", "late in the afternoon", "after dinner", "without a word")


def write_document(model: LoadedModel, key: str, draw: random.Random) -> tuple[str, int]:
    """Write prose that fills `WINDOWS` windows, with the key somewhere in the middle half; returns its tokens too."""
    sentences = [f"The pass key is {key}."]
    while (tokens := count_tokens(model, sentences)) < WINDOWS * model.native_window:
        sentences += [f"{' '.join(map(draw.choice, (WHO, DID, WHAT, WHEN)))}." for _ in range(10)]
    sentences.insert(round(len(sentences) * draw.uniform(0.25, 0.75)), sentences.pop(0))
    return " ".join(sentences), tokens


def count_tokens(model: LoadedModel, sentences: list[str]) -> int:
    return len(model.tokenizer(" ".join(sentences), verbose=False)["input_ids"])


def ask(index: Path, model: LoadedModel, route: str) -> Answer:
    """Ask the model about all documents in the index ('native', 'extended') or the best passages ('retrieval')."""
    with DocumentQA.open(index, model) as qa:
        return qa.ask(QUESTION, route=route, max_new_tokens=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="another seed, another document and key")
    draw = random.Random(parser.parse_args().seed)
    key = f"{draw.randrange(10**5):05d}"

    yarn = load_model(MODEL, scaling="yarn")
    unscaled = load_model(MODEL, native_window=2 * WINDOWS * yarn.native_window)  # or longctx would refuse the document
    text, tokens = write_document(yarn, key, draw)
    print(
        f"A document of {tokens:,} tokens, for a model with a window of {yarn.native_window}. The pass key is {key}.\n"
    )
    print(f"{'':<18}{'tokens read':>11}{'seconds':>9}   {QUESTION}")
    with tempfile.TemporaryDirectory() as folder:
        document, index = Path(folder, "document.txt"), Path(folder, "index")
        document.write_text(text, encoding="utf-8")
        with DocumentQA.open(index) as qa:
            qa.ingest(document, chunk_tokens=64)
        for name, model, route in (
            ("without scaling", unscaled, "native"),
            ("YaRN", yarn, "extended"),
            ("retrieval", yarn, "retrieval"),
        ):
            answer = ask(index, model, route)
            verdict = "right" if key in answer.text else "wrong"
            usage = answer.usage
            print(f"{name:<18}{usage.prompt_tokens:>11,}{usage.seconds:>9.1f}   {verdict}: {answer.text!r}", flush=True)
    print(
        "\nNext, with your own documents and model:  longctx ingest FOLDER  and then"
        '  longctx ask "QUESTION" --model PATH_OR_HUB_ID --scaling yarn'
    )


if __name__ == "__main__":
    main()
