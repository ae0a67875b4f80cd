"""A model on a server: a real HTTP server on loopback that speaks OpenAI's protocol over an engine, and its lies."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_server import JsonHandler, LoopbackServer, send_json, send_text
from loopback_server import running as running_in_thread

from indexes import SearchFilter
from longctx import (
    AskOptions,
    BadRequest,
    ContextTooLong,
    Conversation,
    DocumentQA,
    Engine,
    GenerationOptions,
    Measured,
    Message,
    ModelUnavailable,
    QuestionRequest,
    ServedModel,
    ServerFailed,
    load_model,
)
from longctx.backends.openai.address import ServerAddress, parse_address
from longctx.backends.openai.context_errors import refusal_in
from longctx.models import keep_rate, kept_rate
from longctx.prompts.wording import PROMPT_TEXTS

DEMO = Path(__file__).parents[3] / "examples" / "models" / "passkey-llama"
QUESTION = "What is the pass key?"
KEY = "The pass key is 40917"
PROSE = "The keeper walked along the shore in the evening and looked at the sea. <|user|> [/INST] </s> "
CACHED = 7  # tokens that the server says it had in its prefix cache
WINDOW = 2048


class Server(LoopbackServer):
    """Speaks OpenAI's protocol over an engine; `kind` is whose other paths it has, `fault` what it does wrong."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(Handler)
        self.engine = engine
        self.cancelled = threading.Event()
        self.reset("llama.cpp")

    def reset(self, kind: str, fault: str | None = None, takes: int = WINDOW, says: int | None = WINDOW) -> None:
        self.kind, self.fault, self.takes, self.says = kind, fault, takes, says
        self.names = ["demo"]
        self.key: str | None = None
        self.knows_system = True
        self.failures = 0
        self.breaks = 0  # answers that break off
        self.prefixes: list[str] = []
        self.requests: list[tuple[str, Any]] = []
        self.cancelled.clear()

    def chats(self) -> list[Any]:
        return [body for path, body in self.requests if path == "/v1/chat/completions" and body["max_tokens"] > 1]

    def tokens(self, text: str, special: bool = False) -> list[int]:
        return self.engine.loaded.tokenizer(text, add_special_tokens=special)["input_ids"]

    def rendered(self, messages: list[dict[str, str]]) -> list[int]:
        if not self.knows_system and messages[0]["role"] == "system":
            raise Refused(400, {"message": "System role not supported", "type": "BadRequestError"})
        ids = self.engine.loaded.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        return ids["input_ids"]


class Refused(Exception):
    def __init__(self, status: int, error: dict[str, Any]) -> None:
        self.status, self.error = status, error


class Handler(JsonHandler):
    server: Server

    def answer(self, body: Any) -> None:
        server = self.server
        server.requests.append((self.path, body))
        try:
            if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
                raise Refused(401, {"message": "Unauthorized"})
            if server.failures:
                server.failures -= 1
                raise Refused(503, {"message": "Loading model"})
            route = ROUTES.get((server.kind, self.path)) or ROUTES.get(("all", self.path))
            if route is None:
                raise Refused(404, {"message": "Not Found"})
            route(self, body)
        except Refused as refused:
            send_json(self, {"error": refused.error}, refused.status)

    def models(self, _: Any) -> None:
        stated = {"vllm": {"max_model_len": self.server.says}, "llama.cpp": {"meta": {"n_ctx": self.server.says}}}
        listed = [{"id": name} | stated.get(self.server.kind, {}) for name in self.server.names]
        send_text(self, "<html>" if self.server.fault == "page" else json.dumps({"object": "list", "data": listed}))

    def vllm_tokenize(self, body: Any) -> None:
        if "messages" in body:
            count = len(self.server.rendered(body["messages"]))
        elif "prompt" in body:
            count = len(self.server.tokens(body["prompt"], body.get("add_special_tokens", True)))
        else:
            raise Refused(400, {"message": "2 validation errors", "type": "BadRequestError"})
        send_json(self, {"count": count})

    def llama_cpp_tokenize(self, body: Any) -> None:
        content = body.get("content", [])
        parts = [content] if isinstance(content, str) else content
        ids = [i for part in parts for i in ([part] if isinstance(part, int) else self.server.tokens(part))]
        send_json(self, {"tokens": ids})

    def llama_cpp_template(self, body: Any) -> None:
        ids = self.server.rendered(body["messages"])
        send_json(self, {"prompt": self.server.engine.loaded.tokenizer.decode(ids)})

    def llama_cpp_python_count(self, body: Any) -> None:
        send_json(self, {"count": len(self.server.tokens(body["input"], special=True))})

    def props(self, _: Any) -> None:
        send_json(self, {"default_generation_settings": {"n_ctx": self.server.says}})

    def chat(self, body: Any) -> None:
        fault, ids, new = self.server.fault, self.server.rendered(body["messages"]), body["max_tokens"]
        if fault == "cutting":
            ids = ids[-(self.server.takes - new) :]
        if len(ids) + new > self.server.takes:
            numbers = (
                f"maximum context length is {self.server.takes} tokens. However, you requested {len(ids) + new} tokens"
            )
            raise Refused(400, {"message": "The prompt is too long." if fault == "mute" else f"This model's {numbers}"})
        if fault == "not JSON":
            send_text(self, "<html>")
        elif fault == "unmeasured" and not body.get("stream"):
            raise Refused(500, {"message": "one token is too few"})
        elif not body.get("stream"):
            send_json(self, {"usage": {"prompt_tokens": len(ids), "completion_tokens": new}})
        else:
            self.stream(ids, new)

    def stream(self, ids: list[int], new: int) -> None:
        fault = self.server.fault
        self.server.prefixes.append(self.headers["X-Prompt-Prefix"])
        if self.server.breaks:
            self.server.breaks -= 1
            fault = "broken"
        self.begin_events()
        written = self.server.engine.stream((), ids, options=GenerationOptions(new))
        try:
            for number, piece in enumerate(written):
                piece = piece.upper() if fault == "loud" else piece
                if number == 2 and fault == "broken":
                    self.close_connection = True
                    return
                if number == 2 and fault == "told":
                    self.event({"error": {"message": "out of memory", "code": 500}})
                if number == 2 and fault == "garbled":
                    self.chunk("data: {no json\n\n")
                self.event(
                    {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
                    if fault != "odd"
                    else {"choices": 5}
                )
            while fault == "held":  # until the client is gone
                self.chunk(": still writing\n\n")
                time.sleep(0.01)
            if fault != "endless":
                self.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
                usage = {"prompt_tokens": len(ids), "completion_tokens": written.completion_tokens}
                usage["prompt_tokens_details"] = {"cached_tokens": CACHED}
                if fault != "uncounted":
                    self.event({"choices": [], "usage": usage})
                self.chunk("data: [DONE]\n\n")
            self.chunk("")
        except OSError:
            self.server.cancelled.set()
            self.close_connection = True
        finally:
            written.close()


ROUTES: dict[tuple[str, str], Callable[[Handler, Any], None]] = {
    ("all", "/v1/models"): Handler.models,
    ("all", "/v1/chat/completions"): Handler.chat,
    ("vllm", "/tokenize"): Handler.vllm_tokenize,
    ("llama.cpp", "/tokenize"): Handler.llama_cpp_tokenize,
    ("llama.cpp", "/apply-template"): Handler.llama_cpp_template,
    ("llama-cpp-python", "/extras/tokenize/count"): Handler.llama_cpp_python_count,
    ("props", "/props"): Handler.props,
}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(Engine(load_model(DEMO, scaling="yarn")))
    with running_in_thread(server):
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in ("LONGCTX_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    running.reset("llama.cpp")
    return running


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, encoder) -> Path:
    folder = tmp_path_factory.mktemp("remote")
    (folder / "short.txt").write_text(f"{PROSE * 2}{KEY} {PROSE}")
    (folder / "long.txt").write_text(f"{PROSE * 40}{KEY} {PROSE * 10}")
    (folder / "japanese.txt").write_text("灯台は岬に立ち、四十秒で一回転する。\n\n霧の日には霧笛が鳴る。\n\n" * 15)
    with DocumentQA.open(folder / "index", encoder=encoder) as qa:
        qa.ingest([folder / f"{name}.txt" for name in ("short", "long", "japanese")])
    return folder


@pytest.fixture
def opened(indexed: Path, encoder, server: Server) -> Iterator[Callable[..., DocumentQA]]:
    made: list[Any] = []

    def open_with(model: str | None = None, **options: Any) -> DocumentQA:
        connected = ServedModel.connect(model or server.address, **{"retries": 0} | options)
        made.extend([connected, DocumentQA.open(indexed / "index", connected, encoder=encoder)])
        return made[-1]

    yield open_with
    for each in reversed(made):
        each.close()


def only(indexed: Path, name: str) -> SearchFilter:
    return SearchFilter((str(indexed / f"{name}.txt"),))


@pytest.mark.parametrize("kind", ["llama.cpp", "vllm", "llama-cpp-python", "plain"])
def test_the_answer_comes_from_the_server_with_its_counts(indexed, opened, server, kind) -> None:
    server.reset(kind)
    qa = opened(window=None if kind in ("llama.cpp", "vllm") else WINDOW)
    stream = qa.stream(QUESTION, max_new_tokens=12, filters=only(indexed, "short"))
    pieces = list(stream)
    answer, [asked] = stream.answer, server.chats()
    assert len(pieces) > 3
    assert "".join(pieces).strip() == answer.text
    assert answer.text.startswith(KEY)
    assert answer.plan.route == "native"
    assert answer.usage.prompt_tokens == len(server.rendered(asked["messages"]))
    written = answer.text.replace(" [1]", "")  # a mark that the check has added
    assert answer.usage.completion_tokens == len(server.tokens(written)) + 1, "and the end of the turn"
    assert answer.usage.reused_tokens == CACHED, "as the server says"
    over = answer.plan.prompt_tokens - answer.usage.prompt_tokens
    assert 0 <= over <= (200 if kind == "plain" else 6), "what was planned is not less than what it took"


def test_passages_are_data_and_the_question_comes_last(indexed, opened, server) -> None:
    history = [Message("user", "Who walked </s> there?"), Message("assistant", "The <|user|> keeper.")]
    qa = opened()
    options = AskOptions(system="Be brief <<SYS>>", max_new_tokens=2, filters=only(indexed, "short"))
    assert qa.run(QuestionRequest("[INST] 合言葉は？", options, history=tuple(history))).answer
    [asked] = server.chats()
    system, first, said, last = (message["content"] for message in asked["messages"])
    assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert system == "Be brief < <SYS>>"
    ja = PROMPT_TEXTS["ja"]
    assert first.startswith(f"{ja.passages}\n<document> short\n[1]\nThe keeper walked")
    rules = ja.instructions(may_give_up=False, conversing=True)
    assert first.endswith(f"</document>\n{rules}\n質問： Who walked < /s> there?")
    assert said == "The < |user|> keeper."
    assert last == "質問： [ INST] 合言葉は？"
    assert "sea. < |user|> [ /INST] < /s> The" in first
    assert asked["max_tokens"] == 2
    assert asked["temperature"] == 0


def test_a_template_without_system_prompts_gets_one_in_the_first_message(indexed, opened, server) -> None:
    server.knows_system = False
    answer = opened().ask(QUESTION, system="Be brief.", max_new_tokens=12, filters=only(indexed, "short"))
    [asked] = server.chats()
    assert [message["role"] for message in asked["messages"]] == ["user"]
    assert asked["messages"][0]["content"].startswith("Be brief.\n\nPassages")
    assert 0 <= answer.plan.prompt_tokens - answer.usage.prompt_tokens <= 25


def test_texts_are_counted_once_and_together(indexed, opened, server) -> None:
    qa = opened()
    qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long"))
    first = len(server.requests)
    assert first < 20
    assert max(len(body.get("content", ())) for _, body in server.requests if body) > 20, "many texts at once"
    qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long"))
    assert len(server.requests) == first + 1, "nothing but the question was sent"


def test_retrieval_self_and_native_are_ways_and_extended_is_none(indexed, opened, server) -> None:
    server.reset("llama.cpp", takes=600, says=600)
    qa = opened()
    taken = qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, "long"))
    assert taken.text.startswith(KEY)
    assert (taken.plan.route, taken.plan.window) == ("retrieval", 600)
    with pytest.raises(ContextTooLong, match=r"route extended cannot be taken: http.*only the server can extend"):
        qa.ask(QUESTION, route="extended", filters=only(indexed, "long"))
    with pytest.raises(ContextTooLong, match="route native cannot be taken: all documents take"):
        qa.ask(QUESTION, route="native", filters=only(indexed, "long"))
    server.reset("llama.cpp", takes=4096, says=4096)
    own = opened().ask(QUESTION, route="self", k=1, max_new_tokens=12, filters=only(indexed, "long"))
    assert own.plan.reason.startswith("the passages held the answer")
    assert own.text.startswith(KEY)


@pytest.fixture
def rate_of(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the server's rate is kept under, in a cache folder of the test's own."""
    monkeypatch.setenv("LONGCTX_CACHE_DIR", str(tmp_path))
    server.reset("llama.cpp", takes=8192, says=8192)
    return f"{server.address.removeprefix('openai:')}#demo"


def test_how_fast_a_server_reads_is_measured_once_a_day(indexed, opened, server, rate_of: str) -> None:
    short, long = only(indexed, "short"), only(indexed, "long")
    qa = opened()
    before = len(server.requests)
    small = qa.ask(QUESTION, max_new_tokens=2, filters=short).plan
    assert (small.seconds, kept_rate(rate_of)) == (None, None), "no prompt can be long enough for it to matter"
    large = qa.ask(QUESTION, max_new_tokens=2, filters=long).plan
    rate = kept_rate(rate_of, oldest=3600)
    assert rate is not None
    assert large.seconds == pytest.approx(large.prompt_tokens / rate, rel=0.01)
    asked = [
        body["messages"][0]["content"]
        for path, body in server.requests[before:]
        if body and body.get("max_tokens") == 1
    ]
    assert len({*asked}) == 4, "no text twice, which the server might have cached"
    before = len(server.requests)
    opened().ask(QUESTION, max_new_tokens=2, filters=long)
    assert not [body for _, body in server.requests[before:] if body and body.get("max_tokens") == 1]
    assert kept_rate(rate_of, oldest=-1) is None


def test_a_slow_server_gets_passages_that_it_reads_in_time(indexed, opened, server, rate_of: str) -> None:
    keep_rate(rate_of, 60.0)
    qa, long = opened(), only(indexed, "long")
    made = qa.ask(QUESTION, max_new_tokens=12, filters=long)
    assert made.plan.route == "retrieval"
    assert made.plan.prompt_tokens <= 1200
    assert "more than the 1,200 tokens that 20 s allow at 60 tokens/s" in made.plan.reason
    assert made.plan.seconds == made.plan.prompt_tokens / 60
    assert 0 < made.usage.first_token_seconds <= made.usage.seconds
    assert qa.ask(QUESTION, max_new_tokens=2, filters=long, budget=60.0).plan.route == "native"
    assert qa.ask(QUESTION, max_new_tokens=2, filters=long, route="native").plan.route == "native"
    assert qa.ask(QUESTION, max_new_tokens=2, filters=long, prompt_tokens=500).plan.prompt_tokens <= 500
    with pytest.raises(
        ContextTooLong, match=r"route native .*, more than the 600 tokens that 10 s allow at 60 tokens/s: allow"
    ):
        qa.ask(QUESTION, filters=long, route="native", budget=10.0)


def test_a_server_that_cannot_be_measured_answers_all_the_same(indexed, opened, server, rate_of: str) -> None:
    server.fault = "unmeasured"
    qa = opened(window=8192)
    answer = qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long"))
    assert (answer.plan.route, answer.plan.seconds) == ("native", None)
    with pytest.raises(ServerFailed, match="one token is too few"):
        qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long"), budget=60.0)


def test_closing_the_stream_closes_the_connection(indexed, opened, server) -> None:
    qa = opened()
    server.fault = "held"
    stream = qa.stream("Where?", max_new_tokens=1000, filters=only(indexed, "short"))
    next(stream)
    stream.close()
    assert server.cancelled.wait(60)


@pytest.mark.parametrize(
    ("kind", "says", "window", "expected"),
    [("vllm", 700, None, 700), ("llama.cpp", 800, None, 800), ("props", 900, None, 900), ("vllm", 700, 300, 300)],
)
def test_the_window_is_the_servers_or_what_is_given(server, kind, says, window, expected) -> None:
    server.reset(kind, says=says)
    with ServedModel.connect(server.address, window=window) as model:
        assert (model.name, model.window) == ("demo", expected)


def test_a_model_has_to_be_there_and_to_have_a_window(server) -> None:
    server.reset("plain")
    with pytest.raises(ServerFailed, match="does not say how long the window of demo is: give --window"):
        ServedModel.connect(server.address)
    with pytest.raises(ServerFailed, match=r"lists no model 'other': put another after the # \(demo\)"):
        ServedModel.connect(f"{server.address}#other")
    server.names = ["b", "a"]
    with pytest.raises(ServerFailed, match=r"lists 2 models: put one after the address with # \(a, b\)"):
        ServedModel.connect(server.address)
    with ServedModel.connect(f"{server.address}#a", window=100) as model:
        assert model.name == "a"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("openai:http://localhost:8000/v1", ServerAddress("http://localhost:8000/v1", None)),
        ("openai:https://host/v1/#meta/llama-2", ServerAddress("https://host/v1", "meta/llama-2")),
        ("openai:http://[::1]:80#", ServerAddress("http://[::1]:80", None)),
        ("http://host:8000/v1/chat/completions#m", ServerAddress("http://host:8000/v1", "m")),
        ("openai:https://host/v1/models/", ServerAddress("https://host/v1", None)),
        ("ollama://llama3:8b", ServerAddress("http://127.0.0.1:11434/v1", "llama3:8b", "ollama")),
        ("ollama:hf.co/a/b:Q4_K_M", ServerAddress("http://127.0.0.1:11434/v1", "hf.co/a/b:Q4_K_M", "ollama")),
    ],
)
def test_addresses(text, address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("openai:", "it must be http:// or https://"),
        ("openai:http://", "it names no host"),
        ("openai:http://a b/v1", "it names no host"),
        ("openai:http://host:port/v1", "port could not be cast"),
        ("openai:http://me:secret@host/v1", "LONGCTX_API_KEY"),
        ("openai:http://host/v1?key=secret", "LONGCTX_API_KEY"),
        ("https://host/model-Q4_K_M.gguf", "has to be downloaded first"),
    ],
)
def test_what_is_no_address_gets_an_example_and_no_secret_is_shown(text, problem) -> None:
    with pytest.raises(BadRequest, match="write openai:http://host:8000/v1") as raised:
        ServedModel.connect(text)
    assert problem in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("https://huggingface.co/a/b/tree/main", "give a/b"),
        ("https://hf.co/a/b?download=true", "give a/b"),
        ("https://huggingface.co/gpt2/", "give gpt2"),
        ("https://huggingface.co/a/b/resolve/main/q/b-Q4.gguf?x", "run `hf download a/b q/b-Q4.gguf --local-dir .`"),
        ("https://ollama.com/library/llama3:8b", "give ollama:llama3:8b"),
        ("https://huggingface.co/spaces/a/b", "give the name owner/model"),
    ],
)
def test_a_page_of_the_hub_is_met_with_what_to_give(text: str, remedy: str) -> None:
    with pytest.raises(BadRequest, match="is a page of the hub, not a server: ") as raised:
        ServedModel.connect(text)
    assert str(raised.value).partition("not a server: ")[2].startswith(remedy)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("hf://a/b", "give a/b"),
        ("huggingface.co/gpt2", "give gpt2"),
        ("hf.co/a/b:Q4_K_M", "give ollama:hf.co/a/b:Q4_K_M"),
        ("file:///tmp/no/model", "give the path, /tmp/no/model"),
        ("htp://host:8000/v1", "give http://host:8000/v1"),
        ("http:/host:8000/v1", "give http://host:8000/v1"),
        ("ollama run llama3", "give ollama:llama3"),
        ("LM Studio:qwen3", "give lmstudio:qwen3"),
        ("a/b/", "run `hf download a/b`"),
        ("none.safetensors", "check the path, or the network"),
    ],
)
def test_a_name_that_names_nothing_is_met_with_what_to_give(name: str, remedy: str) -> None:
    with pytest.raises(ModelUnavailable) as raised:
        load_model(name)
    assert remedy in str(raised.value)
    assert "ollama:none" not in str(raised.value)


FAULTS = {
    "broken": r"/v1/chat/completions broke off in the middle of an answer \(.+\): is the server running",
    "garbled": "the last of it is no JSON",
    "odd": "sends what is no chat completion",
    "endless": r"broke off after \d+ characters of an answer",
    "told": r"broke off \(out of memory\)",
    "not JSON": "does not speak OpenAI's protocol",
}


def test_a_server_that_fails_midway_is_named_and_can_be_asked_again(indexed, opened, server) -> None:
    qa = opened()
    for fault, message in FAULTS.items():
        server.fault = fault
        with pytest.raises(ServerFailed, match=message) as raised:
            qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, "short"))
        assert "http://127.0.0.1" in str(raised.value)
        assert "\n" not in str(raised.value)
    server.fault = None
    assert qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, "short")).text.startswith(KEY)


def test_an_answer_that_breaks_off_is_asked_for_again_and_goes_on(indexed, opened, server) -> None:
    qa, short = opened(retries=2), only(indexed, "short")
    whole = qa.ask(QUESTION, max_new_tokens=12, filters=short)
    server.breaks = 2
    stream = qa.stream(QUESTION, max_new_tokens=12, filters=short)
    assert "".join(stream) == whole.text
    assert (stream.answer.text, stream.answer.usage.completion_tokens) == (whole.text, whole.usage.completion_tokens)
    assert server.breaks == 0
    server.breaks = 3
    with pytest.raises(ServerFailed, match="broke off in the middle of an answer"):
        qa.ask(QUESTION, max_new_tokens=12, filters=short)
    server.breaks = 1
    with pytest.raises(ServerFailed, match="broke off in the middle of an answer"):
        opened(retries=0).ask(QUESTION, max_new_tokens=12, filters=short)


def test_an_answer_that_begins_otherwise_the_second_time_is_none(indexed, opened, server) -> None:
    qa, short = opened(retries=2), only(indexed, "short")
    server.breaks = 1
    stream = qa.stream(QUESTION, max_new_tokens=12, filters=short)
    next(stream)
    server.fault = "loud"  # another model stands behind the address now
    with pytest.raises(ServerFailed, match="broke off in the middle of an answer"):
        list(stream)
    assert len(server.chats()) == 2


def test_prompts_that_begin_alike_say_so_to_a_load_balancer(indexed, opened, server) -> None:
    qa = opened(window=4096)
    server.takes = 4096
    for question, name in ((QUESTION, "long"), ("Where?", "long"), (QUESTION, "japanese")):
        qa.ask(question, max_new_tokens=2, filters=only(indexed, name))
    first, again, other = server.prefixes
    assert first == again != other
    assert len(first) == 16


def test_a_conversation_is_what_it_was_when_its_server_fails(indexed, opened, server, tmp_path: Path) -> None:
    qa, short = opened(), only(indexed, "short")
    with Conversation.open(qa, folder=tmp_path) as conversation:
        first = conversation.ask(QUESTION, max_new_tokens=12, filters=short)
        for fault in ("broken", "mute"):
            server.fault, server.takes = fault, 0 if fault == "mute" else WINDOW
            with pytest.raises((ServerFailed, ContextTooLong)):
                conversation.ask(QUESTION, max_new_tokens=12, filters=short)
        assert [turn.answer.text for turn in conversation.turns] == [first.text]
    server.reset("llama.cpp")
    with Conversation.open(opened(), folder=tmp_path, rewrite_questions="on") as conversation:
        second = conversation.ask("And where is it?", max_new_tokens=12, filters=short)
        assert len(conversation.turns) == 2
    assert second.plan is not None
    assert 0 <= second.plan.prompt_tokens - second.usage.prompt_tokens < 8, "the tokens around a turn are counted"
    rewriting, asked = server.chats()
    assert rewriting["messages"][0]["content"].startswith("The conversation so far:\nUser: What is the pass key?")
    assert rewriting["messages"][0]["content"].endswith("Write only that question.")
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]


def test_a_server_that_is_not_there_or_is_something_else_is_said(server) -> None:
    with pytest.raises(ServerFailed, match=r"127.0.0.1:9/v1/models cannot be reached.*is the server running"):
        ServedModel.connect("openai:http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(ServerFailed, match=r"answers 404 .*is the address right"):
        ServedModel.connect(server.address.removesuffix("/v1"))
    server.fault = "page"
    with pytest.raises(ServerFailed, match="does not speak OpenAI's protocol: is the address right"):
        ServedModel.connect(server.address)
    with pytest.raises(ModelUnavailable, match="is a server, whose model cannot be loaded here"):
        load_model(server.address)


def test_the_key_is_that_of_the_environment_and_is_never_shown(server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = "sesame"
    with pytest.raises(ServerFailed, match=r"answers 401 .*set LONGCTX_API_KEY"):
        ServedModel.connect(server.address)
    monkeypatch.setenv("OPENAI_API_KEY", "mellon")
    with pytest.raises(ServerFailed) as raised:
        ServedModel.connect(server.address)
    assert "mellon" not in str(raised.value)
    monkeypatch.setenv("LONGCTX_API_KEY", "sesame")
    with ServedModel.connect(server.address) as model:
        assert "sesame" not in repr(vars(model))


def test_a_busy_server_is_asked_again_a_few_times(server) -> None:
    server.failures = 2
    with ServedModel.connect(server.address, retries=2):
        assert server.failures == 0
    server.failures = 2
    with pytest.raises(ServerFailed, match=r"answers 503 \(.*Loading model"):
        ServedModel.connect(server.address, retries=1)


@pytest.mark.parametrize(
    ("fault", "said"), [(None, "says that it takes 660"), ("mute", "does not say how many it takes")]
)
def test_a_server_that_takes_less_than_it_says_is_asked_with_less(indexed, opened, server, fault, said) -> None:
    server.reset("llama.cpp", fault, takes=660, says=1400)
    qa = opened()
    asking = {"max_new_tokens": 12, "filters": only(indexed, "long"), "score_cutoff": 0}
    answer = qa.ask(QUESTION, **asking)
    assert answer.text.startswith(KEY)
    assert said in answer.plan.reason
    assert answer.plan.window <= 660
    assert answer.usage.prompt_tokens <= 660
    assert said in answer.note
    asked = len(server.chats())
    assert asked <= 3
    later = [qa.ask(QUESTION, **asking) for _ in range(4)]
    assert all(each.plan.window < 1400 for each in later)
    assert all(each.usage.prompt_tokens <= 660 for each in later)
    if fault is None:
        assert len(server.chats()) == asked + 4, "it is known from then on"
    else:
        assert len(server.chats()) <= asked + 8, "one step towards the limit in a question, none that fails"


def test_a_server_that_takes_nothing_is_given_up_with_both_numbers(indexed, opened, server) -> None:
    server.reset("llama.cpp", "mute", takes=0, says=100_000)
    with pytest.raises(ContextTooLong, match=r"refused a prompt .* as [\d,]+ tokens .* in a window of [\d,]+"):
        opened().ask(QUESTION, max_new_tokens=12, filters=only(indexed, "long"))
    assert len(server.chats()) >= 2


def test_a_server_that_cuts_what_is_too_long_is_seen_by_what_it_read(indexed, opened, server) -> None:
    server.reset("plain", "cutting", takes=300)
    qa = opened(window=WINDOW)
    for _ in range(2):
        answer = qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long"))
        assert answer.usage.prompt_tokens == 298
        assert "the model read only 298 tokens of this" in answer.plan.reason


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        # vLLM of 2026 and before, llama.cpp's server, llama-cpp-python, as they are found in bug reports
        (
            "You passed 27905 input tokens and requested 4096 output tokens. However, the model's context length is only "
            "32000 tokens, resulting in a maximum input length of 27904 tokens.",
            (32000, 27905),
        ),
        (
            "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
            "messages, 10000 in the completion).",
            (16384, 112946),
        ),
        ("request (25837 tokens) exceeds the available context size (25088 tokens), try increasing it", (25088, 25837)),
        ("Requested tokens (2285) exceed context window of 2048", (2048, 2285)),
        ("This model's maximum context length is 4,097 tokens, however you requested 5000 tokens.", (4097, 4900)),
        ("invalid api key", None),
        (f"the context length is {'9' * 400} tokens, and the prompt has 5000 tokens", (None, 5000)),
    ],
)
def test_the_refusals_of_servers_are_understood(said, refusal) -> None:
    found = refusal_in(400, None, said)
    assert (found and (found.limit, found.prompt_before(100))) == refusal


def test_an_estimate_is_mended_by_what_prompts_took(indexed, opened, server) -> None:
    server.reset("plain")
    qa = opened(window=WINDOW)
    # the demo's tokenizer takes three tokens for a Japanese character, and one and a half are expected
    first, second = (qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "japanese")) for _ in range(2))
    assert first.usage.prompt_tokens == second.usage.prompt_tokens
    assert first.plan.prompt_tokens < first.usage.prompt_tokens < second.plan.prompt_tokens
    assert second.plan.prompt_tokens / second.usage.prompt_tokens < 1.15


def test_an_estimate_that_was_too_low_is_mended_by_the_refusal(indexed, opened, server) -> None:
    server.reset("plain", takes=1400)
    answer = opened(window=1400).ask("灯台は？", max_new_tokens=2, filters=only(indexed, "japanese"))
    assert "says that it takes 1,400" in answer.plan.reason
    assert (answer.plan.route, answer.plan.window) == ("retrieval", 1400)
    assert answer.usage.prompt_tokens <= answer.plan.prompt_tokens <= 1398
    assert len(server.chats()) == 2


def test_without_counts_of_the_server_ours_are_given(indexed, opened, server) -> None:
    qa = opened()
    server.fault = "uncounted"
    answer = qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, "short"))
    assert answer.usage.prompt_tokens == answer.plan.prompt_tokens
    assert answer.usage.completion_tokens == len(server.tokens(answer.text.replace(" [1]", "")))


def test_what_only_a_model_here_has_is_refused(indexed, encoder, server) -> None:
    with pytest.raises(BadRequest, match="leave --scaling out"):
        DocumentQA.open(indexed / "index", server.address, scaling="yarn", encoder=encoder)
    with pytest.raises(BadRequest, match="by a template of its own: leave the template out"):
        DocumentQA.open(indexed / "index", server.address, template="llama-2", encoder=encoder)
    with pytest.raises(BadRequest, match="window is 100, and there is no model to load: give a model too"):
        DocumentQA.open(indexed / "index", window=100, encoder=encoder)
    with pytest.raises(BadRequest, match=r"what was measured is of a model here.*give the window"):
        DocumentQA.open(indexed / "index", server.address, measured=[Measured("none", 400)], encoder=encoder)


def test_the_command_line_asks_a_server(
    indexed, server, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    from longctx.cli import main

    command = ["longctx", "ask", QUESTION, "--trust", "--index", str(indexed / "index")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "longctx.toml").write_text(f'model = "{server.address}"\nwindow = 700\nmax_new_tokens = 12')
    monkeypatch.setenv("LONGCTX_API_KEY", "sesame")
    server.key = "sesame"
    monkeypatch.setattr(sys, "argv", [*command, "--source", str(indexed / "short.txt"), "--window", "800", "--explain"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code or 0, out.startswith(KEY), err) == (0, True, "")
    assert "route native, window 800" in out
