from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexes.encoders import load_encoder


@pytest.mark.parametrize("passage_prompt", ["document", "passage", "corpus"])
def test_an_encoder_brings_its_prompts_window_and_languages(encoder, tmp_path: Path, passage_prompt: str) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder.folder), device="cpu")
    model.prompts = {"query": "find this: ", passage_prompt: "one passage of a text: "}
    model.max_seq_length = 40
    model.save_pretrained(str(tmp_path))
    (tmp_path / "README.md").write_text("---\nlanguage: [ja, en]\n---\n")

    given = load_encoder(str(tmp_path))
    assert given.languages == {"ja", "en"}
    assert given.max_tokens == 40 - 2 - 6, "two special tokens, and a prompt of six"
    expected = model.encode(["find this: the lamp", "one passage of a text: the lamp"], normalize_embeddings=True)
    np.testing.assert_allclose(given.encode_query("the lamp") @ expected[0], 1.0, atol=1e-3)
    np.testing.assert_allclose(given.encode_passages(["the lamp"])[0] @ expected[1], 1.0, atol=1e-3)
    assert given.encode_query("the lamp") @ expected[1] < 0.99
