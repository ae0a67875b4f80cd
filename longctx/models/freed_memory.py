"""Freed memory is kept for the next block of a prompt.

As soon as a buffer above a threshold, 32 MiB at most, is freed, glibc returns it to the system, which clears the pages
of the next one: up to a fifth of a processor's time for a prompt. Here it keeps larger buffers. No more memory is taken
at once by that, and what is kept is returned where memory is short.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of mallopt(3)
_LARGEST_KEPT = 256 << 20  # bytes of a buffer: activations are smaller, and what is larger is seldom made
_MOST_KEPT = 1 << 30  # bytes at the end of the heap


def keep_freed_memory() -> None:
    """Have buffers of activations used again, in this process; does nothing where the C library is another."""
    if (library := _glibc()) is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, _MOST_KEPT)


def return_freed_memory() -> None:
    """Give what is kept back to the system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> Any:
    """The C library of this process; None where it is not glibc."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
