"""A toy Llama as a checkpoint and as a GGUF file, whose answers depend on where the words stand."""

from __future__ import annotations

from pathlib import Path

import pytest

WINDOW = 128


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_chat_llama: Path) -> Path:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("sharp-llama")
    tokenizer = AutoTokenizer.from_pretrained(tiny_chat_llama)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,  # a whole block of llama.cpp's q8_0
        max_position_embeddings=WINDOW,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.2,  # with the usual 0.02, attention is all but even, and a scaling changes nothing
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gguf_file(checkpoint: Path) -> Path:
    pytest.importorskip("gguf", reason="the tests write GGUF files with gguf")
    from gguf_writer import write_gguf

    return write_gguf(checkpoint, checkpoint / "toy.gguf")
