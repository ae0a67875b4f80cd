"""What the command line assumes where nothing is said: defaults < `longctx.toml` < `LONGCTX_*` < flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from longctx.errors import BadRequest
from longctx.models import Dtype, Quantization
from longctx.types import RouteChoice

SETTINGS_FILE = "longctx.toml"


class Settings(BaseSettings):
    """Every setting; `longctx.toml` in the working folder and the environment use the same names."""

    model_config = SettingsConfigDict(env_prefix="LONGCTX_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True)

    index: Path = Field(Path(".longctx"), description="the index's folder")
    encoder: str | None = Field(None, description="'default', a sentence-transformers folder or a hub name")
    reranker: str | None = Field(None, description="a sentence-transformers CrossEncoder: a folder or a hub name")
    model: str | None = Field(None, description="a causal language model: a folder, a hub name or openai:URL#name")
    window: int | None = Field(None, ge=1, description="the model's native window, or the server's, in tokens")
    adapter: str | None = Field(None, description="a LoRA adapter that goes onto the model: a folder or a hub name")
    quantization: Quantization | None = Field(None, description="how the model's weights are kept, to save memory")
    dtype: Dtype = Field("auto", description="the model's numbers; 'auto' is the checkpoint's own")
    device: str = Field("auto", description="where the model runs; 'auto' is a GPU if there is one")
    scaling: str | None = Field(None, description="the RoPE scaling that takes the model past its native window")
    report: Path | None = Field(None, description="what a probe of the model found: the folder that it was written to")
    template: str | None = Field(None, description="how prompts are written: a family's name")
    route: RouteChoice = Field("auto", description="how a question is answered")
    k: int = Field(8, ge=1, description="passages to look for")
    max_new_tokens: int = Field(256, ge=1, description="the longest answer, in tokens")
    session: str = Field("default", description="the conversation's name")
    sessions: Path | None = Field(None, description="the folder of conversations; none is one beside the index")
    max_size: int = Field(100_000_000, ge=1, description="the largest file to ingest, in bytes")
    max_seconds: float = Field(120, gt=0, description="the longest that one file may take to read, in seconds")

    @property
    def loading(self) -> dict[str, Any]:
        """How the model is to be held, where that is not left as it is: what `load_model` is told."""
        held = {"adapter": self.adapter, "quantization": self.quantization, "dtype": self.dtype, "device": self.device}
        return {name: value for name, value in held.items() if value not in (None, "auto")}

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
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"setting {name} is {first['input']!r}: {first['msg'].lower()}") from error
    except ValueError as error:  # a TOML file that does not parse
        raise BadRequest(f"{SETTINGS_FILE} cannot be read: {error}") from error
