"""Markdown, reStructuredText, LaTeX, Org and AsciiDoc: the file's own text, with headings and tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
