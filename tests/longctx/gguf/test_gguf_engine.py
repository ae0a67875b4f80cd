"""Generation from a GGUF file, beside our engine on the same weights."""

from __future__ import annotations

import http.client
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from longctx import (
    BadRequest,
    ContextTooLong,
    DocumentQA,
    Engine,
    GenerationOptions,
    GgufEngine,
    ModelUnavailable,
    Plan,
    ProbeOptions,
    load_model,
    run_probe,
)
from longctx.engine import PrefillProgress, PrefixStore, Thinking
from rope_scaling import METHODS, RopeScaling, RopeScalingError

pytest.importorskip("xllamacpp", reason="GGUF files are run by xllamacpp, from the extra gguf")

WINDOW, LONG = 128, 1024
IDS = [2 + (i * 7919 + 13) % 280 for i in range(LONG)]


@pytest.fixture(scope="module")
def engine(gguf_file: Path) -> Iterator[GgufEngine]:
    with GgufEngine.open(gguf_file) as opened:
        yield opened


@pytest.fixture(scope="module")
def ours(checkpoint: Path) -> Engine:
    return Engine(load_model(checkpoint))


@pytest.mark.parametrize("method", [None, "linear", "ntk", "yarn"])
def test_the_same_weights_give_the_same_scores(engine: GgufEngine, ours: Engine, method: str | None) -> None:
    scaling = None if method is None else RopeScaling.for_window(method, LONG, WINDOW)
    ids = IDS[: WINDOW if method is None else LONG]
    expected = ours.token_losses(ids, 6, scaling)
    assert engine.token_losses(ids, 6, scaling) == pytest.approx(expected, rel=1e-3)
    options = GenerationOptions(12)
    assert "".join(engine.stream(ids[:-12], (), scaling, options)).rstrip("\ufffd") == "".join(
        ours.stream(ids[:-12], (), scaling, options)
    ).rstrip("\ufffd")


def test_the_likeliest_first_tokens_are_as_likely_as_ours(engine: GgufEngine, ours: Engine) -> None:
    options = GenerationOptions(3, top_logprobs=4)
    said, expected = (each.stream(IDS[:40], (), options=options) for each in (engine, ours))
    assert said.rest().rstrip("\ufffd") == expected.rest().rstrip("\ufffd")
    both = (said.top_logprobs or {}).keys() & (expected.top_logprobs or {}).keys()  # bytes of characters are no text
    assert len(both) > 1
    for token in both:
        assert (said.top_logprobs or {})[token] == pytest.approx((expected.top_logprobs or {})[token], abs=2e-2)
    unasked = engine.stream(IDS[:40], (), options=GenerationOptions(3))
    assert unasked.rest()
    assert unasked.top_logprobs is None


def test_the_scores_stay_within_a_percent_at_8192_tokens(gguf_file: Path, ours: Engine) -> None:
    scaling = RopeScaling.for_window("yarn", 8192, WINDOW)  # the others: benchmarks/bench_gguf.py
    ids = [2 + (i * 7919 + i * i % 101) % 280 for i in range(8192)]
    with GgufEngine.open(gguf_file) as wide:
        assert wide.token_losses(ids, 2, scaling) == pytest.approx(ours.token_losses(ids, 2, scaling), rel=0.01)


@pytest.mark.parametrize(("method", "original"), [("yarn", WINDOW), ("linear", None)])
def test_a_scaling_that_a_file_carries_decides_its_window(
    checkpoint: Path, ours: Engine, tmp_path: Path, method: str, original: int | None
) -> None:
    import gguf
    from gguf_writer import write_gguf

    def scale(writer) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType(method))
        writer.add_rope_scaling_factor(4.0)
        if original is not None:
            writer.add_rope_scaling_orig_ctx_len(original)

    scaling = RopeScaling(method=method, factor=4.0, original_max_position_embeddings=WINDOW)
    with GgufEngine.open(write_gguf(checkpoint, tmp_path / "carries.gguf", change=scale)) as carries:
        assert carries.loaded.window == 4 * WINDOW
        ids = IDS[: 4 * WINDOW]
        assert carries.token_losses(ids, 4) == pytest.approx(ours.token_losses(ids, 4, scaling), rel=1e-3)


def test_longropes_factors_are_those_of_the_sequence_whatever_was_read_before(checkpoint: Path, tmp_path: Path) -> None:
    import gguf
    import numpy as np
    from gguf_writer import write_gguf

    original, long = 512, [2 + (i * 7919 + i * i % 101) % 280 for i in range(900)]

    def scale(writer) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(original)
        for name, last in (("short", 1.2), ("long", 60)):
            writer.add_tensor(f"rope_factors_{name}.weight", np.linspace(1, last, 16, dtype=np.float32))

    file = write_gguf(checkpoint, tmp_path / "long.gguf", change=scale, window=4096)
    with pytest.raises(BadRequest, match=r"long\.gguf carries longrope already: leave the scaling out"):
        GgufEngine.open(file, scaling="longrope")
    own = Engine(load_model(checkpoint, native_window=4096))
    with GgufEngine.open(file) as engine:
        scaling = engine.loaded.checkpoint.scaling
        for ids in (long[:300], long, long[:300]):
            fixed = RopeScaling(**{**scaling.model_dump(exclude_none=True), "attention_factor": 1.0}).at_length(
                len(ids)
            )
            assert engine.token_losses(ids, 2) == pytest.approx(own.token_losses(ids, 2, fixed), rel=1e-2), len(ids)


def test_a_split_model_answers_as_the_whole_one(gguf_file: Path, engine: GgufEngine, tmp_path: Path) -> None:
    from gguf_writer import split_gguf

    options = GenerationOptions(12)
    with GgufEngine.open(split_gguf(gguf_file, tmp_path / "m", 2)[0]) as split:
        assert split.stream(IDS[:60], (), options=options).rest() == engine.stream(IDS[:60], (), options=options).rest()


def test_texts_are_the_same_tokens(engine: GgufEngine, ours: Engine) -> None:
    theirs, own = engine.loaded.tokenizer, ours.loaded.tokenizer
    texts = ["<s>[INST] the quick brown fox 12345 [/INST]", "\n日本語 text", "</s>"]
    assert theirs(texts)["input_ids"] == own(texts, add_special_tokens=False)["input_ids"]
    assert (theirs.bos_token_id, theirs.eos_token_id) == (own.bos_token_id, own.eos_token_id)
    assert set(theirs.all_special_tokens) == set(own.all_special_tokens)


def test_int8_keys_and_values_stay_close(gguf_file: Path, ours: Engine) -> None:
    with GgufEngine.open(gguf_file, cache_dtype="int8") as small:
        assert small.token_losses(IDS[:100], 4) == pytest.approx(ours.token_losses(IDS[:100], 4), rel=0.05)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"default", "linear", "ntk", "yarn"}))
def test_what_llama_cpp_does_not_have_is_refused_by_name(gguf_file: Path, method: str) -> None:
    for spelled in (method, method.replace("_", "-").upper()):
        with pytest.raises(BadRequest, match=f"has no RoPE scaling {method}: use linear, ntk or yarn"):
            GgufEngine.open(gguf_file, scaling=spelled)
    with pytest.raises(RopeScalingError, match="unknown method 'yarm': did you mean 'yarn'"):
        GgufEngine.open(gguf_file, scaling="yarm")


def test_limits_are_checked_before_anything_is_read(engine: GgufEngine) -> None:
    with pytest.raises(ContextTooLong, match="a prompt of 120 tokens and 256 new ones are 376"):
        engine.stream(IDS[:120], ())
    with pytest.raises(BadRequest, match="not in the model's vocabulary"):
        engine.stream([99_999], ())


def test_an_answer_ends_at_a_stop_string_and_when_it_is_closed(engine: GgufEngine) -> None:
    whole = "".join(engine.stream(IDS[:60], (), options=GenerationOptions(12)))
    letter = next(character for character in whole[2:] if character.isascii() and character.isprintable())
    stopped = engine.stream(IDS[:60], (), options=GenerationOptions(12, stop=(letter,)))
    assert "".join(stopped) == whole[: whole.index(letter)]
    assert stopped.finish == "stop"
    with engine.stream(IDS[:60], (), options=GenerationOptions(60)) as closed:
        next(closed)
    assert closed.finish is None
    assert "".join(engine.stream(IDS[:60], (), options=GenerationOptions(12))) == whole


def test_a_prefix_is_reused_from_memory_and_from_a_file(gguf_file: Path, tmp_path: Path) -> None:
    options, seen = GenerationOptions(4), []
    with GgufEngine.open(gguf_file) as first:
        saved = first.save_prefix(tmp_path / "prefix", IDS[:80], room=20)
        assert (tmp_path / "prefix").stat().st_mode & 0o077 == 0
        again = first.stream(IDS[:80], IDS[80:90], options=options, progress=seen.append)
        text = "".join(again)
    assert (saved.tokens, saved.computed, again.reused_tokens) == (80, 80, 80)
    assert seen[-1].done == seen[-1].total == 90
    with GgufEngine.open(gguf_file) as second:
        loaded = second.load_prefix(tmp_path / "prefix", IDS[:80], room=20)
        assert (loaded.tokens, loaded.computed, loaded.refused) == (80, 0, None)
        after = second.stream(IDS[:80], IDS[80:90], options=options)
        assert ("".join(after), after.reused_tokens) == (text, 80)
        other = second.load_prefix(tmp_path / "prefix", IDS[1:80], room=20)
        assert other.refused == "it was made with other tokens"
        data = bytearray((tmp_path / "prefix").read_bytes())
        data[-100] ^= 4
        (tmp_path / "prefix").write_bytes(data)
        damaged = second.load_prefix(tmp_path / "prefix", IDS[:80], room=20)
        assert "was altered" in str(damaged.refused)


@pytest.mark.parametrize("head", ["[" * 60_000, "", "[1]", "no JSON", '{"format": 1}'], ids=lambda head: head[:8])
def test_a_prefix_file_that_is_none_is_read_anew(engine: GgufEngine, tmp_path: Path, head: str) -> None:
    (tmp_path / "prefix").write_text(f"{head}\nand a state")
    loaded = engine.load_prefix(tmp_path / "prefix", IDS[:40], room=20)
    assert loaded.tokens == 40
    assert loaded.refused
    assert "\n" not in loaded.refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"llama", b"llamb", r"architecture \(llamb\) that this llama.cpp"),
        (b"blk.1.ffn_down", b"blk.1.ffn_dawn", "lacks some of the model's weights"),
        (b"", b"", "cut short"),
    ],
)
def test_what_only_llama_cpp_finds_gets_one_line(
    gguf_file: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    path, data = tmp_path / "bad.gguf", gguf_file.read_bytes()
    path.write_bytes(data.replace(old, new) if old else data[:-100])
    with GgufEngine.open(path) as bad, pytest.raises(ModelUnavailable, match=said) as error:
        "".join(bad.stream([5], (), options=GenerationOptions(2)))
    assert "\n" not in str(error.value)


READING = """
import sys
from longctx import GgufEngine
engine = GgufEngine.open(sys.argv[1])
engine.prefix([5] * 8000, progress=lambda read: print("reading", flush=True))
"""


@pytest.fixture
def folders() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_folder_whose_path_is_too_long_for_a_socket_is_not_used(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with GgufEngine.open(gguf_file) as engine:
        assert engine.prefix(IDS[:64]).tokens == 64
    assert not list(long.iterdir())


def test_llama_cpp_ends_with_a_longctx_that_is_killed(checkpoint: Path, folders: Path) -> None:
    from gguf_writer import write_gguf

    wide = write_gguf(checkpoint, checkpoint / "8k.gguf", window=8192)
    started = [sys.executable, "-c", READING, str(wide)]
    with subprocess.Popen(started, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(folders)}) as reading:
        assert reading.stdout is not None
        assert reading.stdout.readline() == b"reading\n"
        assert list(folders.glob("longctx-*"))
        reading.kill()
    until = time.monotonic() + 20
    while list(folders.glob("longctx-*")) and time.monotonic() < until:
        time.sleep(0.1)
    assert not list(folders.glob("longctx-*")), "the folder with what the prompt says, and the process that fills it"


def test_a_llama_cpp_that_was_killed_is_started_again(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    def killed_before_it_answers(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        started[-1].kill()
        return getresponse(connection)

    getresponse = http.client.HTTPConnection.getresponse
    monkeypatch.setattr(subprocess, "Popen", Watched)
    options = GenerationOptions(8)
    with GgufEngine.open(gguf_file) as engine:
        whole = engine.stream(IDS[:60], (), options=options).rest()
        started[-1].send_signal(signal.SIGSTOP)
        os.waitpid(started[-1].pid, os.WUNTRACED)  # until all of its threads have stopped
        with monkeypatch.context() as patch:
            patch.setattr(http.client.HTTPConnection, "getresponse", killed_before_it_answers)
            with pytest.raises(ModelUnavailable, match=r"was killed"):
                engine.stream(IDS[:60], (), options=options).rest()
        assert engine.cached_tokens(IDS[:60]) == 0
        assert engine.stream(IDS[:60], (), options=options).rest() == whole
    assert len(started) == 2


def test_questions_are_answered_from_a_gguf_file(checkpoint: Path, make_index, encoder) -> None:
    from gguf_writer import write_gguf

    wide = write_gguf(checkpoint, checkpoint / "wide.gguf", window=2048)
    index = make_index({"lamp.txt": "The lamp was lit in 1874. It is turned by a clockwork."})
    with DocumentQA.open(index, str(wide), encoder=encoder) as qa:
        stream = qa.stream("When was the lamp lit?", max_new_tokens=4)
        list(stream)
        assert stream.answer.plan.route == "native"
        assert stream.answer.usage.prompt_tokens == stream.answer.plan.prompt_tokens
    with pytest.raises(BadRequest, match=r"adapter is 'a', and .* is run as it is by llama.cpp: leave adapter out"):
        DocumentQA.open(index, str(wide), encoder=encoder, loading={"adapter": "a"})


def test_documents_that_were_read_are_kept_for_the_next_process(
    checkpoint: Path, make_index, encoder, caplog: pytest.LogCaptureFixture
) -> None:
    from gguf_writer import write_gguf

    wide = str(write_gguf(checkpoint, checkpoint / "kept.gguf", window=4096))
    texts = {f"{n}.txt": f"The lamp of pier {n} was lit in {1870 + n}. " * 12 for n in range(4)}
    index = make_index(texts)
    options = {"max_new_tokens": 8, "route": "native"}

    def ask(question: str, **opening: Any) -> tuple[str, int, int]:
        with DocumentQA.open(index, wide, encoder=encoder, **opening) as qa:
            answer = qa.ask(question, **options)
        return answer.text, answer.usage.reused_tokens, answer.usage.prompt_tokens

    first, reused, tokens = ask("When was the lamp of pier 2 lit?")
    assert reused == 0
    [kept] = (index / "kv-cache").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    again, reused, _ = ask("When was the lamp of pier 2 lit?")
    assert (again, reused >= tokens - 1) == (first, True)
    other, reused, tokens = ask("How is the lamp of pier 3 turned?")
    assert tokens / 2 < reused < tokens
    assert other == ask("How is the lamp of pier 3 turned?", kv_cache_bytes=0)[0]
    assert [*(index / "kv-cache").iterdir()] == [kept]

    content = kept.read_bytes()
    kept.write_bytes(content[:-100] + bytes(100))
    assert ask("When was the lamp of pier 2 lit?")[:2] == (first, 0)
    assert "was altered or cut short" in caplog.text
    assert [*(index / "kv-cache").iterdir()] == [kept], "read again, it is kept again"
    assert ask("When was the lamp of pier 2 lit?", loading={"cache_dtype": "int8"})[1] == 0, "of other numbers"


def test_what_an_interrupted_read_has_come_to_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    from gguf_writer import write_gguf

    wide, store = write_gguf(checkpoint, checkpoint / "interrupted.gguf", window=8192), PrefixStore(tmp_path / "kept")
    documents = IDS * 3

    def interrupt(progress: PrefillProgress) -> None:
        if progress.done >= len(documents) / 2:
            raise KeyboardInterrupt

    def ask(engine: GgufEngine, **options: Any) -> tuple[str, int]:
        answer = engine.stream([*documents, 7], (), options=GenerationOptions(6), **options)
        return answer.rest(), answer.reused_tokens

    with GgufEngine.open(wide) as engine:
        expected = ask(engine)[0]
    with GgufEngine.open(wide, store=store) as engine, pytest.raises(KeyboardInterrupt):
        ask(engine, progress=interrupt, stored=len(documents))
    with GgufEngine.open(wide, store=store) as engine:
        answer, reused = ask(engine, stored=len(documents))
        assert answer == expected
        assert len(documents) / 2 <= reused < len(documents)
    assert len(store.entries()) == 1, "the beginning is not kept beside the whole"
    with GgufEngine.open(wide, store=store) as engine:
        assert ask(engine, stored=len(documents)) == (expected, len(documents))


def _planned(qa: DocumentQA, question: str, **options: Any) -> Plan:
    with closing(qa.stream(question, **options)) as unread:
        assert unread.plan is not None
        return unread.plan


def test_what_was_read_before_takes_no_time_out_of_the_budget(checkpoint: Path, make_index, encoder) -> None:
    from gguf_writer import write_gguf

    wide = str(write_gguf(checkpoint, checkpoint / "counted.gguf", window=4096))
    index = make_index({f"{n}.txt": f"The lamp of pier {n} was lit in {1870 + n}. " * 12 for n in range(4)})
    budget: dict[str, Any] = {"max_new_tokens": 8, "prompt_tokens": 1000}
    question, other = "When was the lamp of pier 2 lit?", "How is the lamp of pier 3 turned?"
    with DocumentQA.open(index, wide, encoder=encoder) as qa:
        assert _planned(qa, question, **budget).route == "retrieval", "all documents are above the budget"
        first = qa.ask(question, route="native", max_new_tokens=8)
        planned = _planned(qa, other, **budget)
        assert planned.route == "native", "they are in memory"
        answer = qa.ask(other, **budget)
        assert answer.usage.reused_tokens == planned.reused_tokens > first.usage.prompt_tokens / 2
    with DocumentQA.open(index, wide, encoder=encoder) as qa:
        planned = _planned(qa, other, **budget)
        assert planned.route == "native", "they are on disk"
        assert qa.ask(other, **budget).usage.reused_tokens >= planned.reused_tokens > 0
    with DocumentQA.open(index, wide, encoder=encoder, loading={"cache_dtype": "int8"}) as qa:
        assert _planned(qa, other, **budget).route == "retrieval", "the numbers of another cache"
    with DocumentQA.open(index, wide, encoder=encoder, kv_cache_bytes=0) as qa:
        assert _planned(qa, other, **budget).route == "retrieval"


def test_tokens_are_at_hand_as_far_as_llama_cpp_takes_them(checkpoint: Path, tmp_path: Path) -> None:
    from gguf_writer import write_gguf

    wide, options = write_gguf(checkpoint, checkpoint / "at-hand.gguf", window=8192), GenerationOptions(4)
    store = PrefixStore(tmp_path / "kept")
    with GgufEngine.open(wide, store=store) as engine:
        assert engine.cached_tokens(IDS[:600]) == 0
        engine.stream(IDS[:600], (), options=options).rest()
        assert engine.cached_tokens([*IDS[:500], 5, 6]) == 500
        assert engine.cached_tokens(IDS[:500], room=1500) == 500
        assert engine.cached_tokens(IDS[:500], room=1600) == 0, "a longer context is made anew"
        engine.stream(IDS[100:500], (7,) * 60, options=options, stored=400).rest()
        assert engine.cached_tokens([*IDS[100:400], 5]) == 300
        linear = RopeScaling(method="linear", factor=2.0, original_max_position_embeddings=8192)
        assert engine.cached_tokens(IDS[100:400], linear) == 0, "other frequencies"
        assert engine.cached_tokens([*IDS[100:500], *IDS] * 6) == 0, "beyond the native window"
        cancelled = engine.stream(IDS[600:900], (), options=GenerationOptions(200))
        next(cancelled)
        cancelled.close()
        assert engine.cached_tokens(IDS[600:]) == 300, "though nobody waited for the end"
    with GgufEngine.open(wide, store=store) as later:
        assert later.cached_tokens([*IDS[100:500], 9]) == later.cached_tokens(IDS[100:]) == 400
        longer = later.stream(IDS[100:900], (7,) * 30, options=options, stored=800)
        assert (longer.rest() != "", longer.reused_tokens) == (True, 400), "documents that were added behind the others"
        assert later.cached_tokens(IDS[100:]) == 800
        for kept in store.entries():
            kept.path.write_bytes(kept.path.read_bytes().replace(b'"length": ', b'"length": 9'))
        later.prefix(IDS[900:])
        assert later.cached_tokens(IDS[100:]) == 0


def test_a_sliding_window_leaves_it_open_what_is_at_hand(checkpoint: Path, tmp_path: Path) -> None:
    from gguf_writer import write_gguf

    slides = write_gguf(
        checkpoint,
        tmp_path / "slides.gguf",
        window=2048,
        change=lambda writer: writer.add_sliding_window(512),
    )
    with GgufEngine.open(slides) as engine:
        assert engine.cached_tokens(IDS[:300]) is None


def test_an_answer_is_there_though_its_documents_cannot_be_kept(
    checkpoint: Path, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gguf_writer import write_gguf

    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    store, wide = PrefixStore(tmp_path / "kept"), write_gguf(checkpoint, checkpoint / "full.gguf", window=2048)
    with GgufEngine.open(wide, store=store) as engine:
        engine.prefix(IDS[:8], room=600)
        [folder] = folders.glob("longctx-*")
        (folder / "state").symlink_to("/dev/full")
        answer = engine.stream(IDS[:400], (), options=GenerationOptions(6), stored=390)
        assert "".join(answer)
        assert answer.finish is not None
    assert "could not be kept" in caplog.text
    assert store.entries() == []


def test_a_file_without_a_template_asks_for_one(checkpoint: Path, make_index, encoder) -> None:
    from gguf_writer import write_gguf

    bare = write_gguf(checkpoint, checkpoint / "bare.gguf", template=False)
    index = make_index({"lamp.txt": "The lamp was lit in 1874."})
    with pytest.raises(BadRequest, match=r"bare\.gguf holds no chat template: choose one"):
        DocumentQA.open(index, str(bare), encoder=encoder)
    DocumentQA.open(index, str(bare), encoder=encoder, template="plain").close()


def test_a_template_that_is_broken_is_named_and_can_be_replaced(checkpoint: Path, make_index, encoder) -> None:
    from gguf_writer import write_gguf

    def break_it(writer) -> None:
        writer.add_chat_template("{% for message in messages %}{{ message['content'] }")

    file = write_gguf(checkpoint, checkpoint / "broken.gguf", template=False, window=2048, change=break_it)
    index = make_index({"lamp.txt": "The lamp was lit in 1874."})
    with DocumentQA.open(index, str(file), encoder=encoder) as qa, pytest.raises(BadRequest, match="does not render"):
        qa.ask("When was the lamp lit?")
    with DocumentQA.open(index, str(file), encoder=encoder, template="plain") as qa:
        assert qa.ask("When was the lamp lit?", max_new_tokens=2).plan is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(
            ({"window": value}, "native_window is .*: give a whole number")
            for value in (True, -5, 0, 2.5, "64", math.nan)
        ),
        ({"scaling": 5}, "scaling is 5: give a RopeScaling"),
        *(({"cache_dtype": value}, "cache_dtype is .*: use model or int8") for value in ("fp8", None, 8)),
    ],
)
def test_options_of_another_type_are_refused(gguf_file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        GgufEngine.open(gguf_file, **options)


@pytest.mark.parametrize("token", [2.5, "a", None])
def test_what_is_no_token_is_refused(engine: GgufEngine, ours: Engine, token: Any) -> None:
    for each in (engine, ours):
        with pytest.raises(BadRequest, match="the prompt holds what is no token"):
            each.stream([5, token], ())
        for last in (2.5, "3", True):
            with pytest.raises(BadRequest, match=f"last is {last}"):
                each.token_losses(IDS[:9], last)  # type: ignore[arg-type]


def test_a_probe_measures_a_gguf_file(gguf_file: Path, checkpoint: Path, tmp_path: Path) -> None:
    options = ProbeOptions(methods=("none", "yarn"), lengths=(64, 256), tasks=("perplexity",), windows=2)
    found, expected = (
        run_probe(model, tmp_path / name, options) for model, name in ((gguf_file, "a"), (checkpoint, "b"))
    )
    assert [cell.score for cell in found.cells] == pytest.approx([cell.score for cell in expected.cells], rel=0.01)


def test_thoughts_have_a_budget_of_their_own(saying, tmp_path: Path) -> None:
    from gguf_writer import write_gguf

    loaded = saying("more ")
    tokenizer, head = loaded.tokenizer, loaded.model.lm_head.weight.data
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    tokenizer.add_tokens(["Anna."])
    more, anna, end = tokenizer.convert_tokens_to_ids(["more ", "Anna.", "</s>"])
    last = tokenizer("\n</think>\n\n", add_special_tokens=False)["input_ids"][-1]
    head.zero_()
    head[more, more] = head[anna, last] = head[end, anna] = 1.0  # on and on, and after the closing tag an answer
    loaded.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    without_merges = write_gguf(tmp_path, tmp_path / "unwhole.gguf")
    with GgufEngine.open(without_merges) as bad, pytest.raises(ModelUnavailable, match="cannot find tokenizer merges"):
        bad.stream((), (more,)).rest()
    file = write_gguf(tmp_path, tmp_path / "thinks.gguf", change=lambda writer: writer.add_token_merges(["a b"]))
    with GgufEngine.open(file) as engine:
        generation = engine.stream((), (more,), options=GenerationOptions(8, Thinking(40, "<think>")))
        assert generation.rest() == "Anna."
        assert generation.thinking == "more " * (40 - len("\n</think>\n\n")) + "\n"
        assert (generation.finish, generation.inside_thoughts) == ("end", False)
        talking = engine.stream((), (more,), options=GenerationOptions(8, Thinking(40)))
        assert talking.rest() == "more " * 8, "no more than an answer may have, since there were no thoughts"
        assert (talking.finish, talking.completion_tokens) == ("length", 8)
        unexpected = engine.stream((), (more,), options=GenerationOptions(60, Thinking(0, "<think>")))
        assert unexpected.rest() == "Anna."
        assert unexpected.thinking == "more " * (30 - len("\n</think>\n\n")) + "\n", "half of what the answer may have"
