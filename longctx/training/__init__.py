"""Fine-tuning a model under a RoPE scaling, for a longer context window."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
