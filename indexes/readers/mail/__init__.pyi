from .mailbox import is_mailbox, read_mailbox
from .message import read_mail
from .web_archive import read_web_archive

__all__ = [
    "is_mailbox",
    "read_mail",
    "read_mailbox",
    "read_web_archive",
]
