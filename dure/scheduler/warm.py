"""Compile the kernels of the plan before anybody waits for them: `warm()`, once after each installation.

What is compiled depends on the types of the columns alone, so an empty world will do; the results are kept on disk."""

from __future__ import annotations

import numpy as np

from dure.model.policy import Policy
from dure.scheduler.planning import plan
from dure.scheduler.quotas import no_quotas
from dure.scheduler.snapshot import (
    Alternatives,
    Attempts,
    Awards,
    Nodes,
    Pending,
    Projects,
    Shares,
    Sites,
    Snapshot,
    freeze,
    uncapped,
    undrawn,
)


def nowhere() -> Snapshot:
    """A snapshot of a plane without sites, work or money."""
    i32, i64, u64, flag = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.bool_)
    ptr, root = np.zeros(1, np.int32), np.full(1, -1, np.int32)
    return freeze(
        Snapshot(
            now_ms=0, epoch=0, sealed_seq=0, draining=False, policy=Policy(), accelerators=(),
            domestic=flag.copy(), data=(), core_rate=np.zeros(1),
            sites=Sites((), flag, flag.copy(), *uncapped(0)),
            nodes=Nodes((), i32, i32.copy(), i32.copy(), i64, i64.copy(), u64, flag.copy(), *undrawn(0)),
            attempts=Attempts(
                (), (), i32, i32, i64, flag, flag.copy(), i64, i64, i64, i64, i64, i32, ptr, i32, u64, i64, i64, i64, i32,
            ),
            pending=Pending(
                (), i32, i64, flag, flag, i64, i64, i32, i64, i64, i64, i64, i64, flag, i32, ptr, i32, ptr, i64, i64, ptr, i32,
                i64, i64,
            ),
            alternatives=Alternatives(i32, np.zeros((0, 2), np.int64), i64), projects=Projects((), i32),
            shares=Shares(("",), root, np.ones(1, np.int64), np.zeros(1)),
            awards=Awards((), i32, i32, i64, i64, np.zeros((0, 0), np.bool_), np.zeros((0, 1), np.bool_)),
            quotas=no_quotas(1, 0),
        )
    )  # fmt: skip


def warm() -> None:
    plan(nowhere())
