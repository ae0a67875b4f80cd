"""Route `map`: every document is read in parts that fit one prompt, and an answer is made of the notes on them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
