"""Reading the errors of servers about prompts that are too long, and the limits that they state.

OpenAI's protocol has no field for either: the numbers are in the prose of the message, which differs between servers
and between their versions. So it is not matched sentence by sentence. Each number gets its role from the words beside
it, in its own clause: the window, a limit on the prompt alone, the tokens of the prompt, of the answer, or of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from longctx.backends.openai.cjk_errors import in_english
from longctx.errors import ServerFailed

Role = Literal["window", "input", "prompt", "new", "total"]

_DEPTH = 4  # of a response that is read
_STATUSES = (400, 413, 422, 500)

# What a refusal for length is about, and what it says of it. Rates and other limits are in other errors.
_SUBJECT = (
    r"(?:context|prompts?(?:_tokens)?|`?inputs?`?|input_ids|messages?|sequence|request(?:ed)?|tokens?|conversation|"
    r"n_ctx|n_keep)"
)
_EXCEEDS = (
    r"(?:exceed\w*|too (?:long|large|many|big)|longer than|larger than|greater than|more than|over(?:flow|run)\w*|"
    r"less than|fewer than|at most|maximum|max(?:imal)?\b|max_\w+|limit\w*|truncate|not fit|must be <=|should be \[|"
    r">=|<=|only supports|supports only)"
)
_WITHIN = r"(?:[^.;\n]|\.(?!\s))"  # a sentence
_TOO_LONG = re.compile(
    rf"(?i)exceed_context|context_length_exceeded|context[ _-]?(?:length|size|window|limit)|max_model_len|n_ctx"
    rf"|max_seq_len|reduce the length of the (?:messages|prompt|input)"
    rf"|\b{_SUBJECT}\b{_WITHIN}{{0,80}}?{_EXCEEDS}|{_EXCEEDS}{_WITHIN}{{0,60}}?\b{_SUBJECT}\b"
)
_OF_TOKENS = re.compile(
    r"(?i)token|context|\bprompt|\binputs?\b|\binput_ids\b|\bmessages\b|n_ctx|num_ctx|max_model_len|sequence length"
)
_OTHER_LIMIT = re.compile(
    r"(?i)per[ -](?:minute|second|hour|day)|\b(?:hourly|daily|weekly|monthly)\b|\bTPM\b|\bRPM\b|rate[ _-]limit|quota|"
    r"\bwait before\b|\bcredits?\b|\bbalance\b|\bbilling\b|batch size|expired|lifetime|\bschema\b|\broles?\b|alternat|"
    r"\b(?:API|access|auth\w*|bearer) tokens?\b|\binput should (?:be|have)\b|"  # pydantic's, whose input is any field
    r"content[ _-](?:filter|policy|management)|moderation|severity|"
    r"\b(?:stop|tools?|functions?|images?|(?:top_)?logprobs?|logit_bias|truncate|top_k|top_p|temperature|n|user|metadata|"
    r"name|seed|choices|files?|batch)\b['\"`]?(?: \w+){0,3}? "
    r"(?:is|are|must|cannot|can|exceeds?|has|supports?|should|of|too)\b|"
    r"(?:length|number|size) of (?:the )?['\"`]?(?:stop|tools?|functions?|images?|user|metadata|name|choices|files?)|"
    r"number of messages|array too long|(?:at most \d+|too many) (?:images?|audios?|videos?|files?|tools?|messages)\b"
)
_OF_WINDOW = re.compile(r"(?i)context|max_model_len|model length|message tokens")
_ANSWER_LIMIT = (  # what stands before a limit on the answer alone: no prompt is added to it
    r"(?<!\+ )(?<!\+ [`'\"])(?<!and )(?<!and [`'\"])\bmax_(?:completion_|new_|output_)?tokens[`'\"]*(?: \(\d[\d,]*\))? "
    r"(?:(?:must|should|cannot|may not|can) be|is (?:limited|larger|greater|more)|exceeds?)\b"
)
_ANSWER_ONLY = re.compile(
    r"(?i)at most \d[\d,]* (?:completion|output) tokens|maximum tokens you requested|model output limit|"
    rf"max(?:imum)?(?: allowed)?(?: number of)? (?:completion|output) tokens|{_ANSWER_LIMIT}"
)
_OF_ANSWER = re.compile(rf"(?i){_ANSWER_LIMIT}(?!.*(?:context|prompt|input|max_model_len))")
_OF_PROMPT = re.compile(r"(?i)context|prompt|\binput(?:s|_ids)?\b|\bmessages\b")
_CHARACTERS = re.compile(
    r"(?i)\bstring too long|\d\)?\s*(?:characters?|bytes)\b|\b(?:characters?|bytes)\b[^.\n]{0,40}?\d"
)

_NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z(]-)\d+(?:[,_]\d{3})*(?:\.0+)?(?![\w]|\.\d)")
_CLAUSE_END = re.compile(
    r"[;!?\n]|\.(?=\s|$)|, (?:however|but|and your|resulting|which|for a total)\b|\bHowever\b", re.I
)
_CODE = re.compile(
    r"(?i)\b(?:error code|status(?: code)?|code|http)\b['\"]?[ :=]+[1-5]\d\d\b"
)  # which is no number of tokens
_CODE_AT_THE_END = re.compile(r"(?i)^(?!.*token)\D*exceeds limit \(\d+\)$")  # MiniMax's, where a limit could stand
_LONGEST_READ, _LONGEST_BODY = 4000, 16_000  # characters of a message, and of all that a response says
_LONGEST_NUMBER = 20  # characters
_LEAST_LIMIT = 256  # tokens, of a number that stands for a window though no word beside it says of what
_WHOLE = re.compile(  # a limit on prompt and answer together
    r"(?i)context|window|n_ctx|model[_ ](?:max(?:imum)? )?len|max_seq_len|session_len|\btotal\b|\bsum\b|new_tokens|"
    r"completion|limit:"
)
_ALONE = re.compile(r"(?i)\binputs?\b|\bprompts?\b|\bmessages?\b")
_RANGE = re.compile(r"\[\s*[01]\s*(?:,|\.\.|-)\s*")  # [1, 30720]
_COMPARED = re.compile(
    r"(?<![\d,])(\d[\d,]*)\)?\s*(?:tokens?\s*)?"
    r"(?:\+\s*[`\w]{0,20}\s*\(?(\d[\d,]*)\)?\s*)?(?:>=?|≥|&gt;=?|/(?=\s*\d[\d,]* tokens))\s*"
    r"[^\d.;]{0,24}?(\d[\d,]*)"
)
_EXCEEDS_IT = re.compile(r"(?i)^[\s)]*(?:tokens? )?(?:(?:is|are) (?:greater|longer|larger|more) than|exceeds?)\b")


def _roles_by(start: str, words: dict[Role, str]) -> tuple[tuple[Role, re.Pattern[str]], ...]:
    return tuple((role, re.compile(f"(?i){start}(?:{pattern})")) for role, pattern in words.items())


# by what stands right behind a number, then by the last of what stands before it
_BEHIND = _roles_by(
    r"^[\s)`'\"]*(?:tokens? )?[\s(`'\"]*",
    {
        "new": r"(?:output|completion|new|generated)\b|(?:in|for|from) the (?:completion|output)|`?max_new_tokens",
        "prompt": (
            r"(?:in|from|for) (?:(?:the|your) )?(?:input |prompt|messages?|functions|request)|(?:of text )?`?inputs?`?|"
            r"prompt\b"
        ),
        "total": r"requested\b(?![\s:=(]*\d)",
        "window": (
            r"(?:(?:maximum )?context|maximum\b|limit\b|token limit|window)(?![\s:=(]*(?:of|is)?[\s:=(]*\d)|available"
        ),
    },
)
_BEFORE = _roles_by(
    "",
    {
        "window": (
            r"context[ _-]?(?:length|size|window|limit)|n(?:um)?_ctx(?:_\w+)?\b|max_model_len|max_seq_len|session_len|"
            r"(?:max(?:imum)?|allowed|supported) (?:\w+ ){0,4}?(?:length|tokens|size|allowed)(?: is| of|:)?|"
            r"allowed length|max(?:imum)? context:?|maximum(?: is|:)|"
            r"limit(?:ed)?(?: for (?:this|the|your) \w+)?(?: of| to| is|:| \(| (?=$))|(?:less|fewer) than|"
            r"at most|up to|(?:must|should) be <=|<=|"
            r"(?:cannot|not|must not) (?:exceed|be (?:greater|larger|more|longer) than)|max_total_tokens|"
            r"max_input_\w+|max_num_tokens|length should be|"
            r"max(?:imum)?(?:[ _]position[ _]embeddings)?(?: of| is|:)? (?=$)|"
            r"(?:greater|longer|larger|more) than (?=$)|(?:accepts|supports|allows)(?: only)? (?=$)|"
            r"\bcontext(?: (?:of|is|has|with))?[\s:=(]+(?=$)"
        ),
        "prompt": (
            r"n_keep|(?:n_)?prompt_tokens|prompt_len\w*|input_tokens|(?:keep|keeping) the first|given:?|received|"
            r"(?:prompt|inputs?|messages?|request)`? (?:token count|tokens|length|sequence|contains|has|have|"
            r"used?|uses|of|is|was)|"
            r"(?:request|prompt|inputs?)(?: \(|:)|(?:current|prompt|messages?) length(?: is|:)?|token len|"
            r"too (?:long|large):?|requested tokens|passed|got|sent|was (?=$)|resulted in|contains"
        ),
        "new": r"max_(?:completion_|new_)?tokens['\"`]*(?: is)? too large:?|max_new_tokens|completion of",
        "total": (
            r"requested(?: a total of)?|total of(?: at least)?|in total|total (?:number of )?tokens|"
            r"input and (?:maximum )?(?:output|completion) tokens|(?:total|sum)\b.{0,60}\bmax_new_tokens"
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server says about a prompt that is too long. None is what it does not say.

    Attributes:
        limit: The context length in tokens, prompt and answer together.
        prompt: Tokens of the prompt that was sent.
        total: Tokens of the prompt and the answer that was asked for.
        longest_prompt: The longest prompt that it takes, in tokens, where it limits that by itself.
    """

    limit: int | None
    prompt: int | None
    total: int | None = None
    longest_prompt: int | None = None

    def prompt_before(self, new: int) -> int | None:
        """Tokens of the prompt, given that an answer of at most `new` tokens was asked for."""
        return self.prompt if self.prompt is not None or self.total is None else self.total - new

    def window(self, new: int) -> int | None:
        """Tokens of prompt and answer that it takes, given that an answer of at most `new` tokens was asked for."""
        return self.limit if self.limit or self.longest_prompt is None else self.longest_prompt + new


class Refused(ServerFailed):
    """A server refused a prompt for its length."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class Interrupted(ServerFailed):
    """The connection was lost in the middle of an answer."""


class Rejected(ServerFailed):
    """A server answered with an error of another kind.

    Attributes:
        status: The HTTP status; 0 for an error in the middle of an answer.
        said: What it said.
    """

    def __init__(self, message: str, status: int = 0, said: str = "") -> None:
        super().__init__(message)
        self.status, self.said = status, said


def refusal_in(status: int, body: Any, message: str) -> Refusal | None:
    """Read a refusal from an error of a server.

    Args:
        status: The HTTP status.
        body: The body of the response.
        message: The message of the error.

    Returns:
        The refusal; None if the error is about something else.
    """
    if status not in _STATUSES:
        return None
    message = in_english(_CODE.sub("", message[:_LONGEST_READ]))
    stated = dict(_stated(body))
    quoted = in_english(" ".join(_texts(body))[:_LONGEST_BODY])  # by a gateway: the words of the server behind it
    said = f"{message} {quoted}"
    about = _TOO_LONG.search(said) and _OF_TOKENS.search(said)
    if not about or (_OTHER_LIMIT.search(message) and not _OF_WINDOW.search(said)):
        return None
    roles = {} if _CHARACTERS.search(message) else _roles(message) or _roles(quoted)
    limited = not roles.keys().isdisjoint(("window", "input"))
    if _ANSWER_ONLY.search(message) and not (limited and _OF_PROMPT.search(message)):
        return None
    roles = {**roles, **stated}
    prompt = roles.get("prompt")
    return Refusal(roles.get("window"), prompt, roles.get("total"), roles.get("input"))


def _texts(body: Any, depth: int = 0) -> Iterator[str]:
    """The strings in a response: beside the message, names of errors such as context_length_exceeded."""
    if isinstance(body, str):
        yield "" if body.isdecimal() else body  # a code
    elif isinstance(body, Mapping) and depth <= _DEPTH:
        for value in body.values():
            yield from _texts(value, depth + 1)


def _stated(body: Any, depth: int = 0) -> Iterator[tuple[Role, int]]:
    """Numbers that have fields of their own."""
    if not isinstance(body, Mapping) or depth > _DEPTH:
        return
    fields: dict[str, Role] = {"n_ctx": "window", "max_model_len": "window", "context_length": "window"}
    fields |= {"n_prompt_tokens": "prompt", "prompt_tokens": "prompt"}
    for name, value in body.items():
        if isinstance(value, int) and not isinstance(value, bool) and value > 0 and name in fields:
            yield fields[name], value
        yield from _stated(value, depth + 1)


def _roles(message: str) -> dict[Role, int]:
    """The role of each number in a message; the first of a role counts."""
    if _CODE_AT_THE_END.search(message):
        return {}
    message = _RANGE.sub("[", message)
    compared = list(_COMPARED.finditer(message))
    found: dict[Role, int] = {}
    for start, end in _clauses(message):
        before = start
        for number in _NUMBER.finditer(message, start, end):
            around = message[before : number.start()], message[number.end() : end], message[start:end]
            role = _role(*around, _value(number[0]))
            before = number.end()
            value = _value(number[0])
            if role is not None and value and not any(c.start() <= number.start() < c.end() for c in compared):
                found.setdefault(role, value)
    for comparison in compared[:1]:  # 199759 + 8192 > 200000
        if found.keys().isdisjoint(("window", "input")):
            found = {"prompt": _value(comparison[1]), "window": _value(comparison[3])}
    return {role: value for role, value in found.items() if value > 0}


def _role(before: str, behind: str, clause: str, value: int) -> Role | None:
    """The role of a number between two texts of one clause."""
    if before.endswith(" by "):  # a difference
        return None
    role = next((role for role, words in _BEHIND if words.search(behind)), None)
    if role is None:
        places = [(match.end(), -match.start(), role) for role, words in _BEFORE for match in words.finditer(before)]
        role = max(places, default=(0, 0, None))[2]
    if (role == "window" or _OF_PROMPT.search(before)) and _EXCEEDS_IT.search(behind):  # "context length 5000 exceeds"
        role = "prompt" if role in (None, "window") else role
    if role != "window":
        return role
    of_tokens = value >= _LEAST_LIMIT or _OF_TOKENS.search(clause)
    if not of_tokens or _OF_ANSWER.search(before) or _OTHER_LIMIT.search(before):
        return None
    return "input" if _ALONE.search(clause) and not _WHOLE.search(clause) else "window"


def _clauses(message: str) -> Iterator[tuple[int, int]]:
    start = 0
    for cut in _CLAUSE_END.finditer(message):
        yield start, cut.start()
        start = cut.end()
    yield start, len(message)


def _value(text: str) -> int:
    """A number as it is written; 0, which is no number of tokens, for an endless one."""
    digits = text.replace(",", "").replace("_", "")
    return int(float(digits)) if len(digits) <= _LONGEST_NUMBER else 0
