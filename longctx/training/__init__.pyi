from .fine_tuning import fine_tune
from .options import TrainingOptions, TrainingStep

__all__ = [
    "TrainingOptions",
    "TrainingStep",
    "fine_tune",
]
