"""What can go wrong in longctx, for a user to mend.

    LongctxError
    ├── ModelUnavailable   the model's folder or hub name cannot be loaded
    │   └── ServerFailed   a server that is the model cannot be reached, or does not do what it should
    ├── ContextTooLong     the prompt does not fit the model's window
    │   └── PromptRefused  a model takes less than it was said to take
    ├── NotEnoughMemory    the prompt's keys and values do not fit the memory that is free
    ├── BadRequest         a question or an option that cannot be served
    ├── BadReport          a probe's report that cannot be read
    ├── BadSession         a conversation's file that cannot be gone on with
    └── TrainingError      a model cannot be trained as asked: its data, an option, a folder, a missing package

The packages that longctx stands on can be used without it, and have trees of their own: `indexes.CorpusError` and
`rope_scaling.RopeScalingError`. Every message says what was got and what to do.
"""

from indexes.errors import extra as extra


class LongctxError(Exception):
    """Base of every error that `longctx` raises on purpose."""


class ModelUnavailable(LongctxError):
    """A model cannot be loaded from where the user said it is."""


class ServerFailed(ModelUnavailable):
    """A server that is the model cannot be reached, refuses, or breaks off."""


class ContextTooLong(LongctxError):
    """What must be in the prompt is longer than the model's window."""


class PromptRefused(ContextTooLong):
    """A prompt was refused for its length, though it was in the window that the model was said to have."""


class NotEnoughMemory(LongctxError):
    """What a prompt needs is more memory than is free."""


class BadRequest(LongctxError):
    """A question or an option that cannot be served as it is."""


class BadReport(LongctxError):
    """A probe's report that is missing, or a file that is no such report."""


class BadSession(LongctxError):
    """A conversation's file is damaged, of another version, or something else."""


class TrainingError(LongctxError):
    """A model cannot be trained as asked."""
