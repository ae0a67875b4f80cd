"""RoPE scaling for decoders that transformers loads: exact frequencies, applied to a model and removed again.

>>> from rope_scaling import RopeScaling, scaled_rope
>>> yarn = RopeScaling(method="yarn", factor=32.0, original_max_position_embeddings=4096)
>>> with scaled_rope(model, yarn):
...     model.generate(**inputs)
"""

from rope_scaling.apply import ScaledRotaryEmbedding, apply_rope_scaling, scaled_rope
from rope_scaling.checkpoint import Checkpoint, carried_scaling, find_checkpoint, load_config, open_checkpoint
from rope_scaling.errors import (
    AlreadyScaled,
    CheckpointError,
    InvalidScaling,
    LengthNeeded,
    PlotUnavailable,
    RopeScalingError,
    UnsupportedConfig,
    UnsupportedModel,
)
from rope_scaling.export import export_checkpoint
from rope_scaling.formulas import yarn_ramp
from rope_scaling.frequencies import METHODS, RopeFrequencies, rope_frequencies
from rope_scaling.plot import plot_frequencies
from rope_scaling.scaling import RopeScaling
from rope_scaling.transformers_config import RopeBase, read_base, stated_window

__all__ = [
    "METHODS",
    "AlreadyScaled",
    "Checkpoint",
    "CheckpointError",
    "InvalidScaling",
    "LengthNeeded",
    "PlotUnavailable",
    "RopeBase",
    "RopeFrequencies",
    "RopeScaling",
    "RopeScalingError",
    "ScaledRotaryEmbedding",
    "UnsupportedConfig",
    "UnsupportedModel",
    "apply_rope_scaling",
    "carried_scaling",
    "export_checkpoint",
    "find_checkpoint",
    "load_config",
    "open_checkpoint",
    "plot_frequencies",
    "read_base",
    "rope_frequencies",
    "scaled_rope",
    "stated_window",
    "yarn_ramp",
]
