"""Keep freed arrays in the process.

glibc returns each large freed block to the kernel and asks for it again at the next array: page faults then take half of the
time of a bootstrap, whose arrays are a megabyte each and live for one operation.
"""

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of <malloc.h>
_LARGE = 1 << 28  # bytes


@cache
def keep_freed_arrays() -> None:
    """Once a process; nothing where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, _LARGE)
    mallopt(_MMAP_THRESHOLD, _LARGE)
