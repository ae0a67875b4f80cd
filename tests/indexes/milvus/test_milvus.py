"""An index's passages in Milvus Lite: what has changed is written, and it is searched as the index is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hashing_encoder import OtherEncoder
from written_files import write_files

from indexes import CorpusError, CorpusIndex, Document, IndexMismatch, Metadata, SearchFilter
from longctx import DocumentQA

_WHY = 'the extra "milvus" is not installed'
pytest.importorskip("pymilvus", reason=_WHY)
pytest.importorskip("milvus_lite", reason=_WHY)

from indexes.milvus import Collection, MilvusRetriever, PublishReport, publish  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_loop")

TEXTS = {
    "oil.md": "# Oil\n\nThe lamp oil is kept in the cellar, below the stairs.\n",
    "boat.md": "# Boat\n\nThe boat comes on Friday with letters and bread.\n",
    "toudai.md": "# 灯台\n\n霧の日には霧笛が毎分鳴る。灯台は一八七四年に建てられた。\n",
    "ligature.md": "# Shelf\n\nThe of\ufb01ce keeps its ﬁles on the upper shelf. The key hangs beside the door.\n",
    "of-1904.md": "---\nyear: 1904\ntags: [lens, mail]\n---\n# Lens\n\nThe new lens has come from Paris.\n",
}


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"milvus:{tmp_path_factory.mktemp('milvus')}/lite.db"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_files(tmp_path / "corpus", TEXTS)


@pytest.fixture
def index(corpus: Path, tmp_path: Path, hashing: Any) -> Iterator[CorpusIndex]:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        assert index.ingest(corpus).added == len(TEXTS)
        yield index


def found(retriever: MilvusRetriever, query: str) -> list[tuple[str, int]]:
    return [(each.node.metadata["source"], each.node.metadata["start"]) for each in retriever.retrieve(query)]


def published(index: CorpusIndex, address: str) -> PublishReport:
    with Collection(address) as collection:
        return publish(index, collection)


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_a_collection_finds_what_its_index_finds_in_the_same_order(
    mode: str, index: CorpusIndex, lite: str, hashing: Any
) -> None:
    address = f"{lite}#same_{mode}"
    assert published(index, address) == PublishReport(5, 0, 0, 5)
    retriever = MilvusRetriever(address, 10, mode, encoder=hashing)
    for query in (
        "Where is the lamp oil?",
        "霧の日には何が鳴りますか？",
        "When does the boat come?",
        '"letters and bread"',
    ):
        expected = [(hit.chunk.source, hit.chunk.start) for hit in index.search(query, 10, mode)]
        assert found(retriever, query)[:3] == expected[:3]
    retriever.close()


def test_in_several_languages_the_texts_of_what_is_shown_alone_are_read(
    lite: str, tmp_path: Path, hashing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class English(type(hashing)):
        languages = frozenset({"en"})

    address, encoder = f"{lite}#languages", English()
    texts = {f"en{n}": f"The keeper of house {n} trims the lamps of the tower." for n in range(30)}
    texts |= {f"ja{n}": f"{n}番目の部屋は毎朝掃除します。" for n in range(30)}
    with CorpusIndex.open(tmp_path / "languages", encoder) as index:
        index.add(Document(name, text, name) for name, text in texts.items())
        published(index, address)
        expected = [(hit.chunk.source, hit.chunk.start) for hit in index.search("Who trims the lamps?", 5)]
    read, get = set[int](), Collection.get

    def noted(self: Collection, ids: Any, fields: Any) -> Any:
        read.update(ids if "text" in fields else ())
        return get(self, ids, fields)

    monkeypatch.setattr(Collection, "get", noted)
    retriever = MilvusRetriever(address, 5, encoder=encoder)
    assert found(retriever, "Who trims the lamps?") == expected
    assert len(read) <= 15, "five, and ten whose sentences are compared"
    retriever.close()


def test_passages_whose_lengths_tantivy_rounds_to_the_same_are_alike(lite: str, tmp_path: Path, hashing: Any) -> None:
    address = f"{lite}#rounded"
    texts = [" ".join(["lamp", *(f"word{n}" for n in range(60 - number))]) for number in range(20)]
    with CorpusIndex.open(tmp_path / "lengths", hashing) as index:
        index.add(Document(f"note {number:02}", text, "Note") for number, text in enumerate(texts))
        assert published(index, address).passages > 20
        expected = [(hit.chunk.source, hit.chunk.start) for hit in index.search("lamp", 20, "lexical")]
    retriever = MilvusRetriever(address, 20, "lexical", encoder=hashing)
    assert found(retriever, "lamp") == expected
    retriever.close()


def test_only_what_has_changed_is_written_and_what_has_gone_is_deleted(
    index: CorpusIndex, corpus: Path, lite: str, hashing: Any
) -> None:
    address = f"{lite}#changes"
    published(index, address)
    assert published(index, address) == PublishReport(0, 5, 0, 5)
    (corpus / "oil.md").write_text("# Oil\n\nThe lamp oil is in the attic now.\n")
    (corpus / "boat.md").rename(corpus / "ferry.md")
    (corpus / "toudai.md").unlink()
    index.ingest(corpus, prune=True)
    assert published(index, address) == PublishReport(written=2, unchanged=2, deleted=2, passages=4)
    retriever = MilvusRetriever(address, 10, "lexical", encoder=hashing)
    assert found(retriever, "cellar") == found(retriever, "霧笛") == []
    assert [Path(source).name for source, _ in found(retriever, "attic")] == ["oil.md"]
    assert [Path(source).name for source, _ in found(retriever, "Friday")] == ["ferry.md"]
    retriever.close()


def test_an_interrupted_run_is_gone_on_with(
    index: CorpusIndex, lite: str, monkeypatch: pytest.MonkeyPatch, hashing: Any
) -> None:
    address = f"{lite}#interrupted"
    with Collection(address) as collection, monkeypatch.context() as patch:
        real, calls = Collection.put, []

        def put(self: Collection, rows: Any) -> None:
            calls.append(rows)
            if len(calls) == 2:  # the passages are there, and no document is whole
                raise KeyboardInterrupt
            real(self, rows)

        patch.setattr(Collection, "put", put)
        with pytest.raises(KeyboardInterrupt):
            publish(index, collection)
    assert published(index, address) == PublishReport(5, 0, 0, 5)
    assert published(index, address).written == 0


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (SearchFilter("*/oil.md"), {"oil.md"}),
        (SearchFilter(("*oil*", "*boat.m?")), {"oil.md", "boat.md"}),
        (SearchFilter(title="le*"), {"of-1904.md"}),
        (SearchFilter(metadata={"year": "1904"}), {"of-1904.md"}),
        (SearchFilter(metadata={"tags": "lens, mail"}), {"of-1904.md"}),
        (SearchFilter(metadata={"tags": "mail"}), set()),
        (SearchFilter(metadata={"year": 1905}), set()),
        (SearchFilter("*.md", after="2000-01-01", before="2200-01-01"), set(TEXTS)),
        (SearchFilter(before="2000-01-01"), set()),
    ],
)
def test_filters_are_applied_in_the_store(
    filters: SearchFilter,
    expected: set[str],
    index: CorpusIndex,
    lite: str,
    hashing: Any,
    monkeypatch: Any,
    corpus: Path,
) -> None:
    monkeypatch.chdir(corpus.parent)
    address = f"{lite}#filters"
    with Collection(address) as collection:
        publish(index, collection, sure=True)
    retriever = MilvusRetriever(address, 10, "dense", filters=filters, encoder=hashing)
    assert {Path(source).name for source, _ in found(retriever, "the lamp")} == expected
    retriever.close()
    assert {Path(hit.chunk.source).name for hit in index.search("the lamp", 10, "dense", filters=filters)} == expected


def test_lists_and_numbers_in_metadata_and_names_of_documents_from_memory(
    tmp_path: Path, lite: str, hashing: Any
) -> None:
    address, text = f"{lite}#memory", "The lamp oil is in the cellar."
    with CorpusIndex.open(tmp_path / "memory", hashing) as index:
        index.add([Document("memo 1", text, "", metadata=Metadata({"tags": ["oil", "lamp"], "pages": 3}))])
        published(index, address)
    for filters, expected in (
        (SearchFilter("memo*", metadata={"tags": "oil", "pages": 3}), ["memo 1"]),
        (SearchFilter(metadata={"pages": "3"}), ["memo 1"]),
        (SearchFilter(metadata={"tags": "door"}), []),
        (SearchFilter("memo"), []),
    ):
        retriever = MilvusRetriever(address, filters=filters, encoder=hashing)
        assert [source for source, _ in found(retriever, "oil")] == expected
        retriever.close()
    with pytest.raises(CorpusError, match=r"the pattern '.*memo\[12\]' has a \["):
        found(MilvusRetriever(address, filters=SearchFilter("memo[12]"), encoder=hashing), "oil")


def test_a_folder_and_the_other_name_of_a_copy_can_be_filtered_by(
    index: CorpusIndex, corpus: Path, lite: str, hashing: Any
) -> None:
    (corpus / "100%_sure").mkdir()
    copy = corpus / "100%_sure" / "copy.md"
    copy.write_bytes((corpus / "oil.md").read_bytes())
    index.ingest(corpus)
    address = f"{lite}#copies"
    published(index, address)
    for place in (copy, copy.parent):
        retriever = MilvusRetriever(address, filters=SearchFilter(str(place)), encoder=hashing)
        assert [source for source, _ in found(retriever, "Where is the oil?")] == [str(copy)]
        retriever.close()


def test_answers_cite_the_exact_place_in_the_file(index: CorpusIndex, corpus: Path, lite: str, hashing: Any) -> None:
    address = f"{lite}#answers"
    published(index, address)
    retriever = MilvusRetriever(address, encoder=hashing)
    with DocumentQA.open(retriever=retriever, encoder=hashing) as qa:
        [key, *_] = qa.ask("Where does the key hang?").citations
        [horn, *_] = qa.ask("霧の日には何が鳴りますか？").citations
    retriever.close()
    text = TEXTS["ligature.md"]
    assert (key.source, key.node) == (str(corpus / "ligature.md"), "")
    assert text[key.start : key.end] == "The key hangs beside the door.", "behind a ligature that was put right"
    assert TEXTS["toudai.md"][horn.start : horn.end] == "霧の日には霧笛が毎分鳴る。"
    assert horn.line == 3


def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    index: CorpusIndex, lite: str, tmp_path: Path, hashing: Any
) -> None:
    address = f"{lite}#refused"
    published(index, address)
    with CorpusIndex.open(tmp_path / "other", hashing) as other:
        (tmp_path / "note.md").write_text("# Note\n\nSomething else.\n")
        other.ingest(tmp_path / "note.md")
        with pytest.raises(CorpusError, match="5 documents, of which 5 are not in the index"):
            published(other, address)
    assert published(index, address).written == 0

    with pytest.raises(IndexMismatch, match="are of the encoder 'hashing'"):
        MilvusRetriever(address, encoder=OtherEncoder())
    with pytest.raises(CorpusError, match="there is no collection 'nowhere'"):
        MilvusRetriever(f"{lite}#nowhere", encoder=hashing)


@pytest.mark.parametrize("address", ["", "milvus:", "qdrant:x", "milvus:x.db#a b", "milvus:http://u:secret@h:1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(CorpusError) as error:
        Collection(address)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_is_away_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.milvus.collection._TIMEOUT", 0.2)
    with pytest.raises(CorpusError, match=r"^milvus:http://127.0.0.1:9: Milvus says: .*") as error:
        Collection("milvus:http://127.0.0.1:9")
    assert "\n" not in str(error.value)


def test_a_collection_of_a_newer_longctx_is_refused_and_left_alone(index: CorpusIndex, lite: str) -> None:
    address = f"{lite}#newer"
    published(index, address)
    with Collection(address) as collection:
        collection.set_terms([(0, '{"encoder": "hashing", "invented": 1}', 5)])
    with pytest.raises(CorpusError, match=r"#newer is a collection of another version of longctx: upgrade longctx, or"):
        published(index, address)
    with Collection(address) as collection:
        assert collection.count("number == 0") == 5


@pytest.mark.parametrize("where", ["folder", "postgres"])
def test_the_command_writes_and_says_so(where: str, corpus: Path, lite: str, request: pytest.FixtureRequest) -> None:
    """From an index in a folder, and from one in PostgreSQL that workers make."""
    options = (
        ["--workers", "1", "--index", request.getfixturevalue("postgres").new_schema()] if where == "postgres" else []
    )

    def run(*more: str) -> str:
        address = f"{lite.replace('lite', 'command')}#command_{where}"
        command = [sys.executable, "-m", "longctx", "ingest", str(corpus), "--into", address, *options, *more]
        # a process of its own: pyarrow starts threads, which survive no fork
        done = subprocess.run(command, cwd=corpus.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return str(done.stdout)

    assert "5 documents written, 0 unchanged, 0 deleted; 5 passages" in run()
    assert json.loads(run("--json"))["into"] == {"written": 0, "unchanged": 5, "deleted": 0, "passages": 5}
