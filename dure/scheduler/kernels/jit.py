"""How a kernel is compiled: without Python's interpreter, kept on disk, and with the arithmetic of IEEE 754 left alone.

No `fastmath` and no `parallel`: both may add floats in another order, and then the same snapshot could give another plan.
`NUMBA_DISABLE_JIT=1` runs every kernel uncompiled; the tests compare the two, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_njit: Any = numba.njit  # its types leave the options about doors out

# Nobody calls a kernel from C: to compile a door for that would take a tenth of all the time again.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def inlined(function: Kernel) -> Kernel:
    """A kernel that is compiled into its only caller: every array that one is given costs time to compile and at each call."""
    return cast("Kernel", _njit(**_OPTIONS, inline="always")(function))


def inner(function: Kernel) -> Kernel:
    """A kernel that only kernels call: without the door for Python, which takes every array apart and is compiled as well. A test
    that wants to call one calls its `py_func`."""
    return cast("Kernel", _njit(**_OPTIONS, no_cpython_wrapper=True)(function))


def kernel(function: Kernel) -> Kernel:
    """Compile on first call for the types that it is called with, and keep the result on disk."""
    return cast("Kernel", _njit(**_OPTIONS)(function))


@kernel
def wide(number: int) -> int:
    """The same number as 64 bits, from a column of any width: a kernel is compiled once more for each width, and each literal,
    that it is called with."""
    return int(np.int64(number))


def constant(number: int, kind: type[np.integer[Any]] = np.int64) -> int:
    """A number to call kernels with that is of a column's type, and no literal."""
    return cast("int", kind(number))
