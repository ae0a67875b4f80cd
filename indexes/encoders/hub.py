"""Models by name: a local folder, or a model on the Hugging Face hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from indexes.errors import CorpusError

# Weights are taken as safetensors alone: the other formats are pickles, or other runtimes' copies of the same numbers.
_NOT_NEEDED = ["*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.ot", "*.msgpack", "*.gguf"]
_NOT_NEEDED += ["onnx/*", "openvino/*", "original/*"]


_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_ADAPTER = "adapter_config.json"


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
def explained_loading(what: str, folder: Path, unavailable: type[CorpusError]) -> Iterator[None]:
    """Load a model without the progress bar of its library, and with errors in one line."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        yield
    except Exception as error:  # each part of a model raises its own errors, as for weights that are cut short
        reason = str(error).strip().split("\n")[0]
        raise unavailable(f"no {what} could be loaded from {folder}: {reason}") from error
