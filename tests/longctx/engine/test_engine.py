"""The engine against plain transformers, on tiny models of each family: the same logits, the same tokens."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from longctx import BadRequest, ContextTooLong, Engine, GenerationOptions, LoadedModel, NotEnoughMemory, load_model
from longctx.engine.attention import has_flash
from longctx.engine.prefill import Prefill
from longctx.engine.request import make_request
from longctx.models import cache_argument
from longctx.models import memory as memory_module
from rope_scaling import RopeScaling, scaled_rope

SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": None,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama, one KV head for each": ("llama", {}),
    "llama, grouped": ("llama", {"num_key_value_heads": 2}),
    "llama, one KV head": ("llama", {"num_key_value_heads": 1}),
    "mistral": ("mistral", {"num_key_value_heads": 2, "sliding_window": None}),
    "qwen2": ("qwen2", {"num_key_value_heads": 2}),
    "qwen3": ("qwen3", {"num_key_value_heads": 2, "head_dim": 16}),
    "gpt_neox": ("gpt_neox", {}),
    "phi3": ("phi3", {"num_key_value_heads": 2}),
    "gemma": ("gemma", {"num_key_value_heads": 1, "head_dim": 16}),
}
# these must not run with our attention, and the engine says why
STOCK = {
    "mistral, sliding": ("mistral", {"num_key_value_heads": 2, "sliding_window": 16}, "sliding window of 16"),
    "gemma2, soft caps": ("gemma2", {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 400}, "softcap"),
    "gpt2, learned positions": ("gpt2", {"n_positions": 512}, None),
}
OURS = "longctx" if has_flash(torch.float32) else "stock"
YARN = RopeScaling(method="yarn", factor=4.0, original_max_position_embeddings=512)
DYNAMIC = RopeScaling(method="dynamic_ntk", original_max_position_embeddings=64)


class Codes:
    """A tokenizer whose text is the tokens themselves."""

    eos_token_id = None

    def decode(self, ids: Sequence[int], **_: object) -> str:
        return "".join(f"{token} " for token in ids)

    def get_vocab(self) -> dict[str, int]:
        return {str(token): token for token in range(300)}


class Pairs(Codes):
    """Two tokens have the same text each, as parts of characters have in real tokenizers."""

    def decode(self, ids: Sequence[int], **_: object) -> str:
        return "".join(f"{token // 2} " for token in ids)


def tiny(family: str, changes: dict, window: int = 512) -> LoadedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**SIZES, **changes}), dtype=torch.float32)
    with torch.no_grad():  # larger weights than at initialisation, or every answer is one token repeated
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    return LoadedModel(family, model.eval(), Codes(), window)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Operations of this size only wait for a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def llama() -> LoadedModel:
    return tiny("llama", {"num_key_value_heads": 2})


def prompt(length: int, seed: int = 0) -> list[int]:
    return torch.randint(0, 300, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def text(tokens: Sequence[int]) -> str:
    return Codes().decode(tokens)


def reference(loaded: LoadedModel, ids: Sequence[int], new: int, scaling: RopeScaling | None = None) -> list[int]:
    """Greedy tokens, each from a plain forward pass over all that comes before it."""
    ids = list(ids)
    for _ in range(new):
        ids.append(int(logits_of(loaded, ids, scaling).argmax()))
    return ids[-new:]


def logits_of(loaded: LoadedModel, ids: Sequence[int], scaling: RopeScaling | None = None) -> torch.Tensor:
    with torch.no_grad():
        if scaling is None:
            return loaded.model(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
        with scaled_rope(loaded.model, scaling):
            return loaded.model(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]


def engine_logits(engine: Engine, ids: Sequence[int], prefix: int, scaling: RopeScaling | None = None) -> torch.Tensor:
    request = make_request(engine.loaded, ids[:prefix], ids[prefix:], scaling, 1)
    with engine._prefill.open(request, answering=True) as reading:
        logits = reading.read_prompt(None)
    assert logits is not None
    return logits


def answer(engine: Engine, prefix: Sequence[int], suffix: Sequence[int], new: int = 6, scaling=None) -> str:
    return "".join(engine.stream(prefix, suffix, scaling, GenerationOptions(max_new_tokens=new)))


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str) -> None:
    loaded = tiny(*FAMILIES[family])
    for length, blocks in {1: [None], 2: [1], 33: [1, 16], 100: [16, 50, None]}.items():
        ids = prompt(length)
        expected, tokens = logits_of(loaded, ids), reference(loaded, ids, 4)
        for block in blocks:
            engine = Engine(loaded, block=block)
            for prefix in (0, length // 2, length // 2, length):  # the third reuses what the second read
                torch.testing.assert_close(engine_logits(engine, ids, prefix), expected, atol=1e-4, rtol=0)
            stream = engine.stream(ids, (), options=GenerationOptions(max_new_tokens=4))
            assert "".join(stream) == text(tokens)
            assert stream.path.name == OURS
    assert loaded.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("case", STOCK)
def test_what_our_attention_cannot_do_the_stock_path_does(case: str) -> None:
    family, changes, reason = STOCK[case]
    if family == "gpt2":
        changes = {"n_embd": 32, "n_layer": 2, "n_head": 4, **changes}
    loaded = tiny(family, changes)
    for length in (1, 60):
        ids = prompt(length)
        expected = logits_of(loaded, ids)
        engine = Engine(loaded, block=16)
        for prefix in (0, length // 2, length):
            torch.testing.assert_close(engine_logits(engine, ids, prefix), expected, atol=1e-4, rtol=0)
        assert answer(engine, ids, ()) == text(reference(loaded, ids, 6))
    path = engine.attention_path(66)
    assert path.name == (OURS if reason is None else "stock")
    assert reason is None or reason in path.reason
    if family == "mistral":
        assert engine.attention_path(16).name == OURS


@pytest.mark.parametrize("cache_dtype", ["model", "int8"])
def test_without_the_fused_operator_the_stock_path_is_taken(
    llama: LoadedModel, cache_dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longctx.engine.attention.has_flash", lambda dtype: False)
    ids = prompt(60)
    engine = Engine(llama, block=16, cache_dtype=cache_dtype)
    assert "no fused attention for torch.float32 on a CPU" in engine.attention_path(60).reason
    for prefix in (0, 30, 60):
        logits = engine_logits(engine, ids, prefix)
        assert torch.nn.functional.cosine_similarity(logits, logits_of(llama, ids), dim=0) > 0.999
    if cache_dtype == "model":
        torch.testing.assert_close(logits, logits_of(llama, ids), atol=1e-4, rtol=0)
        assert answer(engine, ids, ()) == text(reference(llama, ids, 6))


@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_any_prefix_suffix_and_block(llama: LoadedModel, data: st.DataObject) -> None:
    """One engine for a run of questions on documents that overlap: whatever was read before, the answer is the same."""
    engine = Engine(llama, block=data.draw(st.integers(4, 50)))
    document = prompt(80, 1)
    for _ in range(3):
        shared = data.draw(st.integers(0, 80))
        prefix = document[:shared] + prompt(data.draw(st.integers(0, 20)), data.draw(st.integers(2, 4)))
        suffix = prompt(data.draw(st.integers(0 if prefix else 1, 30)), data.draw(st.integers(5, 6)))
        expected = logits_of(llama, prefix + suffix)
        torch.testing.assert_close(engine_logits(engine, prefix + suffix, len(prefix)), expected, atol=1e-4, rtol=0)
        assert all(held.cache.length == len(held.ids) for held in engine.pool._held)


@pytest.mark.parametrize("scaling", [YARN, DYNAMIC, DYNAMIC.at_length(256)], ids=["yarn", "dynamic", "fixed"])
def test_scaled_frequencies_are_one_set_for_the_sequence(llama: LoadedModel, scaling: RopeScaling) -> None:
    ids, engine = prompt(150), Engine(llama, block=32)
    fixed = scaling.at_length(256)  # 64 times a power of two that holds 150 and 6 tokens
    for _ in range(2):
        assert answer(engine, ids[:100], ids[100:], scaling=scaling) == text(reference(llama, ids, 6, fixed))
    short = reference(llama, ids[:20], 4, scaling.at_length(64))
    assert answer(engine, ids[:10], ids[10:20], 4, scaling) == text(short)
    assert answer(engine, ids[:100], ids[100:]) == text(reference(llama, ids, 6))
    assert type(llama.model.model.rotary_emb).__name__ == "LlamaRotaryEmbedding"


def test_a_checkpoint_whose_frequencies_depend_on_length_gets_one_set() -> None:
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    loaded = tiny("llama", {"rope_parameters": rope, "max_position_embeddings": 64}, window=256)
    carried = RopeScaling.from_config(loaded.model.config)
    assert not carried.is_fixed
    fresh, ids = copy.deepcopy(loaded), prompt(150)
    assert answer(Engine(loaded, block=32), ids, ()) == text(reference(fresh, ids, 6, carried.at_length(256)))


def test_a_prefix_is_read_once(llama: LoadedModel) -> None:
    engine, ids = Engine(llama, block=16), prompt(100)
    assert engine.prefix(ids[:80]).computed == 80
    assert engine.prefix(ids[:80]).computed == 0
    stream = engine.stream(ids[:80], ids[80:], options=GenerationOptions(max_new_tokens=3))
    "".join(stream)
    assert (stream.reused_tokens, stream.prompt_tokens, stream.completion_tokens) == (80, 100, 3)
    assert engine.prefix(ids[:80], YARN).computed == 80, "other frequencies are another prefix"
    longer = engine.prefix(ids[:90])
    assert (longer.tokens, longer.computed) == (90, 10)
    assert engine.prefix(ids[:40] + prompt(20, 9)).computed == 20
    assert engine.prefix(ids[:90]).computed == 0, "the longer one is still there"


def test_a_prompt_that_is_all_known_is_not_copied(llama: LoadedModel) -> None:
    engine, ids = Engine(llama), prompt(100)
    engine.prefix(ids, room=20)
    (held,) = engine.pool._held
    assert engine.prefix(ids, room=20).computed == 0
    stream = engine.stream(ids, (), options=GenerationOptions(max_new_tokens=6))
    assert "".join(stream) == text(reference(llama, ids, 6))
    assert stream.reused_tokens == 99
    assert [(again.cache is held.cache, again.ids) for again in engine.pool._held] == [(True, tuple(ids))]


def test_a_prompt_that_ends_otherwise_is_not_copied(llama: LoadedModel) -> None:
    engine, ids = Engine(llama), prompt(100)
    engine.prefix(ids, room=20)
    (held,) = engine.pool._held
    other = [*ids[:90], *prompt(15, 5)]
    stream = engine.stream(other, (), options=GenerationOptions(max_new_tokens=6))
    assert "".join(stream) == text(reference(llama, other, 6))
    assert stream.reused_tokens == 90
    assert [(again.cache is held.cache, again.ids) for again in engine.pool._held] == [(True, tuple(other))]


def test_the_least_recently_used_prefix_goes_first(llama: LoadedModel) -> None:
    one = Engine(llama).prefix(prompt(100, 1)).nbytes
    engine = Engine(llama, prefix_bytes=2 * one)
    for seed in (1, 2, 1, 3):
        engine.prefix(prompt(100, seed))
    assert engine.pool.nbytes <= 2 * one
    assert [engine.prefix(prompt(100, seed)).computed for seed in (1, 3, 2)] == [0, 0, 100]
    none = Engine(llama, prefix_bytes=0)
    none.prefix(prompt(50))
    assert none.pool.nbytes == 0
    assert answer(none, prompt(50), ()) == text(reference(llama, prompt(50), 6))


def test_a_cancelled_answer_leaves_the_prefix_and_nothing_else(llama: LoadedModel) -> None:
    engine, ids = Engine(llama, block=8), prompt(60)
    expected = text(reference(llama, ids, 6))
    with engine.stream(ids[:40], ids[40:], YARN, GenerationOptions(max_new_tokens=200)) as stream:
        next(stream)
        next(stream)
    assert stream.finish is None
    assert [held.cache.length for held in engine.pool._held] == [40]
    assert answer(engine, ids[:40], ids[40:]) == expected
    assert answer(engine, ids[:40], ids[40:]) == expected

    class Cancelled(Exception):
        pass

    def cancel(progress) -> None:
        if progress.done >= 24:
            raise Cancelled

    other = prompt(60, 7)
    with pytest.raises(Cancelled):
        engine.prefix(other, progress=cancel)
    assert engine.prefix(other).computed == 60 - 24, "what was read before stays"
    assert llama.model.config._attn_implementation == "sdpa"
    assert type(llama.model.model.rotary_emb).__name__ == "LlamaRotaryEmbedding"


def test_threads_take_turns_and_share_no_cache(llama: LoadedModel) -> None:
    engine, document = Engine(llama, block=16), prompt(80)
    questions = [(prompt(10, seed), scaling) for seed in (1, 2, 3) for scaling in (None, YARN)]
    expected = [text(reference(llama, document + question, 5, scaling)) for question, scaling in questions]
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        question, scaling = questions[number]
        answers[number] = answer(engine, document, question, 5, scaling)

    for _ in range(2):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(questions))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answers.pop(number) for number in range(len(questions))] == expected


def test_open_streams_in_one_thread_do_not_wait_for_each_other(llama: LoadedModel) -> None:
    engine, document = Engine(llama), prompt(50)
    options = GenerationOptions(max_new_tokens=5)
    one = engine.stream(document, [1], YARN, options)
    other = engine.stream(document, [2], None, options)
    pieces = list(zip(one, other, strict=True))
    assert "".join(a for a, _ in pieces) == text(reference(llama, [*document, 1], 5, YARN))
    assert "".join(b for _, b in pieces) == text(reference(llama, [*document, 2], 5))


def test_progress_is_told(llama: LoadedModel) -> None:
    told = []
    engine, ids = Engine(llama, block=16), prompt(40)
    engine.prefix(ids, progress=told.append)
    assert [(p.done, p.total) for p in told] == [(0, 40), (16, 40), (32, 40), (40, 40)]
    assert all(p.tokens_per_second > 0 for p in told[1:])
    told.clear()
    engine.prefix([*ids[:20], *ids[:20]], progress=told.append)
    assert [(p.done, p.total) for p in told] == [(20, 40), (36, 40), (40, 40)]


def test_int8_keys_and_values_are_near(llama: LoadedModel) -> None:
    ids = prompt(200)
    exact = engine_logits(Engine(llama), ids, 0)
    for block in (16, 200):
        engine = Engine(llama, cache_dtype="int8", block=block)
        near = engine_logits(engine, ids, 150)
        # weights six times those of a fresh model make attention sharp, which is the hard case
        assert torch.nn.functional.cosine_similarity(near, exact, dim=0) > 0.999
        assert engine.prefix(ids[:150]).computed == 0
    sliding = tiny("mistral", {"num_key_value_heads": 2, "sliding_window": 16})
    stock = engine_logits(Engine(sliding, cache_dtype="int8", block=16), ids, 0)
    assert torch.nn.functional.cosine_similarity(stock, logits_of(sliding, ids), dim=0) > 0.999


def test_an_error_while_int8_is_read_is_that_of_its_cause(llama: LoadedModel) -> None:
    """Only layers that work on their past themselves get numbers in place of int8; any other error is raised."""
    ids, engine = prompt(40), Engine(llama, cache_dtype="int8", prefix_bytes=0)
    near = engine_logits(engine, ids, 0)

    def fails_once(*_: object) -> None:
        hook.remove()
        raise RuntimeError("out of memory")

    hook = llama.model.register_forward_pre_hook(fails_once)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine_logits(engine, ids, 0)
    assert torch.equal(engine_logits(engine, ids, 0), near)


def test_the_cache_is_given_by_the_name_that_the_model_has_for_it(llama: LoadedModel) -> None:
    model = copy.deepcopy(llama.model)
    own, name = model.forward, cache_argument(model)

    def forward(input_ids: torch.Tensor, cache: object, use_cache: bool, **more: object) -> object:  # as in 5.24
        return own(input_ids, use_cache=use_cache, **{name: cache}, **more)

    model.forward = forward
    ids = prompt(40)
    renamed = engine_logits(Engine(LoadedModel("renamed", model, Codes(), 512), block=16), ids, 0)
    torch.testing.assert_close(renamed, logits_of(llama, ids), atol=1e-4, rtol=0)


def test_bfloat16_answers_as_transformers_does(llama: LoadedModel) -> None:
    half = LoadedModel("half", copy.deepcopy(llama.model).bfloat16(), Codes(), 512)
    ids = prompt(100)
    near = engine_logits(Engine(half, block=32), ids, 50)
    assert near.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(near.float(), logits_of(llama, ids), dim=0) > 0.999


def test_limits_come_first(llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(llama)
    monkeypatch.setattr(Prefill, "forward", None)  # no model is run
    for prefix, suffix, options, message in [
        ([], [], {}, "prompt is empty"),
        ([1, 300], [], {}, "token 300 is not in the model's vocabulary of 300"),
        ([-1], [], {}, "token -1 is not"),
    ]:
        with pytest.raises(BadRequest, match=message):
            engine.stream(prefix, suffix, options=GenerationOptions(**options))
    with pytest.raises(
        ContextTooLong, match="500 tokens and 20 new ones are 520, and the window holds 512: ask for at"
    ):
        engine.stream(prompt(400), prompt(100), options=GenerationOptions(max_new_tokens=20))
    with pytest.raises(ContextTooLong, match="shorten the prompt to 412 tokens"):
        engine.stream(prompt(600), (), options=GenerationOptions(max_new_tokens=100))
    with pytest.raises(ContextTooLong, match="the window holds 2048"):
        engine.stream(prompt(600), (), YARN, GenerationOptions(max_new_tokens=2000))
    engine.stream(prompt(600), (), YARN, GenerationOptions(max_new_tokens=100)).close()
    monkeypatch.setattr(memory_module, "available_bytes", lambda _: 64 * 2**20 + 100_000)
    with pytest.raises(NotEnoughMemory, match=r"500 more tokens need \d+ MiB .* weights, .* tokens would fit"):
        engine.stream(prompt(400), (), options=GenerationOptions(max_new_tokens=100))
    engine.stream(prompt(40), (), options=GenerationOptions(max_new_tokens=10)).close()


def test_prefixes_make_room_for_a_prompt(llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(llama)
    engine.prefix(prompt(300, 1))
    whole = 64 * 2**20 + 200_000  # for one of the two
    monkeypatch.setattr(memory_module, "available_bytes", lambda _: whole - engine.pool.nbytes)
    assert engine.prefix(prompt(300, 2)).computed == 300
    assert engine.prefix(prompt(300, 1)).computed == 300


def test_a_model_that_ends_at_once(tiny_llama: Path) -> None:
    loaded = load_model(tiny_llama)
    ids = loaded.tokenizer("the quick brown fox")["input_ids"]
    first = reference(loaded, ids, 1)[0]
    loaded.model.generation_config.eos_token_id = [5, first]
    stream = Engine(loaded).stream(ids, ())
    assert list(stream) == ([] if first == 1 else [loaded.tokenizer.decode([first])])
    assert (stream.completion_tokens, stream.finish) == (1, "end")


def test_the_likeliest_first_tokens_are_told_before_any_sampling(llama: LoadedModel) -> None:
    ids = prompt(30)
    with torch.no_grad():
        expected = llama.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    values, tokens = expected.topk(3)
    options = GenerationOptions(2, top_logprobs=3, temperature=5.0, seed=1)
    stream = Engine(llama).stream(ids, (), options=options)
    assert stream.top_logprobs is None, "nothing has been read"
    stream.rest()
    likely = dict(zip(map(llama.tokenizer.decode, tokens[:, None]), values.tolist(), strict=True))
    assert stream.top_logprobs == pytest.approx(likely, abs=1e-4)
    pairs = Engine(replace(llama, tokenizer=Pairs())).stream(ids, (), options=GenerationOptions(1, top_logprobs=300))
    pairs.rest()
    most = {f"{token // 2} ": max(expected[token : token + 2].tolist()) for token in range(0, 300, 2)}
    assert pairs.top_logprobs == pytest.approx(most, abs=1e-4), "of tokens with the same text, the likeliest"
    with pytest.raises(BadRequest, match="top_logprobs is -1"):
        GenerationOptions(2, top_logprobs=-1)


def test_stop_strings_end_the_answer_before_them(llama: LoadedModel) -> None:
    ids = prompt(30)
    tokens = reference(llama, ids, 8)
    whole = text(tokens)
    stop = whole[len(text(tokens[:3])) - 2 : len(text(tokens[:4])) + 1]  # over three tokens, and inside two of them
    engine = Engine(llama)
    stream = engine.stream(ids, (), options=GenerationOptions(max_new_tokens=8, stop=("never", stop)))
    assert "".join(stream) == whole[: whole.index(stop)]
    assert stream.finish == "stop"
    stream = engine.stream(ids, (), options=GenerationOptions(max_new_tokens=8, stop=("never met",)))
    assert "".join(stream) == whole
    assert stream.finish == "length"


def test_sampling_is_reproducible(llama: LoadedModel) -> None:
    engine, ids = Engine(llama), prompt(30)
    ask = lambda seed: "".join(  # noqa: E731
        engine.stream(ids, (), options=GenerationOptions(12, temperature=1.5, top_p=0.9, top_k=50, seed=seed))
    )
    assert ask(1) == ask(1)
    assert len({ask(seed) for seed in range(5)}) > 1
    assert len({ask(None) for _ in range(5)}) > 1
