"""A checkpoint's tokenizer, from the files that it has. Knows files and transformers; knows no model and no prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longctx.errors import ModelUnavailable

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_BPE = 2  # sentencepiece's TrainerSpec.ModelType


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer."""
    return any((folder / file).is_file() for file in _FILES)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint, which may be sentencepiece's tokenizer.model alone. Raises ModelUnavailable."""
    from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **given)
        # Where no class of its own is named, transformers 5.23 makes a general one of a tokenizer.model, which leaves
        # out the space that Llama's puts before a text.
        if type(tokenizer) is PreTrainedTokenizerFast and _is_llamas(folder):
            tokenizer = LlamaTokenizer.from_pretrained(folder, **given)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelUnavailable(
            f"no tokenizer could be loaded from {folder}: add the model's own (tokenizer.json, or tokenizer.model)"
        ) from error
    return tokenizer


def _is_llamas(folder: Path) -> bool:
    """Whether the only tokenizer is sentencepiece's as Llama's is: BPE with bytes, a space put first, unnormalised."""
    path = folder / "tokenizer.model"
    if (folder / "tokenizer.json").is_file() or not path.is_file():
        return False
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made when it is imported
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:  # tiktoken's, which has the same name
        return False
    trained, normalised = model.trainer_spec, model.normalizer_spec
    plain = normalised.add_dummy_prefix and not normalised.precompiled_charsmap
    return bool(trained.model_type == _BPE and trained.byte_fallback and plain)
