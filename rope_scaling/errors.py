"""The errors of RoPE scaling, which a user can mend: every message names the value and the remedy.

RopeScalingError (a ValueError)
├── InvalidScaling      the parameters make no scaling: an unknown method, a factor below 1, a missing one
├── LengthNeeded        the frequencies depend on the sequence length, and no length was given
├── UnsupportedConfig   a configuration's RoPE parameters are missing or not understood
├── UnsupportedModel    the model has no rotary embedding, or one that cannot be replaced faithfully
├── AlreadyScaled       the model or its checkpoint carries a scaling, and a second one would blend with it
├── CheckpointError     a checkpoint cannot be found, read or written
└── PlotUnavailable     a plot cannot be drawn or written
"""


class RopeScalingError(ValueError):
    """The base class of all errors that `rope_scaling` raises for its callers."""


class InvalidScaling(RopeScalingError):
    """The parameters do not make a scaling."""


class LengthNeeded(RopeScalingError):
    """The method's frequencies depend on the sequence length, and no length was given."""


class UnsupportedConfig(RopeScalingError):
    """A configuration's RoPE parameters are missing or not understood."""


class UnsupportedModel(RopeScalingError):
    """The model has no rotary embedding that can be replaced faithfully."""


class AlreadyScaled(RopeScalingError):
    """The model, or the checkpoint it was loaded from, carries a scaling already."""


class CheckpointError(RopeScalingError):
    """A checkpoint cannot be found, read or written."""


class PlotUnavailable(RopeScalingError):
    """A plot cannot be drawn or written, or matplotlib, which plots need, is not installed."""
