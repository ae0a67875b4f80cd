"""How often the kind of a question is decided rightly, by language.

    python benchmarks/bench_question_kinds.py --data ../shared/data

Questions for a fact are drawn from XQuAD (English) and JSQuAD (Japanese); those that need every document are in
`question_kinds.json` beside this file. Half of these were held out: written first, and not looked at while the rules
were tuned. A fact taken for anything else costs a reading of all documents; a question that needs everything taken for
one about a fact gets an answer from a few passages. Which of the three others it is taken for matters less.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from squad_questions import FILES, read_corpus

from longctx.planning import question_kind
from longctx.types import QuestionKind

KINDS = get_args(QuestionKind)
WRITTEN = Path(__file__).with_name("question_kinds.json")


def table(language: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A confusion table of (right kind, decided kind)."""
    counted = Counter(pairs)
    lines = [f"{language}  asks to   taken for  {''.join(f'{kind:>11}' for kind in KINDS)}"]
    for right in KINDS:
        row = [counted[right, decided] for decided in KINDS]
        if sum(row):
            lines.append(f"    {right:<21}{''.join(f'{count:>11}' for count in row)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with XQuAD and JSQuAD")
    parser.add_argument("--facts", type=int, default=100, help="questions for a fact, of each language")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--rest", action="store_true", help="the questions that are not drawn instead, to tune on")
    parser.add_argument("--show", action="store_true", help="print the questions that were taken for another kind")
    options = parser.parse_args()
    written = json.loads(WRITTEN.read_text(encoding="utf-8"))
    wrong: list[str] = []
    for language, name in FILES.items():
        if not (options.data / name).is_file():
            parser.error(f"{options.data / name} is not there: give the folder that holds {name} (--data)")
        facts = [question.question for question, _ in read_corpus(options.data / name).questions]
        drawn = set(random.Random(options.seed).sample(range(len(facts)), options.facts))
        asked = [("locate", q) for place, q in enumerate(facts) if (place in drawn) != options.rest]
        asked += [(e["kind"], e["question"]) for e in written if e["language"] == language]
        pairs = [(kind, question_kind(question)) for kind, question in asked]
        print(f"{table(language, pairs)}\n")
        fact = [decided for kind, decided in pairs if kind == "locate"]
        print(f"facts taken for others: {1 - fact.count('locate') / len(fact):.3f}")
        for held_out in (False, True):
            some = {each["question"] for each in written if each["held_out"] == held_out}
            decided = {
                question: kind for (_, question), (_, kind) in zip(asked, pairs, strict=True) if question in some
            }
            seen = [kind != "locate" for kind in decided.values()]
            print(f"others recognised, {'held out' if held_out else 'tuned on'}: {sum(seen) / len(seen):.3f}")
            if not held_out:
                wrong += [f"locate: {question}" for question, kind in decided.items() if kind == "locate"]
        print()
        wrong += [f"{d}: {q}" for (right, q), (_, d) in zip(asked, pairs, strict=True) if right == "locate" != d]
    if options.show:
        print("\n".join(wrong))


if __name__ == "__main__":
    main()
