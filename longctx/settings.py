"""What the command line assumes where nothing is said.

Defaults < the user's `longctx.toml` in ~/.config/longctx < the working folder's < `LONGCTX_*` < flags. A server, or a
model on the hub, that the working folder's file names is used only if the user agrees (`longctx.trust`).
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from indexes.storage import is_database, shown
from longctx.bounded_file import read_bounded
from longctx.errors import BadRequest
from longctx.models import CacheDtype, Dtype, QuantizationChoice, is_address, is_gguf
from longctx.quantities import parse_size, parse_tokens
from longctx.trust import FileVersion, config_folder
from longctx.types import Rewriting, RouteChoice, ThinkingMode

SETTINGS_FILE = "longctx.toml"
_PREFIX = "LONGCTX_"
_OTHER_VARIABLES = ("API_KEY", "CACHE_DIR")  # which are no settings
_ALIKE = 0.7  # of two names, of which one is a misspelling of the other
_PATHS = ("index", "report", "sessions")
_FOLDERS_OR_NAMES = ("model", "adapter", "encoder", "reranker")
_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_ONE_OF_TWO = {"prompt_tokens": "budget", "budget": "prompt_tokens"}  # a flag for one overrides a setting for the other


def parse_seconds(value: Any) -> float:
    """Parse a time.

    Args:
        value: Seconds as a number, or text such as '90', '60s', '1.5m' or '2h'.

    Returns:
        Seconds.

    Raises:
        ValueError: For anything else, and unless it is above 0.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(s|m|min|h|)\s*", str(value).lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if isinstance(value, bool) or not seconds:
        raise ValueError("write seconds above 0, such as 90, 60s or 2m")
    return seconds


def _if_given(parse: Callable[[Any], Any]) -> BeforeValidator:
    """What parses a setting that may be left out."""
    return BeforeValidator(lambda value: None if value is None else parse(value))


Tokens = Annotated[int | None, _if_given(parse_tokens)]
IndexPlace = Annotated[Path | str, BeforeValidator(lambda value: value if is_database(value) else Path(value))]


class Settings(BaseModel):
    """Every setting; the two files and the environment use the same names.

    Attributes:
        index: The index's folder, or postgresql://USER@HOST/DATABASE.
        encoder: 'default', a sentence-transformers folder or a hub name.
        reranker: A sentence-transformers CrossEncoder: a folder or a hub name.
        model: A causal language model: a folder, a GGUF file, a hub name or a server's.
        window: The model's native window, or the server's, in tokens.
        adapter: A LoRA adapter that goes onto the model: a folder or a hub name.
        quantization: How the model's weights are kept; 'auto' is int8 for large models where that is what is fast.
        dtype: The model's numbers; 'auto' is the checkpoint's own.
        device: Where the model runs; 'auto' is a GPU if there is one.
        device_map: 'auto' spreads the model over all GPUs.
        cache: How keys and values are kept: in the model's dtype, or in int8.
        scaling: The RoPE scaling that takes the model past its native window.
        report: What a probe of the model found: the folder that it was written to.
        template: How prompts are written: a family's name.
        route: How a question is answered.
        k: Passages to look for.
        max_new_tokens: The longest answer, in tokens.
        prompt_tokens: The longest prompt, in tokens.
        budget: The longest prompt, in seconds to the first token of the answer, such as '60s'.
        kv_cache_size: The most that documents read whole may take beside the index, such as 4GB; 0 is none.
        thinking: Whether a thinking model thinks before it answers.
        thinking_tokens: The most tokens of thoughts, beside those of the answer.
        rewrite_questions: Whether the model rewrites follow-up questions.
        session: The conversation's name.
        sessions: The folder of conversations; none is one beside the index.
        max_size: The largest file to ingest, in bytes.
        max_seconds: The longest that one file may take to read, in seconds.
        allow_insecure: Whether a server gets a key without encryption, too (http).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: IndexPlace = Path(".longctx")
    encoder: str | None = None
    reranker: str | None = None
    model: str | None = None
    window: Tokens = Field(None, ge=1)
    adapter: str | None = None
    quantization: QuantizationChoice = "auto"
    dtype: Dtype = "auto"
    device: str = "auto"
    device_map: str | None = None
    cache: CacheDtype = "model"
    scaling: str | None = None
    report: Path | None = None
    template: str | None = None
    route: RouteChoice = "auto"
    k: int = Field(8, ge=1, le=100_000)
    max_new_tokens: Annotated[int, BeforeValidator(parse_tokens)] = Field(256, ge=1)
    prompt_tokens: Tokens = Field(None, ge=1)
    budget: Annotated[float | None, _if_given(parse_seconds)] = None
    kv_cache_size: Annotated[int | None, _if_given(parse_size)] = Field(None, ge=0)
    thinking: ThinkingMode = "auto"
    thinking_tokens: Annotated[int, BeforeValidator(parse_tokens)] = Field(1024, ge=1)
    rewrite_questions: Rewriting = "auto"
    session: str = "default"
    sessions: Path | None = None
    max_size: Annotated[int, BeforeValidator(parse_size)] = Field(100_000_000, ge=1)
    max_seconds: Annotated[float, BeforeValidator(parse_seconds)] = Field(120, gt=0)
    allow_insecure: bool = False

    _folder_file: FileVersion | None = PrivateAttr(None)
    _by_folder: frozenset[str] = PrivateAttr(frozenset())

    @property
    def folder_file(self) -> FileVersion | None:
        """The working folder's file of settings; None if there is none."""
        return self._folder_file

    @property
    def remote(self) -> dict[str, str]:
        """What the working folder's file names that is not on this machine: the names, by their settings."""
        return _elsewhere({name: getattr(self, name) for name in self._by_folder})

    @property
    def loading(self) -> dict[str, Any]:
        """How the model is to be held or reached, where that is not left as it is: what `load_model` is told."""
        if is_address(self.model) and self.allow_insecure:
            return {"allow_insecure": True}
        held = {"adapter": self.adapter, "quantization": self.quantization, "dtype": self.dtype, "device": self.device}
        chosen = {name: value for name, value in held.items() if value not in (None, "auto")}
        chosen |= {} if self.device_map is None else {"device_map": self.device_map}
        return chosen | ({} if self.cache == "model" else {"cache_dtype": self.cache})


def find_settings_file() -> Path | None:
    """Find `longctx.toml` in the working folder or the nearest folder above it.

    Returns:
        The file; None if there is none. Above the working folder, files and links of other users are left alone.

    Raises:
        BadRequest: If the working folder has been removed.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise BadRequest("the working folder has been removed: change to another one") from error
    for folder in (here, *here.parents):
        file = folder / SETTINGS_FILE
        with suppress(PermissionError):  # a folder that may not be entered
            if file.is_file() and (folder == here or _is_own(file)):
                return file
    return None


def _is_own(file: Path) -> bool:
    """Whether a file is this user's, and its name, too: whoever made a link can have it lead elsewhere later."""
    return not hasattr(os, "getuid") or {file.stat().st_uid, file.lstat().st_uid} == {os.getuid()}


def _is_here(name: str, value: str) -> bool:
    """Whether a model that a setting names is on this machine, or is refused before anything is fetched."""
    if is_address(value):  # whatever it ends with, and whatever folder has such a name
        return False
    if value.startswith((".", "/", "~")) or os.path.isdir(value):  # noqa: PTH112 (a Path raises for what cannot be one)
        return True
    return value == "default" if name == "encoder" else name == "model" and is_gguf(value)


def _elsewhere(values: Mapping[str, Any]) -> dict[str, str]:
    """Those of some settings that name what is not on this machine."""
    named = {name: values[name] for name in _FOLDERS_OR_NAMES if isinstance(values.get(name), str) and values[name]}
    loaded = {name: _base_of(value) if name == "model" else value for name, value in named.items()}
    found = {name: value for name, value in loaded.items() if not _is_here(name, value)}
    if is_database(values.get("index", "")):
        found["index"] = shown(values["index"])
    return dict(sorted(found.items()))


def _base_of(model: str) -> str:
    """The model that an adapter was trained on, if it is one, which is loaded with it."""
    try:
        said = json.loads(read_bounded(Path(model).expanduser() / "adapter_config.json"))
        return str(said.get("base_model_name_or_path") or model)
    except (OSError, ValueError, AttributeError):
        return model


def _from_there(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings of a file with its relative paths read from the file's folder, where that is not the working folder."""
    if folder == Path.cwd():
        return values
    paths = {name: value for name, value in values.items() if name in _PATHS and isinstance(value, str)}
    read = {name: str(folder / value) for name, value in paths.items() if not is_database(value)}
    models = {name: str(folder / str(value)) for name, value in values.items() if name in _FOLDERS_OR_NAMES}
    return values | read | {name: path for name, path in models.items() if os.path.exists(path)}  # noqa: PTH110


def check_environment() -> None:
    """Check that no variable LONGCTX_… is a misspelt setting.

    Raises:
        BadRequest: For one that is, with what was probably meant. Names that are like none may be another program's.
    """
    known = {*(name.upper() for name in Settings.model_fields), *_OTHER_VARIABLES}
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(_PREFIX)
        near = difflib.get_close_matches(name, sorted(known), 1, _ALIKE)
        if variable.upper().startswith(_PREFIX) and name not in known and near:
            raise BadRequest(f"the environment has {variable}, which is no setting: did you mean {_PREFIX}{near[0]}?")


def _environment() -> dict[str, str]:
    """What the environment sets. An empty variable is one that is not set."""
    variables = {name.upper(): value for name, value in os.environ.items() if value}
    named = {name: f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    return {name: variables[variable] for name, variable in named.items() if variable in variables}


def load_settings(**flags: Any) -> Settings:
    """The settings in force; a flag that is None was not given. Raises BadRequest for a value that cannot be."""
    given = {name: value for name, value in flags.items() if value is not None}
    unset = {other: None for one, other in _ONE_OF_TWO.items() if one in given and other not in given}
    check_environment()
    file = find_settings_file() or Path(SETTINGS_FILE)
    folder, version = _read(file)
    user, _ = _read(config_folder() / SETTINGS_FILE)
    if "allow_insecure" in folder:
        raise BadRequest(f"{file} sets allow_insecure, which only the user can: with --allow-insecure")
    try:
        own = _environment() | given
        settings = Settings(**user | _from_there(folder, file.parent) | own | unset)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].lower().removeprefix("value error, ")
        raise BadRequest(f"setting {name} is {first['input']!r}: {reason}") from error
    settings._by_folder = frozenset(folder.keys() - own.keys())
    settings._folder_file = version and _naming(version, _elsewhere(_from_there(folder, file.parent)))
    return settings


def _naming(file: FileVersion, elsewhere: Mapping[str, str]) -> FileVersion:
    """A version of a file of settings, another one whenever something else of what it names is not on this machine."""
    named = json.dumps([file.sha256, elsewhere], sort_keys=True)
    return file._replace(sha256=hashlib.sha256(named.encode()).hexdigest())


def _read(file: Path) -> tuple[dict[str, Any], FileVersion | None]:
    """What a file of settings says, and which version of it; nothing if there is none. Raises BadRequest."""
    try:
        data = read_bounded(file)
        said = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(data.decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}, None
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadRequest(f"{file} cannot be read: {error}") from error
    # pydantic would take MODEL and LONGCTX_MODEL for model, too, and what is asked about a server goes by the name
    if odd := sorted(said.keys() - Settings.model_fields.keys()):
        near = difflib.get_close_matches(odd[0].lower().removeprefix(_PREFIX.lower()), Settings.model_fields, 1, _ALIKE)
        meant = f": did you mean {near[0]}?" if near else ", which is no setting"
        raise BadRequest(f"{file} sets {odd[0]!r}{meant}")
    return said, FileVersion(file.parent.resolve() / file.name, hashlib.sha256(data).hexdigest())
