"""What can go wrong with RoPE scaling, for a user to mend.

    RopeScalingError (a ValueError)
    ├── InvalidScaling      the parameters make no scaling: an unknown method, a factor below 1, one missing
    ├── LengthNeeded        the frequencies depend on the sequence's length, and no length was given
    ├── UnsupportedConfig   a model's configuration holds RoPE parameters that are not understood
    ├── UnsupportedModel    the model has no rotary embedding, or one that cannot be replaced faithfully
    ├── AlreadyScaled       the model or its checkpoint carries a scaling, and two would blend
    ├── CheckpointError     a checkpoint cannot be found, read or written
    └── PlotUnavailable     matplotlib is not installed

Every message says what was got and what to do.
"""


class RopeScalingError(ValueError):
    """Base of every error that `rope_scaling` raises on purpose."""


class InvalidScaling(RopeScalingError):
    """The parameters do not make a scaling."""


class LengthNeeded(RopeScalingError):
    """The method's frequencies depend on the sequence's length, and no length was given."""


class UnsupportedConfig(RopeScalingError):
    """A configuration's RoPE parameters are missing or not understood."""


class UnsupportedModel(RopeScalingError):
    """The model has no rotary embedding that can be replaced faithfully."""


class AlreadyScaled(RopeScalingError):
    """The model, or the checkpoint it was loaded from, carries a scaling already."""


class CheckpointError(RopeScalingError):
    """A checkpoint cannot be found, read or written."""


class PlotUnavailable(RopeScalingError):
    """The package that draws plots is not installed."""
