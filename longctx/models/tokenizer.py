"""Loading a checkpoint's tokenizer from whichever files it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longctx.errors import ModelUnavailable

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_BPE = 2  # sentencepiece's TrainerSpec.ModelType
_NORMAL = 1  # sentencepiece's Piece.Type: neither a byte nor a control token


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer."""
    return any((folder / file).is_file() for file in _FILES)


def load_tokenizer(folder: Path) -> Any:
    """Load a checkpoint's tokenizer, also from sentencepiece's tokenizer.model alone. Raises ModelUnavailable."""
    from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **given)
        pieces = _llamas_pieces(folder)
        # Where no class of its own is named, transformers 5.23 makes a general one of a tokenizer.model, which leaves
        # out the space that Llama's puts before a text.
        if pieces and type(tokenizer) is PreTrainedTokenizerFast:
            tokenizer = LlamaTokenizer.from_pretrained(folder, **given)
    except Exception as error:  # every family raises its own errors
        raise ModelUnavailable(
            f"no tokenizer could be loaded from {folder}: add the model's own (tokenizer.json, or tokenizer.model)"
        ) from error
    scores = [piece.score for piece in pieces if piece.type == _NORMAL]
    if scores != sorted(scores, reverse=True):
        _merge_by_score(tokenizer, {piece.piece: piece.score for piece in pieces})
    return tokenizer


def _llamas_pieces(folder: Path) -> Sequence[Any]:
    # Sentencepiece's pieces, if its file is the only tokenizer and one such as Llama's: BPE with byte fallback, a dummy
    # prefix and no normalisation. Otherwise none.
    path = folder / "tokenizer.model"
    if (folder / "tokenizer.json").is_file() or not path.is_file():
        return ()
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made when it is imported
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:  # tiktoken's, which has the same name
        return ()
    trained, normalised = model.trainer_spec, model.normalizer_spec
    plain = normalised.add_dummy_prefix and not normalised.precompiled_charsmap
    pieces: Sequence[Any] = model.pieces
    return pieces if trained.model_type == _BPE and trained.byte_fallback and plain else ()


def _merge_by_score(tokenizer: Any, scores: Mapping[str, float]) -> None:
    """Have pieces joined in the order of their scores, as sentencepiece does; transformers 5.23 goes by their numbers.

    The two differ for vocabularies that were made longer with pieces whose scores are not below all others.
    """
    from tokenizers.models import BPE
    from transformers.convert_slow_tokenizer import generate_merges

    vocabulary = {piece: number for number, piece in enumerate(scores)}
    merges = generate_merges(vocabulary, dict(scores))
    tokenizer.backend_tokenizer.model = BPE(vocabulary, merges, fuse_unk=True, byte_fallback=True)
