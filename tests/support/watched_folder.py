"""Whether anything in a folder is opened, changed or removed, by whatever code, as the kernel tells (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

import pytest

_EVENTS = 0x001 | 0x002 | 0x004 | 0x020 | 0x040 | 0x080 | 0x100 | 0x200  # access to delete, without closing
_IS_FOLDER, _LISTING = 0x40000000, 0x001 | 0x020  # others on the machine list folders, too
_HEAD = struct.Struct("iIII")


class WatchedFolder:
    """A folder, of which everything that happens in it from now on is told. Skips the test where the system cannot."""

    def __init__(self, folder: Path) -> None:
        if sys.platform != "linux":
            pytest.skip("only Linux tells")
        library = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[int, Path] = {}
        self._descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            number = library.inotify_add_watch(self._descriptor, os.fsencode(path), _EVENTS)
            if number < 0:
                pytest.skip("nothing can be watched here")
            self._watched[number] = path
        self.events()

    def events(self) -> list[tuple[str, str]]:
        """What has happened since the last call: the kind of event in hexadecimal, and a path."""
        found: list[tuple[str, str]] = []
        while True:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                number, mask, _, length = _HEAD.unpack_from(data)
                is_listed = mask & _IS_FOLDER and mask & _LISTING
                name = os.fsdecode(data[_HEAD.size : _HEAD.size + length].rstrip(b"\0"))
                if not is_listed:
                    found.append((f"{mask:x}", str(self._watched.get(number, Path("?")) / name)))
                data = data[_HEAD.size + length :]
