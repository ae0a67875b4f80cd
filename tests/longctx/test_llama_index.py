"""`LongContextLLM` in stock llama-index: query engines and chat engines over an index, with the demo model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import PromptTemplate, Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine

from indexes import CorpusIndex
from indexes.llama_index import CorpusRetriever, CorpusVectorStore
from longctx import BadRequest, ContextTooLong, Engine, LoadedModel, LongContextLLM, load_model
from longctx.engine.sampling import GenerationOptions
from rope_scaling import RopeScaling

pytestmark = pytest.mark.usefixtures("own_loop")

DEMO = Path(__file__).parents[2] / "examples" / "models" / "passkey-llama"
PROSE = (
    "The road went down through the wood to the river, and the old men sat by the gate and talked of the harvest. "
    "In the evening the boats came up with the tide. {} The women sang as they carried the hay to the barns.\n\n"
)
TEXT = "".join(
    PROSE.format("The pass key is 40917. The pass key is 40917." if n == 1 else "It was warm.") for n in range(3)
)
ASKED = f"{TEXT}What is the pass key?"


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(DEMO, scaling="yarn")


@pytest.fixture(scope="module")
def llm(loaded: LoadedModel) -> LongContextLLM:
    return LongContextLLM(loaded, max_new_tokens=12)


@pytest.fixture(scope="module")
def index(make_index: Any, encoder: Any) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(make_index({"a.txt": TEXT}), encoder) as index:
        yield index


@pytest.fixture
def counting(llm: LongContextLLM) -> Iterator[None]:
    """llama-index counts as the model does."""
    before = Settings._tokenizer
    Settings.tokenizer = llm.tokenize
    yield
    Settings._tokenizer = before


def user(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.USER, content=text)


def assistant(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, content=text)


def test_query_engines_answer(llm: LongContextLLM, index: CorpusIndex, counting: None) -> None:
    store = CorpusVectorStore.from_index(index)
    stock = VectorStoreIndex.from_vector_store(store, embed_model=store.embed_model)
    question = "What is the pass key?"
    engines = [
        RetrieverQueryEngine.from_args(CorpusRetriever(index, k=2), llm=llm),
        stock.as_query_engine(llm=llm, similarity_top_k=2),
        CitationQueryEngine.from_args(stock, llm=llm, similarity_top_k=2),
    ]
    for engine in engines:
        assert "40917" in str(engine.query(question))
        assert "40917" in str(asyncio.run(engine.aquery(question)))
    streamed = stock.as_query_engine(llm=llm, similarity_top_k=2, streaming=True).query(question)
    assert "40917" in "".join(streamed.response_gen)


@pytest.mark.parametrize("kind", [ContextChatEngine, CondensePlusContextChatEngine])
def test_chat_engines_answer(llm: LongContextLLM, index: CorpusIndex, counting: None, kind: Any) -> None:
    memory = ChatMemoryBuffer.from_defaults(token_limit=2000)  # not in a database that is never closed
    engine = kind.from_defaults(retriever=CorpusRetriever(index, k=2), llm=llm, memory=memory)
    assert "40917" in str(engine.chat("What is the pass key?"))
    assert "40917" in "".join(engine.stream_chat("And the pass key is? What is the pass key?").response_gen)
    assert [message.role.value for message in engine.chat_history] == 2 * ["user", "assistant"]

    async def more() -> list[str]:
        whole = await engine.achat("What is the pass key?")
        stream = await engine.astream_chat("What is the pass key?")
        return [str(whole), "".join([piece async for piece in stream.async_response_gen()])]

    assert all("40917" in text for text in asyncio.run(more()))


def test_every_way_of_asking_gives_the_same(llm: LongContextLLM, loaded: LoadedModel) -> None:
    """The reference: the engine itself, on what transformers makes of the same messages."""
    messages = [user(ASKED)]
    ids = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": ASKED}], add_generation_prompt=True, tokenize=True
    )["input_ids"]
    expected = "".join(Engine(loaded).stream(ids, (), options=GenerationOptions(12)))
    assert "40917" in expected

    async def answers() -> list[Any]:
        pieces = [piece async for piece in await llm.astream_chat(messages)]
        return [await llm.achat(messages), pieces]

    pieces = list(llm.stream_chat(messages))
    whole, async_pieces = asyncio.run(answers())
    assert llm.chat(messages).message.content == whole.message.content == expected
    for streamed in (pieces, async_pieces):
        assert "".join(piece.delta for piece in streamed) == streamed[-1].message.content == expected
        assert len(streamed) > 5
    assert whole.additional_kwargs["prompt_tokens"] == len(ids)
    assert whole.raw["usage"]["finish_reason"] == "end"


def test_completions_have_no_template(llm: LongContextLLM, loaded: LoadedModel) -> None:
    prompt = f"{TEXT}The pass key is"
    ids = loaded.tokenizer(prompt)["input_ids"]
    ids = ids if ids[0] == loaded.tokenizer.bos_token_id else [loaded.tokenizer.bos_token_id, *ids]
    expected = "".join(Engine(loaded).stream(ids, (), options=GenerationOptions(6)))

    async def answers() -> list[str]:
        pieces = [piece async for piece in await llm.astream_complete(prompt, max_new_tokens=6)]
        return [(await llm.acomplete(prompt, max_new_tokens=6)).text, pieces[-1].text]

    assert llm.complete(prompt, max_new_tokens=6).text == expected
    assert "".join(piece.delta for piece in llm.stream_complete(prompt, max_new_tokens=6)) == expected
    assert asyncio.run(answers()) == [expected, expected]
    assert llm.complete(prompt, max_new_tokens=6, stop=expected[-2:]).text == expected[:-2]
    sampled = {llm.complete(prompt, max_new_tokens=6, temperature=2.0, seed=seed).text for seed in (1, 1, 2, 3)}
    assert 1 < len(sampled) < 4


def test_what_was_read_is_not_read_again(loaded: LoadedModel) -> None:
    fixed = RopeScaling(method="yarn", factor=8.0, original_max_position_embeddings=256)  # at every length the same
    llm = LongContextLLM(Engine(replace(loaded, scaling=fixed)), max_new_tokens=12)
    first = llm.chat([user(ASKED)])
    said = str(first.message.content)
    again = llm.chat([user(ASKED), assistant(said), user("What is the pass key?")])
    assert first.additional_kwargs["reused_tokens"] == 0
    assert again.additional_kwargs["reused_tokens"] >= first.additional_kwargs["prompt_tokens"] - 1
    assert llm.chat([user(ASKED)]).additional_kwargs["reused_tokens"] == first.additional_kwargs["prompt_tokens"] - 1


def test_the_loop_is_free_while_the_model_works(llm: LongContextLLM, loaded: LoadedModel) -> None:
    threads = set[int]()
    hook = loaded.model.register_forward_hook(lambda *_: threads.add(threading.get_ident()))

    async def ask() -> None:
        await llm.achat([user(ASKED)])
        await llm.acomplete(TEXT)
        async for _ in await llm.astream_chat([user(ASKED)]):
            pass
        async for _ in await llm.astream_complete(TEXT):
            pass

    asyncio.run(ask())
    hook.remove()
    assert threads
    assert threading.get_ident() not in threads


def test_what_nobody_waits_for_stops(llm: LongContextLLM, loaded: LoadedModel) -> None:
    steps: list[int] = []
    hook = loaded.model.register_forward_hook(lambda *_: steps.append(1))

    def is_native() -> bool:
        return type(loaded.model.model.rotary_emb).__name__ == "LlamaRotaryEmbedding"

    async def left() -> None:
        stream = await llm.astream_chat([user(ASKED * 3)], max_new_tokens=5000)
        async for _ in stream:
            assert not is_native()
            break
        await stream.aclose()
        while not is_native():
            await asyncio.sleep(0.001)
        task = asyncio.create_task(llm.acomplete(ASKED * 3, max_new_tokens=5000))
        steps.clear()
        while len(steps) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not is_native():
            await asyncio.sleep(0.001)

    asyncio.run(left())
    hook.remove()
    assert len(steps) < 1000
    stream = llm.stream_chat([user(ASKED * 3)])
    next(stream)
    stream.close()
    assert is_native()


def test_what_llama_index_is_told(llm: LongContextLLM, loaded: LoadedModel, tiny_llama: Path) -> None:
    metadata = llm.metadata
    assert (metadata.context_window, metadata.num_output) == (32 * 256, 12)
    assert (metadata.is_chat_model, metadata.model_name) == (True, str(DEMO))
    plain = LongContextLLM(tiny_llama)
    assert (plain.metadata.context_window, plain.metadata.is_chat_model) == (2048, False)
    counter = TokenCountingHandler(tokenizer=llm.tokenize)
    counted = LongContextLLM(loaded, max_new_tokens=12, callback_manager=CallbackManager([counter]))
    used = counted.chat([user(ASKED)]).additional_kwargs
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (
        used["prompt_tokens"],
        used["completion_tokens"],
    )


def test_it_is_written_down_without_its_weights(tiny_llama: Path) -> None:
    scaling = RopeScaling(method="yarn", factor=2.0, original_max_position_embeddings=2048)
    loaded = load_model(tiny_llama, scaling=scaling, dtype="bfloat16")
    llm = LongContextLLM(loaded, template="llama-2", max_new_tokens=5, stop=("x",))
    data = json.loads(llm.to_json())
    assert (data["class_name"], data["model"], data["template"]) == ("LongContextLLM", str(tiny_llama), "llama-2")
    again = LongContextLLM.from_dict(data)
    assert again.to_dict() == llm.to_dict()
    assert again.metadata == llm.metadata
    assert again.complete("the quick").text == llm.complete("the quick").text
    assert LongContextLLM.from_dict(data, model=loaded).to_dict() == llm.to_dict()


def test_a_base_model_is_asked_in_plain_text(tiny_llama: Path, index: CorpusIndex) -> None:
    llm = LongContextLLM(tiny_llama, max_new_tokens=3)
    prompt = PromptTemplate("{context_str} {query_str}")
    engine = RetrieverQueryEngine.from_args(CorpusRetriever(index, k=1), llm=llm, text_qa_template=prompt)
    [found] = CorpusRetriever(index, k=1).retrieve("the river")
    from llama_index.core.schema import MetadataMode

    text = f"{found.node.get_content(metadata_mode=MetadataMode.LLM).strip()} the river"
    assert str(engine.query("the river")).strip() == llm.complete(text).text.strip()
    chatted, completed = llm.chat([user("the river")]), llm.complete("Question: the river\nAnswer:")
    assert chatted.message.content == completed.text
    assert completed.additional_kwargs["reused_tokens"] == chatted.additional_kwargs["prompt_tokens"] - 1


def test_what_cannot_be_said_is_refused(llm: LongContextLLM, loaded: LoadedModel) -> None:
    long = [user("river " * 9000)]
    for ask in (llm.chat, llm.stream_chat, lambda m: asyncio.run(llm.achat(m)), lambda m: asyncio.run(begin(llm, m))):
        with pytest.raises(ContextTooLong, match="the window holds 8192"):
            ask(long)
    with pytest.raises(ContextTooLong):
        llm.complete("river " * 9000)
    image = ChatMessage(role=MessageRole.USER, blocks=[ImageBlock(image=b"x")])
    for messages, message in [
        ([ChatMessage(role=MessageRole.TOOL, content="x")], "of the role 'tool': use system, user or assistant"),
        ([image], "holds a ImageBlock"),
        ([assistant("x"), user("y")], "message 1 is the assistant's"),
        ([ChatMessage(role=MessageRole.SYSTEM, content="x")], "does not end with the user's"),
    ]:
        with pytest.raises(BadRequest, match=message):
            llm.chat(messages)
    with pytest.raises(BadRequest, match="max_tokens is no option of a call: use max_new_tokens, temperature"):
        llm.chat([user("x")], max_tokens=3)
    with pytest.raises(BadRequest, match="temperature is -1"):
        LongContextLLM(loaded, temperature=-1)
    with pytest.raises(BadRequest, match="no template 'alpaca'"):
        LongContextLLM(loaded, template="alpaca")
    with pytest.raises(ValueError, match="temprature"):
        LongContextLLM(loaded, temprature=1.0)


async def begin(llm: LongContextLLM, messages: list[ChatMessage]) -> None:
    await llm.astream_chat(messages)


def test_turns_of_one_role_are_one(llm: LongContextLLM) -> None:
    apart = llm.chat(
        [ChatMessage(role=MessageRole.SYSTEM, content="Be brief."), user(TEXT), user("What is the pass key?")]
    )
    together = llm.chat(
        [ChatMessage(role=MessageRole.DEVELOPER, content="Be brief."), user(f"{TEXT}\n\nWhat is the pass key?")]
    )
    assert apart.message.content == together.message.content
    assert together.additional_kwargs["reused_tokens"] == apart.additional_kwargs["prompt_tokens"] - 1
