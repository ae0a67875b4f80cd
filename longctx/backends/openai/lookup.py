"""What a server says of its models: their names, and the context length that they are served with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from longctx.backends.openai.chat import whole
from longctx.backends.openai.client import Connection, readable
from longctx.errors import ServerFailed

_WINDOWS: tuple[Callable[[Connection, Any], Any], ...] = (
    lambda server, listed: listed["max_model_len"],  # vLLM, SGLang
    lambda server, listed: listed["meta"]["n_ctx"],  # llama.cpp's server
    lambda server, listed: server.get(f"{server.address.root}/props")["default_generation_settings"]["n_ctx"],
    lambda server, listed: _lm_studio_window(server, listed["id"]),
    lambda server, listed: server.get(f"{server.address.root}/info")["max_total_tokens"],  # TGI
    lambda server, listed: listed["context_length"],  # OpenRouter and others
    lambda server, listed: listed["context_window"],
    lambda server, listed: listed["meta"]["n_ctx_train"],
)
"""Where servers state the context length; the last is that of the model's training, and may be more than is served."""

_NONE = {"openai": "none", "ollama": "none; `ollama pull NAME` fetches one", "lmstudio": "none; `lms get NAME`"}


def is_ollama(server: Connection, listed: Any) -> bool:
    """Whether a server is Ollama, whatever protocol the address names."""
    if server.address.kind != "openai":
        return server.address.kind == "ollama"
    if not isinstance(listed, dict) or listed.get("owned_by") != "library":
        return False
    with suppress(ServerFailed, TypeError):
        return "version" in server.get(f"{server.address.root}/api/version")
    return False


def choose(server: Connection) -> tuple[str, Any]:
    """The model's name, and its entry in the server's list of models. Raises ServerFailed."""
    address, url = server.address, f"{server.address.url}/models"
    try:
        told = server.get(url)
        entries = (told if isinstance(told, list) else told["data"]) or ()  # Together sends the bare list
        listed = {readable(str(entry["id"])): entry for entry in entries if isinstance(entry, dict) and "id" in entry}
    except (LookupError, TypeError) as error:
        raise ServerFailed(f"{url} lists no models: is the address right (most end in /v1)?") from error
    wanted = address.name
    if address.kind == "ollama" and wanted is not None:  # which knows names that it does not list
        return wanted, listed.get(wanted) or listed.get(f"{wanted}:latest")
    names = server.masked(", ".join(sorted(map(address.named, listed)) if address.kind != "openai" else sorted(listed)))
    if wanted is None and len(listed) != 1:
        how = "put one after the address with #" if address.kind == "openai" else "give one of them"
        raise ServerFailed(f"{url} lists {len(listed)} models: {how} ({names or _NONE[address.kind]})")
    if wanted is not None and wanted not in listed:
        how = "put another after the #" if address.kind == "openai" else f"run `lms get {wanted}`, or give another"
        raise ServerFailed(f"{url} lists no model {wanted!r}: {how} ({names or _NONE[address.kind]})")
    name = wanted or next(iter(listed))
    return name, listed[name]


def stated_window(server: Connection, listed: Any) -> int | None:
    """The context length that the server states; None if it states none."""
    for stated in _WINDOWS:
        with suppress(ServerFailed, LookupError, TypeError, ValueError):
            if (window := whole(stated(server, listed))) is not None:
                return window
    return None


def _lm_studio_window(server: Connection, name: str) -> int | None:
    """The context length that LM Studio has loaded a model with; it loads one that is not, for an answer of a token."""
    root = server.address.root
    entry = f"{root}/api/v0/models/{quote(name, safe='')}"
    stated = server.get(entry)
    if not isinstance(stated, dict) or "max_context_length" not in stated:
        return None
    if whole(stated.get("loaded_context_length")) is None or stated.get("state") != "loaded":
        body = {"model": name, "messages": [{"role": "user", "content": "?"}], "max_tokens": 1}
        with suppress(ServerFailed):
            answered = server.post(f"{root}/api/v0/chat/completions", body)
            with suppress(LookupError, TypeError):
                if (window := whole(answered["model_info"]["context_length"])) is not None:
                    return window
            stated = server.get(entry)
    return whole(stated.get("loaded_context_length")) or whole(stated["max_context_length"])
