"""The server: OpenAI's protocol, an API of its own, a page and MCP, over the indexes of this machine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
