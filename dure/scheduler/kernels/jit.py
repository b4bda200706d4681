"""How a kernel is compiled: without Python's interpreter, kept on disk, and with the arithmetic of IEEE 754 left alone.

No `fastmath` and no `parallel`: both may add floats in another order, and then the same snapshot could give another plan.
`NUMBA_DISABLE_JIT=1` runs every kernel uncompiled; the tests compare the two, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile on first call for the types that it is called with, and keep the result on disk."""
    return cast("Kernel", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
