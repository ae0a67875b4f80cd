"""Conversations that are kept: the session file, the index of old turns, query rewriting."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
