"""What kernels work on: the nodes of a fleet, what is free on them, and how that changes.

A demand is whole devices (a count, exclusive) or a share of one device in thousandths, with cores and memory beside it. Devices
of a node are told apart, so that what was taken can be given back exactly: `share_free` holds the thousandths that each has
left, and `whole_free` has bit i set while device i is wholly free (at most 64 a node). Cores are thousandths, memory is MiB."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]

WHOLE = 1000  # thousandths of a device


class Ground(NamedTuple):
    """Nodes, sorted by (site, id). The first group never changes while a plan is made; the second does."""

    site: I32
    kind: I32  # accelerator type, -1 for none
    block: I32  # topology block inside the pool, -1 for none
    cores: I64
    memory: I64
    device_ptr: I64  # CSR into share_free, length nodes + 1

    cores_free: I64
    memory_free: I64
    whole_free: U64
    share_free: I32  # one entry a device
