"""From the mirror's records to the columns of a snapshot. Waiting workloads are kept columnar between snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.controller.envelopes import closed_columns, data_names, power_columns, trait_columns
from dure.controller.lifecycle import decayed
from dure.controller.live import LiveAttempts, mask
from dure.controller.mirror import Mirror, Waiting
from dure.controller.parts import (
    ROW_WIDTH,
    Farm,
    Forms,
    I64Array,
    Tree,
    awards_of,
    core_rates,
    farm_of,
    flags,
    i32,
    i64,
    in_force,
    joined,
    nodes_of,
    pending_of,
    ptr,
    tree_of,
    with_moved,
    with_strangers,
)
from dure.controller.purses import Purses
from dure.controller.rates import accepted, hold_amounts, occupied_ms, occupy_ms
from dure.controller.strangers import Stranger, strangers
from dure.controller.table import SlotTable
from dure.model.accelerators import is_domestic
from dure.model.money import CURRENCIES
from dure.model.policy import Taste
from dure.model.site import Site
from dure.model.workload import BLOCK, WorkloadSpec
from dure.scheduler.quotas import quotas_of, use_of
from dure.scheduler.snapshot import FOREVER_MS, Alternatives, Awards, Nodes, Pending, Projects, Shares, Sites, Snapshot, freeze

T = TypeVar("T")

# When there are more shapes than this, and than twice the waiting, those that nobody has any more are forgotten.
SHAPES_KEPT = 1000


class Columns:
    """Builds snapshots of a mirror. What has not changed since the last one is not looked at again: what a waiting workload or an
    attempt contributes is computed when it changes, what nodes, shares and awards do when any of theirs does."""

    def __init__(self, mirror: Mirror, asked: frozenset[str] = frozenset()) -> None:
        """asked: types that are named too, as by one who has followed for longer."""
        self._before = asked
        self._mirror = mirror
        self._live = LiveAttempts(mirror, self._number)
        self._purses = Purses(mirror)
        self._last: Snapshot | None = None
        self._reset()
        mirror.changed, mirror.moved, mirror.reset = self._changed, self._live.touch, self._reset
        mirror.paid = self._purses.touch

    def _reset(self) -> None:
        self._projects: dict[str, int] = {}  # id → number, in the order in which they were met
        self._kept: dict[str, tuple[Any, Any]] = {}  # what was made of what, by name
        self._types: tuple[str, ...] = ()
        self._live.again()
        self._reset_waiting()

    def _reset_waiting(self) -> None:
        self._waiting = SlotTable(ROW_WIDTH)
        self._shapes: dict[Any, int] = {}  # what tells two waiting workloads apart for placement → row in _shape_*
        self._shape_types: list[tuple[str, ...]] = []
        self._shape_holds: list[list[tuple[int, ...]]] = []
        self._shape_limits: list[list[int]] = []
        self._shape_sites: list[tuple[str, ...]] = []
        self._shape_data: list[tuple[str, ...]] = []
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
            demand.devices, occupy_ms(spec), demand.share_milli, spec.topology == BLOCK,
            spec.deadline_ms or int(FOREVER_MS), spec.fewest % spec.workers, spec.grace_ms,
        )  # fmt: skip
        self._waiting.put(id, workload.submitted_ms, row)

    def _shape(self, spec: WorkloadSpec) -> int:
        wants = (spec.demand, spec.workers, spec.fewest, spec.sites, spec.datasets, spec.topology)
        key = (*wants, spec.limit_ms, spec.grace_ms, spec.preemptible, spec.priority)
        known = self._shapes.get(key)
        if known is not None:
            return known
        self._shapes[key] = len(self._shape_types)
        types = accepted(spec, self._types)
        self._shape_types.append(types)
        self._asked.update(types)
        self._shape_holds.append([hold_amounts(self._mirror.policy, spec, t) for t in types])
        self._shape_limits.append([occupied_ms(self._mirror.policy, spec, t) for t in types])
        self._shape_sites.append(spec.sites)
        self._shape_data.append(spec.datasets)
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
        data = data_names(m.sites.values())
        pending, alternatives = self._pending(now_ms, tree, farm, accelerators, data)
        nodes = self._nodes(farm, accelerators, closed, now_ms)
        rows = self._project_rows(tree)
        live = self._live.columns(rows, farm.node_row)
        live = with_moved(live, *self._live.moved(), farm.node_row)
        attempts = with_strangers(live, strange, tree.project_row, farm.node_row, m.policy)
        shares = self._shares(now_ms, tree, rows)
        projects = Projects(ids=tree.projects, share=tree.leaf)
        used = use_of(attempts, nodes, projects, len(shares.ids), len(accelerators))
        quotas = self._once(
            "quotas", (m.policy.version, tree.at, accelerators),
            lambda: quotas_of(m.policy.quotas, shares, projects, accelerators, used),
        )  # fmt: skip
        self._last = freeze(
            Snapshot(
                now_ms=now_ms,
                epoch=epoch,
                sealed_seq=m.seq,
                draining=m.plane.draining,
                policy=m.policy,
                accelerators=accelerators,
                domestic=self._once("domestic", accelerators, lambda: flags([is_domestic(a) for a in accelerators])),
                data=data,
                core_rate=self._once("core_rate", accelerators, lambda: core_rates(accelerators)),
                sites=self._sites(farm.sites, now_ms, data),
                nodes=nodes,
                attempts=attempts,
                pending=pending,
                alternatives=alternatives,
                projects=projects,
                shares=shares,
                awards=self._awards(now_ms, tree, farm, accelerators),
                quotas=replace(quotas, used=used),
            ),
            self._last,
        )
        return self._last

    def _farm(self) -> Farm:
        return self._once("farm", self._mirror.farm, lambda: farm_of(self._mirror))

    def _tree(self) -> Tree:
        return self._once("tree", self._mirror.tree, lambda: tree_of(self._mirror))

    def _project_rows(self, tree: Tree) -> I64Array:
        """By number of a project, where it stands."""
        made_of = tree.at, len(self._projects)
        return self._once("project_rows", made_of, lambda: i64([tree.project_row[p] for p in self._projects] or [0]))

    def _note_types(self, types: tuple[str, ...]) -> None:
        """Jobs that take any accelerator depend on which types there are, and in which order the policy prefers them: when that
        changes, their shapes are made anew."""
        if any(p.taste == Taste.DOMESTIC and p.weight > 0 for p in self._mirror.policy.preferences):
            types = tuple(sorted(types, key=lambda a: (not is_domestic(a), a)))
        if types != self._types:
            self._again(types)

    def _again(self, types: tuple[str, ...]) -> None:
        self._reset_waiting()
        self._types = types
        for id, waiting in self._mirror.waiting.items():
            self._changed(id, waiting)

    @property
    def asked(self) -> frozenset[str]:
        """Types that somebody asks for, or has asked for: a snapshot names them, whether there are any or not."""
        return self._before | self._asked

    def _accelerators(self) -> tuple[str, ...]:
        return tuple(sorted({*self._types, *self.asked, *self._live.accelerators()} - {""}))

    def _sites(self, ids: Sequence[str], now_ms: int, data: Sequence[str]) -> Sites:
        m = self._mirror
        rows = [m.sites[id] for id in ids]
        reachable = self._flags("reachable", [m.answers(id, now_ms) for id in ids])
        drained = self._flags("drained", [row.drained for row in rows])
        traits = tuple([(row.carbon_g_kwh, row.power_krw_mwh, row.datasets) for row in rows]), data
        told = self._once("traits", traits, lambda: trait_columns(rows, data))
        return Sites(tuple(ids), reachable, drained, *self._power(rows, now_ms), *told)

    def _flags(self, name: str, values: list[bool]) -> NDArray[np.bool_]:
        """The same column as long as it says the same: a plan keeps what it has made of it."""
        return self._once(name, values, lambda: flags(values))

    def _power(self, rows: Sequence[Site], now_ms: int) -> tuple[I64Array, NDArray[np.int32], I64Array, I64Array]:
        """As long as no envelope changes, and none comes to its next step."""
        steps = tuple(row.power for row in rows)
        began, until = in_force(steps, now_ms)
        made_of = steps, tuple(row.pue_permille for row in rows), began, until
        return self._once("power", made_of, lambda: power_columns(rows, now_ms))

    def _nodes(self, farm: Farm, accelerators: tuple[str, ...], closed: frozenset[str], now_ms: int) -> Nodes:
        sites = list(self._mirror.sites.values())
        whole = self._once("nodes", (farm.at, accelerators), lambda: nodes_of(farm, accelerators))
        changes: dict[str, Any] = {}
        if closed:
            changes["usable"] = whole.usable & flags([n.id not in closed for n in farm.nodes])
        if any(site.maintenance for site in sites):
            windows = closed_columns(farm.nodes, sites, now_ms)
            changes |= dict(zip(("closed_ptr", "closed_from_ms", "closed_until_ms"), windows, strict=True))
        return replace(whole, **changes) if changes else whole

    def _pending(
        self, now_ms: int, tree: Tree, farm: Farm, accelerators: tuple[str, ...], data: tuple[str, ...]
    ) -> tuple[Pending, Alternatives]:
        ids, cells = self._waiting.ids(), self._waiting.take()
        forms_of = self._shaped, farm.at, accelerators, data
        known = self._once("forms", forms_of, lambda: [self._forms(0, farm, accelerators, data)])
        if len(known[0].type_ptr) <= len(self._shape_types):  # shapes that were met since
            known[0] = joined(known[0], self._forms(len(known[0].type_ptr) - 1, farm, accelerators, data))
        forms = known[0]
        rows = self._project_rows(tree)
        if self._mirror.quarantined:  # silence may set some of it free at any moment
            keep = np.array([not self._mirror.held_back(id, now_ms) for id in ids], dtype=np.bool_)
            return pending_of(tuple(id for id, k in zip(ids, keep, strict=True) if k), cells[keep], forms, rows)
        if not ids:  # after most starts on a farm that has room
            return self._once("nobody", forms_of, lambda: pending_of(ids, cells, forms, rows))
        made_of = *forms_of, len(self._shape_types), self._waiting.changes, tree.at, len(rows)
        return self._once("pending", made_of, lambda: pending_of(ids, cells, forms, rows))

    def _forms(self, first: int, farm: Farm, accelerators: Sequence[str], data: Sequence[str]) -> Forms:
        """Of the shapes from one on."""
        types, read = self._shape_types[first:], self._shape_data[first:]
        sites = [[farm.site_row[s] for s in sites if s in farm.site_row] for sites in self._shape_sites[first:]]
        index = {a: i for i, a in enumerate(accelerators)}
        known = {name: row for row, name in enumerate(data)}
        return Forms(
            ptr(sites), i32(list(chain.from_iterable(sites))), ptr(types),
            i32([index.get(t, -1) for t in chain.from_iterable(types)]),
            i64(list(chain.from_iterable(self._shape_holds[first:]))).reshape(-1, len(CURRENCIES)),
            i64(list(chain.from_iterable(self._shape_limits[first:]))),
            ptr(read), i32([known.get(name, -1) for name in chain.from_iterable(read)]),
        )  # fmt: skip

    def _strangers(self) -> list[Stranger]:
        m = self._mirror
        rows = [q for q in m.strangers.values() if q.id not in m.attempts]
        if not rows:
            return []
        taken: dict[str, int] = {}
        whole = (a for a in m.attempts.values() if a.workload in m.placed and not m.placed[a.workload].spec.demand.share_milli)
        for worker in chain.from_iterable(a.workers for a in whole):
            taken[worker.node] = taken.get(worker.node, 0) | mask(worker.devices)
        return strangers(rows, m.nodes, taken)

    def _shares(self, now_ms: int, tree: Tree, rows: I64Array) -> Shares:
        """What was used: decayed past use, and what runs now for as long as it has run."""
        m, use, half_ms = self._mirror, np.zeros(len(tree.ids)), self._mirror.policy.half_life_ms
        leaves = use[len(tree.ids) - len(tree.projects) :]
        used = [m.projects[id] for id in m.used]
        leaves[[tree.project_row[p.id] for p in used]] = [decayed(p.use, now_ms - p.use_ms, half_ms) for p in used]
        leaves += self._live.use(now_ms, rows, len(leaves))
        return Shares(ids=tree.ids, parent=tree.parent, weight=tree.weight, use=use)

    def _awards(self, now_ms: int, tree: Tree, farm: Farm, accelerators: tuple[str, ...]) -> Awards:
        open_ = self._purses.open(now_ms, tree)
        made_of = self._purses.opened, tree.at, farm.at, accelerators
        awards, rows = self._once("awards", made_of, lambda: awards_of(open_, tree, farm, accelerators))
        return replace(awards, available=self._purses.available(rows))
