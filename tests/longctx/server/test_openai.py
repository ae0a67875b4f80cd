"""OpenAI's protocol, as the official client speaks it."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from running_server import Running

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
ASKED = [{"role": "user", "content": "How is a doctor called?"}]
SAID = "A red flag at the mast asks for a doctor [1]."


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_each_index_is_a_model_and_so_is_the_language_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["longctx/index", SAID]
    assert client.models.retrieve("longctx/index").owned_by == "longctx"


def test_an_answer_has_its_citations_as_annotations(client: openai.OpenAI, server: Running) -> None:
    said = client.chat.completions.create(model="longctx/index", messages=ASKED, temperature=0, seed=1, stop=["###"])
    message = said.choices[0].message
    assert message.content == SAID
    assert said.choices[0].finish_reason == "stop"
    [annotation] = message.annotations
    cited = annotation.url_citation
    assert message.content[cited.start_index : cited.end_index] == "[1]"
    passage = server.http.get(cited.url).json()
    assert passage["text"].startswith("A red flag")
    extension = said.model_extra["longctx"]
    assert extension["citations"][0]["source"] == "handbook.txt"
    assert extension["plan"]["route"] in ("native", "retrieval")
    assert said.usage.prompt_tokens > 0
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


def test_a_stream_is_the_same_answer_in_pieces(client: openai.OpenAI) -> None:
    chunks = [
        *client.chat.completions.create(
            model="longctx/index", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    ]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == SAID
    assert next(delta.model_extra["annotations"] for delta in deltas if "annotations" in delta.model_extra)
    usage = chunks[-1].usage
    assert usage.completion_tokens > 0
    again = client.chat.completions.create(model="longctx/index", messages=ASKED).usage
    assert 0 < again.prompt_tokens_details.cached_tokens < again.prompt_tokens == usage.prompt_tokens


def test_the_language_model_replies_by_itself(client: openai.OpenAI) -> None:
    history = [*ASKED, {"role": "assistant", "content": "By a flag."}, {"role": "user", "content": "Which?"}]
    said = client.chat.completions.create(model=SAID, messages=history)
    assert said.choices[0].message.content == SAID
    assert said.choices[0].message.annotations == []


def test_what_was_said_before_is_part_of_the_question(client: openai.OpenAI) -> None:
    history = [{"role": "system", "content": "Be brief."}, *ASKED, {"role": "assistant", "content": "By a flag."}]
    said = client.chat.completions.create(
        model="longctx/index", messages=[*history, {"role": "user", "content": [{"type": "text", "text": "And it?"}]}]
    )
    assert "doctor" in said.model_extra["longctx"]["search_query"]
    assert said.model_extra["longctx"]["plan"]["turns"] == [1]


def test_embeddings_are_the_encoders(client: openai.OpenAI, encoder) -> None:
    made = client.embeddings.create(model="longctx/index", input=["a lamp", "灯台"])
    assert made.data[1].embedding == pytest.approx(encoder.encode_passages(["a lamp", "灯台"])[1], abs=1e-5)
    plain = client.embeddings.create(model="longctx/index", input="a lamp", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(made.data[0].embedding, abs=1e-5)


def test_tools_that_a_chat_interface_offers_are_left_alone(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="longctx/index", messages=ASKED, tools=TOOLS)
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == (SAID, "stop")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "longctx/index"),
        ({"n": 2}, openai.BadRequestError, "n is not served"),
        ({"tools": TOOLS, "tool_choice": "required"}, openai.BadRequestError, "tool_choice is not served"),
        ({"extra_body": {"temprature": 1}}, openai.BadRequestError, "temprature"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "a"}]}, openai.BadRequestError, "last message"),
        ({"temperature": -1}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens: .* greater than or equal to 1"),
        ({"max_tokens": 10**7}, openai.BadRequestError, "window"),
        ({"max_tokens": 10**7, "stream": True}, openai.BadRequestError, "window"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(client: openai.OpenAI, changes, error, words) -> None:
    with pytest.raises(error, match=words):
        client.chat.completions.create(**{"model": "longctx/index", "messages": ASKED} | changes)


def test_the_responses_api_gives_the_same_answer(client: openai.OpenAI) -> None:
    asked = {"model": "longctx/index", "input": ASKED[0]["content"]}
    said = client.responses.create(**asked)
    assert (said.output_text, said.status) == (SAID, "completed")
    [message] = said.output
    [annotation] = message.content[0].annotations
    assert said.output_text[annotation.start_index : annotation.end_index] == "[1]"
    assert said.usage.total_tokens == said.usage.input_tokens + said.usage.output_tokens > 0
    assert client.responses.create(**asked).usage.input_tokens_details.cached_tokens > 0
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        assert stream.get_final_response().output_text == SAID
    assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == SAID
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert [each.type for each in events][:2] == ["response.created", "response.in_progress"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"previous_response_id": "resp_1"}, "not kept here"),
        ({"text": {"format": {"type": "json_object"}}}, "text is not served"),
        ({"background": True}, "background is not served"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input_image"),
    ],
)
def test_what_the_responses_api_has_more_is_refused(client: openai.OpenAI, changes, words: str) -> None:
    with pytest.raises(openai.BadRequestError, match=words):
        client.responses.create(**{"model": "longctx/index", "input": ASKED[0]["content"], **changes})
