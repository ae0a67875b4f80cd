"""Models by name: a local folder, or a model on the Hugging Face hub."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from indexes.errors import CorpusError

# Weights are taken as safetensors alone: the other formats are pickles, or other runtimes' copies of the same numbers.
_NOT_NEEDED = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.ot", "*.msgpack", "*.gguf"]
_NOT_NEEDED += ["onnx/*", "openvino/*", "original/*"]


_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_ADAPTER = "adapter_config.json"
_LOADED = frozenset(
    {".safetensors", ".json", ".txt", ".model", ".spm", ".vocab", ".bpe", ".codes", ".tiktoken", ".jinja"}
)
_OTHER_RUNTIMES = frozenset({"onnx", "openvino", "original"})
SAFE_LOADING = {"use_safetensors": True, "weights_only": True, "allow_all_kernels": False}
"""Arguments of `from_pretrained` that an encoder's own configuration could give otherwise."""


def loaded_files(folder: Path) -> list[Path]:
    """List the files that a model is loaded from.

    Args:
        folder: The model's folder.

    Returns:
        Their places in it, sorted.
    """
    places = (file.relative_to(folder) for file in folder.rglob("*") if file.suffix in _LOADED and file.is_file())
    return sorted(place for place in places if not _is_passed_over(place))


def _is_passed_over(place: Path) -> bool:
    return place.parts[0] in _OTHER_RUNTIMES or any(part.startswith(".") for part in place.parts)


def weights_elsewhere(folder: Path) -> str | None:
    """Find weights that the model's indexes of files name and that are no safetensors file beside the index.

    They would be in no fingerprint, and could be pickles.

    Args:
        folder: The model's folder.

    Returns:
        What is wrong with the first such index, without a full stop; None if nothing is.
    """
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        try:
            named = [*json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            return f"{index} cannot be read ({error})"
        for name in named:
            if not isinstance(name, str) or Path(name).name != name:
                return f"{index} names weights outside its folder ({name!r})"
            if not name.endswith(".safetensors"):
                return f"{index} names weights that are no safetensors ({name!r})"
    return None


def check_weights_are_safe(folder: Path, what: str, unavailable: type[CorpusError]) -> None:
    """Check that every part of a sentence-transformers model has its weights as safetensors.

    A part without them would be loaded from a pickle, which can run code; an adapter would bring weights of another
    folder.

    Args:
        folder: The model's folder.
        what: The kind of model, for the error message.
        unavailable: The error to raise.
    """
    if not any(folder.rglob("*.safetensors")):
        raise unavailable(f"{folder} holds no *.safetensors: give a sentence-transformers {what}")
    for pattern in _PICKLES:
        for pickle in sorted(folder.rglob(pattern)):
            others = ("onnx", "openvino", "original")
            if not (any(pickle.parent.glob("*.safetensors")) or pickle.relative_to(folder).parts[0] in others):
                raise unavailable(
                    f"{pickle} is a pickle, which can run code, and has no safetensors beside it: save the {what} "
                    "again with sentence-transformers' save_pretrained"
                )
    if adapter := next(folder.rglob(_ADAPTER), None):
        raise unavailable(f"{adapter} makes the {what} an adapter: merge it into its model, and save that")
    if link := next((place for place in folder.rglob("*") if place.is_symlink() and place.is_dir()), None):
        raise unavailable(f"{link} is a link to a folder, which is not followed: put the folder itself there")
    for config in sorted(folder.rglob("sentence_*_config.json")):
        if elsewhere := _read(config).get("tokenizer_name_or_path"):
            raise unavailable(f"{config} names a tokenizer elsewhere ({elsewhere!r}): put its files into the folder")
    if wrong := weights_elsewhere(folder):
        raise unavailable(f"{wrong}: download the {what} again")


def _read(config: Path) -> dict[str, Any]:
    """What a file of JSON says; nothing where it cannot be read, which is said when the model is loaded."""
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def find_model(
    name: str, what: str, unavailable: type[CorpusError], *, download: bool = True
) -> tuple[str, Callable[[], Path]]:
    """Find a model by name without reading or downloading it.

    Args:
        name: A folder, or a name on the hub.
        what: The kind of model, for the error message.
        unavailable: The error to raise if it is not available.
        download: Whether a model on the hub is fetched, or else must have been before.

    Returns:
        The model's name, which for a folder is its absolute path, and a function that returns its folder. That of a
        model on the hub is its latest snapshot, without weights in formats other than safetensors; it is downloaded
        if it is not cached.
    """
    local = Path(name).expanduser()
    if local.is_dir():
        folder = local.resolve()
        return str(folder), lambda: folder

    def fetch() -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

        try:
            return Path(snapshot_download(name, ignore_patterns=_NOT_NEEDED, local_files_only=not download))
        except HFValidationError as error:
            reason = f"{name!r} is neither a folder here nor a name on the hub (owner/model)"
            raise unavailable(f"{what} {reason}") from error
        except RepositoryNotFoundError as error:
            reason = f"{name!r} is not a folder here, and the hub has no such model, or not for you"
            raise unavailable(f"{what} {reason}") from error
        except (LocalEntryNotFoundError, OSError) as error:
            if not download:
                reason = f"{name!r}, which the index names, is not on this machine: to fetch it, name it with --{what}"
                raise unavailable(f"{what} {reason}") from error
            reason = f"{name!r} is not a folder here, and the hub could not be reached: check the path, or the network"
            raise unavailable(f"{what} {reason}") from error

    return name, fetch


def quiet_libraries() -> None:
    """Keep from warning what is imported with sentence-transformers.

    On a processor with bf16, bitsandbytes misses a package with which it would fetch code from the hub.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@contextmanager
def explained_loading(what: str, folder: Path, unavailable: type[CorpusError]) -> Iterator[Path]:
    """Load a model without the progress bar of its library, and with errors in one line.

    Args:
        what: The kind of model, for the error message.
        folder: The model's folder.
        unavailable: The error to raise.

    Yields:
        A folder to load it from, which is there for the `with` block. It has links to what `loaded_files` lists and
        nothing else: no pickle, and no file that is in no fingerprint, can be loaded, whatever a configuration names.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    made = ""
    try:
        with TemporaryDirectory(prefix="longctx-model-") as made:
            for place in loaded_files(folder):
                link = Path(made) / place
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((folder / place).resolve())
            yield Path(made)
    except Exception as error:  # each part of a model raises its own errors, as for weights that are cut short
        reason = str(error).strip().split("\n")[0]
        reason = reason.replace(made, str(folder)) if made else reason
        raise unavailable(f"no {what} could be loaded from {folder}: {reason}") from error
