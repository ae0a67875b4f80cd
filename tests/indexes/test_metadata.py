from __future__ import annotations

import copy
import io
import os
import pickle
from pathlib import Path

import docx
import pypdf
import pytest
from hand_made_pdf import text_pdf
from hypothesis import given
from hypothesis import strategies as st
from saved_file import saved

from indexes import CorpusError, CorpusIndex, Metadata
from indexes.readers.registry import read_document

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_metadata_hold_any_json_and_do_not_change(values: dict[str, object]) -> None:
    metadata = Metadata(values)
    for name in metadata:
        inside = metadata[name]
        if isinstance(inside, list):
            inside.append("changed")
    assert metadata == values == dict(metadata)
    assert hash(metadata) == hash(Metadata(values))
    assert copy.deepcopy(metadata) == pickle.loads(pickle.dumps(metadata)) == Metadata.parse(metadata.json)


def test_metadata_cannot_be_set() -> None:
    with pytest.raises(AttributeError, match="make another"):
        Metadata({}).json = "[]"  # type: ignore[misc]


@pytest.mark.parametrize("value", [float("nan"), object(), b"bytes", {1, 2}, "\ud800"])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(CorpusError, match="no JSON"):
        Metadata({"x": value})


def test_front_matter_becomes_metadata() -> None:
    text = '---\ntitle: T\nauthor: "Natsume Sōseki"\ntags: [a, b]\ndate: 1905-01-01\nfolded: >\n  more: x\n言語: 日本語\n---\nBody\n'
    document = read_document(Path("/x.md"), text.encode())
    assert document.title == "T"
    assert document.metadata == {
        "author": "Natsume Sōseki",
        "tags": "a, b",
        "folded": "more: x",
        "date": "1905-01-01",
        "言語": "日本語",
    }
    assert read_document(Path("/x.md"), b"---\nauthor: x\n\nno end").metadata == {}


def test_html_meta_elements_become_metadata() -> None:
    page = b'<meta name=Author content=" A\n B "><meta name="description" content="D&amp;D"><meta name=viewport content=x><p>t'
    assert read_document(Path("/x.html"), page).metadata == {"author": "A B", "description": "D&D"}


def test_an_index_keeps_metadata_and_the_time_of_writing(tmp_path: Path, encoder) -> None:
    file = tmp_path / "a.md"
    file.write_text("---\nauthor: Ann\n---\nThe lamp is lit at dusk.\n")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        index.ingest([file])
        [hit] = index.search("lamp", mode="lexical")
        [document] = index.documents()
    for held in (hit.chunk, document):
        assert held.metadata == {"author": "Ann"}
        assert held.modified == "2023-11-14T22:13:20Z"


def test_the_properties_of_word_and_pdf_files_become_metadata() -> None:
    word = docx.Document()
    word.add_paragraph("text")
    word.core_properties.author, word.core_properties.keywords = "夏目\n漱石", "cat,"
    assert read_document(Path("/x.docx"), saved(word)).metadata == {"author": "夏目 漱石", "keywords": "cat,"}

    pdf = pypdf.PdfWriter(clone_from=io.BytesIO(text_pdf("text")))
    pdf.add_metadata({"/Author": "Ann", "/Subject": "Lamps"})
    assert read_document(Path("/x.pdf"), saved(pdf)).metadata == {"author": "Ann", "subject": "Lamps"}
