"""The tasks: the sentences hidden in a text and the questions asked about it.

Most kinds are those of RULER (Hsieh et al., arXiv 2404.06654, sections 3.1 to 3.4), written anew from their
definitions; `reading` and `two_hop` are longctx's own. The questions of one draft are asked about the same text, which
is read once. A new task is a function and a line in `TASKS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from longctx.probe.cloze import Cloze
from longctx.probe.generated_prose import filler_sentences
from longctx.probe.haystack import Haystack
from longctx.probe.task_texts import Language, TaskTexts

_VALUES = 4  # of one name, in multi-value
_CHAINS, _HOPS = 2, 3  # in variable-tracking: one chain is asked for, the other is a distractor
_COMMON = 5  # words that come most often, in common-words
_UNCOMMON = 15  # other words for each two occurrences of those
DISTRACTORS = 3  # pairs of facts in two-hop that no question is about: with few depths, a guess would do
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"  # so that no name is a word

READING = "reading"  # the task that is in the language of a user's text

Depths = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Needle:
    """A sentence that goes into a text at a depth from 0 (its beginning) to 1."""

    text: str
    depth: float


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """A question and the strings that its answer must hold; `depth` is where the answer stands, if in one place."""

    text: str
    answers: tuple[str, ...]
    depth: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """Needles for a text and the questions about it, in one language.

    They go into `filler` sentences, or into the haystack where that is None; at least the first `least` sentences of
    the filler must be in the text.
    """

    language: Language
    needles: tuple[Needle, ...]
    questions: tuple[TaskQuestion, ...]
    filler: Callable[[], Iterator[str]] | None = None
    least: int = 1


def together(drafts: Sequence[list[Draft]]) -> list[Draft]:
    """Put tasks together that are asked about the same texts.

    Args:
        drafts: The drafts of each task; of several tasks each has one, without a filler.

    Returns:
        Those of a task that is alone, or one with all needles and all questions.
    """
    if len(drafts) == 1:
        return drafts[0]
    joined = [draft for own in drafts for draft in own]
    needles = (needle for draft in joined for needle in draft.needles)
    return [Draft(joined[0].language, tuple(needles), tuple(asked for draft in joined for asked in draft.questions))]


Task = Callable[[random.Random, Depths, Language, Haystack], list[Draft]]
"""Draws the texts of a trial, with needles at the depths, and the questions about them."""


def needle(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """One needle at each depth, in a text of its own; the texts are alike up to the needle, the deepest comes first."""
    (value,) = _numbers(draw, 1)
    statement = language.needle.statement.format(value=value)
    return [
        Draft(language, (Needle(statement, depth),), (TaskQuestion(language.needle.question, (value,), depth),))
        for depth in sorted(depths, reverse=True)
    ]


def multi_key(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """A needle with a name of its own at each depth; a question about each of them."""
    facts = list(zip(draw.sample(language.names, len(depths)), _numbers(draw, len(depths)), depths, strict=True))
    statement = language.keyed.statement
    needles = tuple(Needle(statement.format(name=name, value=value), depth) for name, value, depth in facts)
    return [
        Draft(
            language, needles, tuple(_ask(language.keyed, (value,), depth, name=name) for name, value, depth in facts)
        )
    ]


def multi_value(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """Several numbers of one name, at random depths; the question asks for all of them."""
    name, values = draw.choice(language.names), _numbers(draw, _VALUES)
    needles = tuple(Needle(language.valued.statement.format(name=name, value=value), draw.random()) for value in values)
    return [Draft(language, needles, (_ask(language.valued, values, name=name),))]


def variable_tracking(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """Chains of names, each standing for the one before, the first for a number; the names of each number are asked."""
    names: list[str] = []
    while len(names) < _CHAINS * (_HOPS + 1):
        name = "".join(draw.sample(_CONSONANTS, 3))
        names += [name] if name not in names else []
    needles: list[Needle] = []
    questions = []
    for at, value in enumerate(_numbers(draw, _CHAINS)):
        chained = tuple(names[at * (_HOPS + 1) : (at + 1) * (_HOPS + 1)])
        places = sorted(draw.random() for _ in chained)
        said = (language.assigned.statement.format(name=name, value=of) for of, name in pairwise((value, *chained)))
        needles += map(Needle, said, places)
        questions.append(_ask(language.assigned, chained, value=value))
    return [Draft(language, tuple(needles), tuple(questions))]


def common_words(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """A list of words; the question asks for the few that come at least twice as often as any other."""
    words = draw.sample(language.words, len(language.words))
    common, others = words[:_COMMON], words[_COMMON:]
    seed = draw.random()

    def listed() -> Iterator[str]:
        order, at = random.Random(seed), 0
        while True:
            block = common * 2 + [others[(at + step) % len(others)] for step in range(_UNCOMMON)]
            at += _UNCOMMON
            yield from (f"{word}{language.comma}" for word in order.sample(block, len(block)))

    question = _ask(language.common, tuple(common), value=str(_COMMON))
    return [Draft(language, (), (question,), listed, 2 * _COMMON + _UNCOMMON)]


def qa(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """Short passages about people, all of one kind; a question about the one at each depth."""
    facts = [(name, draw.choice(language.towns), draw.choice(language.trades)) for name in _people(draw, language)]
    said = [language.fact.statement.format(name=name, value=town, trade=trade) for name, town, trade in facts]
    asked = len(depths)
    questions = (
        _ask(language.fact, (town,), depth, name=name)
        for (name, town, _), depth in zip(facts[:asked], depths, strict=True)
    )
    needles = tuple(map(Needle, said[:asked], depths))
    return [Draft(language, needles, tuple(questions), _among_prose(draw, language, said[asked:]))]


def reading(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """A sentence of the user's text at each depth; the question repeats it with a word missing."""
    filler = None  # the rest of the text
    if haystack.name is None:  # generated prose tells nothing that could be asked: what people found is added to it
        people = _people(draw, language)
        clozes = [
            Cloze(
                language.found.statement.format(
                    name=name, value=value, thing=draw.choice(language.words), town=draw.choice(language.towns)
                ),
                value,
            )
            for name, value in zip(people, _numbers(draw, len(people)), strict=True)
        ]
        filler = _among_prose(draw, language, [cloze.sentence for cloze in clozes[len(depths) :]])
    else:
        clozes = draw.sample(haystack.clozes(len(depths)), len(depths))
    asked = list(zip(clozes, depths, strict=False))
    questions = (
        _ask(language.found, (cloze.answer,), depth, value=cloze.blanked(language.blank)) for cloze, depth in asked
    )
    needles = tuple(Needle(cloze.sentence, depth) for cloze, depth in asked)
    return [Draft(language, needles, tuple(questions), filler)]


def two_hop(draw: random.Random, depths: Depths, language: Language, haystack: Haystack) -> list[Draft]:
    """Who keeps the key of a place, and elsewhere, at each depth, where their office is; the question leads to that."""
    asked = len(depths)
    second = (*depths, *(draw.random() for _ in range(DISTRACTORS)))
    first = (*depths[asked // 2 :], *depths[: asked // 2], *(draw.random() for _ in range(DISTRACTORS)))
    places, towns = (draw.sample(words, len(second)) for words in (language.names, language.towns))
    keepers = _people(draw, language)[: len(second)]
    keys = (language.kept.statement.format(name=name, value=who) for name, who in zip(places, keepers, strict=True))
    offices = (language.office.format(name=who, value=town) for who, town in zip(keepers, towns, strict=True))
    needles = (*map(Needle, keys, first), *map(Needle, offices, second))
    questions = (
        _ask(language.kept, (town,), depth, name=name) for name, town, depth in zip(places, towns, depths, strict=False)
    )
    return [Draft(language, needles, tuple(questions))]


TASKS: Mapping[str, Task] = {
    task.__name__.replace("_", "-"): task
    for task in (needle, multi_key, multi_value, variable_tracking, common_words, qa, reading, two_hop)
}


def _people(draw: random.Random, language: Language) -> list[str]:
    """All full names, in random order."""
    people = [(first, last) for first in language.first_names for last in language.last_names]
    draw.shuffle(people)
    return [language.full_name.format(first=first, last=last) for first, last in people]


def _among_prose(draw: random.Random, language: Language, said: Sequence[str]) -> Callable[[], Iterator[str]]:
    """Sentences with one of generated prose after each, and prose alone after the last."""
    seed = draw.randrange(2**32)

    def sentences() -> Iterator[str]:
        prose = filler_sentences(language.code, seed)
        between = (sentence for one in said for sentence in (one, next(prose)))
        return chain(between, prose)

    return sentences


def _ask(texts: TaskTexts, answers: tuple[str, ...], depth: float | None = None, **drawn: str) -> TaskQuestion:
    return TaskQuestion(texts.question.format(**drawn), answers, depth)


def _numbers(draw: random.Random, count: int) -> tuple[str, ...]:
    """Different numbers of five digits."""
    return tuple(str(number) for number in draw.sample(range(10_000, 100_000), count))
