"""What is summed up of attempts over their workers."""

from __future__ import annotations

import numpy as np

from dure.scheduler.kernels.ground import F64, I32, I64, U64, WHOLE, Table
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.room import count_whole

_MILLI = 1000


@kernel
def _devices_milli(mask: np.uint64, share: int) -> int:
    """Of a worker, in thousandths."""
    return share if share > 0 else WHOLE * count_whole(mask)


@kernel
def drawn_by(
    ptr: I32, node: I32, mask: U64, share: I64, cores: I64, device_mw: I64, core_mw: I64, drawn: I64
) -> None:  # fmt: skip
    """Write for each attempt what its workers draw, as `scheduler.power` says. ptr, node, mask: of workers; share, cores: by
    attempt; device_mw, core_mw: by node."""
    for row in range(len(drawn)):
        total = wide(0)
        for worker in range(ptr[row], ptr[row + 1]):
            computing = device_mw[node[worker]] * _devices_milli(mask[worker], share[row])
            total += (computing + _MILLI - 1) // _MILLI + (core_mw[node[worker]] * cores[row] + _MILLI - 1) // _MILLI
        drawn[row] = total


@kernel
def lost_by(
    ptr: I32, node: I32, mask: U64, share: I64, cores: I64, kind: I32, rate: F64, since: I64, at: int, lost: F64
) -> None:  # fmt: skip
    """Write for each attempt what is lost of it at a moment, as `scheduler.attempts` says. kind: by node, -1 for the last of
    `rate`; since: from when nothing is saved."""
    for row in range(len(lost)):
        total = 0.0
        for worker in range(ptr[row], ptr[row + 1]):
            devices, type_of = _devices_milli(mask[worker], share[row]) / WHOLE, kind[node[worker]]
            total += cores[row] / _MILLI + devices * rate[type_of if type_of >= 0 else len(rate) - 1]
        lost[row] = total * max(at - since[row], 0) / _MILLI


@kernel
def leaving(
    ptr: I32, node: I32, site: I32, by_end: I64, beneficiary: I32, claims: I32, claimed: int, end: I64, mw: I64, first: I64,
    gone: Table,
) -> None:  # fmt: skip
    """Write by site those who are there by their ends: into `first` where they begin, and into `gone` (as `power.GONE`) when they
    end, and what those draw who end then or later.

    by_end: all attempts, by their ends; claims: their states, of which `claimed` is that of a claim. A claim and those who make
    room for it are one, that lasts as long as the claim and draws as the side that draws more."""
    theirs, place = np.zeros(len(end), np.int64), np.zeros(len(first), np.int64)
    for row in range(len(end)):
        if beneficiary[row] >= 0:
            theirs[beneficiary[row]] += mw[row]
        elif ptr[row] < ptr[row + 1]:
            place[site[node[ptr[row]]] + 1] += 1
    for each in range(1, len(place)):
        place[each] += place[each - 1]
    first[:] = place
    for row in by_end:
        if beneficiary[row] < 0 and ptr[row] < ptr[row + 1]:
            there = site[node[ptr[row]]]
            gone.at[place[there]] = end[row]
            gone.left[place[there]] = max(mw[row], theirs[row]) if claims[row] == claimed else mw[row]
            place[there] += 1
    for each in range(len(first) - 1):
        for i in range(first[each + 1] - 2, first[each] - 1, -1):
            gone.left[i] += gone.left[i + 1]
