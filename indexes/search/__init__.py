"""Hybrid search: dense and lexical rankings, their fusion, filters and neighbours."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
