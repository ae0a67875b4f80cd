"""Real parts for the tests: the default encoder and a tiny Llama made on the spot."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from forked_longctx import ForkedLongctx, forking_server
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer, why_none
from written_files import write_files

if TYPE_CHECKING:
    from longctx import LoadedModel

if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each process, and no threads in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# The suite tries the same examples every time; `make test-random` tries many more, and others each time. A test that
# needs more or fewer than the rest states it as a multiple of `settings.default.max_examples`.
_ANY_PACE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fixed", derandomize=True, max_examples=40, **_ANY_PACE)
settings.register_profile("random", max_examples=1000, print_blob=True, **_ANY_PACE)
settings.load_profile("fixed")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach a hub, and none may wait for one

TEXT = [
    "Answer the question from the numbered passages: [INST] <<SYS>> [PYTHON]",
    "灯台は一八七四年に建てられた。質問に日本語で答えてください。",
]
CHAT_TEMPLATE = "{{ bos_token }}{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where reading rates are kept: no test may read or write what is the user's own: rates, data, what is trusted."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("LONGCTX_CACHE_DIR", str(folder))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started once."""
    if why := why_none():
        pytest.skip(f"no PostgreSQL: {why}")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_loop() -> Iterator[None]:
    """For what calls llama-index's synchronous side: it makes a loop where there is none, and never closes it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="session")
def forked_longctx() -> Iterator[ForkedLongctx]:
    """Starts `longctx` in real processes, each forked from one that has imported what it needs."""
    with forking_server() as client:
        yield client


@pytest.fixture(scope="session")
def encoder():
    """The default encoder, loaded once."""
    from indexes.encoders.sentence_encoder import load_encoder

    return load_encoder("default")


@pytest.fixture(scope="session")
def make_index(tmp_path_factory: pytest.TempPathFactory, encoder) -> Callable[[Mapping[str, str]], Path]:
    """Writes documents, given by file name, into a new folder, and an index of them beside them; returns the index."""
    from indexes import CorpusIndex

    def make(documents: Mapping[str, str]) -> Path:
        folder = write_files(tmp_path_factory.mktemp("documents"), documents)
        with CorpusIndex.open(folder / "index", encoder) as index:
            assert index.ingest([folder / name for name in documents]).added == len(documents)
        return folder / "index"

    return make


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama checkpoint at toy size, with a byte-level tokenizer of its own, that has no chat template."""
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def tiny_chat_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a chat template, as Llama 2 Chat has one."""
    return make_llama(tmp_path_factory.mktemp("chat-llama"), CHAT_TEMPLATE)


@pytest.fixture(scope="session")
def short_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `tiny_llama` with a native window of 64 tokens."""
    return make_llama(tmp_path_factory.mktemp("short-llama"), window=64)


@pytest.fixture
def half_llama(short_llama: Path, tmp_path: Path) -> Path:
    """The same as `short_llama` in bfloat16."""
    import torch

    from longctx import load_model

    loaded = load_model(short_llama)
    loaded.model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    loaded.tokenizer.save_pretrained(tmp_path / "half")
    return tmp_path / "half"


@pytest.fixture(scope="session")
def saying() -> Callable[[str], LoadedModel]:
    return _saying


def _saying(text: str) -> LoadedModel:
    """A Llama whose next token depends on the last one alone: after a prompt `text`, and then the end."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from longctx import LoadedModel

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_tokens([text])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>")
    said, end = tokenizer.convert_tokens_to_ids([text, "</s>"])
    ends = [tokenizer(label, add_special_tokens=False)["input_ids"][-1] for label in ("Answer:", "回答：")]
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=260,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16384,
        eos_token_id=end,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(260))
        model.lm_head.weight.zero_()
        model.lm_head.weight[said, ends] = model.lm_head.weight[end, said] = 1.0
    return LoadedModel(text, model, tokenizer, 16384)


def make_llama(folder: Path, chat_template: str | None = None, window: int = 2048) -> Path:
    import torch
    from tokenizers import processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = train_byte_level(["<s>", "</s>"], ["the quick brown fox jumps over the lazy dog. " * 20])
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", chat_template=chat_template
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        bos_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentencepiece() -> Any:
    """A sentencepiece model with Llama's settings: BPE, byte fallback, no normalisation, digits apart."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=400,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@pytest.fixture(scope="session")
def byte_level_bpe() -> Callable[[Sequence[str]], Any]:
    """Trains byte-level BPE, as Qwen's, with such special tokens."""
    return train_byte_level


def train_byte_level(specials: Sequence[str], texts: Sequence[str] = TEXT * 20) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe
