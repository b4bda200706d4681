"""What a process that plans again and again does with its memory: it keeps it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

KEPT_BYTES = 1 << 29  # free memory at the end of the heap, above which it goes back to the system
MAPPED_BYTES = 1 << 25  # what is at least as large has a mapping of its own and goes back when it is free; glibc allows no more


def keep_memory(environ: Mapping[str, str]) -> bool:
    """Have what is freed kept for what comes next, as the tables of a plan are as large as those of the last one: a system that
    gets them back each time clears each of their pages anew, which takes a third of the time in which they are filled.

    Whether it is so: not with an allocator other than glibc's, and not where `environ` tells it something else."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # One arena, as others are made of pieces that are mapped and unmapped on their own.
    wanted = ((_MMAP_THRESHOLD, MAPPED_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES), (_ARENA_MAX, 1))
    taken = [mallopt(name, value) for name, value in wanted]
    return all(taken)
