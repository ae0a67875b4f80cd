"""Ask questions of documents and conversations that are longer than a model's window.

>>> from longctx import DocumentQA
>>> qa = DocumentQA.open("my-index")

Names are loaded when they are first used, so that `import longctx` and `longctx --help` stay quick.
"""

from longctx.hidden_packages import refuse_hidden_packages
from longctx.version import __version__ as __version__

refuse_hidden_packages()

import lazy_loader  # noqa: E402  # it may be hidden, too

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
