"""PDF: the text of its pages by pypdf, with tables, forms, layers, and what its fonts do not say."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
