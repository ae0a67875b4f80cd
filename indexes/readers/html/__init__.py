"""HTML: the visible text of a page, and the equations and drawings in it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
