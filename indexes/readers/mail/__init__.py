"""E-mail: messages, mailboxes, and saved web pages, which are packed as messages are."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
