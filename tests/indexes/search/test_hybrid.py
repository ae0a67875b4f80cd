from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hashing_encoder import CountingEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from written_files import write_files

from indexes import CorpusError, CorpusIndex, RerankerUnavailable, SearchFilter

DAY = 86_400
WORDS = ("lamp", "tower", "keeper", "storm", "灯台", "海")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty documents of alike text, whose authors, titles, folders and dates differ."""
    folder = tmp_path_factory.mktemp("filters")
    for number in range(40):
        author, year = ("Ann", "Ben", "夏目")[number % 3], 1900 + number % 4
        file = folder / "corpus" / ("north", "south")[number % 2] / f"{number:02}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        words = " ".join(WORDS[: 1 + number % len(WORDS)])
        file.write_text(
            f"---\ntitle: Log {number % 5}\nauthor: {author}\nyear: {year}\n---\nThe {words} of day {number}.\n"
        )
        os.utime(file, (number * DAY, number * DAY))
    return folder


@pytest.fixture(scope="module")
def place(new_place) -> str | Path:
    return new_place()


@pytest.fixture(scope="module")
def index(folder: Path, encoder, place: str | Path) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(place, encoder) as index:
        index.ingest([folder / "corpus"])
        yield index


filters = st.builds(
    SearchFilter,
    source=st.sampled_from([(), "north", ("north", "south"), "*/0*.md", "south/11.md", "nowhere"]).map(
        lambda given: tuple(f"CORPUS/{part}" for part in ((given,) if isinstance(given, str) else given))
    ),
    title=st.sampled_from([(), "Log 1", ("LOG 1", "log ２"), "*og [34]"]),
    metadata=st.dictionaries(
        st.sampled_from(["author", "year", "none"]), st.sampled_from(["Ann", "夏目", "1901"]), max_size=1
    ),
    after=st.sampled_from([None, "1970-01-11", "1970-01-06T12:00:00+09:00"]),
    before=st.sampled_from([None, "1970-01-31", "1970-01-20T00:00:00"]),
)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    wanted=filters,
    query=st.sampled_from(["lamp", "storm keeper", "灯台の海", "day 7"]),
    mode=st.sampled_from(["dense", "lexical", "hybrid"]),
    k=st.sampled_from([1, 3, 10, 60]),
)
def test_a_filter_holds_exactly(index, folder, wanted: SearchFilter, query: str, mode: str, k: int) -> None:
    sources = tuple(part.replace("CORPUS", str(folder / "corpus")) for part in wanted.source)
    wanted = SearchFilter(sources, wanted.title, wanted.metadata, wanted.after, wanted.before)
    allowed = {document.source for document in index.documents() if wanted.allows(document)}
    found = index.search(query, k, mode, filters=wanted)
    if mode != "hybrid":  # the fusion scales scores by the candidates, and these are others
        everything = [hit for hit in index.search(query, 1000, mode) if hit.chunk.source in allowed]
        assert [(hit.chunk.id, pytest.approx(hit.score)) for hit in found] == [
            (hit.chunk.id, hit.score) for hit in everything[:k]
        ]
    else:
        matching = {hit.chunk.id for hit in index.search(query, 1000, mode) if hit.chunk.source in allowed}
        assert {hit.chunk.id for hit in found} <= matching
        assert len(found) == min(k, len(matching))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (SearchFilter("corpus/north"), range(0, 40, 2)),
        (SearchFilter("corpus/*/3?.md"), range(30, 40)),
        (SearchFilter("corpus/nor"), ()),
        (SearchFilter(title="ＬＯＧ 3"), range(3, 40, 5)),
        (SearchFilter(metadata={"author": "夏目"}), range(2, 40, 3)),
        (SearchFilter(metadata={"author": "Ann", "year": "1902"}), (6, 18, 30)),
        (SearchFilter(after="1970-01-31", before="1970-02-03"), (30, 31, 32)),
        (SearchFilter(after="1970-02-09T00:00:00Z"), (39,)),
    ],
)
def test_what_each_part_of_a_filter_means(index, folder, monkeypatch, wanted: SearchFilter, numbers: Any) -> None:
    monkeypatch.chdir(folder)
    found = {int(Path(hit.chunk.source).stem) for hit in index.search("lamp", 100, "dense", filters=wanted)}
    assert found == set(numbers)


def test_terms_of_most_chunks_are_left_out_of_a_query_of_a_large_index(tmp_path, hashing, monkeypatch) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"lamp {'tower' if number < 14 else ''} log{number}")

    def found(query: str) -> set[int]:
        return {int(Path(hit.chunk.source).stem) for hit in index.search(query, 100, "lexical")}

    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(tmp_path)
        assert found("lamp log7") == set(range(30))
        monkeypatch.setattr("indexes.storage.lexical_query.LARGE", 20)
        assert found("lamp log7") == {7}
        assert found("tower log20") == {*range(14), 20}, "what less than half hold stays"
        assert found("lamp") == set(range(30)), "unless there is nothing else"
        assert found("lamp nowhere") == set(range(30))


def test_metadata_are_compared_by_their_kind(index) -> None:
    from indexes import DocumentInfo, Metadata

    held = Metadata({"year": 1905, "read": True, "tags": ["cat", "sea"]})
    document = DocumentInfo("/x", "", 1, 1, 1, "", held)
    for values in ({"year": 1905}, {"year": "1905"}, {"read": "true"}, {"tags": "sea"}, {"tags": ["cat", "sea"]}):
        assert SearchFilter(metadata=values).allows(document), values
    for values in ({"year": True}, {"read": 1}, {"tags": "se"}, {"none": None}, {"year": "19"}):
        assert not SearchFilter(metadata=values).allows(document), values
    assert not SearchFilter(after="1900-01-01").allows(document), "a document without a date is not after any"


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(CorpusError, match="'next week' is no date"):
        SearchFilter(after="next week")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, encoder, new_place) -> Iterator[tuple[CorpusIndex, str]]:
    """One document of many chunks, whose paragraphs repeat."""
    folder = tmp_path_factory.mktemp("book")
    text = "\n\n".join(f"Night {n % 3}. The keeper wrote the same words again. " * 15 for n in range(30))
    (folder / "log.txt").write_text(text)
    with CorpusIndex.open(new_place(), encoder) as index:
        index.ingest([folder / "log.txt"])
        yield index, text


@settings(max_examples=settings.default.max_examples // 4)
@given(neighbours=st.integers(0, 40), k=st.integers(1, 5))
def test_a_hit_brings_its_neighbours(book: tuple[CorpusIndex, str], neighbours: int, k: int) -> None:
    index, text = book
    plain = index.search("keeper", 1000, "lexical")
    in_order = sorted((hit.chunk for hit in plain), key=lambda chunk: chunk.start)
    wide = index.search("keeper", k, "lexical", expand=neighbours)
    taken: set[int] = set()  # what a better hit has shown is not shown again
    for narrow in plain:
        place = [chunk.id for chunk in in_order].index(narrow.chunk.id)
        if place in taken or not wide:
            continue
        hit, first, last = wide.pop(0), place, place
        while first > max(0, place - neighbours) and first - 1 not in taken:
            first -= 1
        while last < min(len(in_order) - 1, place + neighbours) and last + 1 not in taken:
            last += 1
        assert (hit.chunk.id, hit.score) == (narrow.chunk.id, narrow.score)
        assert (hit.chunk.start, hit.chunk.end) == (in_order[first].start, in_order[last].end)
        assert hit.chunk.text == text[hit.chunk.start : hit.chunk.end]
        assert hit.chunk.line == text.count("\n", 0, hit.chunk.start) + 1
        assert hit.chunk.tokens == sum(chunk.tokens for chunk in in_order[first : last + 1])
        taken |= {*range(first, last + 1)}
    assert not wide


def test_more_hits_than_fit_in_memory_are_refused(index) -> None:
    with pytest.raises(CorpusError, match="at most 1,000,000"):
        index.search("lighthouse", 10**11)


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_nothing_is_found_in_an_empty_index(new_place, hashing, mode: str) -> None:
    with CorpusIndex.open(new_place(), hashing) as empty:
        assert empty.search("Who trims the lamps?", 5, mode) == []


def test_fewer_than_no_neighbours_is_refused(index) -> None:
    with pytest.raises(CorpusError, match="expand is -1"):
        index.search("lamp", expand=-1)


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("cross-encoder"))


def make_cross_encoder(folder: Path, outputs: int = 1) -> Path:
    """A BERT at toy size with random weights, saved as sentence-transformers saves a CrossEncoder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "lamp", "keeper", "storm", "day", *"0123456789#."]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=128,
        num_labels=outputs,
        initializer_range=1.0,
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    CrossEncoder(str(folder), device="cpu").save_pretrained(str(folder))
    return folder


def test_a_cross_encoder_puts_the_candidates_in_its_order(
    place: str | Path, index, encoder, cross_encoder: Path
) -> None:
    from sentence_transformers import CrossEncoder

    plain = index.search("storm keeper", 40)
    texts = [f"{hit.chunk.heading or hit.chunk.title}\n{hit.chunk.text}" for hit in plain]
    scores = CrossEncoder(str(cross_encoder), device="cpu").predict([("storm keeper", text) for text in texts])
    expected = sorted(zip(scores.tolist(), [hit.chunk.id for hit in plain], strict=True), key=lambda pair: -pair[0])
    with CorpusIndex.open(place, encoder, reranker=str(cross_encoder)) as reranked:
        found = reranked.search("storm keeper", 5)
    assert [hit.score for hit in found] == pytest.approx([score for score, _ in expected[:5]], abs=1e-5)
    assert {hit.chunk.id for hit in found} != {hit.chunk.id for hit in plain[:5]}


def test_a_reranker_may_be_an_object(place: str | Path, index, encoder) -> None:
    class Shortest:
        name = "shortest"

        def scores(self, query: str, passages: Sequence[str]) -> list[float]:
            return [-float(len(passage)) for passage in passages]

    with CorpusIndex.open(place, encoder, reranker=Shortest()) as reranked:
        lengths = [len(hit.chunk.text) for hit in reranked.search("lamp", 6)]
    assert len(lengths) == 6
    assert lengths == sorted(lengths)


def test_what_is_no_reranker_is_refused(place: str | Path, index, encoder, tmp_path: Path) -> None:
    for name in ("two", "empty"):
        (tmp_path / name).mkdir()
    make_cross_encoder(tmp_path / "two", outputs=2)
    reasons = {"two": "gives 2 numbers", "empty": r"no \*.safetensors", "none": "neither a folder here"}
    for name, reason in reasons.items():
        reranked = CorpusIndex.open(place, encoder, reranker=str(tmp_path / name))
        with reranked, pytest.raises(RerankerUnavailable, match=reason):
            reranked.search("lamp")


def test_equal_passages_are_embedded_once(tmp_path):
    counting = CountingEncoder()
    write_files(tmp_path / "corpus", {"one.txt": "word " * 20_000, "dots.txt": "." * 20_000})
    with CorpusIndex.open(tmp_path / "index", counting) as index:
        index.ingest(tmp_path / "corpus")
        assert index.info().chunks > 50
        assert len(counting.embedded) < 20
