"""Requests to llama.cpp's server: tokens in, text and figures out."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from longctx.engine import Generation, GenerationOptions, PrefillCallback, PrefillProgress, Request
from longctx.gguf.server import LlamaServer
from longctx.prompts import ThoughtSplitter

_CUT = -1  # between texts that are tokenized in one request: llama.cpp passes numbers on as they are
_FORCED = 10_000.0  # added to a logit, so that this token is chosen
_LIKELIEST = 256  # tokens that are listed at first: all of a large vocabulary take a second
_RUNS = 2  # the faster one counts
_FINISHES: dict[str, Literal["end", "stop", "length"]] = {"eos": "end", "word": "stop", "limit": "length"}


def tokenize(server: LlamaServer, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize texts, each by itself, without adding special tokens.

    Args:
        server: llama.cpp.
        texts: The texts.

    Returns:
        The token ids of each.
    """
    content = [piece for text in texts for piece in (text, _CUT)]
    tokens = server.post("/tokenize", {"content": content, "add_special": False, "parse_special": True})["tokens"]
    parts: list[list[int]] = [[]]
    for token in tokens:
        if token == _CUT:
            parts.append([])
        else:
            parts[-1].append(int(token))
    return parts[:-1]


def generate(
    server: LlamaServer,
    request: Request,
    options: GenerationOptions,
    progress: PrefillCallback | None,
    result: Generation,
) -> Generator[str, None, None]:
    """Generate the text that follows a prompt.

    Args:
        server: llama.cpp, with the window and the scaling of the request.
        request: The prompt's token ids.
        options: Sampling, the longest answer, and the stop strings.
        progress: Called with how much of the prompt has been read.
        result: Whose attributes are kept up to date.

    Yields:
        Text that no later token can change.

    Raises:
        ModelUnavailable: If llama.cpp ends before the answer does.
    """
    writer, ids, spent = _Writer(options, result), list(request.ids), 0
    while result.finish is None:
        body = {
            **_body(request, options),
            "prompt": ids,
            "n_predict": options.new_tokens - spent,
            "return_progress": True,
            "n_probs": 0 if spent else options.top_logprobs,
        }
        began = time.monotonic()
        with closing(server.stream("/completion", body)) as events:
            for event in events:
                if read := event.get("prompt_progress"):
                    result.reused_tokens = result.reused_tokens if spent else int(read["cache"])
                    if progress is not None and not spent:
                        progress(_progress(read, began))
                if event.get("stop"):  # first, so that whoever takes the last piece finds the figures
                    result.completion_tokens = spent + int(event["tokens_predicted"])
                    result.finish = _FINISHES.get(event["stop_type"], "length")
                if result.top_logprobs is None and (told := event.get("completion_probabilities")):
                    result.top_logprobs = {each["token"]: float(each["logprob"]) for each in told[0]["top_logprobs"]}
                yield from writer.add(event.get("content") or "")
                if writer.overthinks or result.finish is not None:
                    break
        if not writer.overthinks:
            break
        spent = result.completion_tokens
        ids = [*request.ids, *tokenize(server, [writer.written + writer.closing])[0]]
        yield from writer.close_thoughts()
    yield from writer.finish()
    if result.finish is None:
        raise server.broken_off()


class _Writer:
    """From what llama.cpp writes to pieces of text: thoughts apart, and both within their budgets.

    A piece is a token, but for characters that several tokens make up.
    """

    def __init__(self, options: GenerationOptions, result: Generation) -> None:
        self._options, self._result = options, result
        self._splitter = None if options.thinking is None else ThoughtSplitter(options.thinking.opened)
        self._thoughts, self._is_closed = 0, False  # tokens; and whether they were closed here
        self.written = ""

    @property
    def closing(self) -> str:
        """Text that closes the thoughts."""
        return "" if self._splitter is None else self._splitter.closing

    @property
    def overthinks(self) -> bool:
        """Whether the thoughts have used up their budget, and go on."""
        thinking, splitter = self._options.thinking, self._splitter
        if thinking is None or splitter is None or self._is_closed or self._result.finish is not None:
            return False
        most = max(1, self._options.thoughts - len(self.closing.encode()))  # which is no more tokens than bytes
        return splitter.inside and self._thoughts >= most

    def add(self, text: str) -> Iterator[str]:
        """Take one more piece; yields the text that it settles."""
        if not text:
            return
        result, self.written = self._result, self.written + text
        if result.finish is None:
            result.completion_tokens += 1
        self._thoughts += self._splitter is not None and self._splitter.inside
        yield from self._split(text)
        if result.finish is None and self._options.is_spent(result.completion_tokens, self._thoughts):
            result.finish = "length"

    def close_thoughts(self) -> Iterator[str]:
        """Go on as if the model had closed its thoughts."""
        self._is_closed = True
        yield from self._split(self.closing)

    def finish(self) -> Iterator[str]:
        """End the text; yields what was held back."""
        if self._splitter is not None:
            yield from self._splitter.finish()
            self._result.inside_thoughts = self._splitter.inside

    def _split(self, text: str) -> Iterator[str]:
        for piece in (text,) if self._splitter is None else self._splitter.add(text):
            self._result.taken_back = self._splitter is not None and self._splitter.taken_back
            yield piece


def read_prompt(server: LlamaServer, ids: Sequence[int], progress: PrefillCallback | None) -> int:
    """Have llama.cpp read a prompt, and keep its keys and values.

    Args:
        server: llama.cpp.
        ids: The prompt's token ids.
        progress: Called with how much of it has been read.

    Returns:
        How many of its tokens llama.cpp did not have yet.
    """
    body = {"prompt": list(ids), "n_predict": 0, "cache_prompt": True, "stream": True}
    computed, began = 0, time.monotonic()
    for event in server.stream("/completion", {**body, "return_progress": progress is not None}):
        if progress is not None and (read := event.get("prompt_progress")):
            progress(_progress(read, began))
        if event.get("stop"):
            computed = int(event["timings"]["prompt_n"])
    return computed


def log_probability(server: LlamaServer, before: Sequence[int], token: int, letter: int, known: int) -> float:
    """The logarithm of a token's probability.

    Args:
        server: llama.cpp.
        before: The tokens before it.
        token: The token.
        letter: A token that is a whole character.
        known: How many tokens the model knows.

    Returns:
        The natural logarithm.
    """
    # What is generated has to be a whole character, or llama.cpp goes on until it is. The bias that sees to that is not
    # in the probabilities.
    body = {"prompt": list(before), "n_predict": 1, "temperature": 0.0, "cache_prompt": True}
    found: dict[int, float] = {}
    for likeliest in (_LIKELIEST, known):
        asked = {**body, "logit_bias": [[letter, _FORCED]], "n_probs": likeliest}
        said = server.post("/completion", asked)["completion_probabilities"][0]
        found = {int(entry["id"]): float(entry["logprob"]) for entry in said["top_logprobs"]}
        if token in found:
            break
    return found[token]


def reading_rate(server: LlamaServer, ids: Sequence[int]) -> float:
    """Tokens per second that llama.cpp reads, as it times itself.

    Args:
        server: llama.cpp.
        ids: What is read.

    Returns:
        Tokens per second.
    """
    body = {"prompt": list(ids), "n_predict": 1, "cache_prompt": False}
    runs = [server.post("/completion", body)["timings"] for _ in range(_RUNS)]
    return max(float(run["prompt_n"]) / max(float(run["prompt_ms"]) / 1000, 1e-9) for run in runs)


def _body(request: Request, options: GenerationOptions) -> dict[str, Any]:
    return {
        "samplers": ["penalties", "temperature", "top_k", "top_p"],  # those of `Engine`, in its order
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "repeat_penalty": options.repetition_penalty,
        "repeat_last_n": request.length,
        "seed": -1 if options.seed is None else options.seed,
        "stop": list(options.stop),
        "cache_prompt": True,
        "stream": True,
    }


def _progress(read: Mapping[str, Any], began: float) -> PrefillProgress:
    rate = (read["processed"] - read["cache"]) / max(time.monotonic() - began, 1e-9)
    return PrefillProgress(int(read["processed"]), int(read["total"]), max(0.0, rate))
