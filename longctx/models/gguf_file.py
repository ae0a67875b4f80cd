"""GGUF files: what the header says of the model, without the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from longctx.errors import ModelUnavailable
from longctx.models import gguf_entries
from longctx.models.device import device_named
from longctx.models.gguf_header import GgufHeader, read_header
from longctx.models.memory import CacheDtype
from longctx.models.reading_rate import attention_work, config_object, rate_key, speed_of
from longctx.planning import ReadingSpeed
from rope_scaling import Checkpoint, RopeScaling, read_base, stated_window

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_ENCODERS = re.compile(r"bert(?!.*decoder)|^t5|^gemma-embedding$|^clip$")  # llama.cpp's names
_UBATCH = 512  # tokens that llama.cpp computes at a time
_ALL_FLOAT32 = 0  # llama.cpp's number for a file whose weights are all so
_F32, _F16, _Q8_0 = 0, 1, 8  # ggml_type
_BYTES = {_F32: 4.0, _F16: 2.0, _Q8_0: 34 / 32}  # of a number; in q8_0, 32 of them share a scale of 16 bits


@dataclass(frozen=True)
class GgufFile:
    """The header of a GGUF file.

    Attributes:
        path: The file; the first one, of a model that is split.
        parts: All files of the model.
        metadata: The entries of the header by name.
        parameters: How many parameters the model has.
        factors: The divisors of the RoPE frequencies that the file brings as tensors, by the tensors' names.
    """

    path: Path
    parts: tuple[Path, ...]
    metadata: dict[str, Any]
    parameters: int
    factors: dict[str, tuple[float, ...]]

    @property
    def architecture(self) -> str:
        """The name of the architecture, such as 'llama' or 'qwen2'."""
        return str(self.stated("general.architecture", ""))

    @property
    def nbytes(self) -> int:
        """Bytes of all files, which are those of the weights."""
        return sum(part.stat().st_size for part in self.parts)

    @property
    def activation_bytes(self) -> int:
        """Bytes of llama.cpp's buffers beside weights and cache: float32, the widest of which are the logits."""
        vocabulary = len(self.stated("tokenizer.ggml.tokens", []))
        width = max(vocabulary, 8 * self.config["hidden_size"] + 3 * self.config["intermediate_size"])
        return int(4 * _UBATCH * width)

    def cache_type(self, dtype: CacheDtype) -> int:
        """The type that llama.cpp keeps keys and values in.

        Args:
            dtype: How they are to be kept: in int8, or in 16 bits, or in 32 where the weights are.

        Returns:
            Its number (ggml_type).
        """
        if dtype == "int8":
            return _Q8_0
        return _F32 if self.stated("general.file_type") == _ALL_FLOAT32 else _F16

    def token_bytes(self, dtype: CacheDtype) -> int:
        """Bytes of one token's keys and values.

        Args:
            dtype: How they are kept.

        Returns:
            Bytes, over all layers.
        """
        return round(self.token_shape[0] * _BYTES[self.cache_type(dtype)])

    def precision(self, dtype: CacheDtype) -> str:
        """How the model's numbers are kept, for telling one model from others.

        Args:
            dtype: How keys and values are kept.

        Returns:
            llama.cpp's number of the weights' type, and that of keys and values.
        """
        return f"gguf {self.stated('general.file_type', 'unknown')} {self.cache_type(dtype)}"

    def reading_speed(self, dtype: CacheDtype, measure: Callable[[], float] | None = None) -> ReadingSpeed | None:
        """How fast llama.cpp reads with the model on this machine.

        Args:
            dtype: How keys and values are kept.
            measure: Measures tokens per second, where that has not been done; None measures nothing.

        Returns:
            The speed; None if it is not known.
        """
        config = config_object(self.config)
        key = rate_key(config, self.precision(dtype), device_named("auto"), None)
        return speed_of(key, attention_work(config), measure)

    @property
    def context_length(self) -> int:
        """The context length in tokens that the file states. Raises ModelUnavailable if it states none."""
        return int(self._required("context_length"))

    @property
    def window(self) -> int:
        """The context length in tokens with the scaling that the file carries, as for a checkpoint."""
        return stated_window(self.config) or self.context_length

    @property
    def slides(self) -> bool:
        """Whether layers see a sliding window only: llama.cpp keeps no keys and values before it."""
        return 0 < _most(self.entry("attention.sliding_window", 0)) < self.context_length

    @property
    def token_shape(self) -> tuple[int, int]:
        """Numbers in one token's keys and values over all layers, and the dimension of a head."""
        heads = self.entry("attention.head_count_kv", self._required("attention.head_count"))
        layers = self._required("block_count")
        total = sum(heads) if isinstance(heads, list) else layers * heads
        head_dim = self._head_dim
        return total * (
            self.entry("attention.key_length", head_dim) + self.entry("attention.value_length", head_dim)
        ), (head_dim)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The same facts under the names of transformers' configurations."""
        heads = _most(self._required("attention.head_count"))
        config: dict[str, Any] = {
            "model_type": self.architecture,
            "max_position_embeddings": self.context_length,
            "hidden_size": self._required("embedding_length"),
            "intermediate_size": _most(self.entry("feed_forward_length", 4 * self._required("embedding_length"))),
            "num_hidden_layers": self._required("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": _most(self.entry("attention.head_count_kv", heads)),
            "head_dim": self.entry("rope.dimension_count", self._head_dim),
            "rope_theta": float(self.entry("rope.freq_base", 10_000.0)),
        }
        if scaling := self._carried_scaling():
            config["rope_scaling"] = scaling
        return config

    def checkpoint(self) -> Checkpoint:
        """The file's RoPE, as that of a transformers checkpoint. Raises RopeScalingError."""
        return Checkpoint(self.path, self.config, read_base(self.config), RopeScaling.from_config(self.config))

    def entry(self, name: str, default: Any = None) -> Any:
        """An entry of the model's architecture, such as `block_count`.

        Args:
            name: Its name without that of the architecture.
            default: What is taken where there is none.

        Returns:
            The entry.
        """
        return self.stated(f"{self.architecture}.{name}", default)

    def stated(self, name: str, default: Any = None) -> Any:
        """An entry by its full name, such as `tokenizer.ggml.tokens`.

        Args:
            name: The name.
            default: What is taken where there is none.

        Returns:
            The entry.
        """
        return gguf_entries.entry(self.metadata, name, default)

    @property
    def _head_dim(self) -> int:
        stated = self.entry("attention.key_length")
        return int(stated or self._required("embedding_length") // _most(self._required("attention.head_count")))

    def _required(self, name: str) -> Any:
        value = self.entry(name)
        if not value:
            raise ModelUnavailable(
                f"{self.path} states no {self.architecture}.{name}: it is no whole language model; give another file"
            )
        return value

    def _carried_scaling(self) -> dict[str, Any] | None:
        kind, original = self.entry("rope.scaling.type"), self.entry("rope.scaling.original_context_length")
        stated = self.entry("rope.scaling.factor") or self.entry("rope.scale_linear")
        factor = stated or (self.context_length / original if original else 1.0)
        if short := self.factors.get("rope_factors_short.weight"):
            long = self.factors.get("rope_factors_long.weight", short)
            own_factor = {"attention_factor": self.entry("rope.scaling.attn_factor")}
            return _longrope(short, long, max(1.0, float(factor)), int(original or self.context_length)) | _given(
                own_factor
            )
        if own := self.factors.get("rope_freqs.weight"):  # Llama 3's, as one divisor for each pair
            return _longrope(own, own, 1.0, self.context_length) | {"attention_factor": 1.0}
        if stated and (kind == "linear" or kind is None):  # which llama.cpp takes for linear, too
            linear = {"rope_type": "linear", "factor": float(stated)}
            return linear | ({"original_max_position_embeddings": original} if original else {})
        if kind == "yarn":
            return {
                "rope_type": "yarn",
                "factor": float(factor),
                "original_max_position_embeddings": int(original or self.context_length / factor),
            }
        return None


def read_gguf(path: str | Path) -> GgufFile:
    """Read the header of a GGUF file. No weights are read.

    Args:
        path: The file; the first one, of a model that is split.

    Returns:
        What the header says.

    Raises:
        ModelUnavailable: For a file that is missing, cut, of an old version or no GGUF file, and for a part of a split
            model whose other parts are missing.
    """
    path = Path(path).expanduser()
    header = read_header(path)
    parts = _parts(path, header.metadata)
    _check_generates(path, header.metadata)
    others = [_read_part(part, number, len(parts)) for number, part in enumerate(parts[1:], start=1)]
    shapes = [shape for each in (header, *others) for shape in each.tensors.values()]
    if (count := gguf_entries.entry(header.metadata, "split.tensors.count", len(shapes))) != len(shapes):
        raise ModelUnavailable(
            f"{path} is a model of {count} tensors, and its files hold {len(shapes)}: download all of them again"
        )
    factors = {name: numbers for each in (header, *others) for name, numbers in each.factors.items()}
    return GgufFile(path, parts, header.metadata, sum(map(math.prod, shapes)), factors)


def _check_generates(path: Path, metadata: dict[str, Any]) -> None:
    architecture = str(gguf_entries.entry(metadata, "general.architecture"))
    is_causal = gguf_entries.entry(metadata, f"{architecture}.attention.causal", True)
    if not is_causal or _ENCODERS.search(architecture):
        raise ModelUnavailable(
            f"{path} is an encoder ({architecture}), which cannot generate: use a decoder such as Llama"
        )


def _read_part(path: Path, number: int, count: int) -> GgufHeader:
    """The header of a further file of a split model, which says where in the model it belongs."""
    header = read_header(path)
    stated = tuple(gguf_entries.entry(header.metadata, *of) for of in (("split.no", 0), ("split.count", 1)))
    if stated != (number, count):
        raise ModelUnavailable(
            f"{path} holds part {stated[0] + 1} of {stated[1]}, and is named part {number + 1} of {count}: give the "
            "files the names that they were downloaded with"
        )
    return header


def _parts(path: Path, metadata: dict[str, Any]) -> tuple[Path, ...]:
    """All files of a model, the first of which is `path`."""
    count, number = (gguf_entries.entry(metadata, *of) for of in (("split.count", 1), ("split.no", 0)))
    if count <= 1:
        return (path,)
    named = _PART.search(path.name)
    if named is None or (int(named[1]), int(named[2])) != (number + 1, count):
        raise ModelUnavailable(
            f"{path} is part {number + 1} of {count} of a split model: name it as it was, "
            f"…-{number + 1:05}-of-{count:05}.gguf"
        )
    every = [path.with_name(f"{path.name[: named.start()]}-{i + 1:05}-of-{count:05}.gguf") for i in range(count)]
    if number:
        raise ModelUnavailable(
            f"{path} is part {number + 1} of {count} of a split model: give the first, {every[0].name}"
        )
    missing = [part.name for part in every if not part.is_file()]
    if missing:
        raise ModelUnavailable(
            f"{path} is a model of {count} files, and {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not "
            "beside it: download all of them into one folder"
        )
    return tuple(every)


def _longrope(short: tuple[float, ...], long: tuple[float, ...], factor: float, original: int) -> dict[str, Any]:
    lists = {"short_factor": list(short), "long_factor": list(long)}
    return {"rope_type": "longrope", "factor": factor, "original_max_position_embeddings": original, **lists}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _most(value: Any) -> int:
    """A number that may be stated for each layer."""
    return int(max(value) if isinstance(value, list) else value)
