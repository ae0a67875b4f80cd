"""`python -m longctx` is `longctx`."""

from longctx.cli import main

if __name__ == "__main__":  # the workers of `longctx ingest --workers` import this module, too
    main()
