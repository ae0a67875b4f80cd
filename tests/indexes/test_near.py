"""What is said instead of a name that names nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexes import CorpusError, CorpusIndex, IndexNotFound
from indexes.near import near_path


def test_a_misspelt_path_is_met_with_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "Reports" / "march").mkdir(parents=True)
    assert near_path(tmp_path / "reports") == tmp_path / "Reports"
    assert near_path(tmp_path / "Report" / "march") == tmp_path / "Reports" / "march"
    assert near_path(tmp_path / "Reports" / "april") is None
    assert near_path(tmp_path / "Reports" / "marhc", Path.is_file) is None


def test_an_index_and_a_document_that_were_probably_meant_are_named(tmp_path: Path, make_index, encoder) -> None:
    index = Path(make_index({"travel.md": "Trains are paid.", "beds.md": "Beds are not."}))
    with pytest.raises(IndexNotFound, match=f"did you mean {index}"):
        CorpusIndex.open(index.with_name(f"{index.name}x"), create=False)
    with CorpusIndex.open(index, encoder=encoder) as corpus:
        [travel] = [each.source for each in corpus.documents() if "travel" in each.source]
        for name in (tmp_path / "travel.md", tmp_path / "travle.md"):
            with pytest.raises(CorpusError, match=f"did you mean {travel}"):
                corpus.text(name)
        with pytest.raises(CorpusError, match="see `longctx index list`"):
            corpus.text(tmp_path / "nothing-alike")
