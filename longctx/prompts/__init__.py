"""Prompts as a model was trained to read them: templates, wording, escaped control tokens."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
