"""Which folders' settings may reach the network: those that the user was asked about, as their `longctx.toml` was then.

A folder that comes from somebody else can bring a `longctx.toml` whose `model` is the address of a server, which would
receive every question, the passages, and the key in the environment; or a model on the hub, which would be fetched.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from longctx.atomic_write import write_atomically
from longctx.bounded_file import read_bounded
from longctx.errors import BadRequest

_TRUSTED = "trusted.json"


def config_folder() -> Path:
    """The folder of the user's configuration: `longctx` in XDG_CONFIG_HOME, which by default is ~/.config."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".config") / "longctx"


class FileVersion(NamedTuple):
    """A file of settings as it was read.

    Attributes:
        path: Its path, with the links on the way to its folder resolved: a link to a file is another file.
        sha256: The hash of its content, and of what it names that is not on this machine.
    """

    path: Path
    sha256: str


def is_trusted(file: FileVersion) -> bool:
    """Whether the user has agreed to what a file of settings says.

    Args:
        file: The file.

    Returns:
        True if it has been remembered at this place and with this content.
    """
    return _remembered().get(str(file.path)) == file.sha256


def trust(file: FileVersion) -> None:
    """Remember that the user has agreed to what a file of settings says.

    Args:
        file: The file.

    Raises:
        BadRequest: If that cannot be written.
    """
    known = _remembered() | {str(file.path): file.sha256}
    folder = config_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(known, indent=1)
        write_atomically(folder / _TRUSTED, lambda new: new.write_text(text, encoding="utf-8"), private=True)
    except OSError as error:
        raise BadRequest(
            f"{folder} cannot be written to ({error.strerror}), so that nothing is remembered: "
            "name what the file names with flags instead"
        ) from error


def _remembered() -> dict[str, str]:
    try:
        known = json.loads(read_bounded(config_folder() / _TRUSTED))
    except (OSError, ValueError, RecursionError):  # without it, the user is asked again
        return {}
    return known if isinstance(known, dict) else {}
