"""The errors of `indexes` that a user can remedy.

    CorpusError
    ├── UnreadableFile       one file cannot be read; the rest of an ingest goes on
    │   └── EmptyFile        there is nothing in it to read
    ├── IndexMismatch        the index was made by another encoder, or by a newer longctx
    ├── IndexDamaged         the index's database is not whole
    ├── IndexBusy            another process is writing to the index
    ├── IndexNotFound        there is no index in that folder
    ├── EncoderUnavailable   the encoder's folder, package or hub name cannot be loaded
    └── RerankerUnavailable  the reranker's folder or hub name cannot be loaded

Every message names the value or the file at fault, and the remedy.
"""


def extra(name: str) -> str:
    """Return the name of an optional extra and how to install it, for the message of an error.

    Args:
        name: The extra, as pyproject.toml has it.

    Returns:
        A part of a sentence.
    """
    return f'the extra "{name}": in a checkout of longctx, pip install -c constraints.txt ".[{name}]"'


class CorpusError(Exception):
    """The base of all errors of `indexes`."""


class UnreadableFile(CorpusError):
    """A file that cannot be read.

    Attributes:
        reason: Why, in one line, without the file's name.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EmptyFile(UnreadableFile):
    """A file of no bytes, or a text file of white space only: an ingest counts it, and calls it no failure."""


class IndexMismatch(CorpusError):
    """The index was made with another encoder, or in a format that this version cannot read."""


class IndexDamaged(CorpusError):
    """The index's database is damaged."""


class IndexBusy(CorpusError):
    """Another process is writing to the index."""


class IndexNotFound(CorpusError):
    """There is no index at the path given."""


class EncoderUnavailable(CorpusError):
    """The encoder cannot be loaded."""


class RerankerUnavailable(CorpusError):
    """The reranker cannot be loaded."""
