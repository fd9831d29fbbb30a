"""Memory that is kept when it is freed, so that a map's first pages aren't new ones each time."""

from __future__ import annotations

import ctypes
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 2**30
NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep for this process what it would hand back to the operating system; whether
    it does. A process then holds the most that it has needed.

    By default it maps large blocks anew and trims the heap, by rules that depend on what else was
    allocated: of one block in two processes, or in two places of one, the pages are new in one case
    and not in the other, which makes a factor of three in time. Other allocators (tcmalloc,
    jemalloc) keep memory as this does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, NEVER))
