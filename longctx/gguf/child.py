"""The child process: llama.cpp's server on a Unix socket, until standard input ends.

Its settings are one line of JSON on standard input; `ready` on standard output says that the model is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import Any

_LOGGING = 0.5  # seconds in which llama.cpp's thread writes to its log why it cannot load a model
_PARSE = "_Z19common_params_parseiPPcR13common_params13llama_examplePFviS0_E"


def main() -> None:
    """Load the model and serve it."""
    settings = json.loads(sys.stdin.readline())
    import xllamacpp

    params = xllamacpp.CommonParams()
    if settings["override"]:
        _override(params, settings["parameters"]["model"], settings["override"])
    params.model.path, folder = settings["parameters"].pop("model"), settings["parameters"]["slot_save_path"]
    for name, threads in (("cpuparams", settings["threads"]), ("cpuparams_batch", settings["threads"])):
        getattr(params, name).n_threads = threads
    for name, value in settings["parameters"].items():
        kind = {"rope_scaling_type": "llama_rope_scaling_type", "flash_attn_type": "llama_flash_attn_type"}.get(
            name, "ggml_type" if name.startswith("cache_type") else ""
        )
        setattr(params, name, getattr(xllamacpp, kind)(value) if kind else value)
    try:
        server = xllamacpp.Server(params)  # noqa: F841  # runs for as long as it is held
    except RuntimeError:
        time.sleep(_LOGGING)
        raise
    print("ready", flush=True)  # noqa: T201  # to the parent
    sys.stdin.read()
    # The parent was killed: one that closes ends this process itself. The server's own end would wait for the prompt.
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _override(params: Any, model: str, entry: str) -> None:
    """Let llama.cpp take an entry of the file's header as another value.

    Its server cuts every context at the `context_length` in the file, and the way around that, `--override-kv`, is no
    attribute of xllamacpp's. So llama.cpp's own parser of arguments is called on the parameters, which lie behind the
    head of the Python object. The release of xllamacpp is pinned, and the model's path shows that it went right.

    Args:
        params: The parameters.
        model: The model's path.
        entry: The entry, as `--override-kv` takes it.

    Raises:
        RuntimeError: If that cannot be done with this xllamacpp.
    """
    import ctypes

    from xllamacpp import xllamacpp as extension

    arguments = [b"longctx", b"--model", model.encode(), b"--override-kv", entry.encode()]
    parse = ctypes.CDLL(extension.__file__)[_PARSE]
    parse.restype = ctypes.c_bool
    place = ctypes.c_void_p(id(params) + object.__basicsize__)
    done = parse(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), place, 0, None)
    if not done or params.model.path != model:
        raise RuntimeError("this xllamacpp cannot read past the window of a file")
