"""Files to text: one reader for each family of formats, found by the file's suffix."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
