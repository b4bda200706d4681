"""What keeps work off where it has room: the quotas of its project, maintenance, or the power that a site may draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import Board
from dure.scheduler.kernels.ground import I64, WHOLE, run_of
from dure.scheduler.kernels.jit import constant, kernel, wide
from dure.scheduler.kernels.power import Power, may_draw, spare_mw, wanted_mw
from dure.scheduler.kernels.quota import Quota, add, available, bound_by, fits
from dure.scheduler.kernels.seat import takes_all
from dure.scheduler.kernels.standing import Demands, gang_of
from dure.scheduler.kernels.waits import MAINTENANCE, POWER, QUOTA, TURN

Bool = NDArray[np.bool_]

AMOUNT, BOUND_BY = 0, 1  # rows of what is learned of a project's quotas: how much more it may use, and whose limit that is
UNKNOWN = -1
ANY_TYPE = constant(0)


@kernel
def limits(quota: Quota) -> bool:
    """Whether anybody has a quota."""
    return bool(quota.used.shape[0] > 0)


@kernel
def devices_milli(demands: Demands, c: int, kind: int) -> int:
    """What a gang uses of a type at least, as quotas count it."""
    return int(_worker_milli(demands, c, kind) * demands.each.workers[c])


@kernel
def _worker_milli(demands: Demands, c: int, kind: int) -> int:
    return int(WHOLE * demands.each.devices[c] + demands.each.share[c]) if kind >= 0 else 0


@kernel
def most_within(quota: Quota, leaf: int, demands: Demands, c: int, kind: int) -> int:
    """How many workers, at most those that it asks for, a project may use more on a type."""
    most, last = demands.each.most[c], quota.used.shape[1] - 1
    devices, cores = _worker_milli(demands, c, kind), demands.each.cores[c]
    if devices > 0:
        most = min(most, max(0, available(quota, leaf, wide(kind))) // devices)
    if cores > 0:
        most = min(most, max(0, available(quota, leaf, last)) // cores)
    return int(most)


@kernel
def within(quota: Quota, beyond: I64, leaf: int, demands: Demands, c: int, kind: int) -> bool:
    """Whether a project may use so much more on a type. Where not, `beyond` remembers the least amount that was."""
    last, devices, cores = (
        quota.used.shape[1] - 1,
        devices_milli(demands, c, kind),
        demands.each.cores[c] * demands.each.workers[c],
    )
    if kind >= 0 and not fits(quota, leaf, wide(kind), devices):
        beyond[leaf, kind] = min(beyond[leaf, kind], devices)
        return False
    if not fits(quota, leaf, last, cores):
        beyond[leaf, last] = min(beyond[leaf, last], cores)
        return False
    return True


@kernel
def known_beyond(beyond: I64, leaf: int, demands: Demands, c: int) -> bool:
    """Whether it is remembered of every alternative that it is beyond the quota."""
    last = beyond.shape[1] - 1
    if demands.each.cores[c] * demands.each.workers[c] >= beyond[leaf, last]:
        return True
    for alt in range(demands.each.kind_ptr[c], demands.each.kind_ptr[c + 1]):
        kind = demands.kind[alt]
        if kind < 0 or devices_milli(demands, c, kind) < beyond[leaf, kind]:
            return False
    return True


@kernel
def use(quota: Quota, leaf: int, demands: Demands, c: int, kind: int, workers: int) -> None:
    """Count what starts."""
    if kind >= 0:
        add(quota, leaf, wide(kind), _worker_milli(demands, c, kind) * workers)
    add(quota, leaf, quota.used.shape[1] - 1, demands.each.cores[c] * workers)


@kernel
def open_to(quota: Quota, openings: I64, leaf: int) -> None:
    """Learn how much more a project may use of each resource, and whose limit that is; it holds for as long as nobody uses more.
    openings: shape (2, resources)."""
    for each in range(quota.used.shape[1]):
        resource = wide(each)
        openings[AMOUNT, resource], openings[BOUND_BY, resource] = (
            max(0, available(quota, leaf, resource)),
            bound_by(quota, leaf, resource),
        )


@kernel
def over_quota(openings: I64, demands: Demands, c: int, somewhere: Bool, at: int, facts: I64) -> int:
    """`QUOTA` where every alternative that has a site is beyond what a project may use, with the facts of the first; else `TURN`.
    openings: as in `open_to`. somewhere: by alternative, from its place `at` on, whether it has a site."""
    first, last, told = demands.each.kind_ptr[c], openings.shape[1] - 1, False
    cores, devices = demands.each.cores[c] * demands.each.workers[c], devices_milli(demands, c, ANY_TYPE)
    for alt in range(demands.each.kind_ptr[c + 1] - first):
        if not somewhere[at + alt]:
            continue
        kind, resource, wanted = wide(demands.kind[first + alt]), last, cores
        if kind >= 0 and devices > openings[AMOUNT, kind]:
            resource, wanted = kind, devices
        elif cores <= openings[AMOUNT, last]:
            return TURN
        if not told:
            facts[0], facts[1] = wanted, openings[AMOUNT, resource]
            facts[2], facts[3], told = resource, openings[BOUND_BY, resource], True
    return QUOTA if told else TURN


@kernel
def barred(
    board: Board, power: Power, low: I64, high: I64, demands: Demands, c: int, sites: Bool, end: int, more: I64, facts: I64
) -> int:  # fmt: skip
    """What keeps a demand off all of these sites where it has room until `end`, and as much `more` by alternative: maintenance,
    or power at those where it has room beside that; the site that may draw most tells. `TURN`: nothing does, at one of them."""
    if len(board.closed) == 0 and len(power.step) == 0:
        return TURN
    code, first, most, gang = MAINTENANCE, demands.each.kind_ptr[c], np.int64(0), gang_of(demands, c)
    for alt in range(sites.shape[0]):
        kind = wide(demands.kind[first + alt])
        for site in range(sites.shape[1]):
            if not sites[alt, site]:
                continue
            mw, free, when, until = wanted_mw(power, site, kind, gang), 0, 0, end + more[alt]
            draws = may_draw(power, site, board.now, until, mw)
            if not draws:
                free, when = spare_mw(power, site, board.now, until)
            if not draws and code == POWER and free <= most:  # whether there is room takes longest to find out
                continue
            run = run_of(low, high, site, kind)
            if not takes_all(board, run[0], run[1], gang, until):
                continue
            if draws:
                return TURN
            code, most = POWER, np.int64(free)
            facts[0], facts[1], facts[2] = _metered(power, site, mw), _metered(power, site, max(free, 0)), when
    if code == MAINTENANCE:
        facts[0], facts[1] = _window(board, low, high, demands, c, sites, end, more)
    return code


@kernel
def _metered(power: Power, site: int, mw: int) -> int:
    return int((mw * power.site.pue_permille[site] + WHOLE - 1) // WHOLE)


@kernel
def _window(
    board: Board, low: I64, high: I64, demands: Demands, c: int, sites: Bool, end: int, more: I64
) -> tuple[int, int]:  # fmt: skip
    """The first that begins before `end`, and as much `more` by alternative, on a node in question."""
    first, cells, closed = demands.each.kind_ptr[c], board.cells, board.closed
    since = until = end + more.max()
    for alt in range(sites.shape[0]):
        kind = wide(demands.kind[first + alt])
        for site in range(sites.shape[1]):
            if not sites[alt, site]:
                continue
            run = run_of(low, high, site, kind)
            for at in range(cells.cell.first[run[0]], cells.cell.first[run[1]]):
                node = cells.nodes[at]
                for window in range(board.here.closed[node], board.here.closed[node + 1]):
                    if closed.since[window] < min(since, end + more[alt]):
                        since, until = closed.since[window], closed.until[window]
    return int(since), int(until)
