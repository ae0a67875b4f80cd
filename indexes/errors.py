"""What can go wrong in a corpus, for a user to mend.

    CorpusError
    ├── UnreadableFile       one file cannot be read; the rest of an ingest goes on
    ├── IndexMismatch        the index was made by another encoder, or by a newer longctx
    ├── IndexDamaged         the index's database is not whole
    ├── IndexBusy            another process is writing to the index
    ├── IndexNotFound        there is no index in that folder
    ├── EncoderUnavailable   the encoder's folder, package or hub name cannot be loaded
    └── RerankerUnavailable  the reranker's folder or hub name cannot be loaded

Every message says what was got and what to do.
"""


class CorpusError(Exception):
    """Base of every error that `indexes` raises on purpose."""


class UnreadableFile(CorpusError):
    """A file cannot become a document. `reason` is one line, without the file's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IndexMismatch(CorpusError):
    """The index was made by another encoder, or in a format that this version does not know."""


class IndexDamaged(CorpusError):
    """The index's database is cut short or is not a database."""


class IndexBusy(CorpusError):
    """Another process is writing to the index."""


class IndexNotFound(CorpusError):
    """There is no index at the path given."""


class EncoderUnavailable(CorpusError):
    """The encoder cannot be loaded from where the user said it is."""


class RerankerUnavailable(CorpusError):
    """The reranker cannot be loaded from where the user said it is."""
