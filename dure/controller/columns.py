"""From the mirror's records to the columns of a snapshot. Waiting workloads are kept columnar between snapshots."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.controller.envelopes import closed_columns, power_columns
from dure.controller.lifecycle import decayed
from dure.controller.live import LiveAttempts, mask
from dure.controller.mirror import Mirror, Waiting
from dure.controller.rates import accepted, hold_amounts, occupy_ms
from dure.controller.strangers import Stranger, strangers
from dure.controller.table import SlotTable
from dure.ledger import available, award_account
from dure.model.accelerators import core_rate
from dure.model.envelope import PowerStep
from dure.model.funding import Award
from dure.model.money import CURRENCIES
from dure.model.policy import Policy
from dure.model.site import Node, Site
from dure.model.workload import WorkloadSpec
from dure.scheduler.quotas import quotas_of, use_of
from dure.scheduler.runs import first_rows, gather
from dure.scheduler.snapshot import (
    FOREVER_MS,
    RUNNING,
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
# columns of the waiting table, in order
_SHAPE, _PROJECT, _PRIORITY, _PREEMPTS, _PREEMPTIBLE, _SUBMITTED, _ELIGIBLE, _DEPENDENCY = range(8)
_WORKERS, _CORES, _MEMORY, _DEVICES, _LIMIT, _WIDTH = 8, 9, 10, 11, 12, 13

I64Array = NDArray[np.int64]
T = TypeVar("T")

# When there are more shapes than this, and than twice the waiting, those that nobody has any more are forgotten.
SHAPES_KEPT = 1000


@dataclass(frozen=True)
class Farm:
    """Sites and nodes in their order. at: the mirror's count of changes of which it was made."""

    at: int
    sites: tuple[str, ...]
    site_row: dict[str, int]
    nodes: tuple[Node, ...]
    node_row: dict[str, int]
    types: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    """The tree of shares, parents first: the root, organisations by depth, then the projects; all but what was used."""

    at: int
    projects: tuple[str, ...]
    project_row: dict[str, int]
    ids: tuple[str, ...]
    parent: NDArray[np.int32]
    weight: I64Array
    leaf: NDArray[np.int32]


class Columns:
    """Builds snapshots of a mirror. What has not changed since the last one is not looked at again: what a waiting workload or an
    attempt contributes is computed when it changes, what nodes, shares and awards do when any of theirs does."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._live = LiveAttempts(mirror, self._number)
        self._reset()
        mirror.changed, mirror.moved, mirror.reset = self._changed, self._live.touch, self._reset

    def _reset(self) -> None:
        self._projects: dict[str, int] = {}  # id → number, in the order in which they were met
        self._kept: dict[str, tuple[Any, Any]] = {}  # what was made of what, by name
        self._types: tuple[str, ...] = ()
        self._live.again()
        self._reset_waiting()

    def _reset_waiting(self) -> None:
        self._waiting = SlotTable(_WIDTH)
        self._shapes: dict[Any, int] = {}  # what tells two waiting workloads apart for placement → row in _shape_*
        self._shape_types: list[tuple[str, ...]] = []
        self._shape_holds: list[list[tuple[int, ...]]] = []
        self._shape_sites: list[tuple[str, ...]] = []
        self._asked: set[str] = set()  # types of all these
        self._shaped = object()  # another one whenever shapes are counted anew

    def _number(self, project: str) -> int:
        return self._projects.setdefault(project, len(self._projects))

    def _once(self, name: str, made_of: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made again when what it is made of is another."""
        known = self._kept.get(name)
        if known is None or known[0] != made_of:
            known = self._kept[name] = made_of, make()
        found: T = known[1]
        return found

    def _changed(self, id: str, waiting: Waiting | None) -> None:
        if waiting is None:
            self._waiting.drop(id)
            return
        workload, policy = waiting.workload, self._mirror.policy
        spec = workload.spec
        klass = policy.class_of(spec.priority)
        demand = spec.demand
        project = self._number(workload.project)
        row = (
            self._shape(spec), project, klass.value, klass.preempts, spec.preemptible, workload.submitted_ms,
            workload.eligible_ms, waiting.dependency, spec.workers, demand.cores_milli, demand.memory_mib,
            demand.devices, occupy_ms(spec),
        )  # fmt: skip
        self._waiting.put(id, workload.submitted_ms, row)

    def _shape(self, spec: WorkloadSpec) -> int:
        key = (spec.demand, spec.workers, spec.limit_ms, spec.grace_ms, spec.preemptible, spec.sites, spec.priority)
        known = self._shapes.get(key)
        if known is not None:
            return known
        self._shapes[key] = len(self._shape_types)
        types = accepted(spec, self._types)
        self._shape_types.append(types)
        self._asked.update(types)
        self._shape_holds.append([hold_amounts(self._mirror.policy, spec, t) for t in types])
        self._shape_sites.append(spec.sites)
        return self._shapes[key]

    # -- the snapshot --------------------------------------------------------------------------------------------

    def snapshot(self, now_ms: int, epoch: int) -> Snapshot:
        m = self._mirror
        farm, tree = self._farm(), self._tree()
        self._note_types(farm.types)
        if len(self._shape_types) > max(SHAPES_KEPT, 2 * len(self._waiting)):
            self._again(self._types)
        accelerators = self._accelerators()
        strange = self._strangers()
        closed = frozenset(chain.from_iterable(s.closes for s in strange))
        pending, alternatives = self._pending(now_ms, tree, farm, accelerators)
        nodes = self._nodes(farm, accelerators, closed, now_ms)
        rows = self._project_rows(tree)
        live = self._live.columns(rows, farm.node_row)
        attempts = _with(live, strange, tree.project_row, farm.node_row, m.policy)
        shares = self._shares(now_ms, tree, rows)
        projects = Projects(ids=tree.projects, share=tree.leaf)
        used = use_of(attempts, nodes, projects, len(shares.ids), len(accelerators))
        quotas = self._once(
            "quotas", (m.policy.version, tree.at, accelerators),
            lambda: quotas_of(m.policy.quotas, shares, projects, accelerators, used),
        )  # fmt: skip
        return freeze(
            Snapshot(
                now_ms=now_ms,
                epoch=epoch,
                sealed_seq=m.seq,
                draining=m.plane.draining,
                policy=m.policy,
                accelerators=accelerators,
                core_rate=self._once("core_rate", accelerators, lambda: _core_rates(accelerators)),
                sites=self._sites(farm.sites, now_ms),
                nodes=nodes,
                attempts=attempts,
                pending=pending,
                alternatives=alternatives,
                projects=projects,
                shares=shares,
                awards=self._awards(now_ms, tree, farm, accelerators),
                quotas=replace(quotas, used=used),
            )
        )

    def _farm(self) -> Farm:
        m = self._mirror

        def make() -> Farm:
            sites = tuple(sorted(m.sites))
            site_row = {id: row for row, id in enumerate(sites)}
            nodes = tuple(sorted(m.nodes.values(), key=lambda n: (site_row[n.site], n.id)))
            types = tuple(sorted({n.accelerator for n in nodes if n.accelerator}))
            return Farm(m.farm, sites, site_row, nodes, {n.id: row for row, n in enumerate(nodes)}, types)

        return self._once("farm", m.farm, make)

    def _tree(self) -> Tree:
        m = self._mirror

        def make() -> Tree:
            projects = tuple(sorted(m.projects))
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
            leaf = np.arange(len(ids), len(ids) + len(projects), dtype=np.int32)
            for id in projects:
                parents.append(row.get(m.projects[id].organisation, 0))
                weights.append(m.projects[id].weight)
            at = {id: row for row, id in enumerate(projects)}
            return Tree(m.tree, projects, at, (*ids, *projects), _i32(parents), _i64(weights), leaf)

        return self._once("tree", m.tree, make)

    def _project_rows(self, tree: Tree) -> I64Array:
        """By number of a project, where it stands."""
        made_of = tree.at, len(self._projects)
        return self._once("project_rows", made_of, lambda: _i64([tree.project_row[p] for p in self._projects] or [0]))

    def _note_types(self, types: tuple[str, ...]) -> None:
        """Jobs that take any accelerator depend on which types there are: when that changes, their shapes are made anew."""
        if types != self._types:
            self._again(types)

    def _again(self, types: tuple[str, ...]) -> None:
        self._reset_waiting()
        self._types = types
        for id, waiting in self._mirror.waiting.items():
            self._changed(id, waiting)

    def _accelerators(self) -> tuple[str, ...]:
        return tuple(sorted({*self._types, *self._asked, *self._live.accelerators()} - {""}))

    def _sites(self, ids: Sequence[str], now_ms: int) -> Sites:
        m = self._mirror
        reachable = _bool([m.answers(id, now_ms) for id in ids])
        rows = [m.sites[id] for id in ids]
        return Sites(tuple(ids), reachable, _bool([row.drained for row in rows]), *self._power(rows, now_ms))

    def _power(self, rows: Sequence[Site], now_ms: int) -> tuple[Any, ...]:
        """As long as no envelope changes, and none comes to its next step."""
        steps = tuple(row.power for row in rows)
        began, until = _in_force(steps, now_ms)
        made_of = steps, tuple(row.pue_permille for row in rows), began, until
        return self._once("power", made_of, lambda: power_columns(rows, now_ms))

    def _nodes(self, farm: Farm, accelerators: tuple[str, ...], closed: frozenset[str], now_ms: int) -> Nodes:
        sites = list(self._mirror.sites.values())
        whole = self._once("nodes", (farm.at, accelerators), lambda: _nodes_of(farm, accelerators))
        changes: dict[str, Any] = {}
        if closed:
            changes["usable"] = whole.usable & _bool([n.id not in closed for n in farm.nodes])
        if any(site.maintenance for site in sites):
            windows = closed_columns(farm.nodes, sites, now_ms)
            changes |= dict(zip(("closed_ptr", "closed_from_ms", "closed_until_ms"), windows, strict=True))
        return replace(whole, **changes) if changes else whole

    def _pending(
        self, now_ms: int, tree: Tree, farm: Farm, accelerators: tuple[str, ...]
    ) -> tuple[Pending, Alternatives]:  # fmt: skip
        ids, cells = self._waiting.ids(), self._waiting.take()
        forms_of = self._shaped, len(self._shape_types), farm.at, accelerators
        forms = self._once("forms", forms_of, lambda: self._forms(farm, accelerators))
        rows = self._project_rows(tree)
        if self._mirror.quarantined:  # silence may set some of it free at any moment
            keep = np.array([not self._mirror.held_back(id, now_ms) for id in ids], dtype=np.bool_)
            return _pending_of(tuple(id for id, k in zip(ids, keep, strict=True) if k), cells[keep], forms, rows)
        made_of = *forms_of, self._waiting.changes, tree.at, len(rows)
        return self._once("pending", made_of, lambda: _pending_of(ids, cells, forms, rows))

    def _forms(self, farm: Farm, accelerators: tuple[str, ...]) -> Forms:
        sites = [[farm.site_row[s] for s in sites if s in farm.site_row] for sites in self._shape_sites]
        index = {a: i for i, a in enumerate(accelerators)}
        return Forms(
            _ptr(sites), _i32(list(chain.from_iterable(sites))), _ptr(self._shape_types),
            _i32([index.get(t, -1) for t in chain.from_iterable(self._shape_types)]),
            _i64(list(chain.from_iterable(self._shape_holds))).reshape(-1, len(CURRENCIES)),
        )  # fmt: skip

    def _strangers(self) -> list[Stranger]:
        m = self._mirror
        rows = [q for q in m.strangers.values() if q.id not in m.attempts]
        if not rows:
            return []
        taken: dict[str, int] = {}
        for worker in chain.from_iterable(a.workers for a in m.attempts.values()):
            taken[worker.node] = taken.get(worker.node, 0) | mask(worker.devices)
        return strangers(rows, m.nodes, taken)

    def _shares(self, now_ms: int, tree: Tree, rows: I64Array) -> Shares:
        """What was used: decayed past use, and what runs now for as long as it has run."""
        half_life, projects = self._mirror.policy.half_life_ms, self._mirror.projects
        use = np.zeros(len(tree.ids))
        past = [decayed(p.use, now_ms - p.use_ms, half_life) if p.use else 0.0 for p in map(projects.__getitem__, tree.projects)]
        use[len(tree.ids) - len(past) :] = past
        use[len(tree.ids) - len(past) :] += self._live.use(now_ms, rows, len(past))
        return Shares(ids=tree.ids, parent=tree.parent, weight=tree.weight, use=use)

    def _awards(self, now_ms: int, tree: Tree, farm: Farm, accelerators: tuple[str, ...]) -> Awards:
        m = self._mirror
        open_ = [a for a in m.awards.values() if a.starts_ms <= now_ms < a.expires_ms and a.project in tree.project_row]
        made_of = m.grants, tree.at, farm.at, accelerators, len(open_), tuple(a.id for a in open_)
        awards, rows = self._once("awards", made_of, lambda: _awards_of(open_, tree, farm, accelerators))
        left = [available(m.accounts[award_account(a.id)]) for a in rows]
        return replace(awards, available=_i64(left))


@dataclass(frozen=True)
class Forms:
    """What shapes ask for: CSR of sites and of types, each type with what has to be held for it."""

    site_ptr: I64Array
    site_row: NDArray[np.int32]
    type_ptr: I64Array
    type: NDArray[np.int32]
    hold: I64Array


def _pending_of(ids: tuple[str, ...], cells: I64Array, forms: Forms, project_row: I64Array) -> tuple[Pending, Alternatives]:
    shape = cells[:, _SHAPE]
    site_ptr, site_at = gather(forms.site_ptr, shape)
    alt_ptr, alt_at = gather(forms.type_ptr, shape)
    pending = Pending(
        ids=ids,
        project=project_row[cells[:, _PROJECT]].astype(np.int32),
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
        shape=_renumbered(shape),
        site_ptr=site_ptr.astype(np.int32),
        site_row=forms.site_row[site_at],
        alt_ptr=alt_ptr.astype(np.int32),
    )
    return pending, Alternatives(accelerator=forms.type[alt_at], hold=forms.hold[alt_at])


def _in_force(envelopes: Sequence[Sequence[PowerStep]], now_ms: int) -> tuple[int, int]:
    """Since when, and until when, the same steps are in force. A cap that is still to come is told from now on."""
    began, until = 0, int(FOREVER_MS)
    for steps in envelopes:
        at = bisect_right(steps, now_ms, key=lambda step: step.from_ms)
        began = max(began, steps[at - 1].from_ms if at else now_ms if steps else 0)
        until = min(until, steps[at].from_ms if at < len(steps) else until)
    return began, until


def _nodes_of(farm: Farm, accelerators: Sequence[str]) -> Nodes:
    """All that does not change with time."""
    nodes, types = farm.nodes, {a: i for i, a in enumerate(accelerators)}
    none = _i64([])
    return Nodes(
        ids=tuple(n.id for n in nodes),
        site=_i32([farm.site_row[n.site] for n in nodes]),
        accelerator=_i32([types.get(n.accelerator, -1) for n in nodes]),
        cores_milli=_i64([n.cores_milli for n in nodes]),
        memory_mib=_i64([n.memory_mib for n in nodes]),
        device_mask=np.array([(1 << n.devices) - 1 for n in nodes], dtype=np.uint64),
        usable=_bool([n.up and not n.drained for n in nodes]),
        idle_mw=_i64([n.idle_mw if n.up else 0 for n in nodes]),
        device_mw=_i64([n.device_mw for n in nodes]),
        core_mw=_i64([n.core_mw for n in nodes]),
        closed_ptr=np.zeros(len(nodes) + 1, np.int32),
        closed_from_ms=none,
        closed_until_ms=none.copy(),
    )


def _awards_of(
    awards: Sequence[Award], tree: Tree, farm: Farm, accelerators: Sequence[str]
) -> tuple[Awards, list[Award]]:  # fmt: skip
    """These in their order, all but what is available of each."""
    currency = {c.value: i for i, c in enumerate(CURRENCIES)}
    rows = sorted(awards, key=lambda a: (tree.project_row[a.project], currency[a.currency], a.expires_ms, a.id))
    types = (*accelerators, "")
    made = Awards(
        ids=tuple(a.id for a in rows),
        project=_i32([tree.project_row[a.project] for a in rows]),
        currency=_i32([currency[a.currency] for a in rows]),
        available=_i64([]),
        expires_ms=_i64([a.expires_ms for a in rows]),
        site_ok=_grid([[not a.sites or s in a.sites for s in farm.sites] for a in rows], len(farm.sites)),
        accelerator_ok=_grid([[not a.accelerators or t in a.accelerators for t in types] for a in rows], len(types)),
    )
    return made, rows


def _core_rates(accelerators: Sequence[str]) -> NDArray[np.float64]:
    return np.array([core_rate(a) for a in (*accelerators, "")], dtype=np.float64)


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
    )


def _ptr(runs: Sequence[Sequence[Any]]) -> I64Array:
    return _i64(np.cumsum([0, *(len(r) for r in runs)]))


def _i32(values: Any) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def _i64(values: Any) -> I64Array:
    return np.array(values, dtype=np.int64)


def _bool(values: Any) -> NDArray[np.bool_]:
    return np.array(values, dtype=np.bool_)


def _grid(rows: Sequence[Sequence[bool]], width: int) -> NDArray[np.bool_]:
    return np.array(rows, dtype=np.bool_).reshape(len(rows), width)
