"""A model's files from the hub. Knows neither what the model is nor who asks."""

from __future__ import annotations

from pathlib import Path

# Weights are taken as safetensors alone: the other formats are pickles, or other runtimes' copies of the same numbers.
_NOT_NEEDED = [
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.h5",
    "*.ot",
    "*.msgpack",
    "*.gguf",
    "onnx/*",
    "openvino/*",
    "original/*",
]


def hub_folder(name: str) -> Path:
    """The local folder of a model on the hub, fetched if it is not in the cache yet.

    Raises LookupError with one line that says why it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=_NOT_NEEDED))
    except HFValidationError as error:
        raise LookupError(f"{name!r} is neither a folder here nor a name on the hub (owner/model)") from error
    except RepositoryNotFoundError as error:
        raise LookupError(f"{name!r} is not a folder here, and the hub has no such model, or not for you") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise LookupError(
            f"{name!r} is not a folder here, and the hub could not be reached: check the path, or the network"
        ) from error
