"""An index's passages in a Milvus collection, kept up to date from the index, and searched there."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
