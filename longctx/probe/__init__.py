"""Measuring how long a context window a model really uses, for each RoPE scaling method."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
