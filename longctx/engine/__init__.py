"""Generation over long prompts: chunked prefill, attention, the KV cache and its prefixes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
