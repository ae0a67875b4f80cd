from __future__ import annotations

from pathlib import Path

from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine

from indexes import CorpusIndex
from indexes.llama_index.retriever import CorpusRetriever


def test_an_index_serves_a_stock_query_engine(tmp_path: Path, encoder) -> None:
    (tmp_path / "tower.md").write_text(
        "# The tower\n\nThe tower is 31 metres high.\n\n## Paint\n\nIt is red above white.\n"
    )
    with CorpusIndex.open(tmp_path / "index", encoder) as index:
        index.ingest([tmp_path / "tower.md"])
        retriever = CorpusRetriever(index, k=1)
        [found] = retriever.retrieve("Which colour is it painted?")
        [hit] = index.search("Which colour is it painted?", k=1)
        # The mock stands for the language model alone: what is shown is that the engine's prompt holds our passage.
        response = RetrieverQueryEngine.from_args(retriever, llm=MockLLM()).query("Which colour is it painted?")
    assert (found.text, found.score) == (hit.chunk.text, hit.score)
    assert found.node.metadata["heading"] == "The tower > Paint"
    assert (found.node.start_char_idx, found.node.end_char_idx) == (hit.chunk.start, hit.chunk.end)
    assert "It is red above white." in str(response)
    assert [node.node_id for node in response.source_nodes] == [found.node_id]
