"""Keys and values of documents in a folder, so that a later process need not read the documents again.

A cache that is lost costs time and nothing else. So what cannot be read is read by the model instead, and what cannot
be written is left out with a warning.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import torch

from indexes import CorpusError
from indexes.storage import HeldFolder, reachable
from longctx.atomic_write import remove_leftovers
from longctx.engine.kv_cache import KVCache
from longctx.engine.prefix_cache import shared_length
from longctx.engine.prefix_file import Fingerprint, Layout, PrefixRefused, read_prefix, stored_ids, write_prefix
from longctx.kept_files import SUFFIX, KeptFile, kept_files, make_room
from longctx.models import CacheDtype, hash_tokens, memory

KV_CACHE_FOLDER = "kv-cache"  # within an index's folder
KV_CACHE_BYTES = 4 << 30
LEAST_TOKENS = 256  # a shorter beginning is read sooner than it is looked for
_Loaded = TypeVar("_Loaded")
_log = logging.getLogger(__name__)


class PrefixStore:
    """A folder of keys and values of prompt prefixes, of at most `limit` bytes; the least recently used go first.

    Processes may share it. A file appears whole or not at all, and is refused unless the model, the tokenizer, the
    RoPE frequencies and the tokens are those that it was made with.

    Args:
        folder: The folder, which is made with the first file.
        limit: The most that all files may take, in bytes; 0 keeps nothing.
        dtype: How keys and values are kept: in int8, or as the model computes them.
        within: The held folder that the folder is in, which is then reached through no link; None for the path as it
            is.
    """

    def __init__(
        self,
        folder: Path,
        limit: int = KV_CACHE_BYTES,
        dtype: CacheDtype = "int8",
        within: HeldFolder | None = None,
    ) -> None:
        self.folder, self._within = folder, within
        self.limit = limit
        self.dtype: CacheDtype = dtype
        self._warned = False

    def entries(self) -> list[KeptFile]:
        """The files, the most recently used last; none if the folder cannot be opened."""
        held = self._opened()
        found = [] if held is None else kept_files(held.path)
        return [replace(file, path=self.folder / file.path.name) for file in found]

    def _opened(self, *, make: bool = False) -> HeldFolder | None:
        """The folder, held open; None if there is none, or it cannot be used."""
        try:
            if self._within is not None:
                name = self.folder.name
                return self._within.make(name, 0o700) if make else self._within.inner(name)
            if make:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return HeldFolder(self.folder)
        except (OSError, CorpusError) as error:
            if not self._warned and not isinstance(error, FileNotFoundError):
                self._warned = True
                _log.warning("the keys and values of the documents could not be kept: %s", error)
            return None

    def clear(self) -> list[KeptFile]:
        """Remove all files, and what killed processes have left; returns what the files were."""
        if (folder := self._opened()) is not None:
            remove_leftovers(folder.path)
        return self._remove(self.entries())

    def longest(
        self, made_from: Fingerprint, ids: Sequence[int], layout: Layout, more_than: int
    ) -> tuple[int, KeptFile | None]:
        """The file that shares the most tokens with the start of a prompt.

        Args:
            made_from: The model and the frequencies; `tokens` is not compared.
            ids: Token ids of the prompt.
            layout: Layers, heads and dtypes of the cache that is wanted; `tokens` is not compared.
            more_than: How many tokens are at hand already: a file must add `LEAST_TOKENS` to them.

        Returns:
            How many tokens, and the file; 0 and None if no file is worth reading.
        """
        wanted = replace(made_from, tokens="", dtype=self._dtypes(layout))
        return self.sharing(ids, more_than, partial(stored_ids, made_from=wanted))

    def sharing(
        self, ids: Sequence[int], more_than: int, ids_of: Callable[[Path], Sequence[int]]
    ) -> tuple[int, KeptFile | None]:
        """The file that shares the most tokens with the start of a prompt, whatever its format.

        Args:
            ids: Token ids of the prompt.
            more_than: How many tokens are at hand already: a file must add `LEAST_TOKENS` to them.
            ids_of: Reads the token ids of a file; none of one that cannot be used.

        Returns:
            How many tokens, and the file; 0 and None if no file is worth reading.
        """
        shared = [(shared_length(self.ids(stored, ids_of), ids), stored) for stored in self.entries()]
        tokens, best = max(shared, key=itemgetter(0), default=(0, None))
        return (tokens, best) if tokens >= more_than + LEAST_TOKENS else (0, None)

    def ids(self, stored: KeptFile, ids_of: Callable[[Path], Sequence[int]]) -> Sequence[int]:
        """The token ids of a file; none if it is gone.

        Args:
            stored: One of `entries`.
            ids_of: As for `sharing`.

        Returns:
            The ids.
        """
        with suppress(OSError), self._reading(stored) as path:
            return ids_of(path)
        return []

    def take(
        self, made_from: Fingerprint, ids: Sequence[int], layout: Layout, more_than: int
    ) -> tuple[int, KVCache] | None:
        """The keys and values of the longest beginning of a prompt; for the arguments see `longest`.

        Returns:
            How many tokens, and their keys and values; None if no file is worth reading.
        """
        tokens, stored = self.longest(made_from, ids, layout, more_than)
        if stored is None:
            return None
        wanted_ids = replace(made_from, tokens="", dtype=self._dtypes(layout))
        held = self.ids(stored, partial(stored_ids, made_from=wanted_ids))
        exact = replace(made_from, tokens=hash_tokens(held), dtype=self._dtypes(layout))
        wanted = replace(layout, tokens=len(held), dtype=self.dtype)
        cache = self.read(stored, lambda path: read_prefix(path, exact, wanted))
        if cache is None:
            return None
        cache.crop(tokens)
        return tokens, cache.converted(layout.dtype, layout.model_dtype)

    def put(self, made_from: Fingerprint, ids: Sequence[int], cache: KVCache, layout: Layout) -> None:
        """Keep the first tokens of a cache; files with only a beginning of them go.

        Args:
            made_from: The model and the frequencies.
            ids: The token ids.
            cache: Holds at least their keys and values.
            layout: Layers, heads and dtypes of the cache.
        """
        size = len(ids) * layout.shape.token_bytes(self.dtype)
        if not self.keeps(len(ids)) or size > self.limit:
            return
        if self.dtype != cache.dtype and size > memory.available_bytes(torch.device("cpu")):
            _log.warning("the keys and values of the documents were not kept: a copy of them takes %d bytes", size)
            return
        fingerprint = replace(made_from, tokens=hash_tokens(ids), dtype=self._dtypes(layout))
        kept = cache.first(len(ids)).converted(self.dtype, layout.model_dtype)
        self.write(
            fingerprint.name(),
            size,
            lambda path: write_prefix(path, kept, fingerprint, ids),
            ids,
            partial(stored_ids, made_from=replace(fingerprint, tokens="")),
        )

    def keeps(self, tokens: int) -> bool:
        """Tell whether a prefix is long enough to be kept.

        Args:
            tokens: Its tokens.

        Returns:
            True from 256 on: a shorter one is read sooner than it is looked for.
        """
        return tokens >= LEAST_TOKENS

    def gains(self, read: int, reused: int, wanted: int) -> bool:
        """Tell whether it is worth it to keep what has been read of a prefix: all of it, or a good part more.

        Args:
            read: How many of its tokens have been read.
            reused: How many of these were at hand before.
            wanted: How many tokens it has.

        Returns:
            True for the whole prefix, and for what adds 256 tokens; False if nothing was added.
        """
        more = read - reused
        return more >= LEAST_TOKENS or (more > 0 and read == wanted)

    def read(self, file: KeptFile, load: Callable[[Path], _Loaded]) -> _Loaded | None:
        """Read a file.

        Args:
            file: One of `entries`.
            load: Reads it, from a path that is good while it does. It raises PrefixRefused for one that cannot be used.

        Returns:
            What `load` does; None, with a warning, if it cannot be used. It is removed then, unless the system failed.
        """
        try:
            with self._reading(file) as path:
                loaded = load(path)
        except (PrefixRefused, OSError) as error:
            _log.warning("%s: the documents are read again", error)
            if not isinstance(error.__cause__ or error, OSError):  # as where there is no room, or no descriptor left
                with suppress(OSError):  # it may be another user's
                    self._remove([file])
            return None
        with suppress(OSError), self._reading(file) as path:
            os.utime(path)
        if (folder := self._opened()) is not None:
            remove_leftovers(folder.path)
        return loaded

    def write(
        self,
        name: str,
        size: int,
        save: Callable[[Path], None],
        ids: Sequence[int],
        ids_of: Callable[[Path], Sequence[int]],
    ) -> None:
        """Write a file, whole or not at all; what cannot be written is left out with a warning.

        Files with only a beginning of its tokens go.

        Args:
            name: Its name, 32 hexadecimal digits.
            size: How many bytes it will take: older files make room for them.
            save: Writes it to a path.
            ids: Its token ids.
            ids_of: Reads the token ids of a file that was made from the same; none of another one.
        """
        if size > self.limit or (folder := self._opened(make=True)) is None:
            return
        beginnings = self._beginnings(ids, ids_of)
        try:
            make_room(folder.path, size, self.limit)
            save(folder.path / f"{name}{SUFFIX}")
        except OSError as error:
            _log.warning("the keys and values of the documents could not be kept in %s: %s", self.folder, error)
            return
        with suppress(OSError):  # they may be another user's
            self._remove(beginnings)

    def _remove(self, entries: Sequence[KeptFile]) -> list[KeptFile]:
        if (folder := self._opened()) is not None:
            for stored in entries:
                with suppress(FileNotFoundError):
                    os.unlink(stored.path.name, dir_fd=folder.descriptor)
        return list(entries)

    @contextmanager
    def _reading(self, stored: KeptFile) -> Iterator[Path]:
        """A path to a file, as long as it is read. Raises OSError, or PrefixRefused with the path that is shown."""
        if (folder := self._opened()) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(stored.path))
        with folder.open(stored.path.name) as file, reachable(file, stored.path) as path:
            try:
                yield Path(path)
            except PrefixRefused as error:
                raise PrefixRefused(str(error).replace(path, str(stored.path))) from error.__cause__ or error

    def _beginnings(self, ids: Sequence[int], ids_of: Callable[[Path], Sequence[int]]) -> list[KeptFile]:
        """The files whose tokens are the first of `ids`, and fewer."""
        found = [(self.ids(stored, ids_of), stored) for stored in self.entries()]
        return [stored for held, stored in found if 0 < len(held) < len(ids) and list(held) == list(ids[: len(held)])]

    def _dtypes(self, layout: Layout) -> str:
        return f"{layout.model_dtype} {self.dtype}"
