"""`python -m longctx` is `longctx`."""

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is being imported ends it as it does later."""
    try:
        from longctx.cli import main as run
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends it at once
        print("\ninterrupted", file=sys.stderr)  # noqa: T201  # there is nothing in it to escape
        sys.exit(130)
    run()


if __name__ == "__main__":  # the workers of `longctx ingest --workers` import this module, too
    main()
