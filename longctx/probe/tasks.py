"""The tasks: which sentences go into a text, and what is asked of it. Knows no tokens and no model.

The kinds are those of RULER (Hsieh et al., arXiv 2404.06654, sections 3.1 to 3.4), written anew from their definitions.
A task gives drafts; the questions of one draft are asked of the same text, which is read once. A new task is a function
and a line in `TASKS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from types import MappingProxyType

from longctx.probe.generated_prose import filler_sentences
from longctx.probe.task_texts import Language, TaskTexts

_VALUES = 4  # of one name, in multi-value
_CHAINS, _HOPS = 2, 3  # in variable-tracking: one chain is asked for, the other leads astray
_COMMON = 5  # words that come most often, in common-words
_UNCOMMON = 15  # others to each two rounds of those
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"  # so that no name is a word

Depths = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Needle:
    """A sentence that goes into a text at a depth from 0 (its beginning) to 1."""

    text: str
    depth: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, how the answer begins, and the strings that it must hold; `depth` is their place, if it is one."""

    text: str
    lead: str
    answers: tuple[str, ...]
    depth: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A text to be: needles in a haystack of `filler` sentences, or in prose where that is None; and its questions.

    The text must have room for `least` of the filler's sentences.
    """

    needles: tuple[Needle, ...]
    questions: tuple[Question, ...]
    filler: Callable[[], Iterator[str]] | None = None
    least: int = 1


Task = Callable[[random.Random, Depths, Language, TaskTexts], list[Draft]]


def needle(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """One needle at each depth, in a text of its own; the texts are alike up to the needle, the deepest comes first."""
    (value,) = _numbers(draw, 1)
    statement = wording.statement.format(value=value)
    return [
        Draft((Needle(statement, depth),), (Question(wording.question, wording.lead, (value,), depth),))
        for depth in sorted(depths, reverse=True)
    ]


def multi_key(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """A needle with a name of its own at each depth; each of them is asked for."""
    keyed = language.keyed
    names = draw.sample(language.names, len(depths))
    facts = list(zip(names, _numbers(draw, len(depths)), depths, strict=True))
    needles = tuple(Needle(keyed.statement.format(name=name, value=value), depth) for name, value, depth in facts)
    questions = (_ask(keyed, name=name, value="", answers=(value,), depth=depth) for name, value, depth in facts)
    return [Draft(needles, tuple(questions))]


def multi_value(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """Several numbers of one name, anywhere; all are to be named."""
    name, values = draw.choice(language.names), _numbers(draw, _VALUES)
    needles = tuple(Needle(language.valued.statement.format(name=name, value=value), draw.random()) for value in values)
    return [Draft(needles, (_ask(language.valued, name=name, value="", answers=values),))]


def variable_tracking(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """Chains of names, each standing for the one before, the first for a number; the names of each number are asked."""
    names = ["".join(three) for three in _distinct(draw, lambda: draw.sample(_CONSONANTS, 3), _CHAINS * (_HOPS + 1))]
    needles: list[Needle] = []
    questions = []
    for at, value in enumerate(_numbers(draw, _CHAINS)):
        chained = tuple(names[at * (_HOPS + 1) : (at + 1) * (_HOPS + 1)])
        places = sorted(draw.random() for _ in chained)
        said = (language.assigned.statement.format(name=name, value=of) for of, name in pairwise((value, *chained)))
        needles += map(Needle, said, places)
        questions.append(_ask(language.assigned, name="", value=value, answers=chained))
    return [Draft(tuple(needles), tuple(questions))]


def common_words(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """A list of words; the few that come at least twice as often as any other are to be named."""
    words = draw.sample(language.words, len(language.words))
    common, others = words[:_COMMON], words[_COMMON:]
    seed = draw.random()

    def listed() -> Iterator[str]:
        order, at = random.Random(seed), 0
        while True:
            block = common * 2 + [others[(at + step) % len(others)] for step in range(_UNCOMMON)]
            at += _UNCOMMON
            yield from (f"{word}{language.comma}" for word in order.sample(block, len(block)))

    question = _ask(language.common, name="", value=str(_COMMON), answers=tuple(common))
    return [Draft((), (question,), listed, 2 * _COMMON + _UNCOMMON)]


def qa(draw: random.Random, depths: Depths, language: Language, wording: TaskTexts) -> list[Draft]:
    """Short passages about people; the one at each depth is asked about, the others are like it."""
    people = [(first, last) for first in language.first_names for last in language.last_names]
    draw.shuffle(people)
    facts = [
        (language.full_name.format(first=first, last=last), draw.choice(language.towns), draw.choice(language.trades))
        for first, last in people
    ]
    said = [language.fact.statement.format(name=name, value=town, trade=trade) for name, town, trade in facts]
    asked, seed = len(depths), draw.randrange(2**32)
    needles = tuple(map(Needle, said[:asked], depths))
    questions = (
        _ask(language.fact, name=name, value="", answers=(town,), depth=depth)
        for (name, town, _), depth in zip(facts[:asked], depths, strict=True)
    )

    def passages() -> Iterator[str]:
        prose = filler_sentences(language.code, seed)
        between = (sentence for fact in said[asked:] for sentence in (fact, next(prose)))
        return chain(between, prose)

    return [Draft(needles, tuple(questions), passages)]


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "needle": needle,
        "multi-key": multi_key,
        "multi-value": multi_value,
        "variable-tracking": variable_tracking,
        "common-words": common_words,
        "qa": qa,
    }
)


def _ask(
    wording: TaskTexts, *, name: str, value: str, answers: tuple[str, ...], depth: float | None = None
) -> Question:
    question, lead = (text.format(name=name, value=value) for text in (wording.question, wording.lead))
    return Question(question, lead, answers, depth)


def _numbers(draw: random.Random, count: int) -> tuple[str, ...]:
    """Different numbers of five digits."""
    return tuple(str(number) for number in draw.sample(range(10_000, 100_000), count))


def _distinct(draw: random.Random, make: Callable[[], list[str]], count: int) -> list[list[str]]:
    made: list[list[str]] = []
    while len(made) < count:
        one = make()
        if one not in made:
            made.append(one)
    return made
