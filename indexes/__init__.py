"""Read, chunk, embed, store and search a corpus.

>>> from indexes import CorpusIndex
>>> with CorpusIndex.open("my-index") as index:
...     index.ingest(["papers/"])
...     hits = index.search("How is RoPE scaled?", k=5)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
