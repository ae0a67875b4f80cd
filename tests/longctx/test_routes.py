"""The ways past the window, taken by a model that can: the demo model, which finds pass keys in prose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexes import SearchFilter
from longctx import (
    AskOptions,
    BadReport,
    BadRequest,
    ContextTooLong,
    DocumentQA,
    Engine,
    GenerationOptions,
    LoadedModel,
    Measured,
    Message,
    NotEnoughMemory,
    Policy,
    ProbeOptions,
    QuestionRequest,
    load_model,
    load_report,
    run_probe,
)
from longctx.cli import app
from rope_scaling import RopeScaling, open_checkpoint

DEMO = Path(__file__).parents[2] / "examples" / "models" / "passkey-llama"
TUNED = DEMO.with_name("passkey-llama-yarn-8k")
QUESTION = "What is the pass key?"
KEY = "The pass key is 40917"
PROSE = [
    "The keeper walked along the shore in the evening and looked at the sea.",
    "A boat with brown sails lay beyond the point, waiting for the tide.",
    "Nobody had slept well, and the wind had risen again before the morning.",
]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, encoder) -> Path:
    """An index of prose that holds the key, about 1, 7 and 45 native windows long."""
    folder = tmp_path_factory.mktemp("routes")
    for name, sentences in (("short", 1), ("long", 60), ("huge", 400)):
        prose = [PROSE[i % 3] for i in range(sentences)]
        (folder / f"{name}.txt").write_text(" ".join([*prose[::2], KEY, *prose[1::2]]))
    with DocumentQA.open(folder / "index", encoder=encoder) as qa:
        qa.ingest([folder / f"{name}.txt" for name in ("short", "long", "huge")])
    return folder


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    return load_model(DEMO, scaling="yarn")


@pytest.fixture
def opened(indexed: Path, encoder) -> Iterator[Callable[..., DocumentQA]]:
    made: list[DocumentQA] = []

    def open_with(model: LoadedModel, **options) -> DocumentQA:
        made.append(DocumentQA.open(indexed / "index", model, encoder=encoder, **options))
        return made[-1]

    yield open_with
    for qa in made:
        qa.close()


def only(indexed: Path, name: str) -> SearchFilter:
    return SearchFilter((str(indexed / f"{name}.txt"),))


@pytest.mark.parametrize(
    ("name", "route", "taken", "scale"),
    [
        ("short", "auto", "native", 1),
        ("long", "auto", "extended", 8),
        ("huge", "auto", "retrieval", 2),
        ("short", "extended", "extended", 2),
        ("short", "retrieval", "retrieval", 1),
        ("long", "self", "self", 4),
    ],
)
def test_the_answer_is_found_on_every_route(indexed, opened, demo, name, route, taken, scale) -> None:
    k = 1 if route == "self" else 8
    answer = opened(demo).ask(QUESTION, route=route, k=k, max_new_tokens=12, filters=only(indexed, name))
    assert answer.text.startswith(KEY)
    assert (answer.plan.route, answer.plan.scale) == (taken, scale)
    assert answer.usage.prompt_tokens == answer.plan.prompt_tokens
    text = (indexed / f"{name}.txt").read_text()
    assert all(text[c.start : c.end] == c.text for c in answer.passages)
    whole = "".join("".join(c.text for c in answer.passages).split()) == "".join(text.split())
    assert whole == (taken in ("native", "extended")) or name == "short"


def test_asking_all_documents_again_reads_only_the_question(indexed, opened, demo) -> None:
    qa, told = opened(demo), []
    for question in (QUESTION, "Where did the boat lie?"):
        told.clear()
        answer = qa.ask(question, max_new_tokens=2, filters=only(indexed, "long"), progress=told.append)
    share = {share.kind: share.tokens for share in answer.plan.budget}
    assert told[0].done >= share["system"] + share["document"]


def test_what_was_measured_sets_the_windows(indexed, opened) -> None:
    plain = load_model(DEMO)
    long = only(indexed, "long")
    assert opened(plain).ask(QUESTION, max_new_tokens=2, filters=only(indexed, "short")).plan.route == "native"
    measured = opened(plain, measured=[Measured("yarn", 2048), Measured("linear", 300)])
    extended = measured.ask(QUESTION, max_new_tokens=12, filters=long)
    assert (extended.plan.route, extended.plan.window) == ("extended", 2048)
    assert extended.text.startswith(KEY)
    less = opened(load_model(DEMO, scaling="yarn"), measured=[Measured("yarn", 600), Measured("none", 128)])
    taken = less.ask(QUESTION, max_new_tokens=2, filters=long).plan
    assert (taken.route, taken.window) == ("retrieval", 512)
    assert "extended window 600" in taken.reason
    none = opened(load_model(DEMO, scaling="yarn"), measured=[Measured("yarn", 256)])
    with pytest.raises(ContextTooLong, match="nothing was measured to carry the model beyond its native window"):
        none.ask(QUESTION, route="extended", max_new_tokens=2, filters=long)


def test_the_report_of_a_probe_sets_the_windows(indexed, opened, tmp_path: Path, capsys) -> None:
    probed = ProbeOptions(methods=("none", "yarn"), lengths=(256, 512, 1024), tasks=("needle",), trials=1, depths=2)
    report = run_probe(DEMO, tmp_path, probed)
    long = only(indexed, "long")
    taken = (
        opened(load_model(DEMO), measured=load_report(tmp_path).measurements())
        .ask(QUESTION, max_new_tokens=2, filters=long)
        .plan
    )
    assert (taken.route, taken.window, taken.measured) == ("retrieval", 512, True)
    assert f"the extended window {report.effective_window('yarn'):,}" in taken.reason
    assert not opened(load_model(DEMO, scaling="yarn")).ask(QUESTION, max_new_tokens=2, filters=long).plan.measured
    with pytest.raises(BadReport, match=r"another scaling .* run `longctx probe .*yarn-8k`"):
        opened(load_model(DEMO.with_name("passkey-llama-yarn-8k")), measured=report.measurements())
    with pytest.raises(BadReport, match="give the folder that `longctx probe --out` wrote"):
        load_report(indexed)
    command = ["ask", QUESTION, "--index", str(indexed / "index"), "--model", str(DEMO), "--scaling", "yarn"]
    command += ["--max-new-tokens", "2", "--source", str(indexed / "long.txt")]
    for more, said in (([], True), (["--report", str(tmp_path)], False)):
        app([*command, *more], standalone_mode=False)
        assert ("no report shows that the model reads so many" in capsys.readouterr().err) == said


def test_a_fixed_scaling_is_left_out_of_the_native_window(indexed, opened) -> None:
    fixed = load_model(DEMO, scaling=RopeScaling(method="linear", factor=8.0))
    short = only(indexed, "short")
    native = opened(fixed).ask(QUESTION, max_new_tokens=12, filters=short)
    assert native.plan.route == "native"
    assert native.text == opened(load_model(DEMO)).ask(QUESTION, max_new_tokens=12, filters=short).text
    with pytest.raises(ContextTooLong, match="native window 256"):
        opened(fixed).ask(QUESTION, route="native", filters=only(indexed, "long"))
    assert opened(fixed).ask(QUESTION, max_new_tokens=2, filters=only(indexed, "long")).plan.window == 2048


def test_a_scaling_that_the_checkpoint_brings_is_never_left_out(indexed, opened) -> None:
    own = open_checkpoint(TUNED, config_only=True).scaling
    qa = opened(load_model(TUNED, scaling=own, native_window=256))
    for name, route, window in (("short", "native", 256), ("long", "extended", 2048), ("huge", "retrieval", 512)):
        answer = qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, name))
        assert (answer.plan.route, answer.plan.window) == (route, window)
    as_it_is = opened(load_model(TUNED)).ask(QUESTION, max_new_tokens=12, filters=only(indexed, "short"))
    assert as_it_is.text == qa.ask(QUESTION, max_new_tokens=12, filters=only(indexed, "short")).text


def test_a_conversation_is_part_of_the_prompt(indexed, opened, demo) -> None:
    history = [Message("user", "Who walked there?"), Message("assistant", "The keeper.")] * 2
    options = AskOptions(max_new_tokens=2, filters=only(indexed, "short"))
    plan = opened(demo).run(QuestionRequest(QUESTION, options, history=tuple(history))).answer.plan
    assert (plan.turns, [share.name for share in plan.budget if share.kind == "turn"]) == ((1, 2), ["1", "2"])
    with pytest.raises(BadRequest, match="message 1 is the assistant's"):
        opened(demo).run(QuestionRequest(QUESTION, options, history=tuple(history[1:])))


def test_self_reads_everything_if_the_model_gives_up(indexed, opened, saying) -> None:
    qa = opened(saying("unanswerable"))
    stream = qa.stream(QUESTION, route="self", k=1, max_new_tokens=3, filters=only(indexed, "long"))
    pieces = list(stream)
    answer = stream.answer
    assert answer.plan.route == "native"
    assert answer.plan.reason.startswith("the model said that the passages do not hold the answer")
    assert answer.usage.prompt_tokens > answer.plan.prompt_tokens, "both prompts were read"
    assert "".join(pieces).strip() == answer.text == "unanswerable", "what was held back is not in the answer"


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        ("x " * 20_000, {}, r"the question takes [\d,]+ tokens.*the largest window here holds 8,192"),
        ("Why?", {"system": "Be brief. " * 5000}, r"the system prompt takes [\d,]+ tokens"),
        ("Why?", {"max_new_tokens": 9000}, r"an answer of 9,000 tokens \(--max-new-tokens\) leaves no room"),
        ("Why?", {"route": "native"}, r"route native cannot be taken: all documents take [\d,]+ tokens"),
        ("Why?", {"route": "self"}, r"route self cannot be taken: .*the extended window 8,192"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_numbers(opened, demo, question, options, message) -> None:
    with pytest.raises(ContextTooLong, match=message):
        opened(demo).stream(question, **options)


def test_routes_need_a_model_and_a_name(opened, demo) -> None:
    with pytest.raises(BadRequest, match="route extended needs a model"):
        opened(None).ask(QUESTION, route="extended")
    with pytest.raises(BadRequest, match="no route 'best'"):
        opened(demo).ask(QUESTION, route="best")
    assert opened(None).ask(QUESTION, route="retrieval").plan is None


def test_the_policy_is_what_a_question_does_not_say(indexed, opened, demo) -> None:
    qa = opened(demo, policy=Policy("retrieval", extend_retrieval=True))
    assert qa.ask(QUESTION, max_new_tokens=2, filters=only(indexed, "short")).plan.window == 8192
    assert qa.ask(QUESTION, route="auto", max_new_tokens=2, filters=only(indexed, "short")).plan.window == 256


def test_memory_limits_the_windows_to_what_a_request_could_have(monkeypatch: pytest.MonkeyPatch, demo) -> None:
    monkeypatch.setattr("longctx.models.memory.available_bytes", lambda device: 70 * 2**20)
    engine = Engine(demo, prefix_bytes=0)
    tokens = engine.tokens_in_memory()
    assert 1000 < tokens < 8000
    engine.stream([5] * (tokens - 1), [], options=GenerationOptions(1)).close()
    with pytest.raises(NotEnoughMemory):
        engine.stream([5] * tokens, [], options=GenerationOptions(1))
