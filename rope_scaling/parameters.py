"""The parameters of all scaling methods, each checked by itself: what the formulas read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

WINDOW = "original_max_position_embeddings"
# Defaults: the YaRN paper's (section 3.2, its α and β for the Llama family), and those of Llama 3.1's checkpoints.
BETA_FAST, BETA_SLOW = 32.0, 1.0
LOW_FREQ_FACTOR, HIGH_FREQ_FACTOR = 1.0, 4.0
# CoPE: 20 of the 64 pairs of Llama 3 8B in its authors' code, and the same share of any other number
CLIPPED_SHARE = 20 / 64

PositiveFloat = Annotated[FiniteFloat, Field(gt=0)]
# JSON has lists only; every other type is strict
Factors = Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)]


class ScalingParameters(BaseModel):
    """The fields of `RopeScaling`, which documents them and checks that they fit its method."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: str
    factor: Annotated[FiniteFloat, Field(ge=1)] = 1.0
    original_max_position_embeddings: Annotated[int, Field(ge=2)] | None = None
    beta_fast: PositiveFloat | None = None
    beta_slow: PositiveFloat | None = None
    truncate: bool | None = None
    attention_factor: PositiveFloat | None = None
    mscale: Annotated[FiniteFloat, Field(ge=0)] | None = None
    mscale_all_dim: Annotated[FiniteFloat, Field(ge=0)] | None = None
    short_factor: Factors | None = None
    long_factor: Factors | None = None
    low_freq_factor: PositiveFloat | None = None
    high_freq_factor: PositiveFloat | None = None
    clipped_pairs: Annotated[int, Field(ge=1)] | None = None
    chunk_size: Annotated[int, Field(ge=2)] | None = None
    local_size: Annotated[int, Field(ge=1)] | None = None
    length: Annotated[int, Field(ge=1)] | None = None
