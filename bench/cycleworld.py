"""The national workload as a snapshot: what `plan` is measured on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dure.model.money import CURRENCIES
from dure.model.policy import NO_LIMIT, Policy
from dure.scheduler.quotas import MILLI, no_quotas, use_of
from dure.scheduler.snapshot import (
    FOREVER_MS,
    I32,
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
from dure.simulator.traces.cycle import CycleWorld
from dure.simulator.trial.envelopes import Envelopes, draws

GRACE_MS = np.int64(10_000)  # what a job has that names none
AWARD_WON = 10**15  # money is looked at and never short
CORE_RATE = 16.0
AHEAD_MS = 7 * 24 * 3_600_000


def limited(world: CycleWorld) -> Snapshot:
    """With the world's quotas, and what its sites may draw."""
    free = snapshot_of(world)
    pue, ptr, since, mw = Envelopes(world.fleet, AHEAD_MS).columns(world.now_ms)
    idle, device, core = draws(world.fleet)
    return freeze(
        replace(
            free, quotas=quotas_of(world, free),
            sites=replace(free.sites, pue_permille=pue, power_ptr=ptr, power_from_ms=since, power_mw=mw),
            nodes=replace(free.nodes, idle_mw=idle, device_mw=device, core_mw=core),
        )
    )  # fmt: skip


def snapshot_of(world: CycleWorld) -> Snapshot:
    """The world's columns as a plan wants them: every queue a project with money, cohorts as organisations."""
    waiting, nodes, kinds, sites = world.pending, world.nodes, world.fleet.accelerators, world.fleet.sites
    queues, count, jobs = len(world.quotas.names), len(nodes.accelerator), len(waiting)
    site_ptr, site_row = _runs(
        [[i for i, s in enumerate(sites) if s.region in place] for place in waiting.residencies], waiting.residency
    )
    alt_ptr, alt = _runs([[kinds.index(kind) for kind in names] for names in waiting.accelerators], waiting.accelerator)
    hold = np.full((len(alt), len(CURRENCIES)), -1, np.int64)
    hold[:, 0] = np.repeat(waiting.limit_ms // 1000 * waiting.workers, np.diff(alt_ptr))
    return freeze(
        Snapshot(
            now_ms=world.now_ms, epoch=1, sealed_seq=1, draining=False, policy=replace(Policy(), reservations_max=100),
            accelerators=kinds, domestic=np.array([world.fleet.domestic(kind) for kind in kinds], np.bool_), data=(),
            core_rate=np.array([CORE_RATE] * len(kinds) + [0.0]),
            sites=Sites(tuple(s.name for s in sites), np.ones(len(sites), np.bool_), np.zeros(len(sites), np.bool_),
                        *uncapped(len(sites))),
            nodes=Nodes(
                tuple(map(str, range(count))), nodes.site.astype(np.int32), nodes.accelerator.astype(np.int32),
                nodes.block.astype(np.int32), nodes.cores_milli.astype(np.int64), nodes.memory_mib.astype(np.int64),
                (np.uint64(1) << nodes.devices.astype(np.uint64)) - np.uint64(1), np.ones(count, np.bool_), *undrawn(count)[:-1],
                np.ones(count, np.bool_),
            ),
            attempts=_running(world),
            pending=Pending(
                tuple(map(str, range(jobs))), waiting.queue, waiting.priority, waiting.priority >= waiting.priority.max(),
                waiting.preemptible, waiting.submit_ms, waiting.submit_ms, np.zeros(jobs, np.int32), waiting.workers,
                waiting.cores_milli, waiting.memory_mib, waiting.devices, waiting.limit_ms, np.zeros(jobs, np.bool_),
                _shapes(world), site_ptr, site_row, alt_ptr, waiting.share_milli.astype(np.int64),
                np.full(jobs, FOREVER_MS), np.zeros(jobs + 1, np.int32), np.zeros(0, np.int32), np.zeros(jobs, np.int64),
                np.zeros(jobs, np.int64),
            ),
            alternatives=Alternatives(alt, hold, np.zeros(len(alt), np.int64)),
            projects=Projects(world.quotas.names, _leaves(world)), shares=_shares(world),
            awards=Awards(
                tuple(map(str, range(queues))), np.arange(queues, dtype=np.int32), np.zeros(queues, np.int32),
                np.full(queues, AWARD_WON), np.full(queues, FOREVER_MS), np.ones((queues, len(sites)), np.bool_),
                np.ones((queues, len(kinds) + 1), np.bool_),
            ),
            quotas=no_quotas(len(world.quotas.parent) + queues, len(kinds)),
        )
    )  # fmt: skip


def quotas_of(world: CycleWorld, snapshot: Snapshot) -> Quotas:
    """The world's quotas, in devices, for such a snapshot: cores have none. Put in by `replace(snapshot, quotas=...)`."""
    given, rows, kinds = world.quotas, len(snapshot.shares.ids), len(snapshot.accelerators)
    found, leaf = no_quotas(rows, kinds), snapshot.projects.share
    columns = (found.nominal, found.borrow_max, found.lend_max)
    for column, amounts in zip(columns, (given.nominal, given.borrow_most, given.lend_most), strict=True):
        column[leaf, :kinds] = np.where(amounts < 0, NO_LIMIT, amounts * MILLI)
    found.nominal[: len(given.parent), :kinds] = 0
    return replace(found, used=use_of(snapshot.attempts, snapshot.nodes, snapshot.projects, rows, kinds))


def _shapes(world: CycleWorld) -> I32:
    """The number of what each one asks for, as a plane keeps it with each workload."""
    p = world.pending
    asked = (p.workers, p.cores_milli, p.memory_mib, p.devices, p.share_milli, p.residency, p.accelerator)
    return np.unique(np.array(asked, np.int64), axis=1, return_inverse=True)[1].astype(np.int32)


def _running(world: CycleWorld) -> Attempts:
    running = world.running
    count = len(running.queue)
    ids = tuple(f"{number:07}" for number in range(count))
    return Attempts(
        ids, ids, np.full(count, RUNNING, np.int32), running.queue, running.priority, running.preemptible, running.priority == 0,
        running.started_ms,
        running.ends_ms, running.saved_ms, running.cores_milli, running.memory_mib, np.full(count, -1, np.int32),
        running.worker_ptr.astype(np.int32), running.worker_node, running.worker_mask, np.zeros(count, np.int64),
        np.full(count, GRACE_MS),
        np.where(running.preemptible, GRACE_MS + np.maximum(running.ends_ms - running.saved_ms, 0), 0),
        np.full(count, -1, np.int32),
    )  # fmt: skip


def _leaves(world: CycleWorld) -> I32:
    cohorts = len(world.quotas.parent)
    return np.arange(cohorts, cohorts + len(world.quotas.names), dtype=np.int32)


def _shares(world: CycleWorld) -> Shares:
    given, cohorts = world.quotas, len(world.quotas.parent)
    names = tuple(map(str, range(cohorts + len(given.names))))
    parent = np.concatenate([given.parent, given.cohort]).astype(np.int32)
    weight = np.concatenate([np.ones(cohorts, np.int64), given.weight])
    return Shares(names, parent, weight, np.concatenate([np.zeros(cohorts), given.use]))


def _runs(choices: list[list[int]], chosen: I32) -> tuple[I32, I32]:
    """The choice of each row as CSR; -1 chooses nothing."""
    runs = [np.array(choice, np.int32) for choice in choices] + [np.zeros(0, np.int32)]
    length = np.array([len(run) for run in runs])[chosen]
    ptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return ptr, np.concatenate([runs[row] for row in chosen.tolist()]) if len(chosen) else np.zeros(0, np.int32)
