from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indexes import SearchFilter
from longctx import BadRequest, ContextTooLong, DocumentQA, ModelUnavailable, load_model
from longctx.prompts.parts import PromptInputs
from longctx.prompts.templates import choose_template
from longctx.prompts.writer import TokenWriter, build_prompt

LIGHTHOUSE = """# The lighthouse of Sørvik

## History

The lighthouse was built in 1874 by the engineer Anna Holm. It replaced a wooden beacon that had burnt down twice.

## The lamp

The lamp turns once in forty seconds. Its beam is seen from twenty nautical miles.
On foggy days a horn sounds every minute.
"""
TOUDAI = """# 灯台

灯台は一八七四年に建てられた。設計者は「海を見よ。恐れるな。」と言い残した。レンズは四十秒で一回転する。
霧の日には霧笛が毎分鳴る。
"""


class ByTheWord:
    """A reranker that knows one word, with logits for scores."""

    name = "by the word"

    def __init__(self, word: str) -> None:
        self.word = word

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        return [8.0 if self.word in passage else 0.5 for passage in passages]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "lighthouse.md").write_text(LIGHTHOUSE, encoding="utf-8")
    (folder / "toudai.md").write_text(TOUDAI, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def qa(corpus: Path, tmp_path_factory: pytest.TempPathFactory, encoder) -> Iterator[DocumentQA]:
    with DocumentQA.open(tmp_path_factory.mktemp("qa") / "index", encoder=encoder) as qa:
        qa.ingest([corpus])
        yield qa


def with_model(qa: DocumentQA, model, encoder) -> DocumentQA:
    return DocumentQA.open(qa.index.path, model, encoder=encoder)


@pytest.mark.parametrize(
    ("question", "file", "sentence"),
    [
        (
            "Who built the lighthouse?",
            "lighthouse.md",
            "The lighthouse was built in 1874 by the engineer Anna Holm. "
            "It replaced a wooden beacon that had burnt down twice.",
        ),
        (
            "How far can the beam be seen?",
            "lighthouse.md",
            "The lamp turns once in forty seconds. Its beam is seen from twenty nautical miles.",
        ),
        ("設計者は何と言いましたか？", "toudai.md", "設計者は「海を見よ。恐れるな。」と言い残した。"),
        ("霧の日はどうなる", "toudai.md", "霧の日には霧笛が毎分鳴る。"),
    ],
)
def test_without_a_model_the_best_sentence_is_quoted(qa: DocumentQA, corpus: Path, question, file, sentence) -> None:
    answer = qa.ask(question)
    first = answer.citations[0]
    text = (corpus / file).read_text(encoding="utf-8")
    assert first.text == sentence
    assert answer.text.startswith(f"{sentence} [1]")
    assert first.source == str(corpus / file)
    assert text[first.start : first.end] == sentence
    assert first.line == text.count("\n", 0, text.index(sentence)) + 1
    assert (answer.plan, answer.usage.completion_tokens) == (None, 0), "there is no model to plan for"


def test_headings_are_not_quoted_as_answers(qa: DocumentQA) -> None:
    answer = qa.ask("The lighthouse of Sørvik history")
    assert not any(citation.text.startswith("#") for citation in answer.citations)


def test_streamed_pieces_are_the_answer(qa: DocumentQA) -> None:
    stream = qa.stream("Who built the lighthouse?")
    assert "".join(stream) == stream.answer.text


def test_nothing_to_quote_is_said_in_the_questions_language(tmp_path: Path, encoder) -> None:
    with DocumentQA.open(tmp_path / "index", encoder=encoder) as empty:
        english, japanese = empty.ask("What is this?"), empty.ask("これは何ですか")
    assert english.citations == japanese.citations == ()
    assert "Nothing" in english.text
    assert "見つかりません" in japanese.text


def test_a_filter_that_no_document_fits_is_named(qa: DocumentQA) -> None:
    with pytest.raises(BadRequest, match=r"no document fits the filter \(title Lighthouse, after 2199-01-01.*\)"):
        qa.ask("Who keeps the lamp?", filters=SearchFilter(title="Lighthouse", after="2199-01-01"))


def test_a_misspelt_index_is_met_with_the_one_beside_it(tmp_path: Path, encoder, make_index) -> None:
    path = make_index({"a.txt": "The lamp turns once in forty seconds."})
    with DocumentQA.open(path.with_name("indx"), encoder=encoder) as typo:
        with pytest.raises(BadRequest, match="new and without documents: did you mean index, the index beside it"):
            typo.ask("What is this?")
        typo.ingest(path.with_name("a.txt"))
        assert typo.ask("How often does the lamp turn?").citations
    with DocumentQA.open(tmp_path / "new", encoder=encoder) as empty:
        assert "is new and without documents: ingest some" in empty.ask("What is this?").note


@pytest.mark.parametrize(("question", "options"), [("  ", {}), ("x", {"max_new_tokens": 0})])
def test_a_question_that_cannot_be_served_says_why(qa: DocumentQA, question: str, options: dict) -> None:
    with pytest.raises(BadRequest):
        qa.ask(question, **options)
    with pytest.raises(BadRequest, match="above 0"):
        qa.ask("x", k=0)


def test_with_a_model_the_answer_is_what_the_model_generates(qa: DocumentQA, tiny_llama: Path, encoder) -> None:
    """The reference: transformers' own generate, on a prompt put together here from the passages that are cited."""
    import torch

    with with_model(qa, tiny_llama, encoder) as asked:
        stream = asked.stream("Who built the lighthouse?", max_new_tokens=12)
        pieces = list(stream)
        answer = stream.answer
    loaded = load_model(tiny_llama)
    writer = TokenWriter(loaded.tokenizer, choose_template(None, loaded.name, loaded.tokenizer))
    prompt = build_prompt(writer, answer.passages, PromptInputs("Who built the lighthouse?"))
    decoded = loaded.tokenizer.decode(prompt)
    assert all(f"[{n}]\n{c.text}\n" in decoded for n, c in enumerate(answer.passages, start=1))
    assert [c.number for c in answer.passages] == list(range(1, len(answer.passages) + 1))
    assert decoded.endswith("Question: Who built the lighthouse?\nAnswer:")
    ids = torch.tensor([prompt])
    output = loaded.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
    )
    expected = loaded.tokenizer.decode(output[0, len(prompt) :], skip_special_tokens=True)
    assert "".join(pieces) == expected.lstrip()
    assert answer.text == expected.strip()
    assert answer.usage.prompt_tokens == answer.plan.prompt_tokens == len(prompt)
    assert answer.usage.completion_tokens == output.shape[1] - len(prompt)
    assert (answer.plan.window, answer.plan.passages_used) == (2048, len(answer.passages))


def test_as_many_passages_as_fit_the_window(qa: DocumentQA, tiny_llama: Path, encoder) -> None:
    whole = with_model(qa, load_model(tiny_llama), encoder)
    full = whole.ask("When was it built? 灯台", max_new_tokens=4)
    assert full.plan.passages_used == full.plan.passages_found >= 3
    assert full.plan.prompt_tokens is not None
    tight = with_model(qa, load_model(tiny_llama, native_window=full.plan.prompt_tokens + 3), encoder)
    answer = tight.ask("When was it built? 灯台", max_new_tokens=4)
    assert 1 <= answer.plan.passages_used < full.plan.passages_used
    assert answer.plan.prompt_tokens + 4 <= answer.plan.window
    assert {c.text for c in answer.passages} < {c.text for c in full.passages}
    best = tight.index.search("When was it built? 灯台", 1)[0].chunk
    assert (best.source, best.start) in {(c.source, c.start) for c in answer.passages}
    assert sum(share.passages for share in answer.plan.left_out) == full.plan.passages_used - answer.plan.passages_used
    none = with_model(qa, load_model(tiny_llama, native_window=64), encoder)
    with pytest.raises(ContextTooLong, match=r"the question takes \d+ tokens with its rules.* holds 64"):
        none.ask("When was it built?", max_new_tokens=4)


def test_a_closed_stream_stops_the_model_and_the_next_answer_is_whole(
    qa: DocumentQA, tiny_llama: Path, encoder
) -> None:
    import threading

    with with_model(qa, tiny_llama, encoder) as asked:
        expected = asked.ask("Who built it?", max_new_tokens=8).text
        stream = asked.stream("Who built it?", max_new_tokens=500)
        next(stream)
        stream.close()
        assert not any(thread.name == "longctx-generate" for thread in threading.enumerate())
        with pytest.raises(BadRequest, match="closed"):
            _ = stream.answer
        assert asked.ask("Who built it?", max_new_tokens=8).text == expected


def test_a_model_that_cannot_be_had_says_so(tmp_path: Path, tiny_llama: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    for name, message in {
        "./missing": "there is no folder",
        str(tiny_llama / "config.json"): "is a file: give a checkpoint's folder",
        "owner/no-such-model": "hub could not be reached",
        "not a name": "neither a folder here nor a name",
        str(tmp_path): "could be loaded from",
        str(Path(__file__).parent): "no config.json",
    }.items():
        with pytest.raises(ModelUnavailable, match=message) as caught:
            load_model(name)
        assert "\n" not in str(caught.value)


def test_passages_far_below_the_best_stay_out_of_a_prompt_for_one_fact(tmp_path: Path, tiny_llama, encoder) -> None:
    towns = ["Bergen", "Oslo", "Turku", "Malmö", "Aarhus"]
    notes = {town: f"The office in {town} has a garden." for town in towns}
    notes["Oslo"] = "The travel allowance in Oslo is 72 euros a day for meals."
    notes["Malmö"] = "Travel by night is not paid."
    for town, text in notes.items():
        (tmp_path / f"{town}.txt").write_text(text, encoding="utf-8")
    question = "What is the travel allowance in Oslo for meals a day?"
    with DocumentQA.open(tmp_path / "index", load_model(tiny_llama), encoder=encoder) as qa:
        qa.ingest([tmp_path])
        hits = qa.index.search(question, 8)
        read = {
            asked: {c.text for c in qa.ask(question, route="retrieval", max_new_tokens=2, **options).passages}
            for asked, options in (
                ("", {}),
                ("all", {"score_cutoff": 0}),
                ("most", {"score_cutoff": 1}),
                ("of two", {"score_cutoff": hits[1].score / hits[0].score - 1e-6}),
                ("compare", {"kind": "compare"}),
            )
        }
        plan = qa.ask(question, route="retrieval", max_new_tokens=2).plan
    with DocumentQA.open(
        tmp_path / "index", load_model(tiny_llama), encoder=encoder, reranker=ByTheWord("Oslo")
    ) as reranked:
        read["reranked"] = {c.text for c in reranked.ask(question, route="retrieval", max_new_tokens=2).passages}
    assert len(hits) >= 4
    assert hits[2].score < 0.4 * hits[0].score
    assert read[""] == {hit.chunk.text for hit in hits if hit.score >= 0.4 * hits[0].score}
    assert read["most"] == {notes["Oslo"]}
    assert read["of two"] == {hit.chunk.text for hit in hits[:2]}
    assert read["all"] == read["compare"] == read["reranked"] == {hit.chunk.text for hit in hits}
    assert sum(share.passages for share in plan.left_out if share.kind == "found") == len(hits) - len(read[""])


@pytest.mark.parametrize(
    ("question", "halves"),
    [
        ("What does a parking permit cost, and what do guests pay for lunch?", {"parking", "canteen"}),
        ("駐車許可証の月額と来客の昼食代はいくらですか。", {"駐車", "食堂"}),
        ("育児休業の期間と、出張費の承認者は？", {"育休", "出張"}),
    ],
)
def test_a_passage_that_holds_the_other_half_of_a_question_is_in_its_prompt(
    tmp_path: Path, tiny_llama, encoder, question: str, halves: set[str]
) -> None:
    notes = {
        "parking": "Parking permits are issued by the reception. A permit costs twelve euros a month.",
        "canteen": "The canteen serves lunch from half past eleven to two. Guests pay seven euros.",
        "leave": "Parental leave is sixteen weeks at full pay.",
        "laptops": "Laptops are replaced every four years. Lost devices are reported to the service desk.",
        "駐車": "駐車許可証は受付で発行する。月額は千二百円である。",
        "食堂": "食堂の昼食は十一時半から二時まで。来客は七百円を支払う。",
        "育休": "育児休業は十六週間で、給与は全額支給される。二回に分けて取得できる。",
        "出張": "出張費は部長が承認する。精算は三十日以内に行う。",
    }
    for name, text in notes.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    with DocumentQA.open(tmp_path / "index", load_model(tiny_llama), encoder=encoder) as qa:
        qa.ingest([tmp_path])
        read = {
            cutoff: {
                Path(c.source).stem
                for c in qa.ask(question, route="retrieval", max_new_tokens=2, score_cutoff=cutoff).passages
            }
            for cutoff in (1.0, 0.4)
        }
    assert read[1.0] == halves, "the best one, and the one with the rest of the question"
    assert halves <= read[0.4]


def test_a_neighbour_on_either_side_fills_the_prompt_for_one_fact(tmp_path: Path, tiny_llama, encoder) -> None:
    filler = "The keeper noted the wind, the tide and the ships that passed the point on that day. "
    days = [f"Day {number}. {filler * 8}" for number in range(24)]
    days[12] = f"The barometer was broken by Anna Holm. {filler * 8}"
    (tmp_path / "log.md").write_text("\n\n".join(days), encoding="utf-8")
    with DocumentQA.open(tmp_path / "index", load_model(tiny_llama, native_window=8192), encoder=encoder) as qa:
        qa.ingest([tmp_path / "log.md"])
        chunks = [chunk.id for chunk in qa.index.chunks()]
        [hit] = qa.index.search("Who broke the barometer?", 1)
        at = chunks.index(hit.chunk.id)

        def read(**options) -> list[int]:
            asked = {"route": "retrieval", "k": 1, "max_new_tokens": 2, "prompt_tokens": 8000} | options
            return sorted(qa.ask("Who broke the barometer?", **asked).plan.chunk_ids)

        assert len(chunks) > 9
        assert read() == chunks[at - 1 : at + 2]
        assert read(expand=2) == chunks[at - 2 : at + 3]
        assert len(read(kind="compare")) > 5
