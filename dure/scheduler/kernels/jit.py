"""How a kernel is compiled: without Python's interpreter, kept on disk, and with the arithmetic of IEEE 754 left alone.

No `fastmath` and no `parallel`: both may add floats in another order, and then the same snapshot could give another plan.
`NUMBA_DISABLE_JIT=1` runs every kernel uncompiled; the tests compare the two, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import types
from numba.extending import typeof_impl

from dure.scheduler.kernels.linking import Part, Whole, compiler_of

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_njit: Any = numba.njit  # its types leave the options about doors out
_config: Any = numba.config  # and those of these do not know what is read from the environment

# Nobody calls a kernel from C: to compile a door for that would take a tenth of all the time again.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_PART, _WHOLE = compiler_of(Part), compiler_of(Whole)
_HERE = Path(__file__).parent


class _Compiled:
    """A function that is a part of each kernel that calls it, and whole when Python calls it: only then is it optimised, put into
    machine code with all that it calls, and kept on disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self.part = _njit(**_OPTIONS, no_cpython_wrapper=True, pipeline_class=_PART)(function)

    @cached_property
    def whole(self) -> Any:
        made = _njit(**_OPTIONS, cache=True, pipeline_class=_WHOLE)(self._function)
        made._cache._cache_file._source_stamp = _stamp(Path(self._function.__code__.co_filename).parent)
        return made

    def __call__(self, *given: Any) -> Any:
        return self.whole(*given)


@cache
def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """When what is kept on disk is out of date: numba looks at the file of a kernel alone, and not at those of what it calls."""
    files = [file for each in sorted({_HERE, folder}) for file in sorted(each.glob("*.py"))]
    checked = ("boundscheck", int(bool(_config.BOUNDSCHECK)), 0)  # what was made with checks is no use without, nor the other way
    return (checked, *((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@typeof_impl.register(_Compiled)
def _part_of(kernel: _Compiled, _: Any) -> Any:
    """What a kernel is to the kernels that call it."""
    return types.Dispatcher(kernel.part)


def inlined(function: Kernel) -> Kernel:
    """A kernel that is compiled into its only caller: every array that one is given costs time to compile and at each call."""
    return cast("Kernel", _njit(**_OPTIONS, inline="always")(function))


def kernel(function: Kernel) -> Kernel:
    """Compile on the first call for the types that it is called with, and keep the result on disk."""
    return function if _config.DISABLE_JIT else cast("Kernel", _Compiled(function))


@kernel
def wide(number: int) -> int:
    """The same number as 64 bits, from a column of any width: a kernel is compiled once more for each width, and each literal,
    that it is called with."""
    return int(np.int64(number))


def constant(number: int, kind: type[np.integer[Any]] = np.int64) -> int:
    """A number to call kernels with that is of a column's type, and no literal."""
    return cast("int", kind(number))
