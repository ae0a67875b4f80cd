"""Measuring answers on questions of one's own: reading, asking, scoring, the report, and drafting such questions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
