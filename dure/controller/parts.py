"""The parts of a snapshot: what each is made of, as values and columns. When they are made anew, `columns` says."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.controller.live import mask
from dure.controller.mirror import Mirror
from dure.controller.strangers import Stranger
from dure.model.accelerators import core_rate
from dure.model.envelope import PowerStep
from dure.model.funding import Award
from dure.model.money import CURRENCIES
from dure.model.policy import Policy
from dure.model.site import Node
from dure.model.workload import Attempt
from dure.scheduler.rows import picked
from dure.scheduler.runs import first_rows, gather
from dure.scheduler.snapshot import FOREVER_MS, LAUNCHING, RUNNING, Alternatives, Attempts, Awards, Nodes, Pending

ROOT = ""  # id of the root of the share tree
# columns of the waiting table, in order
ROW_SHAPE, ROW_PROJECT, ROW_PRIORITY, ROW_PREEMPTS, ROW_PREEMPTIBLE, ROW_SUBMITTED, ROW_ELIGIBLE, ROW_DEPENDENCY = range(8)
ROW_WORKERS, ROW_CORES, ROW_MEMORY, ROW_DEVICES, ROW_LIMIT, ROW_SHARE, ROW_BLOCK, ROW_DEADLINE = range(8, 16)
ROW_FEWEST, ROW_GRACE, ROW_WIDTH = range(16, 19)

I64Array = NDArray[np.int64]


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


def farm_of(m: Mirror) -> Farm:
    sites = tuple(sorted(m.sites))
    site_row = {id: row for row, id in enumerate(sites)}
    nodes = tuple(sorted(m.nodes.values(), key=lambda n: (site_row[n.site], n.id)))
    types = tuple(sorted({n.accelerator for n in nodes if n.accelerator}))
    return Farm(m.farm, sites, site_row, nodes, {n.id: row for row, n in enumerate(nodes)}, types)


def tree_of(m: Mirror) -> Tree:
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
    return Tree(m.tree, projects, at, (*ids, *projects), i32(parents), i64(weights), leaf)


@dataclass(frozen=True)
class Forms:
    """What shapes ask for: CSR of sites, of types, each with its hold and its limit, and of data sets."""

    site_ptr: I64Array
    site_row: NDArray[np.int32]
    type_ptr: I64Array
    type: NDArray[np.int32]
    hold: I64Array
    limit_ms: I64Array  # likewise, where it is not that of the workload; 0: it is
    data_ptr: I64Array
    data: NDArray[np.int32]


def joined(forms: Forms, more: Forms) -> Forms:
    """Those of the one, and behind them those of the other."""

    def runs(own: I64Array, others: I64Array) -> I64Array:
        return np.concatenate([own, others[1:] + own[-1]])

    return Forms(
        runs(forms.site_ptr, more.site_ptr), np.concatenate([forms.site_row, more.site_row]),
        runs(forms.type_ptr, more.type_ptr), np.concatenate([forms.type, more.type]),
        np.concatenate([forms.hold, more.hold]), np.concatenate([forms.limit_ms, more.limit_ms]),
        runs(forms.data_ptr, more.data_ptr), np.concatenate([forms.data, more.data]),
    )  # fmt: skip


def pending_of(ids: tuple[str, ...], cells: I64Array, forms: Forms, project_row: I64Array) -> tuple[Pending, Alternatives]:
    columns = cells.T.copy()  # side by side as they are here, so that each is one without being copied again
    shape = columns[ROW_SHAPE]
    site_ptr, site_at = gather(forms.site_ptr, shape)
    alt_ptr, alt_at = gather(forms.type_ptr, shape)
    data_ptr, data_at = gather(forms.data_ptr, shape)
    pending = Pending(
        ids=ids,
        project=project_row[columns[ROW_PROJECT]].astype(np.int32),
        priority=columns[ROW_PRIORITY],
        preempts=columns[ROW_PREEMPTS].astype(np.bool_),
        preemptible=columns[ROW_PREEMPTIBLE].astype(np.bool_),
        submitted_ms=columns[ROW_SUBMITTED],
        eligible_ms=columns[ROW_ELIGIBLE],
        dependency=columns[ROW_DEPENDENCY].astype(np.int32),
        workers=columns[ROW_WORKERS],
        cores_milli=columns[ROW_CORES],
        memory_mib=columns[ROW_MEMORY],
        devices=columns[ROW_DEVICES],
        limit_ms=columns[ROW_LIMIT],
        block=columns[ROW_BLOCK].astype(np.bool_),
        shape=_renumbered(shape),
        site_ptr=site_ptr.astype(np.int32),
        site_row=forms.site_row[site_at],
        alt_ptr=alt_ptr.astype(np.int32),
        share_milli=columns[ROW_SHARE],
        deadline_ms=columns[ROW_DEADLINE],
        data_ptr=data_ptr.astype(np.int32),
        data_row=forms.data[data_at],
        workers_min=columns[ROW_FEWEST],
        grace_ms=columns[ROW_GRACE],
    )
    return pending, Alternatives(accelerator=forms.type[alt_at], hold=forms.hold[alt_at], limit_ms=forms.limit_ms[alt_at])


def in_force(envelopes: Sequence[Sequence[PowerStep]], now_ms: int) -> tuple[int, int]:
    """Since when, and until when, the same steps are in force. A cap that is still to come is told from now on."""
    began, until = 0, int(FOREVER_MS)
    for steps in envelopes:
        at = bisect_right(steps, now_ms, key=lambda step: step.from_ms)
        began = max(began, steps[at - 1].from_ms if at else now_ms if steps else 0)
        until = min(until, steps[at].from_ms if at < len(steps) else until)
    return began, until


def nodes_of(farm: Farm, accelerators: Sequence[str]) -> Nodes:
    """All that does not change with time."""
    nodes, types = farm.nodes, {a: i for i, a in enumerate(accelerators)}
    none = i64([])
    return Nodes(
        ids=tuple(n.id for n in nodes),
        site=i32([farm.site_row[n.site] for n in nodes]),
        accelerator=i32([types.get(n.accelerator, -1) for n in nodes]),
        block=_blocks(nodes),
        cores_milli=i64([n.cores_milli for n in nodes]),
        memory_mib=i64([n.memory_mib for n in nodes]),
        device_mask=np.array([(1 << n.devices) - 1 for n in nodes], dtype=np.uint64),
        usable=flags([n.up and not n.drained for n in nodes]),
        idle_mw=i64([n.idle_mw if n.up else 0 for n in nodes]),
        device_mw=i64([n.device_mw for n in nodes]),
        core_mw=i64([n.core_mw for n in nodes]),
        closed_ptr=np.zeros(len(nodes) + 1, np.int32),
        closed_from_ms=none,
        closed_until_ms=none.copy(),
        shares=flags([n.shares for n in nodes]),
    )


def _blocks(nodes: Sequence[Node]) -> NDArray[np.int32]:
    """Numbers of topology blocks, in the order of their first nodes. Nodes of another accelerator that tell of the same block are
    another block: gangs are of one type."""
    known: dict[tuple[str, str, str], int] = {}
    return i32([known.setdefault((n.site, n.accelerator, n.block), len(known)) if n.block else -1 for n in nodes])


def awards_of(
    awards: Sequence[Award], tree: Tree, farm: Farm, accelerators: Sequence[str]
) -> tuple[Awards, list[Award]]:  # fmt: skip
    """These in their order, all but what is available of each."""
    currency = {c.value: i for i, c in enumerate(CURRENCIES)}
    rows = sorted(awards, key=lambda a: (tree.project_row[a.project], currency[a.currency], a.expires_ms, a.id))
    types = (*accelerators, "")
    made = Awards(
        ids=tuple(a.id for a in rows),
        project=i32([tree.project_row[a.project] for a in rows]),
        currency=i32([currency[a.currency] for a in rows]),
        available=i64([]),
        expires_ms=i64([a.expires_ms for a in rows]),
        site_ok=_grid([[not a.sites or s in a.sites for s in farm.sites] for a in rows], len(farm.sites)),
        accelerator_ok=_grid([[not a.accelerators or t in a.accelerators for t in types] for a in rows], len(types)),
    )
    return made, rows


def core_rates(accelerators: Sequence[str]) -> NDArray[np.float64]:
    return np.array([core_rate(a) for a in (*accelerators, "")], dtype=np.float64)


def _renumbered(shape: I64Array) -> NDArray[np.int32]:
    """The same shapes, numbered in the order of their first rows: the numbers say nothing of what was met before."""
    heads = first_rows(shape)
    number = np.zeros(int(shape.max(initial=-1)) + 1, np.int32)
    number[shape[heads]] = np.arange(len(heads))
    return number[shape]


def with_strangers(
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
        state=i32([*live.state, *(RUNNING for _ in strange)]),
        project=i32([*live.project, *(project_row.get(s.project, -1) for s in strange)]),
        priority=i64([*live.priority, *(policy.classes[0].value for _ in strange)]),
        preemptible=flags([*live.preemptible, *(False for _ in strange)]),
        yields=flags([*live.yields, *(False for _ in strange)]),
        started_ms=i64([*live.started_ms, *(s.started_ms for s in strange)]),
        ends_ms=i64([*live.ends_ms, *(s.ends_ms for s in strange)]),
        checkpoint_ms=i64([*live.checkpoint_ms, *(s.started_ms for s in strange)]),
        cores_milli=i64([*live.cores_milli, *(s.cores_milli for s in strange)]),
        memory_mib=i64([*live.memory_mib, *(s.memory_mib for s in strange)]),
        beneficiary=i32([*live.beneficiary, *none]),
        worker_ptr=i32([*live.worker_ptr, *ends]),
        worker_node=i32([*live.worker_node, *(node_row[node] for node, _ in flat)]),
        worker_mask=np.array([*live.worker_mask, *(mask for _, mask in flat)], dtype=np.uint64),
        share_milli=i64([*live.share_milli, *(0 for _ in strange)]),
        grace_ms=i64([*live.grace_ms, *(0 for _ in strange)]),
        rest_ms=i64([*live.rest_ms, *(0 for _ in strange)]),
        follows=i32([*live.follows, *none]),
    )


def with_moved(live: Attempts, rows: Sequence[int], moving: Sequence[Attempt], node_row: Mapping[str, int]) -> Attempts:
    """The attempts, and behind them the places that are kept for those of them that are being moved: they have them from now on,
    and begin there when they have left. Quotas count what is moved once: as no project's.

    rows: where those stand. node_row: nodes that are not known any more keep nothing."""
    if not rows:
        return live
    at, count, none = i64(rows), len(rows), np.full(len(rows), -1, np.int32)
    seats = [[(node_row[w.node], mask(w.devices)) for w in a.move.workers if w.node in node_row] for a in moving]
    flat, began = list(chain.from_iterable(seats)), i64([a.stop_asked_ms for a in moving])
    nobody = np.zeros(count, np.bool_)
    kept = replace(
        picked(replace(live, worker_ptr=np.zeros_like(live.worker_ptr)), at),
        ids=tuple(a.move.attempt for a in moving), state=np.full(count, LAUNCHING, np.int32), project=none,
        preemptible=nobody, yields=nobody.copy(), started_ms=began, checkpoint_ms=began.copy(),
        ends_ms=began + i64([a.move.limit_ms for a in moving]) + live.grace_ms[at], beneficiary=none.copy(),
        worker_ptr=ptr(seats).astype(np.int32), worker_node=i32([node for node, _ in flat]),
        worker_mask=np.array([devices for _, devices in flat], dtype=np.uint64), rest_ms=np.zeros(count, np.int64),
        follows=at.astype(np.int32),
    )  # fmt: skip
    return _joined(live, kept)


def _joined(one: Attempts, other: Attempts) -> Attempts:
    """The rows of both."""
    columns: dict[str, Any] = {}
    for field in fields(Attempts):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name == "worker_ptr":
            second = (second[1:] + first[-1]).astype(np.int32)
        columns[field.name] = (*first, *second) if isinstance(first, tuple) else np.concatenate([first, second])
    return Attempts(**columns)


def ptr(runs: Sequence[Sequence[Any]]) -> I64Array:
    return i64(np.cumsum([0, *(len(r) for r in runs)]))


def i32(values: Any) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def i64(values: Any) -> I64Array:
    return np.array(values, dtype=np.int64)


def flags(values: Any) -> NDArray[np.bool_]:
    return np.array(values, dtype=np.bool_)


def _grid(rows: Sequence[Sequence[bool]], width: int) -> NDArray[np.bool_]:
    return np.array(rows, dtype=np.bool_).reshape(len(rows), width)
