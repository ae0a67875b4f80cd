"""Follow-up questions: how often the right passage is among the first five, with and without rewriting by a model.

    python benchmarks/bench_followups.py --data ../shared/data --model path/to/model
    python benchmarks/bench_followups.py --data ../shared/data --model openai:http://localhost:8080/v1 --about answer

XQuAD and JSQuAD (`FILES` in squad_questions.py) have several questions on each paragraph. A pair of them becomes a
conversation of two turns: the first question with its answer, and the second as people go on, with what both share
left out: a pronoun in place of the subject, or only what is new. With `--about answer`, the pronoun stands for the
answer of the first question, which is one of the same article, mostly of another paragraph. Each pair is asked as
`Conversation` asks it: searched for as it stands, with the words of the last question, and as the model rewrites it.
Rewriting is worth its time where it finds clearly more; `REWRITES_BY_DEFAULT` in longctx/conversation/conversation.py
is what follows from that.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intervals import interval
from squad_questions import FILES, Corpus, read_corpus

from indexes import CorpusIndex, Document
from indexes.text import content_terms
from longctx import DocumentQA, Message
from longctx.conversation.query_rewriting import (
    REWRITTEN_TOKENS,
    is_usable,
    needs_context,
    rewrite_request,
    rewriting_in,
    with_context_words,
)

FIRST = 5
_WH = r"who|whom|whose|what|when|where|which|why|how"
_NAME = re.compile(r"(?:(?<=\s)|^)(?:the )?[A-Z][\w'’.-]+(?:(?: of| the| and| de)* [A-Z0-9][\w'’.-]+)*(?:['’]s)?")
_TOPIC_JA = re.compile(r"[^、。？\s]{1,20}?(?=は|の)")


@dataclass(frozen=True)
class FollowUp:
    """A question with the one before it and its answer, and the paragraph that answers both."""

    first: str
    answer: str
    whole: str
    asked: str
    paragraph: int

    @property
    def history(self) -> tuple[Message, ...]:
        return Message("user", self.first), Message("assistant", self.answer)


def shortened_en(first: str, second: str) -> str | None:
    """The second question with a name that both share replaced by a pronoun; or only its end, behind "And"."""
    shared = {term.casefold() for term in _NAME.findall(first)}
    for found in _NAME.finditer(second):
        name = found[0]
        known = name.casefold() in shared or content_terms(name) <= content_terms(first)
        if found.start() == 0 or not content_terms(name) or not known or re.fullmatch(f"(?i){_WH}", name):
            continue
        pronoun = "its" if re.search(r"['’]s$", name) else "it"
        return " ".join(f"{second[: found.start()]}{pronoun}{second[found.end() :]}".split())
    shape = re.compile(rf"(?i)^((?:{_WH})\b(?: (?:is|was|are|were|did|does|do|many|much|year))*)\b")
    both = shape.match(first), shape.match(second)
    if both[0] and both[1] and both[0][1].casefold() == both[1][1].casefold():
        rest = second[both[1].end() :].strip(" ?")
        return f"And {rest}?" if 0 < len(rest.split()) <= 6 else None
    return None


def shortened_ja(first: str, second: str) -> str | None:
    """The second question with a topic that both share replaced by 「それ」, or left out where it is the first."""
    for found in _TOPIC_JA.finditer(second):
        topic = found[0]
        if len(topic) < 2 or topic not in first or not content_terms(topic):
            continue
        particle = second[found.end() : found.end() + 1]
        rest = second[found.end() + 1 :]
        if found.start() == 0 and particle == "は":
            return f"では、{rest}" if len(topic) % 2 else f"それは{rest}"
        return f"{second[: found.start()]}その{rest}" if particle == "の" else f"{second[: found.start()]}それは{rest}"
    return None


SHORTENED: dict[str, Callable[[str, str], str | None]] = {"en": shortened_en, "ja": shortened_ja}


def follow_ups(corpus: Corpus, language: str, count: int, seed: int) -> list[FollowUp]:
    """One pair of a paragraph, drawn from all; only those whose short form is taken for a follow-up."""
    made: list[FollowUp] = []
    of: dict[int, list] = {}
    for question, paragraph in corpus.questions:
        of.setdefault(paragraph, []).append(question)
    paragraphs = sorted(of)
    random.Random(seed).shuffle(paragraphs)
    for paragraph in paragraphs:
        questions = of[paragraph]
        for first, second in ((a, b) for a in questions for b in questions if a is not b):
            asked = SHORTENED[language](first.question, second.question)
            if asked and asked != second.question and needs_context(asked):
                answer = (first.answers or ("",))[0]
                made.append(FollowUp(first.question, answer, second.question, asked, paragraph))
                break
        if len(made) == count:
            break
    return made


def referring_en(answer: str, second: str) -> str | None:
    """The second question with a pronoun in place of the answer to the first."""
    found = re.search(rf"(?<!\ba )(?<!\ban )\b(?:[tT]he )?{re.escape(answer)}(['’]s)?(?!\w)(?! [A-Z])", second)
    if found is None or found.start() == 0 or not _NAME.fullmatch(answer):
        return None
    return f"{second[: found.start()]}{'its' if found[1] else 'it'}{second[found.end() :]}"


def referring_ja(answer: str, second: str) -> str | None:
    """The second question with それ or その in place of the answer to the first."""
    at = second.find(answer)
    if at < 0 or len(answer) < 3 or not content_terms(answer):
        return None
    rest = second[at + len(answer) :]
    return f"{second[:at]}その{rest[1:]}" if rest.startswith("の") else f"{second[:at]}それ{rest}"


REFERRING: dict[str, Callable[[str, str], str | None]] = {"en": referring_en, "ja": referring_ja}


def about_answers(corpus: Corpus, language: str, count: int, seed: int) -> list[FollowUp]:
    """One follow-up about the answer to a question for each paragraph, drawn from all that `needs_context` knows."""
    made: list[FollowUp] = []
    asked = list(corpus.questions)
    random.Random(seed).shuffle(asked)
    for second, paragraph in asked:
        article = corpus.articles[paragraph]
        firsts = [each for each, of in corpus.questions if corpus.articles[of] == article and of != paragraph]
        firsts += [each for each, of in corpus.questions if of == paragraph and each is not second]
        for first in firsts if paragraph not in {each.paragraph for each in made} else ():
            answer = (first.answers or ("",))[0]
            short = REFERRING[language](answer, second.question) if answer not in first.question else None
            if short and needs_context(short):
                made.append(FollowUp(first.question, answer, second.question, short, paragraph))
                break
        if len(made) == count:
            break
    return made


MAKERS = {"question": follow_ups, "answer": about_answers}


def queries(each: FollowUp, qa: DocumentQA | None) -> dict[str, str]:
    """What is searched for, by the way to get it."""
    ways = {
        "the whole question (upper bound)": each.whole,
        "as it stands": each.asked,
        "with words of the last question": with_context_words([each.first], each.asked),
        "with words of the last question and its answer": with_context_words(
            [f"{each.first} {each.answer}"], each.asked
        ),
    }
    if qa is not None:
        written = rewriting_in(qa.reply(*rewrite_request(each.asked, each.history), REWRITTEN_TOKENS))
        usable = is_usable(written, each.asked, each.history)
        ways["rewritten by the model, where usable"] = written if usable else ways["with words of the last question"]
        ways["rewritten by the model, always"] = written or each.asked
    return ways


def measure(index: CorpusIndex, asked: Sequence[FollowUp], qa: DocumentQA | None, show: bool) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    with index.snapshot() as snapshot:
        for each in asked:
            ways = queries(each, qa)
            for way, query in ways.items():
                hits = snapshot.search(query, FIRST)
                found.setdefault(way, []).append(any(hit.chunk.source == str(each.paragraph) for hit in hits))
            if show:
                print(f"- {each.first} / {each.asked}")
                for way, query in ways.items():
                    print(f"  - {'+' if found[way][-1] else '-'} {way}: {query}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of XQuAD and JSQuAD")
    parser.add_argument("--model", help="rewrites the questions; without one, only the other ways are measured")
    parser.add_argument("--count", type=int, default=60, help="follow-ups in each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=["en", "ja"], help="only this one")
    parser.add_argument("--about", choices=MAKERS, default="question", help="what the follow-up leaves out")
    parser.add_argument("--show", action="store_true", help="print every question and what was searched for")
    arguments = parser.parse_args()
    for language in [arguments.language] if arguments.language else list(FILES):
        corpus = read_corpus(arguments.data / FILES[language])
        asked = MAKERS[arguments.about](corpus, language, arguments.count, arguments.seed)
        with (
            tempfile.TemporaryDirectory() as folder,
            DocumentQA.open(Path(folder) / "index", arguments.model) as qa,
        ):
            documents = enumerate(corpus.paragraphs)
            qa.index.add(Document(str(number), text, title) for number, (title, text) in documents)
            began = time.perf_counter()
            found = measure(qa.index, asked, qa if arguments.model else None, arguments.show)
            seconds = (time.perf_counter() - began) / len(asked)
        counts = f"{len(asked)} follow-ups, {len(corpus.paragraphs):,} paragraphs, {seconds:.1f} s each"
        print(f"\n## {language}: {counts}\n")
        print(f"| searched for | right paragraph among the first {FIRST} |\n| --- | --- |")
        for way, right in found.items():
            print(f"| {way} | {interval(sum(right), len(right))} of {len(right)} |")


if __name__ == "__main__":
    main()
