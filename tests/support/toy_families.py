"""Toy models of every causal family of transformers, with their real architectures and random weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

VOCABULARY, WINDOW = 97, 64
LARGEST = 6_000_000  # parameters: a family that does not become small is left out
_SIZES = {
    VOCABULARY: "vocab_size vocab_size_per_layer_input",
    WINDOW: "hidden_size d_model n_embd embed_dim dim embedding_size max_position_embeddings n_positions n_ctx max_seq_len",
    96: "intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim ffn_hidden_size",
    32: "moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size",
    24: "q_lora_rank",
    16: "head_dim kv_lora_rank index_head_dim",
    8: "rotary_dim qk_rope_head_dim qk_nope_head_dim v_head_dim index_topk hidden_size_per_layer_input sliding_window",
    4: "num_attention_heads n_head n_heads num_heads attention_heads encoder_attention_heads decoder_attention_heads "
    "num_experts n_routed_experts num_local_experts moe_num_experts swa_num_attention_heads",
    2: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_key_value_heads num_kv_heads "
    "num_experts_per_tok moe_k moe_topk index_n_heads swa_num_key_value_heads eos_token_id",
    1: "n_group topk_group n_shared_experts num_shared_experts first_k_dense_replace zero_expert_num bos_token_id",
    0: "pad_token_id num_kv_shared_layers",
}
_SIZE_OF = {name: size for size, names in _SIZES.items() for name in names.split()}
_LATENT = {"head_dim": 8, "num_key_value_heads": 4}  # of multi-head latent attention
_OWN: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "zaya": {"num_experts_per_tok": 1},
}


def toy_model(kind: str) -> Any | None:
    """A small model of a family; None for a family that cannot be made small."""
    try:
        text = AutoConfig.for_model(kind).get_text_config()
    except (StrictDataclassError, ValueError):  # without defaults of its own, or with several decoders
        return None
    known = {*text.to_dict(), *vars(text), *getattr(type(text), "attribute_map", {})}
    given = {name: size for name, size in _SIZE_OF.items() if name in known}
    if getattr(text, "sliding_window", None) is None:
        given.pop("sliding_window", None)
    given |= _LATENT if "qk_rope_head_dim" in known else {}
    try:
        config = type(text)(**given | _OWN.get(kind, {}))
        with torch.device("meta"):
            size = sum(each.numel() for each in AutoModelForCausalLM.from_config(config).parameters())
        if size > LARGEST:
            return None
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        with torch.no_grad():
            model(torch.tensor([[5, 6, 7, 8]]), use_cache=False)
    except Exception:  # each family has demands of its own
        return None
    with torch.no_grad():  # or attention is nearly flat, and does not depend on position
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


def natively_scaled(model: Any, **more: Any) -> Any:
    """The same weights in a model whose configuration states YaRN by 4, written out without `rope_scaling`."""
    own = model.config.rope_parameters
    kept = {name: own[name] for name in ("rope_theta", "partial_rotary_factor") if own.get(name) is not None}
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": WINDOW, **kept, **more}
    fields = copy.deepcopy(model.config.to_dict())
    for name in ("rope_parameters", "rope_scaling", "rope_theta"):
        fields.pop(name, None)
    config = type(model.config)(**fields | {"rope_parameters": yarn, "max_position_embeddings": 4 * WINDOW})
    native = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    native.load_state_dict(model.state_dict())
    return native


def save(model: Any, folder: Path) -> Path:
    """Write a model with a tokenizer of one word for each token."""
    words = Tokenizer(models.WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, bos_token="w1", eos_token="w2").save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
