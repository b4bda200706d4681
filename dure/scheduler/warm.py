"""Compile the kernels of the plan, and those that say why somebody waits, before anybody waits for them: `warm()`, once after
each installation.

What is compiled depends on the types of the columns alone. So an empty world will do for the plan, and for questions one in
which one job waits for one core; the results are kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from dure.model.policy import NO_LIMIT, Policy
from dure.scheduler.planning import Planning, plan
from dure.scheduler.quotas import no_quotas
from dure.scheduler.snapshot import (
    FOREVER_MS,
    I32,
    I64,
    RUNNING,
    Alternatives,
    Attempts,
    Awards,
    Nodes,
    Pending,
    Projects,
    Quotas,
    Shares,
    Sites,
    Snapshot,
    freeze,
    uncapped,
    undrawn,
)
from dure.scheduler.tables import classes_of
from dure.scheduler.why import why

NOW_MS, SOON_MS, LONG_MS = 1_800_000_000_000, 60_000, 3_600_000


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


def taken() -> Snapshot:
    """One core, which somebody has, and a job that waits for it and may make others stop: not yet, as that one has not run for
    long. It costs one won, and its project has that."""
    s, yes, no = nowhere(), np.ones(1, np.bool_), np.zeros(1, np.bool_)
    sites = replace(s.sites, ids=("s",), reachable=yes, drained=no, **_last(s.sites, uncapped(1)))
    nodes = replace(
        s.nodes, ids=("n",), site=_i32(0), accelerator=_i32(-1), block=_i32(-1), cores_milli=_i64(1000), memory_mib=_i64(0),
        device_mask=np.zeros(1, np.uint64), usable=yes.copy(), **_last(s.nodes, undrawn(1)),
    )  # fmt: skip
    attempts = Attempts(
        ("a",), ("r",), _i32(RUNNING), _i32(0), _i64(0), yes.copy(), no.copy(), _i64(NOW_MS), _i64(NOW_MS + LONG_MS),
        _i64(NOW_MS), _i64(1000), _i64(0), _i32(-1), _i32(0, 1), _i32(0), np.zeros(1, np.uint64), _i64(0), _i64(0), _i64(0),
        _i32(-1),
    )  # fmt: skip
    pending = Pending(
        ("w",), _i32(0), _i64(400), yes.copy(), yes.copy(), _i64(NOW_MS), _i64(NOW_MS), _i32(0), _i64(1), _i64(1000), _i64(0),
        _i64(0), _i64(LONG_MS), no.copy(), _i32(0), _i32(0, 0), _i32(), _i32(0, 1), _i64(0), _i64(FOREVER_MS), _i32(0, 0), _i32(),
        _i64(0), _i64(0),
    )  # fmt: skip
    awards = Awards(
        ("m",), _i32(0), _i32(0), _i64(1), _i64(FOREVER_MS), np.ones((1, 1), np.bool_), np.ones((1, 1), np.bool_)
    )  # fmt: skip
    return freeze(
        replace(
            s, now_ms=NOW_MS, policy=replace(Policy(), reclaims=True), sites=sites, nodes=nodes, attempts=attempts,
            pending=pending, alternatives=Alternatives(_i32(-1), np.array([[1, -1]], np.int64), _i64(0)),
            projects=Projects(("p",), _i32(1)), awards=awards, quotas=no_quotas(2, 0),
            shares=Shares(("", "p"), _i32(-1, 0), _i64(1, 1), np.zeros(2)),
        )
    )  # fmt: skip


def questions() -> Iterator[Snapshot]:
    """Worlds in which the job waits for one thing or another: room; money; for maintenance to be over; power; and quota, when its
    project uses more than it has by itself and when it may use no more at all."""
    s = taken()
    yield s
    envelope: Any = {"power_ptr": _i32(0, 1), "power_from_ms": _i64(NOW_MS), "power_mw": _i64(0)}
    drawn = replace(s.nodes, core_mw=_i64(1), cores_milli=_i64(2000))
    yield freeze(replace(s, sites=replace(s.sites, **envelope), nodes=drawn))
    yield freeze(replace(s, awards=replace(s.awards, available=_i64(0))))
    closed: Any = {"closed_ptr": _i32(0, 1), "closed_from_ms": _i64(NOW_MS + SOON_MS), "closed_until_ms": _i64(NOW_MS + LONG_MS)}
    yield freeze(replace(s, attempts=nowhere().attempts, nodes=replace(s.nodes, **closed)))
    for nominal in (500, 2000):
        columns = (np.array(of, np.int64)[:, None] for of in ((0, nominal), (NO_LIMIT, 0), (NO_LIMIT, 0), (0, 1000)))
        yield freeze(replace(s, policy=replace(s.policy, reservations_max=0), quotas=Quotas(*columns)))


def _i32(*of: int) -> I32:
    return np.array(of, np.int32)


def _i64(*of: Any) -> I64:
    return np.array(of, np.int64)


def _last(group: Any, columns: tuple[Any, ...]) -> dict[str, Any]:
    """Its last columns, by name."""
    return dict(zip([each.name for each in fields(group)][-len(columns) :], columns, strict=True))


def warm_plans() -> None:
    """What plans call, without what answers questions: of the whole three quarters of the time, for who asks none."""
    plan(nowhere())
    classes_of(taken(), np.zeros(1, np.bool_))  # where one waits alone, nobody is told apart


def warm() -> None:
    warm_plans()
    for snapshot in questions():
        planning = Planning(snapshot)
        planning.run()
        why(snapshot, planning.plan(), 0, residual=planning)
