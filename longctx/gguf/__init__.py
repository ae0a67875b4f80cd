"""Models in GGUF files, run by llama.cpp in a child process."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
