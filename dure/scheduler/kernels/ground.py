"""What kernels work on: the nodes of a fleet, what is free on them, and how that changes.

A demand is whole devices (a count, exclusive) or a share of one device in thousandths, with cores and memory beside it. Devices
of a node are told apart, so that what was taken can be given back exactly: `share_free` holds the thousandths that each has
left, and `whole_free` has bit i set while device i is wholly free (at most 64 a node). Cores are thousandths, memory is MiB."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.jit import kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]

Table = np.recarray[Any, np.dtype[Any]]
Columns = list[tuple[str, type[np.generic]]]

WHOLE = 1000  # thousandths of a device


def table(columns: Columns, length: int) -> Table:
    """A table of zeros, one record a row: `table.name[row]` in kernels and outside. To a kernel it is one array, and each array
    that one is given costs time to compile and at each call."""
    return np.zeros(length, _record(tuple(columns))).view(np.recarray)


def copied(rows: Table) -> Table:
    """The same rows anew, in one piece: numpy's own copy goes through them field by field."""
    return rows.view(np.uint8).copy().view(rows.dtype).view(type(rows))


@cache
def _record(columns: tuple[tuple[str, type[np.generic]], ...]) -> np.dtype[Any]:
    """Of `np.record` from the first, as views of any other take the type of each of their fields anew."""
    return np.dtype((np.record, np.dtype(list(columns), align=True)))


@kernel
def column(kind: int, columns: int) -> int:
    """Where a type of accelerator stands in a table of so many columns, whose last one is for work that takes any node (-1)."""
    return kind if kind >= 0 else columns - 1


@kernel
def run_of(low: I64, high: I64, site: int, kind: int) -> tuple[int, int]:
    """The cells of a site in which the nodes of a type are, up to and without the second. low, high: as in `boards.Runs`."""
    at = column(kind, low.shape[1])
    return int(low[site, at]), int(high[site, at])


NODE: Columns = [  # the first group never changes while a plan is made; the second does
    ("site", np.int32),
    ("kind", np.int32),  # accelerator type, -1 for none
    ("block", np.int32),  # topology block inside the site, -1 for none
    ("shares", np.bool_),  # whether its devices are divided
    ("cores", np.int64),
    ("memory", np.int64),
    ("cores_free", np.int64),
    ("memory_free", np.int64),
    ("whole_free", np.uint64),
]


class Gang(NamedTuple):
    """What starts whole or not at all: so many workers, and what each of them needs."""

    workers: int
    cores: int
    memory: int
    devices: int  # whole ones,
    share: int = 0  # or thousandths of one
    block: int = 0  # 1: all of them within one topology block (a number like the others, so that it is one kind of tuple)


class Ground(NamedTuple):
    """Nodes, sorted by (site, id)."""

    nodes: Table  # NODE
    device_ptr: I64  # CSR into share_free, length nodes + 1
    share_free: I32  # one entry a device
