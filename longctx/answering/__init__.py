"""From search hits to a checked answer: context, rendering, generation, citations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
