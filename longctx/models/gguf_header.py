"""Reading the header of a GGUF file: its entries, and the shapes of its tensors.

It is read here and not with the `gguf` package, which builds a NumPy array for every entry of a vocabulary and takes a
minute for the 260,000 tokens of Gemma 3, where this takes half a second.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longctx.bounded_file import check_kind
from longctx.errors import ModelUnavailable
from longctx.models.gguf_entries import FRESH, check_entries, entry

MAGIC, _SUFFIX = b"GGUF", ".gguf"
_VERSIONS = (2, 3)
_OLDER = (b"lmgg", b"tjgg", b"fmgg", b"algg")  # ggml, ggjt, ggmf and ggla, little-endian: before August 2023
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _FLOAT32 = 8, 9, 0
_LONGEST = 1 << 26  # entries of an array or bytes of a string: a header that states more is damaged
_KINDS = {"adapter": "a LoRA adapter", "mmproj": "a model's image encoder", "imatrix": "a table for quantizing"}


def is_gguf(model: object) -> bool:
    """Whether a model's name is that of a GGUF file.

    Args:
        model: A model's name, or a model.

    Returns:
        True for a path that ends with `.gguf`, and for a file that begins as GGUF files do, or their predecessors.
    """
    if not isinstance(model, str | Path):
        return False
    path = Path(model).expanduser()
    if path.is_dir():
        return False
    if path.suffix.lower() == _SUFFIX:
        return True
    try:
        check_kind(path)
        with path.open("rb") as file:
            return file.read(4) in (MAGIC, *_OLDER)  # the older ones were named .bin
    except (OSError, ValueError):
        return False


def refuse_gguf_folder(model: object) -> None:
    """Check that a model is no folder of GGUF files, of which one is to be given.

    Args:
        model: A model's name, or a model.

    Raises:
        ModelUnavailable: If it is, with the first of them.
    """
    folder = Path(model).expanduser() if isinstance(model, str | Path) else None
    if folder is None or not folder.is_dir() or (folder / "config.json").is_file():
        return
    if files := sorted(path for path in folder.iterdir() if path.suffix.lower() == _SUFFIX and path.is_file()):
        raise ModelUnavailable(f"{folder} holds no config.json: give the GGUF file itself, {files[0]}")


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of one file.

    Attributes:
        metadata: Its entries by name.
        tensors: The shape of each tensor by name.
        factors: The numbers of the tensors that divide RoPE's frequencies, by their names.
    """

    metadata: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    factors: dict[str, tuple[float, ...]]


def read_header(path: Path) -> GgufHeader:
    """Read the header of a file. Raises ModelUnavailable."""
    try:
        check_kind(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(path, data)
            metadata = reader.metadata()
            return GgufHeader(metadata, *reader.tensors(entry(metadata, "general.alignment", 32)))
    except FileNotFoundError:
        raise ModelUnavailable(
            f"there is no file {path}: give the path of a GGUF file here; `hf download OWNER/REPOSITORY FILE.gguf "
            "--local-dir .` fetches one from the hub"
        ) from None
    except RecursionError as error:
        raise ModelUnavailable(f"{path} is damaged (lists nested too deep): {FRESH}") from error
    except (OSError, ValueError) as error:  # mmap refuses an empty file with ValueError
        said = error.strerror if isinstance(error, OSError) else str(error)
        reason = "it is empty" if path.is_file() and not path.stat().st_size else said
        raise ModelUnavailable(f"{path} cannot be read ({reason}): {FRESH}") from error


class _Reader:
    """Reads a header from the first byte on; a file that ends before it does is cut."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.place = path, data, 4
        _check_magic(path, data[:4], data[:64])
        version = self._number("I")
        if int.from_bytes(data[4:8], "big") in _VERSIONS:
            raise ModelUnavailable(
                f"{path} is a big-endian file, for processors of another kind: download the little-endian one"
            )
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
        if not found.get("general.architecture") and not found.get("split.no"):  # which the first part states for all
            raise ModelUnavailable(f"{self.path} names no general.architecture: it is no language model; {FRESH}")
        if kind := _KINDS.get(str(found.get("general.type"))):
            raise ModelUnavailable(f"{self.path} is {kind} and no language model: give the model's own file")
        check_entries(self.path, found)
        return found

    def tensors(self, alignment: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[float, ...]]]:
        """The shapes of the tensors, and the numbers of those that hold RoPE's factors."""
        listed = []
        for _ in range(self.tensor_count):
            name, dimensions = self._string(), self._number("I")
            shape = tuple(self._number("Q") for _ in range(min(dimensions, 8)))
            listed.append((name, shape, self._number("I"), self._number("Q")))
        start = -(-self.place // alignment) * alignment
        if listed and start + max(offset for *_, offset in listed) >= len(self.data):
            raise self._cut()
        factors: dict[str, tuple[float, ...]] = {}
        for name, shape, kind, offset in listed:
            if name.startswith(("rope_freqs.", "rope_factors_")) and kind == _FLOAT32:
                if start + offset + 4 * math.prod(shape) > len(self.data):
                    raise self._cut()
                factors[name] = struct.unpack_from(f"<{math.prod(shape)}f", self.data, start + offset)
                if not all(math.isfinite(number) and number > 0 for number in factors[name]):
                    raise ModelUnavailable(
                        f"{self.path} is damaged ({name} divides frequencies by what is no number above 0): {FRESH}"
                    )
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
        layout = struct.Struct(f"<{count}{self._code(inner)}")
        return list(self._unpack(layout))

    def _code(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise ModelUnavailable(f"{self.path} is damaged (there is no entry of kind {kind}): {FRESH}")
        return _NUMBERS[kind]

    def _number(self, code: str) -> Any:
        return self._unpack(struct.Struct(f"<{code}"))[0]

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
        return ModelUnavailable(f"{self.path} is cut short or damaged, at {len(self.data):,} bytes: {FRESH}")


def _check_magic(path: Path, magic: bytes, begin: bytes) -> None:
    if magic == MAGIC:
        return
    if magic in _OLDER:
        raise ModelUnavailable(
            f"{path} is a GGML file from before GGUF, which llama.cpp no longer reads: download the model as GGUF"
        )
    if begin.startswith(b"version https://git-lfs"):
        raise ModelUnavailable(f"{path} is a Git LFS pointer and not the model: run `git lfs pull` there")
    raise ModelUnavailable(f"{path} is no GGUF file, though it is named so: {FRESH}, or give the model's folder")
