"""From the mirror's records to the columns of a snapshot. Waiting workloads are kept columnar between snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.controller.envelopes import closed_columns, data_names, power_columns, trait_columns
from dure.controller.lifecycle import decayed, normalised_cores
from dure.controller.mirror import Mirror, Waiting
from dure.controller.rates import accepted, hold_amounts, occupy_ms
from dure.controller.strangers import Stranger, strangers
from dure.controller.table import SlotTable
from dure.ledger import available, award_account
from dure.model.accelerators import core_rate, is_domestic
from dure.model.money import CURRENCIES
from dure.model.policy import Policy, Taste
from dure.model.site import Node
from dure.model.workload import BLOCK, Attempt, AttemptState, WorkloadSpec
from dure.scheduler.quotas import quotas_of, use_of
from dure.scheduler.runs import first_rows, gather
from dure.scheduler.snapshot import (
    CLAIMED,
    FOREVER_MS,
    LAUNCHING,
    RUNNING,
    STOPPING,
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
)

ROOT = ""  # id of the root of the share tree
_STATE = {
    AttemptState.CLAIMED: CLAIMED,
    AttemptState.LAUNCHING: LAUNCHING,
    AttemptState.RUNNING: RUNNING,
    AttemptState.STOPPING: STOPPING,
}
# columns of the waiting table, in order
_SHAPE, _PROJECT, _PRIORITY, _PREEMPTS, _PREEMPTIBLE, _SUBMITTED, _ELIGIBLE, _DEPENDENCY = range(8)
_WORKERS, _CORES, _MEMORY, _DEVICES, _LIMIT, _SHARE, _BLOCK, _WIDTH = 8, 9, 10, 11, 12, 13, 14, 15

I64Array = NDArray[np.int64]

# When there are more shapes than this, and than twice the waiting, those that nobody has any more are forgotten.
SHAPES_KEPT = 1000


class Columns:
    """Builds snapshots of a mirror. What a waiting workload contributes is computed when it changes, not per snapshot."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        mirror.changed, mirror.reset = self._changed, self._reset
        self._reset()

    def _reset(self) -> None:
        self._waiting = SlotTable(_WIDTH)
        self._shapes: dict[Any, int] = {}  # what tells two waiting workloads apart for placement → row in _shape_*
        self._shape_types: list[tuple[str, ...]] = []
        self._shape_holds: list[list[tuple[int, ...]]] = []
        self._shape_sites: list[tuple[str, ...]] = []
        self._shape_data: list[tuple[str, ...]] = []
        self._types: tuple[str, ...] = ()
        self._projects: dict[str, int] = {}  # id → number, in the order in which they were met

    def _changed(self, id: str, waiting: Waiting | None) -> None:
        if waiting is None:
            self._waiting.drop(id)
            return
        workload, policy = waiting.workload, self._mirror.policy
        spec = workload.spec
        klass = policy.class_of(spec.priority)
        demand = spec.demand
        project = self._projects.setdefault(workload.project, len(self._projects))
        row = (
            self._shape(spec), project, klass.value, klass.preempts, spec.preemptible, workload.submitted_ms,
            workload.eligible_ms, waiting.dependency, spec.workers, demand.cores_milli, demand.memory_mib,
            demand.devices, occupy_ms(spec), demand.share_milli, spec.topology == BLOCK,
        )  # fmt: skip
        self._waiting.put(id, workload.submitted_ms, row)

    def _shape(self, spec: WorkloadSpec) -> int:
        wants = (spec.demand, spec.workers, spec.sites, spec.datasets, spec.topology)
        key = (*wants, spec.limit_ms, spec.grace_ms, spec.preemptible, spec.priority)
        known = self._shapes.get(key)
        if known is not None:
            return known
        self._shapes[key] = len(self._shape_types)
        types = accepted(spec, self._types)
        self._shape_types.append(types)
        self._shape_holds.append([hold_amounts(self._mirror.policy, spec, t) for t in types])
        self._shape_sites.append(spec.sites)
        self._shape_data.append(spec.datasets)
        return self._shapes[key]

    # -- the snapshot --------------------------------------------------------------------------------------------

    def snapshot(self, now_ms: int, epoch: int) -> Snapshot:
        m = self._mirror
        self._note_types()
        if len(self._shape_types) > max(SHAPES_KEPT, 2 * len(self._waiting)):
            self._again(self._types)
        accelerators = self._accelerators()
        ordered = sorted(m.projects)
        project_row = {id: row for row, id in enumerate(ordered)}
        sites = sorted(m.sites)
        site_row = {id: row for row, id in enumerate(sites)}
        nodes = sorted(m.nodes.values(), key=lambda n: (site_row[n.site], n.id))
        node_row = {n.id: row for row, n in enumerate(nodes)}
        strange = self._strangers()
        closed = frozenset(chain.from_iterable(s.closes for s in strange))
        names = data_names(m.sites.values())
        pending, alternatives = self._pending(now_ms, project_row, site_row, accelerators, names)
        shares, leaf = self._shares(now_ms, ordered)
        node_columns = self._nodes(nodes, site_row, {a: i for i, a in enumerate(accelerators)}, closed, now_ms)
        attempts = _with(self._attempts(project_row, node_row), strange, project_row, node_row, m.policy)
        projects = Projects(ids=tuple(ordered), share=_i32(leaf))
        used = use_of(attempts, node_columns, projects, len(shares.ids), len(accelerators))
        return freeze(
            Snapshot(
                now_ms=now_ms,
                epoch=epoch,
                sealed_seq=m.seq,
                draining=m.plane.draining,
                policy=m.policy,
                accelerators=accelerators,
                domestic=_bool([is_domestic(a) for a in accelerators]),
                data=names,
                core_rate=np.array([core_rate(a) for a in (*accelerators, "")], dtype=np.float64),
                sites=self._sites(sites, now_ms, names),
                nodes=node_columns,
                attempts=attempts,
                pending=pending,
                alternatives=alternatives,
                projects=projects,
                shares=shares,
                awards=self._awards(now_ms, project_row, sites, accelerators),
                quotas=quotas_of(m.policy.quotas, shares, projects, accelerators, used),
            )
        )

    def _note_types(self) -> None:
        """Jobs that take any accelerator depend on which types there are, and in which order the policy prefers them: when that
        changes, their shapes are made anew."""
        home = any(p.taste == Taste.DOMESTIC and p.weight > 0 for p in self._mirror.policy.preferences)
        here = {n.accelerator for n in self._mirror.nodes.values() if n.accelerator}
        types = tuple(sorted(here, key=lambda a: (home and not is_domestic(a), a)))
        if types == self._types:
            return
        self._again(types)

    def _again(self, types: tuple[str, ...]) -> None:
        self._reset()
        self._types = types
        for id, waiting in self._mirror.waiting.items():
            self._changed(id, waiting)

    def _accelerators(self) -> tuple[str, ...]:
        asked = chain.from_iterable(self._shape_types)
        placed = (a.accelerator for a in self._mirror.attempts.values())
        return tuple(sorted({*self._types, *asked, *placed} - {""}))

    def _sites(self, ids: Sequence[str], now_ms: int, names: Sequence[str]) -> Sites:
        m = self._mirror
        reachable = _bool([m.answers(id, now_ms) for id in ids])
        rows = [m.sites[id] for id in ids]
        return Sites(
            tuple(ids), reachable, _bool([row.drained for row in rows]), *power_columns(rows, now_ms), *trait_columns(rows, names)
        )

    def _nodes(
        self, nodes: Sequence[Node], site_row: dict[str, int], types: dict[str, int], closed: frozenset[str], now_ms: int
    ) -> Nodes:
        ptr, from_ms, until_ms = closed_columns(nodes, list(self._mirror.sites.values()), now_ms)
        return Nodes(
            ids=tuple(n.id for n in nodes),
            site=_i32([site_row[n.site] for n in nodes]),
            accelerator=_i32([types.get(n.accelerator, -1) for n in nodes]),
            block=_blocks(nodes),
            cores_milli=_i64([n.cores_milli for n in nodes]),
            memory_mib=_i64([n.memory_mib for n in nodes]),
            device_mask=np.array([(1 << n.devices) - 1 for n in nodes], dtype=np.uint64),
            usable=_bool([n.up and not n.drained and n.id not in closed for n in nodes]),
            idle_mw=_i64([n.idle_mw if n.up else 0 for n in nodes]),
            device_mw=_i64([n.device_mw for n in nodes]),
            core_mw=_i64([n.core_mw for n in nodes]),
            closed_ptr=ptr,
            closed_from_ms=from_ms,
            closed_until_ms=until_ms,
            shares=_bool([n.shares for n in nodes]),
        )

    def _pending(
        self,
        now_ms: int,
        project_row: dict[str, int],
        site_row: dict[str, int],
        accelerators: tuple[str, ...],
        names: Sequence[str],
    ) -> tuple[Pending, Alternatives]:
        ids, cells = self._waiting.ids(), self._waiting.take()
        if self._mirror.quarantined:
            keep = np.array([not self._mirror.held_back(id, now_ms) for id in ids], dtype=np.bool_)
            ids, cells = tuple(id for id, k in zip(ids, keep, strict=True) if k), cells[keep]
        number = np.array([project_row[p] for p in self._projects] or [0], dtype=np.int32)
        shape = cells[:, _SHAPE]
        site_runs = [[site_row[s] for s in sites if s in site_row] for sites in self._shape_sites]
        site_ptr, site_at = _gather(site_runs, shape)
        alt_ptr, alt_at = _gather(self._shape_types, shape)
        known = {name: row for row, name in enumerate(names)}
        data_runs = [[known.get(name, -1) for name in data] for data in self._shape_data]
        data_ptr, data_at = _gather(data_runs, shape)
        index = {a: i for i, a in enumerate(accelerators)}
        types = _i32([index.get(t, -1) for t in chain.from_iterable(self._shape_types)])
        holds = np.array(list(chain.from_iterable(self._shape_holds)), dtype=np.int64).reshape(-1, len(CURRENCIES))
        pending = Pending(
            ids=ids,
            project=number[cells[:, _PROJECT]],
            priority=cells[:, _PRIORITY].copy(),
            preempts=cells[:, _PREEMPTS].astype(np.bool_),
            preemptible=cells[:, _PREEMPTIBLE].astype(np.bool_),
            submitted_ms=cells[:, _SUBMITTED].copy(),
            eligible_ms=cells[:, _ELIGIBLE].copy(),
            dependency=cells[:, _DEPENDENCY].astype(np.int32),
            workers=cells[:, _WORKERS].copy(),
            cores_milli=cells[:, _CORES].copy(),
            memory_mib=cells[:, _MEMORY].copy(),
            devices=cells[:, _DEVICES].copy(),
            limit_ms=cells[:, _LIMIT].copy(),
            block=cells[:, _BLOCK].astype(np.bool_),
            shape=_renumbered(shape),
            site_ptr=site_ptr,
            site_row=_i32(list(chain.from_iterable(site_runs)))[site_at],
            alt_ptr=alt_ptr,
            share_milli=cells[:, _SHARE].copy(),
            data_ptr=data_ptr,
            data_row=_i32(list(chain.from_iterable(data_runs)))[data_at],
        )
        return pending, Alternatives(accelerator=types[alt_at], hold=holds[alt_at])

    def _attempts(self, project_row: dict[str, int], node_row: dict[str, int]) -> Attempts:
        m = self._mirror
        live = [a for _, a in sorted(m.attempts.items()) if a.workload in m.placed]
        claim_row = {a.workload: row for row, a in enumerate(live) if a.state == AttemptState.CLAIMED}
        specs = [m.placed[a.workload].spec for a in live]
        classes = [m.policy.class_of(s.priority) for s in specs]
        workers = [[(node_row[w.node], _mask(w.devices)) for w in a.workers if w.node in node_row] for a in live]
        flat = list(chain.from_iterable(workers))
        return Attempts(
            ids=tuple(a.id for a in live),
            workloads=tuple(a.workload for a in live),
            state=_i32([_STATE[a.state] for a in live]),
            project=_i32([project_row[a.project] for a in live]),
            priority=_i64([c.value for c in classes]),
            preemptible=_bool([s.preemptible for s in specs]),
            started_ms=_i64([_started(a) for a in live]),
            ends_ms=_i64([_ends(a, s) for a, s in zip(live, specs, strict=True)]),
            checkpoint_ms=_i64([max(_started(a), a.evidence.checkpoint_ms) for a in live]),
            cores_milli=_i64([s.demand.cores_milli for s in specs]),
            memory_mib=_i64([s.demand.memory_mib for s in specs]),
            beneficiary=_i32([claim_row.get(a.beneficiary, -1) for a in live]),
            worker_ptr=_i32(np.cumsum([0, *(len(w) for w in workers)])),
            worker_node=_i32([n for n, _ in flat]),
            worker_mask=np.array([mask for _, mask in flat], dtype=np.uint64),
            share_milli=_i64([s.demand.share_milli for s in specs]),
        )

    def _strangers(self) -> list[Stranger]:
        m = self._mirror
        rows = [q for q in m.strangers.values() if q.id not in m.attempts]
        if not rows:
            return []
        taken: dict[str, int] = {}
        whole = (a for a in m.attempts.values() if a.workload in m.placed and not m.placed[a.workload].spec.demand.share_milli)
        for worker in chain.from_iterable(a.workers for a in whole):
            taken[worker.node] = taken.get(worker.node, 0) | _mask(worker.devices)
        return strangers(rows, m.nodes, taken)

    def _shares(self, now_ms: int, projects: Sequence[str]) -> tuple[Shares, list[int]]:
        """The tree, parents first: the root, organisations by depth, then the projects."""
        m = self._mirror
        row = {ROOT: 0}
        ids, parents, weights = [ROOT], [-1], [1]
        layer = [o for o in sorted(m.organisations.values(), key=lambda o: o.id) if not o.parent]
        while layer:
            for organisation in layer:
                row[organisation.id] = len(ids)
                ids.append(organisation.id)
                parents.append(row.get(organisation.parent, 0))
                weights.append(organisation.weight)
            known = {o.id for o in layer}
            layer = [o for o in sorted(m.organisations.values(), key=lambda o: o.id) if o.parent in known]
        inner = len(ids)
        for id in projects:
            parents.append(row.get(m.projects[id].organisation, 0))
            weights.append(m.projects[id].weight)
        use = np.zeros(inner + len(projects), dtype=np.float64)
        use[inner:] = self._use(now_ms, projects)
        shares = Shares(ids=(*ids, *projects), parent=_i32(parents), weight=_i64(weights), use=use)
        return shares, list(range(inner, inner + len(projects)))

    def _use(self, now_ms: int, projects: Sequence[str]) -> NDArray[np.float64]:
        """Decayed past use, and what runs now for as long as it has run."""
        m = self._mirror
        rows = [m.projects[id] for id in projects]
        use = np.array([decayed(p.use, now_ms - p.use_ms, m.policy.half_life_ms) for p in rows], dtype=np.float64)
        at = {id: i for i, id in enumerate(projects)}
        for attempt in m.attempts.values():
            workload = m.placed.get(attempt.workload)
            if workload is not None and attempt.running_ms:
                seconds = max(0, now_ms - attempt.running_ms) / 1000
                use[at[attempt.project]] += normalised_cores(workload, attempt.accelerator) * seconds
        return use

    def _awards(self, now_ms: int, project_row: dict[str, int], sites: Sequence[str], accelerators: Sequence[str]) -> Awards:
        m = self._mirror
        open_ = [a for a in m.awards.values() if a.starts_ms <= now_ms < a.expires_ms and a.project in project_row]
        currency = {c.value: i for i, c in enumerate(CURRENCIES)}
        open_.sort(key=lambda a: (project_row[a.project], currency[a.currency], a.expires_ms, a.id))
        accounts = [m.accounts[award_account(a.id)] for a in open_]
        types = (*accelerators, "")
        return Awards(
            ids=tuple(a.id for a in open_),
            project=_i32([project_row[a.project] for a in open_]),
            currency=_i32([currency[a.currency] for a in open_]),
            available=_i64([available(c) for c in accounts]),
            expires_ms=_i64([a.expires_ms for a in open_]),
            site_ok=_grid([[not a.sites or s in a.sites for s in sites] for a in open_], len(sites)),
            accelerator_ok=_grid([[not a.accelerators or t in a.accelerators for t in types] for a in open_], len(types)),
        )


def _renumbered(shape: I64Array) -> NDArray[np.int32]:
    """The same shapes, numbered in the order of their first rows: the numbers say nothing of what was met before."""
    heads = first_rows(shape)
    number = np.zeros(int(shape.max(initial=-1)) + 1, np.int32)
    number[shape[heads]] = np.arange(len(heads))
    return number[shape]


def _with(
    live: Attempts, strange: Sequence[Stranger], project_row: dict[str, int], node_row: dict[str, int], policy: Policy
) -> Attempts:
    """The attempts, and behind them those of which only their sites know: they run, and nobody may ask them to leave."""
    if not strange:
        return live
    flat = list(chain.from_iterable(s.workers for s in strange))
    ends = live.worker_ptr[-1] + np.cumsum([len(s.workers) for s in strange])
    none = [-1] * len(strange)
    return Attempts(
        ids=(*live.ids, *(s.id for s in strange)),
        workloads=(*live.workloads, *(s.workload for s in strange)),
        state=_i32([*live.state, *(RUNNING for _ in strange)]),
        project=_i32([*live.project, *(project_row.get(s.project, -1) for s in strange)]),
        priority=_i64([*live.priority, *(policy.classes[0].value for _ in strange)]),
        preemptible=_bool([*live.preemptible, *(False for _ in strange)]),
        started_ms=_i64([*live.started_ms, *(s.started_ms for s in strange)]),
        ends_ms=_i64([*live.ends_ms, *(s.ends_ms for s in strange)]),
        checkpoint_ms=_i64([*live.checkpoint_ms, *(s.started_ms for s in strange)]),
        cores_milli=_i64([*live.cores_milli, *(s.cores_milli for s in strange)]),
        memory_mib=_i64([*live.memory_mib, *(s.memory_mib for s in strange)]),
        beneficiary=_i32([*live.beneficiary, *none]),
        worker_ptr=_i32([*live.worker_ptr, *ends]),
        worker_node=_i32([*live.worker_node, *(node_row[node] for node, _ in flat)]),
        worker_mask=np.array([*live.worker_mask, *(mask for _, mask in flat)], dtype=np.uint64),
        share_milli=_i64([*live.share_milli, *(0 for _ in strange)]),
    )


def _blocks(nodes: Sequence[Node]) -> NDArray[np.int32]:
    """Numbers of topology blocks, in the order of their first nodes. Nodes of another accelerator that tell of the same block are
    another block: gangs are of one type."""
    known: dict[tuple[str, str, str], int] = {}
    return _i32([known.setdefault((n.site, n.accelerator, n.block), len(known)) if n.block else -1 for n in nodes])


def _started(attempt: Attempt) -> int:
    return attempt.running_ms or attempt.placed_ms


def _ends(attempt: Attempt, spec: WorkloadSpec) -> int:
    """Latest end by its limit. One that was told to stop ends within its grace; a claim has not begun to count."""
    if attempt.state == AttemptState.STOPPING:
        return min(attempt.stop_asked_ms, _started(attempt) + attempt.limit_ms) + spec.grace_ms
    return min(_started(attempt) + attempt.limit_ms + spec.grace_ms, int(FOREVER_MS))


def _mask(devices: Sequence[int]) -> int:
    return sum(1 << d for d in devices)


def _gather(runs: Sequence[Sequence[Any]], shape: I64Array) -> tuple[NDArray[np.int32], I64Array]:
    """CSR of the runs of each row's shape: (row pointer, index into the runs laid end to end)."""
    ptr, at = gather(np.cumsum([0, *(len(r) for r in runs)]), shape)
    return ptr.astype(np.int32), at


def _i32(values: Any) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def _i64(values: Any) -> I64Array:
    return np.array(values, dtype=np.int64)


def _bool(values: Any) -> NDArray[np.bool_]:
    return np.array(values, dtype=np.bool_)


def _grid(rows: Sequence[Sequence[bool]], width: int) -> NDArray[np.bool_]:
    return np.array(rows, dtype=np.bool_).reshape(len(rows), width)
