"""What the command line assumes where nothing is said: defaults < `longctx.toml` < `LONGCTX_*` < flags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from longctx.errors import BadRequest
from longctx.models import CacheDtype, Dtype, Quantization
from longctx.quantities import parse_size, parse_tokens
from longctx.types import RouteChoice

SETTINGS_FILE = "longctx.toml"
_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_ONE_OF_TWO = {"prompt_tokens": "budget", "budget": "prompt_tokens"}  # a flag for one overrides a setting for the other


def _tokens_if_given(value: Any) -> int | None:
    return None if value is None else parse_tokens(value)


Tokens = Annotated[int | None, BeforeValidator(_tokens_if_given)]


def _parse_if_given(value: Any) -> float | None:
    return None if value is None else parse_seconds(value)


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


class Settings(BaseSettings):
    """Every setting; `longctx.toml` in the working folder and the environment use the same names."""

    model_config = SettingsConfigDict(env_prefix="LONGCTX_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True)

    index: Path = Field(Path(".longctx"), description="the index's folder")
    encoder: str | None = Field(None, description="'default', a sentence-transformers folder or a hub name")
    reranker: str | None = Field(None, description="a sentence-transformers CrossEncoder: a folder or a hub name")
    model: str | None = Field(None, description="a causal language model: a folder, a hub name or openai:URL#name")
    window: Tokens = Field(None, ge=1, description="the model's native window, or the server's, in tokens")
    adapter: str | None = Field(None, description="a LoRA adapter that goes onto the model: a folder or a hub name")
    quantization: Quantization | None = Field(None, description="how the model's weights are kept, to save memory")
    dtype: Dtype = Field("auto", description="the model's numbers; 'auto' is the checkpoint's own")
    device: str = Field("auto", description="where the model runs; 'auto' is a GPU if there is one")
    device_map: str | None = Field(None, description="'auto' spreads the model over all GPUs")
    cache: CacheDtype = Field("model", description="how keys and values are kept: in the model's dtype, or in int8")
    scaling: str | None = Field(None, description="the RoPE scaling that takes the model past its native window")
    report: Path | None = Field(None, description="what a probe of the model found: the folder that it was written to")
    template: str | None = Field(None, description="how prompts are written: a family's name")
    route: RouteChoice = Field("auto", description="how a question is answered")
    k: int = Field(8, ge=1, description="passages to look for")
    max_new_tokens: Annotated[int, BeforeValidator(parse_tokens)] = Field(
        256, ge=1, description="the longest answer, in tokens"
    )
    prompt_tokens: Tokens = Field(None, ge=1, description="the longest prompt, in tokens")
    budget: Annotated[float | None, BeforeValidator(_parse_if_given)] = Field(
        None, description="the longest prompt, in seconds to the first token of the answer, such as '60s'"
    )
    session: str = Field("default", description="the conversation's name")
    sessions: Path | None = Field(None, description="the folder of conversations; none is one beside the index")
    max_size: Annotated[int, BeforeValidator(parse_size)] = Field(
        100_000_000, ge=1, description="the largest file to ingest, in bytes"
    )
    max_seconds: float = Field(120, gt=0, description="the longest that one file may take to read, in seconds")

    @property
    def loading(self) -> dict[str, Any]:
        """How the model is to be held, where that is not left as it is: what `load_model` is told."""
        held = {"adapter": self.adapter, "quantization": self.quantization, "dtype": self.dtype, "device": self.device}
        chosen = {name: value for name, value in held.items() if value not in (None, "auto")}
        chosen |= {} if self.device_map is None else {"device_map": self.device_map}
        return chosen | ({} if self.cache == "model" else {"cache_dtype": self.cache})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags come first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**flags: Any) -> Settings:
    """The settings in force; a flag that is None was not given. Raises BadRequest for a value that cannot be."""
    given = {name: value for name, value in flags.items() if value is not None}
    unset = {other: None for one, other in _ONE_OF_TWO.items() if one in given and other not in given}
    try:
        return Settings(**given | unset)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].lower().removeprefix("value error, ")
        raise BadRequest(f"setting {name} is {first['input']!r}: {reason}") from error
    except ValueError as error:  # a TOML file that does not parse
        raise BadRequest(f"{SETTINGS_FILE} cannot be read: {error}") from error
