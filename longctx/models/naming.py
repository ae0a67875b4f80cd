"""What a model's name stands for: a folder, a model on the hub, or one on a server; and remedies for other names."""

from __future__ import annotations

import re
from collections.abc import Callable

SERVER_PREFIX = "openai:"
_ADDRESSES = (SERVER_PREFIX, "ollama:", "lmstudio:", "lm-studio:", "http://", "https://")

_SERVED = "openai:http://localhost:8000/v1"
_HUB = r"(?:hf:(?://)?|(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/)"
_MEANT: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"(?:https?://)?(?:www\.|registry\.)?ollama\.(?:com|ai)/library/([\w.:-]+).*",
            lambda m: f"give ollama:{m[1]}",
        ),
        (
            r"(ollama)(?:_chat)?(?:/|://| run | pull | )(.+)|(lm[-_ ]?studio)(?:/|:(?://)?| )(.+)",
            lambda m: f"for a model in {m[1] or m[3]}, give {'ollama' if m[1] else 'lmstudio'}:{m[2] or m[4]}",
        ),
        (r"openai/(.+)|((?:gpt-|chatgpt-|o\d\b).*)", lambda m: f"give openai:https://api.openai.com/v1#{m[1] or m[2]}"),
        (
            r"(?:vllm|sglang|tgi|llama[.-]?cpp|llamafile|openai)(?::|/).*",
            lambda m: f"a model on a server is given by its URL, such as {_SERVED}",
        ),
        (r"file:(?://(?:localhost)?)?(/.+)", lambda m: f"give the path, {m[1]}"),
        (
            _HUB + r"([^/]+/[^/]+)/(?:blob|resolve|raw)/[^/]+/([^?#]+\.gguf).*",
            lambda m: f"run `hf download {m[1]} {m[2]} --local-dir .`, and give that file",
        ),
        (
            rf"(?:{_HUB})?" + r"([\w.-]+/[\w.-]*gguf[\w.-]*(?<!\.gguf))/?",
            lambda m: (
                f"it holds GGUF files: run `hf download {m[1]} FILE.gguf --local-dir .` and give that file, or have "
                f"Ollama fetch one with ollama:hf.co/{m[1]}"
            ),
        ),
        (_HUB + r"([^/]+/[^/:]+:[\w.-]+)", lambda m: f"for a GGUF file that Ollama fetches, give ollama:hf.co/{m[1]}"),
        (_HUB + r"(?!spaces/|datasets/|docs/)([^/?#]+/[^/?#]+|[^/?#]+(?=/?$)).*", lambda m: f"give {m[1]}"),
        (r"(https?)(?!://)[:/]+([\w.-]+.*)", lambda m: f"for a server, give {m[1]}://{m[2]}"),
        (r"(?!https?://)h?tt?p?s?:?/{1,2}([^/].*)", lambda m: f"for a server, give http://{m[1]}"),
        (
            r"((?:localhost|\d+(?:\.\d+){3}|\[[\da-f:]+\])(?::\d+)?(?:/v1)?|[\w.-]+(?::\d{2,5}(?:/v1)?|/v1))/?",
            lambda m: f"for a server, give http://{m[1].removesuffix('/v1')}/v1",
        ),
        (r"o+l*a?m+a:([\w.:-]+)", lambda m: f"for a model in Ollama, give ollama:{m[1]}"),
        (
            r"(?!.*\.(?:gguf|safetensors|bin|pth?)$)([\w.-]+(?<!\.gguf)(?::[\w.-]+)?)",
            lambda m: f"for a model in Ollama, give ollama:{m[1]}",
        ),
        (
            r"(?!.*\.(?:gguf|safetensors|bin|pth?)/?$)([\w.-]+/[\w.-]+)/?",
            lambda m: f"where there is a network, run `hf download {m[1]}`, which keeps it for use without one",
        ),
    )
)
"""How names are written that are none here, and what to write instead; the first that matches counts."""


def is_address(model: object) -> bool:
    """Whether a model's name is the address of a server.

    Args:
        model: A model's name, or a model.

    Returns:
        True for a string that begins with `openai:`, `ollama:`, `lmstudio:`, `http://` or `https://`.
    """
    return isinstance(model, str) and model.strip().lower().startswith(_ADDRESSES)


def remedy_for(name: str) -> str | None:
    """Guess what was meant by a model's name that names nothing.

    Args:
        name: The name.

    Returns:
        What to give or run instead, as a part of a sentence; None for a path.
    """
    name = name.strip()
    if name.startswith((".", "/", "~")) or "\\" in name:
        return None
    return next((remedy(found) for pattern, remedy in _MEANT if (found := pattern.fullmatch(name))), None)
