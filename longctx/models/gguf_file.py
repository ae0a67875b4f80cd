"""GGUF files: what the header says, without the weights.

The header is read here and not with the `gguf` package, which builds a NumPy array for every entry of a vocabulary and
takes a minute for the 260,000 tokens of Gemma 3, where this takes half a second.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from longctx.errors import ModelUnavailable
from rope_scaling import Checkpoint, RopeScaling, read_base

SUFFIX = ".gguf"
_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_OLDER = (b"lmgg", b"tjgg", b"fmgg", b"algg")  # ggml, ggjt, ggmf and ggla, little-endian: before August 2023
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _FLOAT32 = 8, 9, 0
_LONGEST = 1 << 26  # entries of an array or bytes of a string: a header that states more is damaged
_FRESH = "download it again"
_KINDS = {"adapter": "a LoRA adapter", "mmproj": "a model's image encoder", "imatrix": "a table for quantizing"}


def is_gguf(model: object) -> bool:
    """Whether a model's name is that of a GGUF file.

    Args:
        model: A model's name, or a model.

    Returns:
        True for a path that ends with `.gguf`, and for a file that begins as GGUF files do.
    """
    if not isinstance(model, str | Path):
        return False
    path = Path(model).expanduser()
    if path.is_dir():
        return False
    if path.suffix.lower() == SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            return file.read(4) == _MAGIC
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class GgufFile:
    """The header of a GGUF file.

    Attributes:
        path: The file; the first one, of a model that is split.
        parts: All files of the model.
        metadata: The entries of the header by name.
        tensors: The shape of each tensor by name, as far as the first file lists them.
        parameters: How many parameters the model has.
        factors: The divisors of the RoPE frequencies that the file brings as tensors, by the tensors' names.
    """

    path: Path
    parts: tuple[Path, ...]
    metadata: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    parameters: int
    factors: dict[str, tuple[float, ...]]

    @property
    def architecture(self) -> str:
        """The name of the architecture, such as 'llama' or 'qwen2'."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def nbytes(self) -> int:
        """Bytes of all files, which are those of the weights."""
        return sum(part.stat().st_size for part in self.parts)

    @property
    def file_type(self) -> str:
        """How most of the weights are stored, by llama.cpp's number of it."""
        return str(self.metadata.get("general.file_type", "unknown"))

    @property
    def window(self) -> int:
        """The context length in tokens that the file states. Raises ModelUnavailable if it states none."""
        return self._required("context_length")

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
            "max_position_embeddings": self.window,
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
        return self.metadata.get(f"{self.architecture}.{name}", default)

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
        factor = self.entry("rope.scaling.factor") or (self.window / original if original else 1.0)
        if short := self.factors.get("rope_factors_short.weight"):
            long = self.factors.get("rope_factors_long.weight", short)
            stated = {"attention_factor": self.entry("rope.scaling.attn_factor")}
            return _longrope(short, long, max(1.0, float(factor)), int(original or self.window)) | _given(stated)
        if own := self.factors.get("rope_freqs.weight"):  # Llama 3's, as one divisor for each pair
            return _longrope(own, own, 1.0, self.window) | {"attention_factor": 1.0}
        if kind == "linear":
            return {"rope_type": "linear", "factor": float(factor)}
        if kind == "yarn":
            return {
                "rope_type": "yarn",
                "factor": float(factor),
                "original_max_position_embeddings": int(original or self.window / factor),
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
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = _Header(path, data)
            metadata = header.metadata()
            tensors, factors = header.tensors()
    except FileNotFoundError:
        raise ModelUnavailable(
            f"there is no file {path}: give the path of a GGUF file here; `hf download OWNER/REPOSITORY FILE.gguf "
            "--local-dir .` fetches one from the hub"
        ) from None
    except IsADirectoryError:
        raise ModelUnavailable(f"{path} is a folder: give the GGUF file in it") from None
    except (OSError, ValueError) as error:  # mmap refuses an empty file with ValueError
        reason = "it is empty" if path.is_file() and not path.stat().st_size else str(error)
        raise ModelUnavailable(f"{path} cannot be read ({reason}): {_FRESH}") from error
    parts = _parts(path, metadata)
    count = sum(_product(shape) for shape in tensors.values())
    for part in parts[1:]:
        with part.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            other = _Header(part, data)
            other.metadata()
            count += sum(_product(shape) for shape in other.tensors()[0].values())
    return GgufFile(path, parts, metadata, tensors, count, factors)


class _Header:
    """Reads a header from the first byte on; a file that ends before it does is cut."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.place = path, data, 4
        _check_magic(path, data[:4], data[:64])
        self.order = "<"
        version = self._number("I")
        if version >> 16:  # the bytes the other way around
            self.order, version = ">", struct.unpack(">I", data[4:8])[0]
        if version not in _VERSIONS:
            older = "an old version" if version < _VERSIONS[0] else "newer than what is known here"
            remedy = "download a current file of the model, or convert it anew with llama.cpp"
            raise ModelUnavailable(f"{path} is GGUF version {version}, {older}: {remedy}")
        self.tensor_count, self.entry_count = self._number("Q"), self._number("Q")

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.entry_count):
            name = self._string()
            found[name] = self._value(self._number("I"))
        if not found.get("general.architecture"):
            raise ModelUnavailable(f"{self.path} names no general.architecture: it is no language model; {_FRESH}")
        if kind := _KINDS.get(str(found.get("general.type"))):
            raise ModelUnavailable(f"{self.path} is {kind} and no language model: give the model's own file")
        self.alignment = int(found.get("general.alignment", 32))
        return found

    def tensors(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[float, ...]]]:
        """The shapes of the tensors, and the numbers of those that hold RoPE's factors."""
        listed = []
        for _ in range(self.tensor_count):
            name, dimensions = self._string(), self._number("I")
            shape = tuple(self._number("Q") for _ in range(min(dimensions, 8)))
            listed.append((name, shape, self._number("I"), self._number("Q")))
        start = -(-self.place // self.alignment) * self.alignment
        if listed and start + max(offset for *_, offset in listed) >= len(self.data):
            raise self._cut()
        factors = {}
        for name, shape, kind, offset in listed:
            if name.startswith(("rope_freqs.", "rope_factors_")) and kind == _FLOAT32:
                numbers = struct.unpack_from(f"{self.order}{_product(shape)}f", self.data, start + offset)
                factors[name] = tuple(map(float, numbers))
        return {name: shape for name, shape, *_ in listed}, factors

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(self._code(kind))
        inner, count = self._number("I"), self._number("Q")
        if count > _LONGEST:
            raise self._cut()
        if inner in (_STRING, _ARRAY):
            return [self._value(inner) for _ in range(count)]
        layout = struct.Struct(f"{self.order}{count}{self._code(inner)}")
        return list(self._unpack(layout))

    def _code(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise ModelUnavailable(f"{self.path} is damaged (there is no entry of kind {kind}): {_FRESH}")
        return _NUMBERS[kind]

    def _number(self, code: str) -> Any:
        return self._unpack(struct.Struct(self.order + code))[0]

    def _string(self) -> str:
        size = self._number("Q")
        if size > _LONGEST or self.place + size > len(self.data):
            raise self._cut()
        self.place += size
        return self.data[self.place - size : self.place].decode("utf-8", "replace")

    def _unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        if self.place + layout.size > len(self.data):
            raise self._cut()
        self.place += layout.size
        return layout.unpack_from(self.data, self.place - layout.size)

    def _cut(self) -> ModelUnavailable:
        return ModelUnavailable(f"{self.path} is cut short or damaged, at {len(self.data):,} bytes: {_FRESH}")


def _check_magic(path: Path, magic: bytes, begin: bytes) -> None:
    if magic == _MAGIC:
        return
    if magic in _OLDER:
        raise ModelUnavailable(
            f"{path} is a GGML file from before GGUF, which llama.cpp no longer reads: download a GGUF file of the model"
        )
    if begin.startswith(b"version https://git-lfs"):
        raise ModelUnavailable(f"{path} is a Git LFS pointer and not the model: run `git lfs pull` there")
    raise ModelUnavailable(f"{path} is no GGUF file, though it is named so: {_FRESH}, or give the model's folder")


def _parts(path: Path, metadata: dict[str, Any]) -> tuple[Path, ...]:
    """All files of a model, the first of which is `path`."""
    count, number = int(metadata.get("split.count", 1)), int(metadata.get("split.no", 0))
    if count <= 1:
        return (path,)
    named = _PART.search(path.name)
    if named is None:
        raise ModelUnavailable(
            f"{path} is one of {count} files of a split model: it must be named as it was, …-{number + 1:05}-of-{count:05}.gguf"
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


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
