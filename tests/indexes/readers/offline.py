"""Run a command in which whoever opens an internet socket is killed: `python offline.py COMMAND...`.

A seccomp filter needs no privileges, is inherited by every child, and sees what native code does as well as Python. On a
system without it the command runs as it is.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

_ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # seccomp's name, and that of `socket`
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: a word of what is asked, a comparison with jumps, the end
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_SET_SECCOMP, _FILTER, _NO_NEW_PRIVILEGES = 22, 2, 38


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def cut_network() -> bool:
    """Let this process and its children open no internet socket; False where the system cannot do that."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    architecture, socket_call = _ARCHITECTURES[platform.machine()]
    instructions = (
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, 16),  # the first argument: the family
        (_EQUAL, 2, 0, socket.AF_INET),
        (_EQUAL, 1, 0, socket.AF_INET6),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    )
    program = _Program(len(instructions), b"".join(struct.pack("HBBI", *each) for each in instructions))
    control = ctypes.CDLL(None, use_errno=True).prctl
    return control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and control(_SET_SECCOMP, _FILTER, ctypes.byref(program)) == 0


if __name__ == "__main__":
    cut_network()
    os.execvp(sys.argv[1], sys.argv[1:])
