"""Loading causal language models: checkpoints, tokenizers, adapters, quantization, windows and memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
