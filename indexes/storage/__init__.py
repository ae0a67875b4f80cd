"""What an index keeps on disk: the database, and the dense and lexical indexes derived from it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
