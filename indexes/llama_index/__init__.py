"""An index in llama-index: a retriever, a vector store and an embedding model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
