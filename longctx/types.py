"""The values that pass from stage to stage of an answer."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from longctx.errors import BadRequest
from longctx.reasons import Reason, in_english, in_japanese

if TYPE_CHECKING:
    from indexes import SearchFilter

Route = Literal["native", "extended", "retrieval", "self", "map"]
RouteChoice = Literal["auto", "native", "extended", "retrieval", "self", "map"]
QuestionKind = Literal["locate", "compare", "count", "summarise"]
SearchMode = Literal["hybrid", "dense", "lexical"]
MarkedBy = Literal["model", "corrected", "added"]
ThinkingMode = Literal["auto", "on", "off"]
Rewriting = Literal["auto", "on", "off"]
_PROMPT_LIMITS = ("prompt_tokens", "budget")
_HALVES = re.compile("[\ud800-\udfff]")  # of surrogate pairs
_SEEDS = (-(2**63), 2**64 - 1)  # what torch's generators take
BudgetItemKind = Literal["system", "document", "turn", "question", "answer", "free", "found", "documents"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation.

    Attributes:
        role: Who said it: the user, or the model ("assistant").
        content: What was said.
    """

    role: Literal["user", "assistant"]
    content: str


class Thought(str):
    """A piece of what a model thinks before it answers. Streams yield such pieces with `AskOptions.show_thinking`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document: `text` is what stands there, `document.text[start:end]`, put right as in a `Chunk`.

    Attributes:
        source: The document's source: the path of a file, or the name that a document in memory was given.
        title: The document's title.
        page: The page, counted from 1; None for a format without pages.
        start: Where the text begins in the document's text, in characters.
        end: Where it ends: the first character that no longer belongs to it.
        text: The text.
        line: The line of the document's text that `start` is on, counted from 1; None where that is not known.
        number: Its mark in the answer: 1 for [1].
        marked_by: Who put the mark there: the `model`; the check of the answer where the model's mark named another
            passage (`corrected`), or where the model set none (`added`).
        table_header: The header row of the table that the text is a row of, or begins with rows of; it is not in
            `text`.
        copies: Other files with the same content.
        node: The id of a llama-index node that does not say where it stands in its document (`DocumentQA.open` with a
            `retriever`): `start`, `end` and `line` then count in the node's own text. Otherwise empty.
    """

    source: str
    title: str
    page: int | None
    start: int
    end: int
    text: str
    line: int | None = None
    number: int = 0
    marked_by: MarkedBy = "model"
    table_header: str = ""
    copies: tuple[str, ...] = ()
    node: str = ""


@dataclass(frozen=True, slots=True)
class BudgetItem:
    """What a part of the window is used for, or what was left out of it.

    Attributes:
        kind: What it is. What was left out is 'found', a passage that bears on the question; of a 'document', passages
            that do not; and 'documents' that were not counted.
        name: The document, the number of the turn, or how many documents were not counted.
        tokens: How many tokens it takes.
        passages: How many passages of the document it is.
    """

    kind: BudgetItemKind
    name: str
    tokens: int
    passages: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model answers a question: by which route, why, in how much of which window, and what was left out.

    Attributes:
        route: The way past the window that was chosen.
        reason: Why it was chosen, with the numbers: `reasons` in English.
        reason_ja: The same in Japanese.
        reasons: Why it was chosen, for programs.
        window: Context length in tokens, prompt and answer together.
        scale: `window` as a multiple of the native window.
        measured: Whether the model is known to read so far: natively, or by the report of a probe.
        budget: What each part of the window is used for. The tokens add up to what can be used of it. On route `map`,
            what all prompts that read documents take together.
        left_out: What is not in the prompt.
        chunk_ids: The passages in the prompt, in its order; empty on route `map`, which reads every passage.
        turns: Numbers of the conversation's turns in the prompt, counted from 1.
        passages_found: How many passages the search found.
        passages_used: How many passages are in the prompt.
        prompt_tokens: Length of the prompt in tokens; on route `map`, of all prompts that read documents.
        max_new_tokens: The longest answer in tokens.
        seconds: Expected seconds for reading the prompt, until the first token of the answer, without `reused_tokens`;
            None where it is not known how fast the model reads.
        fallback: On route `self`, the plan that follows if the passages do not hold the answer.
        kind: What the question was taken to ask for: see `AskOptions`.
        parts: On route `map`, how many parts the documents are read in; otherwise 0.
        thinking_tokens: Tokens that are kept free for what the model thinks before its answer.
        reused_tokens: How many first tokens of the prompt the model has read before and need not read again, as far as
            that is known.
    """

    route: Route
    reason: str = field(init=False, default="")
    reason_ja: str = field(init=False, default="")
    reasons: tuple[Reason, ...]
    window: int
    scale: float = 1.0
    measured: bool = True
    budget: tuple[BudgetItem, ...] = ()
    left_out: tuple[BudgetItem, ...] = ()
    chunk_ids: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    passages_found: int = 0
    passages_used: int = 0
    prompt_tokens: int = 0
    max_new_tokens: int = 0
    seconds: float | None = None
    fallback: Plan | None = None
    kind: QuestionKind = "locate"
    parts: int = 0
    thinking_tokens: int = 0
    reused_tokens: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", in_english(self.reasons))
        object.__setattr__(self, "reason_ja", in_japanese(self.reasons))


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost.

    Attributes:
        prompt_tokens: Tokens of the prompts; 0 without a model.
        completion_tokens: Tokens that it generated.
        seconds: Wall-clock seconds.
        first_token_seconds: Wall-clock seconds from the question to the first token of the answer; 0 without a model.
        reused_tokens: How many of `prompt_tokens` the model did not have to read again, because it had read them for an
            earlier prompt; 0 for a server that does not say.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    first_token_seconds: float = 0.0
    reused_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it comes from.

    Attributes:
        text: The answer. A mark such as [1] refers to the citation of that `number`. A mark that the model made up is
            written [9?] and refers to nothing. Without a model, the text consists of the sentences cited.
        citations: The passages that the text refers to.
        plan: How a model answered; None without a model.
        usage: What the answer cost.
        passages: All passages in the model's prompt; empty without a model.
        search_query: What was searched for, where that is not the question as it stands.
        refused: Whether the answer is that the documents do not hold one.
        unsupported: The sentences of the text that no passage in the prompt supports; each has the mark [?].
        thinking: What the model thought before the answer; never cited, and not part of the history of a conversation.
        note: What is unusual about the answer, such as why the model gave none; empty otherwise.
    """

    text: str
    citations: tuple[Citation, ...]
    plan: Plan | None
    usage: Usage
    passages: tuple[Citation, ...] = ()
    search_query: str | None = None
    refused: bool = False
    unsupported: tuple[str, ...] = ()
    thinking: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer in a conversation.

    Attributes:
        number: Its number, counted from 1.
        question: The question.
        answer: The answer.
        asked_at: When the answer was finished, as "2026-11-23T09:30:00Z" (UTC).
    """

    number: int
    question: str
    answer: Answer
    asked_at: str


def is_count(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number, and not a bool or a float, of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_text(value: object) -> bool:
    """Whether a value is a text that can be written: JSON can hold half a surrogate pair, which no encoding has."""
    return isinstance(value, str) and _HALVES.search(value) is None


def is_number(value: object) -> bool:
    """Whether a value is a float, or a whole number that one can hold."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return isinstance(value, float)


def _is_one_of(value: object, names: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in names


def check_values(options: Any, **rules: tuple[bool, str]) -> None:
    """Raise BadRequest for the first field whose rule does not hold; each rule comes with its remedy."""
    for name, (holds, remedy) in rules.items():
        if not holds:
            raise BadRequest(f"{name} is {getattr(options, name)!r}: {remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How the next token is chosen. Greedy unless `temperature` is above 0.

    Attributes:
        temperature: Divides the logits; 0 is greedy decoding.
        top_p: Keeps the likeliest tokens that together have this probability.
        top_k: Keeps so many of the likeliest tokens; 0 keeps all.
        repetition_penalty: Above 1, tokens of the prompt and the answer become less likely.
        seed: The same seed gives the same tokens; None draws a new one.
        stop: Strings before the first of which the answer ends.
        prompt_lookup: Whether the next tokens are also guessed from the prompt and checked several at once, which gives
            the same tokens sooner; None does so where it pays: on a CPU whose products are packed or in 8 bits.

    Raises:
        BadRequest: For a value out of its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prompt_lookup: bool | None = None

    def __post_init__(self) -> None:
        check_values(
            self,
            prompt_lookup=(
                self.prompt_lookup is None or isinstance(self.prompt_lookup, bool),
                "use True, False or None",
            ),
            temperature=(
                is_number(self.temperature) and 0 <= self.temperature < math.inf,
                "give 0 for greedy, or a number above it",
            ),
            top_p=(is_number(self.top_p) and 0 < self.top_p <= 1, "give a probability above 0, at most 1"),
            top_k=(is_count(self.top_k), "give 0 for all tokens, or how many"),
            repetition_penalty=(
                is_number(self.repetition_penalty) and 0 < self.repetition_penalty < math.inf,
                "give 1 for none, or a number above it",
            ),
            seed=(
                self.seed is None or (is_count(self.seed, _SEEDS[0]) and self.seed <= _SEEDS[1]),
                "give a whole number of at most 64 bits",
            ),
            stop=(
                isinstance(self.stop, tuple) and all(isinstance(each, str) and each for each in self.stop),
                "give a tuple of strings, none of them empty",
            ),
        )


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How one question is to be answered: the same value from the command line to the engine.

    Attributes:
        route: The way past the window: `native` or `extended` (all documents in the prompt), `retrieval` (the passages
            that bear on the question most), `self` (passages first, all documents if the model says that they do not
            hold the answer), `map` (all documents in parts, each condensed to notes, of which the answer is made) or
            `auto` (the first of native, extended and retrieval that works, with `map` in place of retrieval for a
            question that needs everything). None leaves it to the policy of the `DocumentQA`.
        k: How many passages to search for.
        score_cutoff: A prompt that asks for one fact leaves out passages that score below this share of the best one's
            score, from 0 (none is left out) to 1: they cost time, and distract small models. Those that hold words of
            the question which no better one holds stay. A retriever's or reranker's scores leave none out.
        max_new_tokens: The longest answer, in tokens.
        system: A system prompt, placed before longctx's own rules.
        filters: Which documents may be used; None allows all.
        expand: How many neighbouring chunks on either side are taken with each passage.
        mode: How passages are searched for: `hybrid`, `dense` or `lexical`.
        sampling: How the answer's tokens are chosen.
        prompt_tokens: The longest prompt, in tokens, on every route. With None and without `budget`, a prompt on a
            processor or a server may take 20 seconds to the first token on the routes `auto`, `retrieval` and, for its
            passages, `self`, but has 1,024 tokens at least; otherwise the window is the limit.
        budget: The same limit in seconds to the first token; how fast the model reads is measured for it.
        kind: What the question asks for: `locate` (a fact that stands in one place), or what needs every document:
            `compare` (things or their order), `count` (how many, which ones) or `summarise`. None decides it by the
            words of the question.
        thinking: Whether a thinking model thinks before it answers: `on`, `off`, or `auto`, which leaves it to the
            model. `off` is followed by models that have a switch for it.
        thinking_tokens: The most tokens of thoughts, beside those of the answer.
        show_thinking: Whether streams yield the thoughts, too, as pieces of type `Thought`.

    Raises:
        BadRequest: For a value out of its range, and for `prompt_tokens` beside `budget`.
    """

    route: RouteChoice | None = None
    k: int = 8
    score_cutoff: float = 0.4
    max_new_tokens: int = 256
    system: str = ""
    filters: SearchFilter | None = None
    expand: int = 0
    mode: SearchMode = "hybrid"
    sampling: SamplingOptions = SamplingOptions()
    prompt_tokens: int | None = None
    budget: float | None = None
    kind: QuestionKind | None = None
    thinking: ThinkingMode = "auto"
    thinking_tokens: int = 1024
    show_thinking: bool = False

    def __post_init__(self) -> None:
        kinds, thoughts = get_args(QuestionKind), get_args(ThinkingMode)
        routes, modes = get_args(RouteChoice), get_args(SearchMode)
        check_values(
            self,
            route=(self.route is None or isinstance(self.route, str), f"use {', '.join(routes)}"),
            mode=(_is_one_of(self.mode, modes), f"use {', '.join(modes)}"),
            system=(is_text(self.system), "give a text in Unicode"),
            filters=(self.filters is None or hasattr(self.filters, "matcher"), "give a SearchFilter"),
            sampling=(isinstance(self.sampling, SamplingOptions), "give SamplingOptions"),
            thinking=(_is_one_of(self.thinking, thoughts), f"use {', '.join(thoughts)}"),
            thinking_tokens=(
                is_count(self.thinking_tokens, 1),
                "give a whole number of tokens above 0, or thinking='off'",
            ),
            show_thinking=(isinstance(self.show_thinking, bool), "use True or False"),
            kind=(self.kind is None or _is_one_of(self.kind, kinds), f"use {', '.join(kinds)}"),
            k=(is_count(self.k, 1), "give a whole number of passages above 0"),
            score_cutoff=(
                is_number(self.score_cutoff) and 0 <= self.score_cutoff <= 1,
                "give a share of the best score, from 0 to 1",
            ),
            expand=(is_count(self.expand), "give a whole number of neighbours, or 0"),
            max_new_tokens=(is_count(self.max_new_tokens, 1), "an answer needs a whole number of tokens, at least 1"),
            prompt_tokens=(
                self.prompt_tokens is None or is_count(self.prompt_tokens, 1),
                "give a whole number of tokens above 0",
            ),
            budget=(
                self.budget is None or (is_number(self.budget) and 0 < self.budget < math.inf),
                "give a number of seconds above 0",
            ),
        )
        if self.prompt_tokens is not None and self.budget is not None:
            raise BadRequest(
                f"prompt_tokens is {self.prompt_tokens} and budget is {self.budget:g} s, which limit the same: "
                "give one of them"
            )

    def updated(self, **changes: Any) -> AskOptions:
        """These options with some changed.

        Args:
            changes: Fields of this class or of `SamplingOptions`, by name. A limit of the prompt, `prompt_tokens` or
                `budget`, replaces the other one.

        Returns:
            A new value; this one stays as it is.

        Raises:
            BadRequest: For a value out of its range, and for a name that is no option.
        """
        own = {each.name for each in fields(AskOptions)}
        sampling = {each.name for each in fields(SamplingOptions)}
        if unknown := sorted(changes.keys() - own - sampling):
            raise BadRequest(f"{unknown[0]} is no option of a question: use {', '.join(sorted(own | sampling))}")
        drawn = {name: changes.pop(name) for name in sampling & changes.keys()}
        if any(changes.get(name) is not None for name in _PROMPT_LIMITS):
            changes = dict.fromkeys(_PROMPT_LIMITS) | changes
        base = replace(self, **changes)
        return replace(base, sampling=replace(base.sampling, **drawn))


@dataclass(frozen=True, slots=True)
class QuestionRequest:
    """A question as a `Conversation` or a `DocumentQA` passes it on.

    Attributes:
        question: The question as it was asked.
        options: How it is to be answered.
        search_query: What to search for, where that is not the question as it stands.
        history: What was said before; None outside of a conversation.
        recalled: Numbers, from 1, of the earlier turns that bear on the question, best first.
        last: The ids of the passages in the last prompt, in its order, so that this one can begin alike; () makes a
            prompt that depends on the question alone, and None takes what the `DocumentQA` was asked before.
    """

    question: str
    options: AskOptions = AskOptions()
    search_query: str | None = None
    history: tuple[Message, ...] | None = None
    recalled: tuple[int, ...] = ()
    last: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.question, str):
            raise BadRequest(f"the question is {self.question!r}: give a text")
        if not self.question.strip():
            raise BadRequest("the question is empty: ask something")
        said = (message.content for message in self.history or ())
        texts = {"question": (self.question, self.search_query or ""), "conversation": tuple(said)}
        for name, held in texts.items():
            if not all(map(is_text, held)):
                raise BadRequest(f"the {name} cannot be written in UTF-8: check its encoding")

    @property
    def query(self) -> str:
        """What to search for."""
        return self.search_query or self.question
