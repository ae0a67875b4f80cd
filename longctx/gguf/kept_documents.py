"""Documents that llama.cpp has read, in files for later processes: its states of their prompts."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from longctx.engine import PrefixRefused, PrefixStore
from longctx.errors import LongctxError, ModelUnavailable
from longctx.gguf.server import LlamaServer
from longctx.gguf.state_file import read_state, state_ids, write_state

_log = logging.getLogger(__name__)


def kept_tokens(store: PrefixStore, made_from: Mapping[str, str], ids: Sequence[int], more_than: int) -> int:
    """How many first tokens of a prompt a file has.

    Args:
        store: Where the files are.
        made_from: What keys and values depend on, beside the tokens.
        ids: Token ids of the prompt.
        more_than: How many tokens are at hand already.

    Returns:
        The number of tokens; 0 if no file is worth reading.
    """
    return store.sharing(ids, more_than, partial(state_ids, made_from=made_from))[0]


def restore(
    store: PrefixStore, server: LlamaServer, made_from: Mapping[str, str], ids: Sequence[int], more_than: int
) -> None:
    """Give a child the keys and values of a prompt's first tokens from a file; llama.cpp takes what the prompt shares.

    Args:
        store: Where the files are.
        server: The child.
        made_from: What keys and values depend on, beside the tokens.
        ids: Token ids of the documents.
        more_than: How many tokens the child has already: a file that has no more is left alone.
    """

    def load(path: Path) -> None:
        state = server.folder / "state"
        try:
            read_state(path, state, made_from)
            server.post("/slots/0?action=restore", {"filename": state.name})
        except ModelUnavailable as error:
            raise PrefixRefused(str(error)) from error
        finally:
            state.unlink(missing_ok=True)

    if file := store.sharing(ids, more_than, partial(state_ids, made_from=made_from))[1]:
        store.read(file, load)


def keep(store: PrefixStore, server: LlamaServer, made_from: Mapping[str, str], ids: Sequence[int]) -> None:
    """Keep what a child has read of a prompt whose beginning is documents.

    Args:
        store: Where the file goes.
        server: The child.
        made_from: What keys and values depend on, beside the tokens.
        ids: Token ids of the documents, as far as the child has read them.
    """
    state, name = server.folder / "state", json.dumps([dict(made_from), list(ids)], sort_keys=True)
    try:
        server.post("/slots/0?action=save", {"filename": state.name})
        store.write(
            hashlib.sha256(name.encode()).hexdigest()[:32],
            state.stat().st_size,
            lambda path: write_state(path, state, made_from, ids),
            ids,
            partial(state_ids, made_from=made_from),
        )
    except (LongctxError, OSError) as error:  # the answer is there, whatever becomes of this
        _log.warning("the keys and values of the documents could not be kept: %s", error)
    finally:
        state.unlink(missing_ok=True)
