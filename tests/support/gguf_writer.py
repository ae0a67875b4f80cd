"""Writes a Llama checkpoint of the tests as a GGUF file, for llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_gguf(
    folder: Path, path: Path, pre: str = "gpt-2", change: Callable[[Any], None] = lambda writer: None, **changed: Any
) -> Path:
    """Write the checkpoint in `folder` as the file `path`, with its weights in float32.

    llama.cpp rotates neighbouring dimensions where transformers rotates halves, so the rows of two projections are
    reordered. `pre` names llama.cpp's way to split text before its byte pairs; `change` may add to the metadata.
    """
    import gguf
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    config, writer = model.config, gguf.GGUFWriter(path, changed.get("architecture", "llama"))
    writer.add_file_type(0)  # all in float32
    write_shape(writer, config, changed.get("window", config.max_position_embeddings))
    template = folder / "chat_template.jinja"
    _write_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), pre)
    writer.add_add_bos_token(changed.get("bos", True))
    if template.is_file() and changed.get("template", True):
        writer.add_chat_template(template.read_text(encoding="utf-8"))
    change(writer)
    write_tensors(writer, model)
    return path


def write_tensors(writer: Any, model: Any, matrices: str = "float32") -> None:
    """Write the weights, with matrices in that type, and close the file."""
    import gguf

    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    for name, tensor in model.state_dict().items():
        if name in tied:
            continue
        array = tensor.float().numpy()
        for projection, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if projection in name:
                array = array.reshape(heads, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(names.get_name(name, (".weight",)), array.astype(matrices) if array.ndim > 1 else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def split_gguf(path: Path, stem: Path, count: int) -> list[Path]:
    """Split a file as llama.cpp's gguf-split does: only the first part has the metadata of the model."""
    import gguf

    read, parts = gguf.GGUFReader(path), []
    for number in range(count):
        parts.append(stem.with_name(f"{stem.name}-{number + 1:05}-of-{count:05}.gguf"))
        writer = gguf.GGUFWriter(parts[-1], "llama")
        if number:
            del writer.kv_data[0]["general.architecture"]
        for field in () if number else read.fields.values():
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(field.name, field.contents(), field.types[0], inner)
        writer.add_uint16(gguf.Keys.Split.LLM_KV_SPLIT_NO, number)
        writer.add_uint16(gguf.Keys.Split.LLM_KV_SPLIT_COUNT, count)
        writer.add_int32(gguf.Keys.Split.LLM_KV_SPLIT_TENSORS_COUNT, len(read.tensors))
        for tensor in read.tensors[number * len(read.tensors) // count : (number + 1) * len(read.tensors) // count]:
            writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return parts


def write_shape(writer: Any, config: Any, window: int) -> None:
    """Write the sizes of a Llama to the metadata."""
    head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    writer.add_context_length(window)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer: Any, tokenizer: dict[str, Any], pre: str) -> None:
    import gguf

    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(places := tokenizer["model"]["vocab"] | special, key=places.__getitem__)
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    steering = {token["content"]: token["special"] for token in tokenizer["added_tokens"]}
    kind_of = {True: kinds.CONTROL, False: kinds.USER_DEFINED, None: kinds.NORMAL}
    writer.add_token_types([kind_of[steering.get(token)] for token in tokens])
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    )
    writer.add_bos_token_id(special["<s>"])
    writer.add_eos_token_id(special["</s>"])
