"""What real servers say, replayed: refusals for length, streams, thoughts, windows; and servers that do harm.

The wordings are those of vLLM 0.6 to 0.11 (2024-2025), SGLang (2025-03, 2026-05), TGI (2023), llama.cpp's server
(2025-10, 2026-03), llama-cpp-python (2024), LM Studio 0.3.13 to 0.4.6 (2025-03 to 2026-06), Ollama 0.9 to 0.15
(2025-05 to 2026-08), OpenAI (2023, 2025-08), Anthropic, Gemini, Mistral and xAI, as they stand in public bug reports
and documentation.
"""

from __future__ import annotations

import base64
import gzip
import json
import shlex
import time
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from loopback_server import send_json
from recorded_server import RecordedServer, ended, events, raw, recorded_server, said
from typer.testing import CliRunner

from longctx import (
    BadRequest,
    DocumentQA,
    GenerationOptions,
    Message,
    ModelUnavailable,
    PromptRefused,
    ServedModel,
    ServerFailed,
    Thought,
    load_model,
)
from longctx.backends.openai import MessageWriter, http
from longctx.backends.openai import events as event_streams
from longctx.backends.openai.context_errors import Refusal, refusal_in
from longctx.cli import app

ASK = [{"role": "user", "content": "Who?"}]
CHAT = "POST /v1/chat/completions"
LISTED = [{"id": "m", "max_model_len": 4096}]
MODELS = {"data": LISTED}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONGCTX_API_KEY", "OPENAI_API_KEY", "OLLAMA_API_KEY", "LM_API_TOKEN", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def connected(replies: dict[str, Any], **options: Any) -> Iterator[tuple[ServedModel, RecordedServer]]:
    with (
        recorded_server({"GET /v1/models": MODELS} | replies) as server,
        ServedModel.connect(f"{server.root}/v1", **{"retries": 0} | options) as model,
    ):
        yield model, server


def answer(model: ServedModel, new: int = 16, **more: Any) -> Any:
    generation = model.chat(ASK, GenerationOptions(new), 10, **more)
    generation.rest()
    return generation


@pytest.mark.parametrize(
    ("said", "window", "prompt"),  # for an answer of 100 tokens
    [
        ("Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens). Use a shorter input", 59962, 160062),
        ("The input (61709 tokens) is longer than the model's context length (40960 tokens).", 40960, 61709),
        ("Requested token count exceeds the model's maximum context length of 202752 tokens. You requested a total of 202941 tokens: 170941 tokens from the input messages and 32000 tokens for the completion.", 202752, 170941),
        ("Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)", 7424, 15028),
        ("The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length", 4096, 13055),
        ("Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough.", 32768, 111490),
        ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3474 `inputs` tokens and 60 `max_new_tokens`", 2048, 3474),
        ("Input validation error: `inputs` must have less than 1024 tokens. Given: 1168", 1124, 1168),
        ("The decoder prompt (length 17772) is longer than the maximum model length of 16384. Make sure that `max_model_len` is no smaller than the number of text tokens.", 16384, 17772),
        ("'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 8192 tokens and your request has 1234 input tokens (8192 > 8192 - 1234).", 8192, 1234),
        ("However, you requested 128000 output tokens and your prompt contains at least 3073 input tokens, for a total of at least 131073 tokens. This model's maximum context length is 131072 tokens.", 131072, 3073),
        ("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 289650 tokens.", 272100, 289650),
        ("input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length", 200000, 199759),
        ("prompt is too long: 213462 tokens > 200000 maximum", 200000, 213462),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1048676, 1200000),
        ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", 32768, 40000),
        ("This model's maximum prompt length is 131072 but the request contains 140000 tokens.", 131172, 140000),
        ("Range of input length should be [1, 30720]", 30820, None),
        ("the input length exceeds the context length", None, None),
        ("prompt too long; exceeded max context length by 4 tokens", None, None),
        ("Please reduce the length of the messages. Current length is 9000 while limit is 8192", 8192, 9000),
        ("The input prompt token len 5000 + max_new_tokens 100 > max_total_token_num 4096", 4096, 5000),
        ("ContextWindowExceededError: Error code: 400 - {'error': \"maximum context length is 4096 tokens. However, you requested 5100 tokens (5000 in the messages, 100 in the completion)\"}", 4096, 5000),
        ("Input too long. Max context: 4096 tokens. Your input: 5000 tokens.", 4096, 5000),
        ("The total number of tokens (5100) exceeds the model limit (4096).", 4096, 5000),
        ("Value error, Prompt has 5000 tokens, maximum is 4096", 4196, 5000),
        ("Input is too long for requested model.", None, None),
        ("the input length 5000 exceeds num_ctx 4096", 4196, 5000),
        ("入力トークン数が上限を超えています。最大コンテキスト長は4096トークンですが、リクエストは5000トークンです。", 4096, 5000),
        ("プロンプトが長すぎます（5000トークン）。このモデルのコンテキスト長は 4,096 トークンまでです。", 4096, 5000),
        ("输入长度超过模型最大上下文长度 4096，当前输入为 5000 个 token，请减少输入内容。", 4096, 5000),
        ("You passed 4097 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 3996 tokens. (parameter=input_tokens, value=4097)", 4096, 4097),
        ("This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens (140000 of text input, 10000 in the output).", 131072, 140000),
        ("AiError: The estimated number of input and maximum output tokens (9000) exceeded this model context window limit (8192).", 8192, 8900),
        ("The sum of prompt length (5000.0), query length (0) and max_tokens (100) should not exceed max_num_tokens (4096)", 4096, 5000),
        ("Prompt has too many tokens: max 4096", 4196, None),
        ("The number of prompt tokens is greater than the maximum of 4096 (was 5000)", 4196, 5000),
        ("Your prompt is 5000 tokens, but the model only supports 4096", 4096, 5000),
        ("Sequence length 5100 exceeds maximum position embeddings 4096", 4096, None),
        ("validation error: prompt_tokens=5000 max_model_len=4096", 4096, 5000),
        ("prompt is too long for gpt-4 and claude-3-haiku: 5000 tokens > 4096 maximum", 4096, 5000),
        ("The decoder prompt (length 5000) is longer than the maximum model length of 4096. For image inputs, the number of image tokens depends on the number of images and possibly their aspect ratios as well.", 4096, 5000),
        ("Total tokens of image and text exceed max message tokens.", None, None),
        ("Input prompt is too big compared to KV size. Please try increasing KV size.", None, None),
        ("The prompt of 5000 tokens does not fit into the context of 4096 tokens", 4096, 5000),
        ("too many tokens: size limit exceeded by 904 tokens. Try using shorter or fewer inputs. The limit for this model is 4096 tokens.", 4096, None),
        ("Your request was too long: 5000 tokens (limit 4096)", 4096, 5000),
        ("Context length exceeded: 5100 tokens requested, 4096 available", 4096, 5000),
        ("prompt_tokens (5000) + max_tokens (100) cannot be greater than 4096", 4096, 5000),
        ("Context length 5000 is greater than max_seq_len 4096", 4096, 5000),
        ("Prompt sequence length is greater than 4096, perhaps consider using `truncate_sequence`?", 4196, None),
        ("`default_max_tokens` (-904) should be greater than 0, `default_max_tokens` (-904) = max_seq_len (4096) - prompt_len (5000)", 4096, 5000),
        ("input_ids size (5000) exceeds max length (4096)", 4096, 5000),
        ("Number of prompt tokens: 5000 exceeds model max length: 4096", 4096, 5000),
        ("The total length of the input and max_new_tokens (5100) exceeds the model's context length (4096)", 4096, 5000),
        ("messages exceed the context window: 5000/4096 tokens", 4096, 5000),
        ("max_tokens=100 cannot be greater than max_model_len=max_total_tokens=4096. Please request fewer output tokens.", 4096, None),
        ("Unable to submit request because the input token count is 40000 but model only supports up to 32768. Reduce the input token count and try again. You can also use the CountTokens API to calculate prompt token count and billable characters.", 32868, 40000),
        ("Prompt 超长", None, None),
        ("invalid params, context window exceeds limit (2013)", None, None),
        pytest.param("the prompt exceeds the maximum context length of " + "0" * 1_000_000, None, None, id="digits"),
        ("Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576, but got a string with length 2000000 instead.", None, None),
    ],
)  # fmt: skip
def test_a_refusal_for_length_is_understood_by_the_words_beside_its_numbers(said, window, prompt) -> None:
    refusal = refusal_in(400, None, said)
    assert refusal is not None
    assert (refusal.window(100), refusal.prompt_before(100)) == (window, prompt)


@pytest.mark.parametrize(
    "said",
    [
        "maximum length of stop is 4",
        "`stop` supports a maximum of 4 sequences",
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens, whereas you provided 5000.",
        "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 8000, reduce your message size.",
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 130.",
        "temperature must be at most 2",
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model",
        "Input validation error: `max_new_tokens` must be <= 512. Given: 1024",
        "max_tokens (8192) is larger than the maximum number of tokens this model can generate (4096)",
        "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.",
        "Too many tokens, please wait before trying again.",
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "input (700 tokens) is too large to process. increase the physical batch size (current batch size: 512)",
        "top_logprobs must be less than or equal to 20 tokens",
        "messages must alternate between user and assistant; at most 1 system message is allowed",
        "Invalid API token: length must be less than 64",
        "Input validation error: `truncate` must be less than 1024. Given: 2000",
        "The maximum tokens you requested exceeds the model limit of 4096. Try again with a lower value.",
        "max_tokens: 5000 > 4096, which is the maximum allowed number of output tokens for claude-3-haiku",
        "At most 1 image(s) may be provided in one prompt.",
        "messages.0.content: too many images; at most 20",
        "Too many messages: the maximum number of messages is 200",
        "Invalid 'messages': array too long. Expected an array with maximum length 200, but got an array with length 300.",
        "You have exceeded the daily token limit of 100000",
        "Your account has exceeded its monthly token limit of 1,000,000 tokens",
        "This request requires more credits, or fewer max_tokens. You requested up to 8192 tokens, but can only afford 4353.",
        "Invalid schema: maximum nesting depth of 5 exceeded in messages[0].response_format",
        "[{'type': 'less_than_equal', 'loc': ('body', 'temperature'), 'msg': 'Input should be less than or equal to 2'}]",
        "The prompt contains disallowed content: its severity exceeds the maximum",
    ],
)
def test_other_limits_are_no_refusals_for_length(said) -> None:
    assert refusal_in(400, {"error": {"message": said}}, said) is None


def test_a_code_is_no_number_of_tokens() -> None:
    body = {"error": {"code": "1261", "message": "Prompt exceeds max length"}}
    assert refusal_in(400, body, "Prompt exceeds max length") == Refusal(None, None)


def test_a_gateways_error_is_read_by_the_words_of_the_server_behind_it() -> None:
    behind = json.dumps({"message": "maximum context length is 4096 tokens. However, your prompt has 5000 tokens"})
    body = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": behind}}}
    refusal = refusal_in(400, body, "Provider returned error")
    assert refusal is not None
    assert (refusal.window(100), refusal.prompt_before(100)) == (4096, 5000)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": 418, "error": "I'm a teapot", "message": "on fire"}, "on fire"),
        ({"error": True, "message": "on fire"}, "on fire"),
        ({"error": {"errors": ["on fire", "and more"]}}, "on fire"),
        ({"error": {"title": "Bad Request", "description": "on fire"}}, "on fire"),
        ({"error": "the model is on fire"}, "the model is on fire"),
        ({"error": {"message": "on fire", "type": "x"}}, "on fire"),
        ({"object": "error", "message": "on fire", "code": 400}, "on fire"),
        ({"detail": [{"loc": ["body"], "msg": "on fire"}]}, "on fire"),
        ({"detail": "on fire"}, "on fire"),
        ({"error": {"message": "on \ud800fire"}}, "on \ufffdfire"),
    ],
)
def test_what_a_server_says_of_an_error_is_shown(body, said) -> None:
    with connected({CHAT: (418, body)}) as (model, _), pytest.raises(ServerFailed, match=said):
        answer(model)
    told = events(body if "error" in body else {"error": body})
    with connected({CHAT: told}) as (model, _), pytest.raises(ServerFailed, match=rf"broke off \({said}"):
        answer(model)


TOO_LONG = "This model's maximum context length is 20 tokens. However, your request has 30 input tokens."


@pytest.mark.parametrize(
    "sent",
    [
        raw(json.dumps({"error": {"message": TOO_LONG}}), "application/json"),
        raw(json.dumps({"object": "error", "message": TOO_LONG, "code": 400}), "application/json"),
        raw(json.dumps({"detail": TOO_LONG}), "application/json"),
        events({"object": "error", "message": TOO_LONG, "code": 400}),
        events({"choices": [{"index": 0, "delta": {}, "error": {"message": TOO_LONG, "code": 400}}]}),
        raw(f"event: error\ndata: {TOO_LONG}\n\n"),
        raw(f'error: {{"code":400,"message":"{TOO_LONG}"}}\n\n'),
    ],
)
def test_a_refusal_is_understood_within_a_reply_that_says_200(sent) -> None:
    with connected({CHAT: sent}) as (model, _), pytest.raises(PromptRefused):
        answer(model)
    assert model.window == 20


@pytest.mark.parametrize("reason", ["error", "abort", "cancelled", "insufficient_system_resource"])
def test_an_answer_that_the_server_could_not_finish_is_none(reason) -> None:
    failed = pytest.raises(ServerFailed, match=f"ended its answer with '{reason}'")
    with connected({CHAT: events(said("A"), ended(reason))}) as (model, _), failed:
        answer(model)


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "max_new_tokens", "token_limit", "model_context_window_exceeded"])
def test_an_answer_that_was_cut_is_known_by_any_name(reason) -> None:
    with connected({CHAT: events(said("A"), ended(reason))}) as (model, _):
        assert answer(model).finish == "length"


@pytest.mark.parametrize(
    ("sent", "text", "thinking"),
    [
        (events("data: null", said("A"), {"choices": [None]}, {"choices": None}, {"choices": [{"delta": None}]}, said("B"), ended()), "AB", ""),
        (events({"choices": [{"index": 0}]}, said([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]), ended()), "AB", ""),
        (events(said([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]), said("A"), ended()), "A", "hm"),
        (events(said("A"), ended(), {"choices": [], "usage": None}, {"usage": {"prompt_tokens": None}}), "A", ""),
        (events(said("A"), ended(), {"choices": [], "usage": {"prompt_tokens": 7}}), "A", ""),
        (events(said("\ud83d"), said("\ude00 \ud800!"), ended()), "\U0001f600 \ufffd!", ""),
        (events(": OPENROUTER PROCESSING", said("A")), "A", ""),
        (raw(json.dumps({"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}), "application/json"), "A", ""),
        (raw(gzip.compress(b'data: {"choices": [{"delta": {"content": "A"}, "finish_reason": "stop"}]}\n\n'), Content_Encoding="gzip"), "A", ""),
        (events(said("", reasoning_content="Let me "), said(None, reasoning_content="see."), said("A"), ended()), "A", "Let me see."),
        (events(said("", reasoning="hm"), said("A"), ended()), "A", "hm"),
        (events(said("<thi"), said("nk>hm [3]</think>"), said("\n\nA"), ended()), "A", "hm [3]"),
        (events("data:", "data:  ", said("A"), ended(), "data:  [DONE] "), "A", ""),
        (events({"choices": [{"index": "0", "delta": {"content": "A"}}]}, ended()), "A", ""),
        (events(said([{"type": "text", "text": {"value": "A"}}]), ended()), "A", ""),
        (events(said("", thinking_blocks=[{"type": "thinking", "thinking": "hm"}]), said("A"), ended()), "A", "hm"),
        (raw('data: {"choices":[{"delta":{"content":"A\tB"}}]}\n\ndata: [DONE]\n\n'), "A\tB", ""),
        (events(said("hm\n</think>\n\nA"), ended()), "A", "hm\n"),
        (events(said("hm"), said("m\n</think>\n\nA"), ended()), "A", "hmm\n"),
        (events(said("[THINK]hm[/THINK]A"), ended()), "A", "hm"),
        (events(said("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>A"), ended()), "A", "hm"),
        (events(said("Write <think> first."), ended()), "Write <think> first.", ""),
        (events(said("Write <think>, then </think>."), ended()), "Write <think>, then </think>.", ""),
        (events(said("<unused94>thought\nhm<unused95>A"), ended()), "A", "hm"),
        (events(said("", reasoning_details=[{"type": "reasoning.text", "text": "hm"}]), said("A"), ended()), "A", "hm"),
        (events(said("", reasoning_details=[{"type": "reasoning.summary", "summary": "hm"}]), said("A"), ended()), "A", "hm"),
        (events(said("", reasoning="hm"), said("</thi"), said("nk>\n\nA"), ended()), "A", "hm"),
        (events(said("", reasoning="\ud83d"), said("", reasoning="\ude00"), said("A"), ended()), "A", "\U0001f600"),
        (events(said([["A"], [{"text": ["B"]}]]), ended()), "AB", ""),
        (raw(b'\xef\xbb\xbfdata: {"choices":[{"delta":{"content":"A\xff"}}]}\n\ndata: [DONE]\n\n'), "A\ufffd", ""),
        (raw('data: {"choices":[{"delta":{"content":"A"}}]}\ndata: {"choices":[{"delta":{"content":"B"}}]}\ndata: [DONE]\n'), "AB", ""),
        (raw(json.dumps({"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}, indent=1), "text/plain"), "A", ""),
        (raw('data: {"choices":[{"delta":{"content":"A"}}],"usage":{"prompt_tokens":' + "9" * 5000 + "}}\n\ndata: [DONE]\n\n"), "A", ""),
    ],
)  # fmt: skip
def test_a_stream_is_taken_as_far_as_it_makes_sense(sent, text, thinking) -> None:
    with connected({CHAT: sent}) as (model, _):
        generation = answer(model)
        assert (generation.text, generation.thinking) == (text, thinking)
        assert generation.finish == "end"


FINISHED = [said("Anna."), ended()]
SENT = "".join(f"data: {json.dumps(each)}\n\n" for each in FINISHED)


@pytest.mark.parametrize(
    "sent",
    [
        raw(SENT, Content_Length="5000"),  # which is cut
        *(raw(SENT + more) for more in ('data: {"choices":[],"usa', "data: [done]\n\n", "bye\n\n", "data: [1]\n\n")),
        events(*FINISHED, {"error": {"message": "the count of tokens is on fire"}}),
    ],
)
def test_what_fails_behind_a_finished_answer_takes_nothing_away(sent) -> None:
    with connected({CHAT: sent}) as (model, _):
        generation = answer(model)
        assert (generation.text, generation.finish) == ("Anna.", "end")


def test_a_server_that_does_not_hang_up_behind_a_finished_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "_ENDING", 0.2)
    left, hung_up = Event(), Event()

    def silent(handler: Any, body: Any) -> None:
        raw(SENT)(handler, body)
        handler.wfile.flush()
        left.wait(50)
        hung_up.set()

    with connected({CHAT: silent}, timeout=60) as (model, _):
        assert answer(model).text == "Anna."
        assert not hung_up.is_set()
        left.set()


def test_a_page_of_a_proxy_is_shown_without_its_tags() -> None:
    page = raw("<!DOCTYPE html>\n<html><head><style>b{}</style></head><h1>502 Bad Gateway</h1></html>", status=502)
    with connected({CHAT: page}) as (model, _), pytest.raises(ServerFailed, match=r"answers 502 \(502 Bad Gateway\)"):
        answer(model)


def test_a_bare_list_of_models_is_one() -> None:
    with connected({"GET /v1/models": lambda handler, _: send_json(handler, LISTED)}) as (model, _):
        assert (model.name, model.window) == ("m", 4096)


def test_thoughts_are_a_kind_of_piece_of_their_own() -> None:
    sent = events(said("", reasoning_content="hm"), said("A"), said("B"), ended())
    with connected({CHAT: sent}) as (model, _):
        assert list(model.chat(ASK, GenerationOptions(16), 10)) == ["A", "B"]
        shown = model.chat(ASK, GenerationOptions(16), 10)
        shown.shows_thinking = True
        assert [(piece, isinstance(piece, Thought)) for piece in shown] == [("hm", True), ("A", False), ("B", False)]
        assert model.thinks


@pytest.mark.parametrize(("mode", "on"), [("on", True), ("off", False), ("auto", None)])
def test_thinking_is_turned_on_and_off_by_what_the_server_takes(mode, on) -> None:
    with connected({CHAT: events(said("A"), ended())}) as (model, server):
        answer(model, thinking=mode)
        [body] = server.bodies("/v1/chat/completions")
        switch = None if on is None else {"enable_thinking": on, "thinking": on}
        assert body.get("chat_template_kwargs") == switch
    unknown = (400, {"error": {"message": "Unrecognized request argument supplied: chat_template_kwargs"}})
    newer = (
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            }
        },
    )
    with connected({CHAT: [newer, unknown, events(said("A"), ended())]}) as (model, server):
        if mode == "auto":
            return
        assert answer(model, thinking=mode).text == "A"
        assert server.bodies("/v1/chat/completions")[-1]["reasoning_effort"] == ("medium" if on else "none")
        assert server.bodies("/v1/chat/completions")[-1]["max_completion_tokens"] == 16


LIKELIEST = [{"token": "Yes", "logprob": -0.2, "bytes": [89]}, {"token": " no", "logprob": -1.75}, {"token": None}]
TOLD = {"token": "Yes", "logprob": -0.2, "top_logprobs": LIKELIEST}


@pytest.mark.parametrize(
    ("logprobs", "told"),
    [
        ({"content": [TOLD, {**TOLD, "top_logprobs": []}], "refusal": None}, {"Yes": -0.2, " no": -1.75}),
        *((each, None) for each in (None, [], {"content": None}, {"content": [None]}, {"content": [{"token": "Yes"}]})),
        ({"content": [{"top_logprobs": [{"token": "a", "logprob": "x"}, {"token": "b", "logprob": 2}, 3]}]}, None),
    ],
)
def test_how_likely_the_first_tokens_are_is_told_where_a_server_does(logprobs, told) -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": logprobs}]}
    later = {
        "choices": [
            {"index": 0, "delta": {"content": "!"}, "logprobs": {"content": [{**TOLD, "top_logprobs": LIKELIEST[1:]}]}}
        ]
    }
    sent = events({"choices": [{"index": 0, "delta": {"role": "assistant"}, "logprobs": None}]}, first, later, ended())
    with connected({CHAT: sent}) as (model, server):
        yes = model.chat(ASK, GenerationOptions(8, top_logprobs=3), 10)
        assert (yes.rest(), yes.top_logprobs) == ("Yes!", told)
        assert server.bodies("/v1/chat/completions")[-1]["top_logprobs"] == 3


@pytest.mark.parametrize("said_no", ["logprobs is not supported", "Extra inputs are not permitted"])
def test_a_server_that_refuses_to_tell_is_asked_without(said_no: str) -> None:
    refused = (422, {"detail": [{"msg": said_no}]})
    with connected({CHAT: [refused, events(said("A"), ended()), events(said("B"), ended())]}) as (model, server):
        for text in "AB":
            plain = model.chat(ASK, GenerationOptions(8, top_logprobs=20), 10)
            assert (plain.rest(), plain.top_logprobs) == (text, None)
        assert [body.get("top_logprobs") for body in server.bodies("/v1/chat/completions")] == [5, None, None]
    with connected({CHAT: refused}) as (model, _), pytest.raises(ServerFailed, match=said_no):
        answer(model)


def test_ollama_tells_how_likely_the_first_tokens_are() -> None:
    said_yes = {"message": {"content": "Yes"}, "done": False, "logprobs": [TOLD]}
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
    lines = raw("\n".join(map(json.dumps, (said_yes, end))), "application/x-ndjson")
    with recorded_server({**OLLAMA, "POST /api/chat": lines}) as server:
        model = ServedModel.connect(f"{server.root}/v1", retries=0)
        with model:
            yes = model.chat(ASK, GenerationOptions(8, top_logprobs=20), 10)
            assert (yes.rest(), yes.top_logprobs) == ("Yes", {"Yes": -0.2, " no": -1.75})
        [body] = server.bodies("/api/chat")
        assert (body["logprobs"], body["top_logprobs"]) == (True, 20)


@pytest.fixture
def index(make_index) -> Path:
    return make_index({"a.txt": "The lighthouse was built in 1874 by Anna Holm. The harbour has two moles."})


def test_an_answer_that_ends_in_its_thoughts_is_asked_again_with_room_and_says_so(index, encoder) -> None:
    endless = events(said("", reasoning_content="hm "), said("", reasoning_content="hm"), ended("length"))
    with connected({CHAT: endless}) as (model, server), DocumentQA.open(index, model, encoder=encoder) as qa:
        made = qa.ask("Who built the lighthouse?", max_new_tokens=8, thinking_tokens=100)
        asked = [body["max_tokens"] for body in server.bodies("/v1/chat/completions") if body["max_tokens"] > 1]
        assert asked == [8, 108], "room for the thoughts, once they are seen"
        assert "still thinking after" in made.note
        assert "--thinking-tokens" in made.note
        assert made.thinking == "hm hm"
        assert made.citations[0].marked_by == "added", "a passage is quoted"
        assert "hm" not in made.text
    thought = events(said("<think>Anna [1]</think>"), said("Anna Holm built it [1]."), ended())
    with connected({CHAT: thought}) as (model, _), DocumentQA.open(index, model, encoder=encoder) as qa:
        stream = qa.stream("Who built the lighthouse?", max_new_tokens=8, show_thinking=True)
        pieces = list(stream)
        assert "".join(piece for piece in pieces if not isinstance(piece, Thought)).strip() == stream.answer.text
        assert "".join(piece for piece in pieces if isinstance(piece, Thought)) == stream.answer.thinking
        assert (stream.answer.thinking, stream.answer.text) == ("Anna [1]", "Anna Holm built it [1].")


def test_thoughts_that_are_shown_end_before_the_answer_begins(index: Path) -> None:
    thought = events(said("", reasoning_content="hm"), said("Anna [1]."), ended())
    with connected({CHAT: thought}) as (_, server):
        asked = ["ask", "Who built it?", "--index", str(index), "--model", f"{server.root}/v1", "--show-thinking"]
        shown = CliRunner().invoke(app, asked)
    assert "hm\nAnna [1].\n" in shown.output
    assert "Anna [1].\n" in shown.stdout
    assert "hm" not in shown.stdout


SHOWN = {
    "parameters": 'num_ctx                        8192\nstop                           "<|eot_id|>"',
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
    "capabilities": ["completion", "thinking"],
}
OLLAMA = {
    "GET /v1/models": {"object": "list", "data": [{"id": "qwen3:8b", "object": "model", "owned_by": "library"}]},
    "GET /api/version": {"version": "0.15.6"},
    "POST /api/show": SHOWN,
    "POST /api/chat": raw(
        "".join(
            json.dumps({"model": "qwen3:8b", "message": {"role": "assistant", **part}, "done": False}) + "\n"
            for part in ({"content": "", "thinking": "hm"}, {"content": "A"})
        )
        + json.dumps(
            {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
             "prompt_eval_count": 26, "eval_count": 3}
        ),
        "application/x-ndjson",
    ),
}  # fmt: skip


@pytest.mark.parametrize("written", ["ollama:qwen3:8b", "ollama:", "{root}/v1", "openai:{root}/v1#qwen3:8b", "ollama:{root}#qwen3:8b"])  # fmt: skip
def test_ollama_is_asked_in_its_own_protocol_with_a_context_that_holds_the_prompt(written, monkeypatch) -> None:
    with recorded_server(dict(OLLAMA)) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.root.removeprefix("http://"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
        with ServedModel.connect(written.format(root=server.root), retries=0) as model:
            assert (model.name, model.window, model.thinks) == ("qwen3:8b", 40960, True)
            generation = answer(model, thinking="off")
            assert (generation.text, generation.thinking, generation.prompt_tokens) == ("A", "hm", 26)
            model.chat(ASK, GenerationOptions(100), 20_000).rest()
            short, long = server.bodies("/api/chat")
            assert short["options"]["num_ctx"] == 8192, "what the model was set to"
            assert long["options"]["num_ctx"] == 32768, "doubled until the prompt fits"
            assert (short["think"], short["truncate"], short["options"]["num_predict"]) == (False, False, 16)
            assert "think" not in long
        sent = [headers.get("Authorization") for path, _, headers in server.asked if written.startswith("ollama")]
        assert not any(sent), "OpenAI's key is not for Ollama"


def test_ollama_without_the_model_or_not_running_is_met_with_the_command(monkeypatch) -> None:
    missing = {**OLLAMA, "POST /api/show": (404, {"error": "model 'llama3' not found"})}
    with recorded_server(missing) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.root)
        with pytest.raises(ServerFailed, match="no model 'llama3': run `ollama pull llama3`"):
            ServedModel.connect("ollama:llama3", retries=0)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(ServerFailed, match=r"cannot be reached .*start it with `ollama serve`"):
        ServedModel.connect("ollama:llama3", retries=0)


def test_lm_studio_says_with_what_context_it_has_loaded_a_model() -> None:
    entry = {"id": "m", "type": "llm", "state": "loaded", "max_context_length": 131072, "loaded_context_length": 8192}
    listed = {"GET /v1/models": {"data": [{"id": "m", "owned_by": "organization_owner"}]}}
    with (
        recorded_server({**listed, "GET /api/v0/models/m": entry}) as server,
        ServedModel.connect(f"lmstudio:{server.root}#m", retries=0) as model,
    ):
        assert model.window == 8192
    waiting = {"id": "m", "state": "not-loaded", "max_context_length": 131072}
    loads = {"GET /api/v0/models/m": waiting, "POST /api/v0/chat/completions": {"model_info": {"context_length": 4096}}}
    with recorded_server({**listed, **loads}) as server:
        with ServedModel.connect(f"lmstudio:{server.root}/v1", retries=0) as model:
            assert model.window == 4096
        with pytest.raises(ServerFailed, match=r"lists no model 'x': run `lms get x`, or give another \(lmstudio:m\)"):
            ServedModel.connect(f"lmstudio:{server.root}#x", retries=0)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("llama3", "give ollama:llama3"),
        ("llama3.1:8b", "give ollama:llama3.1:8b"),
        ("olama:qwen3:8b", "give ollama:qwen3:8b"),
        ("http//localhost:8000/v1", "give http://localhost:8000/v1"),
        ("https:/example.org/v1", "give https://example.org/v1"),
        ("ollama/llama3", "give ollama:llama3"),
        ("localhost:8000", "give http://localhost:8000/v1"),
        ("gpt-4o", "give openai:https://api.openai.com/v1#gpt-4o"),
        ("hf.co/owner/model", "give owner/model"),
        ("vllm:llama3", "is given by its URL"),
        ("owner/Llama-3-GGUF", "run `hf download owner/Llama-3-GGUF FILE.gguf --local-dir .` and give that file"),
        ("hf.co/owner/Llama-3-GGUF", "or have Ollama fetch one with ollama:hf.co/owner/Llama-3-GGUF"),
        ("hf.co/owner/Llama-3-GGUF:Q4_K_M", "give ollama:hf.co/owner/Llama-3-GGUF:Q4_K_M"),
        ("owner/model", "run `hf download owner/model`"),
    ],
)
def test_a_name_that_names_nothing_is_met_with_what_to_give(name, remedy) -> None:
    with pytest.raises(ModelUnavailable) as raised:
        load_model(name)
    assert remedy in str(raised.value)


def test_files_of_llama_cpp_on_the_hub_are_met_with_the_command_for_one(tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    kept = tmp_path / "models--owner--Llama-3-GGUF"
    for name, text in (("snapshots/1/README.md", "# Llama"), ("refs/main", "1")):
        (kept / name).parent.mkdir(parents=True)
        (kept / name).write_text(text)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ModelUnavailable, match=r"has no config\.json on the hub; it holds GGUF files: run `hf download"
    ):
        load_model("owner/Llama-3-GGUF")


def test_the_folder_that_was_probably_meant_is_named(tmp_path) -> None:
    (tmp_path / "llama-7b").mkdir()
    with pytest.raises(ModelUnavailable, match=f"did you mean {tmp_path / 'llama-7b'}"):
        load_model(str(tmp_path / "lama-7b"))


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("openai:gpt-4o", "give openai:https://api.openai.com/v1#gpt-4o"),
        ("openai:localhost:8000/v1", "give http://localhost:8000/v1"),
        ("https://huggingface.co/owner/model", "give owner/model"),
    ],
)
def test_an_address_that_is_none_is_met_with_one(address, remedy) -> None:
    with pytest.raises(BadRequest, match=remedy):
        ServedModel.connect(address)


@pytest.mark.parametrize("window", ["Infinity", "1e999", "-5", "true", '"many"', "null"])
def test_a_window_that_is_no_number_is_none(window) -> None:
    listed = raw(f'{{"data": [{{"id": "m", "max_model_len": {window}}}]}}', "application/json")
    with recorded_server({"GET /v1/models": listed}) as server, pytest.raises(ServerFailed, match="give --window"):
        ServedModel.connect(f"{server.root}/v1", retries=0)


@pytest.mark.parametrize(
    "given",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "60"},
        {"retries": -1},
        {"retries": 1.5},
        {"window": 0},
        {"window": "8k"},
        {"window": True},
        {"api_key": b"key"},
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_anything_is_sent(given) -> None:
    [(name, _)] = given.items()
    with recorded_server({"GET /v1/models": MODELS}) as server:
        with pytest.raises(BadRequest, match=f"{name} is "):
            ServedModel.connect(f"{server.root}/v1", **given)
        assert not server.asked


def test_a_model_on_a_server_is_opened_with_the_arguments_of_connect(index: Path, encoder) -> None:
    with recorded_server({"GET /v1/models": MODELS, CHAT: events(said("Anna [1]."), ended())}) as server:
        address = f"{server.root}/v1"
        with DocumentQA.open(index, address, encoder=encoder, loading={"api_key": "sk-mine", "retries": 0}) as qa:
            assert qa.ask("Who built the lighthouse?").text == "Anna [1]."
        assert {headers["Authorization"] for _, _, headers in server.asked} == {"Bearer sk-mine"}
        with pytest.raises(BadRequest, match="is loaded where it is served: leave dtype out"):
            DocumentQA.open(index, address, encoder=encoder, loading={"dtype": "float32", "timeout": 5})


# Servers that do harm


def test_a_key_that_a_server_repeats_is_not_shown(monkeypatch) -> None:
    key = "sk/secret+key"
    monkeypatch.setenv("LONGCTX_API_KEY", key)
    written = (key, key.upper(), "sk%2Fsecret%2Bkey", "sk%2fsecret%2bkey", base64.b64encode(key.encode()).decode())
    for said_ in (f"bad header: Bearer {each}" for each in written):
        with recorded_server({"GET /v1/models": (401, {"error": said_})}) as server:
            with pytest.raises(ServerFailed, match=r"answers 401 .bad header") as raised:
                ServedModel.connect(f"{server.root}/v1", retries=0)
            chain = [raised.value, raised.value.__cause__]
            assert not any("secret" in f"{error} {vars(error) if error else ''}".lower() for error in chain)
            assert "c2VjcmV0" not in str(raised.value)
    with recorded_server({"GET /v1/models": {"data": [{"id": key}, {"id": "b"}]}}) as server:
        with pytest.raises(ServerFailed, match="lists 2 models") as raised:
            ServedModel.connect(f"{server.root}/v1", retries=0)
        assert "secret" not in str(raised.value)


KEY = "sk-ab/Cd+ef&gh<ij\"kl'mn=op"
SPELLINGS = {
    "escaped as PHP does in JSON that is broken": '{"error": "'
    + KEY.replace("/", "\\/").replace('"', '\\"')
    + '" and more',
    "escaped for HTML in JSON": KEY.replace("<", "\\u003c").replace("&", "\\u0026").replace('"', '\\"'),
    "in a URL, with its slashes": quote(KEY),
    "in a URL, every character": "".join(f"%{ord(c):02x}" for c in KEY),
    "HTML with decimal numbers": escape(KEY).replace("&#x27;", "&#39;"),
    "HTML as Mustache has it": escape(KEY).replace("/", "&#x2F;").replace("=", "&#x3D;"),
    "HTML with tags in it": f"<html><body>no {escape(KEY[:12])}<wbr>{escape(KEY[12:])}</body></html>",
    "quoted for a shell": shlex.quote(KEY),
    "for JavaScript": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "cut short": f"{KEY[:18]}...",
    "on two lines": f"{KEY[:10]}\n{KEY[10:]}",
    "with a character without a width": f"{KEY[:10]}\u200b{KEY[10:]}",
    "the whole header in base64": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "hexadecimal": KEY.encode().hex(),
}


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_masked_in_every_spelling(spelt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGCTX_API_KEY", KEY)
    with (
        recorded_server({"GET /v1/models": raw(spelt, status=401)}) as server,
        pytest.raises(ServerFailed, match=r"answers 401") as raised,
    ):
        ServedModel.connect(f"{server.root}/v1", retries=0)
    shown = str(raised.value).replace(server.root, "").lower()
    assert "…" in shown
    parts = [KEY[at : at + 2].lower() for at in (3, 6, 9, 15)]  # ab, cd, ef, ij
    assert not any(part in shown.split("set longctx_api_key")[0] for part in parts)
    assert not any(each in shown for each in ("2f63", "%63", "u0063", "zwymz2"))


def test_a_message_that_only_begins_as_a_key_does_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGCTX_API_KEY", KEY)
    with (
        recorded_server({"GET /v1/models": (401, {"error": "keys begin with sk-ab, ask Ada"})}) as server,
        pytest.raises(ServerFailed, match="keys begin with sk-ab, ask Ada"),
    ):
        ServedModel.connect(f"{server.root}/v1", retries=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_gets_what_is_for_this_machine(host: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGCTX_API_KEY", KEY)
    with recorded_server({}) as proxy, recorded_server({"GET /v1/models": MODELS}) as server:
        monkeypatch.setenv(variable, proxy.root)
        ServedModel.connect(f"{server.root}/v1".replace("127.0.0.1", host), retries=0).close()
        assert not proxy.asked
        assert {headers["Authorization"] for _, _, headers in server.asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HTTPS_PROXY", "ftp://me:hun/ter2@proxy:1", "names a proxy that cannot be used"),
        ("HTTPS_PROXY", "http://me:hun/ter2@proxy:1", "names a proxy that cannot be used"),
        ("ALL_PROXY", "http://me:hun\x01ter2@proxy", "names a proxy that cannot be used"),
        ("SSL_CERT_FILE", "/nowhere/hunter2.pem", "the certificates cannot be read"),
        ("SSLKEYLOGFILE", "/nowhere/hunter2", "the certificates cannot be read"),
    ],
)
def test_an_environment_that_cannot_be_used_is_an_error_without_its_passwords(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())  # without it, keys are not logged
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadRequest, match=message) as raised:
        ServedModel.connect("https://models.invalid/v1", retries=0)
    assert "ter2" not in "".join(traceback.format_exception(raised.value))


FAMILIES = [
    "<|im_start|>",
    "<|turn>",
    "<turn|>",
    "<|channel>",
    "<tool_call|>",
    "<start_of_image>",
    "[|user|]",
    "[|endofturn|]",
    "<seed:bos>",
    "</seed:think>",
    "[gMASK]",
    "<sop>",
    "<extra_id_1>",
    "<SPECIAL_12>",
    "<BOS_TOKEN>",
    "]~b]",
    "]~!b[",
    "[e~[",
    "<reserved_106>",
    "<unused0>",
    "<tool_calls>",
    "</tools>",
    "<minimax:tool_call>",
    "<longcat_s>",
    "<function_calls>",
    "<arg_key>",
    "<用户>",
    "<AI>",
    "<role>",
    "<fim_prefix>",
    "<CLS|LLM-jp>",
    "<0x0A>",
    "</｜DSML｜invoke>",
    "<[PLHD12_never_used]>",
    "<end_of_utterance>",
    "<_user>",
    "<ctrl99>",
    "<｜User｜>",
    "[SYSTEM_PROMPT]",
    "</s>",
]  # a list would take a line for each


@pytest.fixture(scope="module")
def writer() -> Iterator[MessageWriter]:
    with connected({}) as (model, _):
        yield MessageWriter(model.counter)


@pytest.mark.parametrize("token", FAMILIES)
def test_control_tokens_of_other_families_are_escaped_for_a_server(writer: MessageWriter, token: str) -> None:
    wide = token.translate({ord(c): ord(c) + 0xFEE0 for c in "<>[]|"})
    said_ = [
        Message("user", f"a{token}b"),
        Message("assistant", wide),
        Message("user", f"{token[0]}\u200b{token[1:]}?"),
    ]
    told = writer.conversation(token, said_).filled("")
    sent = [*(message["content"] for message in told), *(text.text for text in writer.texts([token, wide]))]
    plain = unicodedata.normalize("NFKC", token)
    for text in (unicodedata.normalize("NFKC", each).replace("\u200b", "") for each in sent):
        assert plain not in text
        assert plain.replace(" ", "") in text.replace(" ", ""), "nothing but a space is put in"


def test_ordinary_brackets_are_sent_as_they_are(writer: MessageWriter) -> None:
    text = "a < b, c > d; Vec<String>; <div>x</div>; [1] [see] |x|y| {k: v} a<b|c"
    assert writer.texts([text])[0].text == f"{text}\n"


def test_a_traceback_does_not_show_a_key_that_a_server_repeats(monkeypatch) -> None:
    monkeypatch.setenv("LONGCTX_API_KEY", "sk-secret")
    for reply in (raw("", status=307, Location="https://elsewhere.example/?key=sk-secret"), broken_status("sk-secret")):
        with recorded_server({"GET /v1/models": reply}) as server:
            with pytest.raises(ServerFailed) as raised:
                ServedModel.connect(f"{server.root}/v1", retries=0)
            assert "secret" not in "".join(traceback.format_exception(raised.value))


def broken_status(text: str) -> Any:
    def send(handler: Any, _: Any) -> None:
        handler.wfile.write(f"HTTP/1.1 {text} OK\r\n{text}\r\n\r\n".encode())
        handler.close_connection = True

    return send


def test_a_redirect_is_followed_on_the_host_and_nowhere_else() -> None:
    def redirect(to: str, status: int = 307) -> Any:
        return raw("", status=status, Location=to)

    with recorded_server({}) as other:
        elsewhere = {CHAT: redirect(f"{other.root}/v1/chat/completions")}
        with connected(elsewhere) as (model, _), pytest.raises(ServerFailed, match="which is another host"):
            answer(model)
        assert not other.asked
    here = {CHAT: redirect("/v2/chat"), "POST /v2/chat": events(said("A"), ended())}
    with connected(here) as (model, server):
        assert answer(model).text == "A"
        assert server.bodies("/v2/chat")[0]["messages"] == ASK


def forever(piece: bytes, headers: bool = False, pause: float = 0.0) -> Any:
    def send(handler: Any, _: Any) -> None:
        if headers:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        else:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.end_headers()
        while True:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause)

    return send


@pytest.mark.parametrize(
    ("path", "reply", "said_"),
    [
        (CHAT, forever(b": still here\n\n", pause=0.02), "was silent for 0.3 s"),
        (CHAT, forever(b"data: {}\n\n", pause=0.02), "was silent for 0.3 s"),
        (CHAT, forever(b"a", headers=True, pause=0.02), "was silent for 0.3 s"),
        (CHAT, raw(b"\x1f\x8b", Content_Encoding="br"), "packs its replies as 'br'"),
        (CHAT, raw(b"data: " + b"[" * 200_000 + b"\n\n"), "does not speak OpenAI's protocol"),
        ("GET /props", forever(b" ", pause=0.02), ""),
    ],
)
def test_a_server_cannot_hold_longctx_for_ever(path, reply, said_) -> None:
    with connected({path: reply, "GET /v1/models": MODELS}, timeout=0.3) as (model, _):
        if said_:
            with pytest.raises(ServerFailed, match=said_):
                answer(model)
    late = pytest.raises(ServerFailed, match=r"/v1/models was not done after 0.3 s")
    with recorded_server({"GET /v1/models": forever(b" ", pause=0.02)}) as server, late:
        ServedModel.connect(f"{server.root}/v1", retries=0, timeout=0.3)


def test_a_reply_is_unpacked_to_a_bounded_length(monkeypatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 1 << 20)
    bomb = raw(gzip.compress(b":" * (2 << 20)), Content_Encoding="gzip")
    with connected({CHAT: bomb}) as (model, _), pytest.raises(ServerFailed, match="sent more than 1,048,576 bytes"):
        answer(model)


def test_an_answer_without_an_end_is_cut_where_it_should_have_ended() -> None:
    word = b'data: {"choices": [{"delta": {"content": "words and "}}]}\n\n'
    with connected({CHAT: forever(word)}) as (model, _):
        generation = answer(model, new=16)
        assert generation.finish == "length"
        assert len(generation.text) < 16 * 64
