"""What a model's name names: a folder, a model on the hub, or one on a server."""

from __future__ import annotations

SERVER_PREFIX = "openai:"


def is_address(model: object) -> bool:
    """Whether a model's name is the address of a server, `openai:URL`.

    Args:
        model: A model's name, or a model.

    Returns:
        True for a string that begins with `openai:`.
    """
    return isinstance(model, str) and model.startswith(SERVER_PREFIX)
