from .trainer import TrainingOptions, TrainingStep, fine_tune

__all__ = [
    "TrainingOptions",
    "TrainingStep",
    "fine_tune",
]
