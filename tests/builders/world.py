"""A small farm in a few words: sites, nodes, live attempts, waiting workloads, money, and the Snapshot that they make.

    world = World().site("pohang", nodes=2, cores=8, devices=4, accelerator="h100")
    world.award("lab", 1_000_000)
    world.pending("job", project="lab", devices=2)
    plan(world.snapshot())

Cores are whole cores, memory MiB, times seconds after the world's now unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dure.model.money import CURRENCIES, Currency
from dure.model.policy import NO_LIMIT, Policy, Quota
from dure.scheduler.quotas import quotas_of, use_of
from dure.scheduler.snapshot import (
    CLAIMED,
    DEPENDENCY_MET,
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

NOW_MS = 1_800_000_000_000
HOUR_S = 3600
PRIORITY = {c.name: c for c in Policy().classes}


@dataclass
class World:
    now_ms: int = NOW_MS
    draining: bool = False
    policy: Policy = field(default_factory=lambda: Policy(reclaims=True))
    domestic: frozenset[str] = frozenset({"npu"})
    core_rate: dict[str, float] = field(default_factory=dict)  # of types; 16 unless named
    sites: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    organisations: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    awards: list[dict[str, Any]] = field(default_factory=list)

    # -- saying what there is -----------------------------------------------------------------------------------------

    def site(
        self, id: str, nodes: int = 0, *, reachable: bool = True, drained: bool = False, pue: int = 1000,
        power: Sequence[tuple[float, int]] = (), carbon: int = -1, price: int = -1, data: Sequence[str] = (), **node: Any,
    ) -> World:  # fmt: skip
        """pue: thousandths. power: (from, milliwatts at the meter, -1 for no cap), the first at most now."""
        steps = [(self._at(at), mw) for at, mw in power]
        self.sites[id] = {"reachable": reachable, "drained": drained, "pue": pue, "power": steps, "carbon": carbon,
                          "price": price, "data": tuple(data)}  # fmt: skip
        for i in range(nodes):
            self.node(f"{id}/n{i}", id, **node)
        return self

    def node(
        self, id: str, site: str, *, cores: float = 8, memory: int = 32_768, devices: int = 0, accelerator: str = "",
        block: int = -1, usable: bool = True, idle_mw: int = 0, device_mw: int = 0, core_mw: int = 0,
        closed: Sequence[tuple[float, float]] = (), shares: bool = False,
    ) -> World:  # fmt: skip
        """closed: windows of maintenance (from, until), ascending, without overlaps, none of them over. block: its number within
        the site; nodes of one block have one accelerator."""
        self.nodes.append({
            "id": id, "site": site, "cores_milli": int(cores * 1000), "memory": memory, "mask": (1 << devices) - 1,
            "accelerator": accelerator, "block": block, "usable": usable, "idle_mw": idle_mw, "device_mw": device_mw,
            "core_mw": core_mw, "shares": shares,
            "closed": [(self._at(begin), self._at(end)) for begin, end in closed],
        })  # fmt: skip
        return self

    def organisation(self, id: str, *, parent: str = "", weight: int = 1) -> World:
        self.organisations[id] = {"parent": parent, "weight": weight}
        return self

    def project(self, id: str, *, organisation: str = "", weight: int = 1, use: float = 0.0) -> World:
        self.projects[id] = {"organisation": organisation, "weight": weight, "use": use}
        return self

    def attempt(
        self, id: str, seats: Sequence[tuple[str, int]], *, project: str = "lab", priority: str = "normal", cores: float = 1,
        memory: int = 512, state: int = RUNNING, preemptible: bool = True, started: float = -600, ends: float | None = HOUR_S,
        checkpoint: float | None = None, beneficiary: str = "", workload: str = "", share: int = 0, yields: bool = False,
        grace: float | None = None, rest: float = 0, follows: str = "",
    ) -> World:  # fmt: skip
        """seats: (node id, device mask) of each worker. ends None: nobody knows. share: thousandths of the device in its mask.
        yields: its class does, whatever that is. grace None: it leaves by its limit, however long ago it was told to stop.
        rest: how long it may go on elsewhere, 0: it is not moved. follows: whose new place these seats are, kept for so long
        behind it, and counted as no project's."""
        self._known(project)
        self.attempts.append({
            "id": id, "workload": workload or f"w-{id}", "seats": tuple(seats), "project": project,
            "priority": PRIORITY[priority].value, "cores_milli": int(cores * 1000), "memory": memory, "state": state,
            "preemptible": preemptible, "yields": yields, "started_ms": self._at(started),
            "ends_ms": int(FOREVER_MS) if ends is None else self._at(ends),
            "checkpoint_ms": self._at(started if checkpoint is None else checkpoint), "beneficiary": beneficiary,
            "share": share, "grace_ms": int(FOREVER_MS) if grace is None else int(grace * 1000),
            "rest_ms": int(rest * 1000), "follows": follows,
        })  # fmt: skip
        return self

    def claim(self, id: str, seats: Sequence[tuple[str, int]], victims: Sequence[str], **rest: Any) -> World:
        """A claim, and the STOPPING attempts (already in the world) that make room for it."""
        for attempt in self.attempts:
            if attempt["id"] in victims:
                attempt["beneficiary"] = id
        return self.attempt(id, seats, state=CLAIMED, **rest)

    def pending(
        self, id: str, *, project: str = "lab", priority: str = "normal", workers: int = 1, cores: float = 1, memory: int = 512,
        devices: int = 0, accelerators: Sequence[str] | None = None, limit: float = HOUR_S, sites: Sequence[str] = (),
        hold: int | Sequence[int] = 0, merit: int = -1, preemptible: bool = True, submitted: float | None = None,
        eligible: float = -HOUR_S, dependency: int = DEPENDENCY_MET, share: int = 0, data: Sequence[str] = (),
        block: bool = False, deadline: float | None = None, workers_min: int = 0,
        grace: float = 0, limits: Sequence[float] = (),
    ) -> World:  # fmt: skip
        """accelerators: best first; none named: any type there is when devices are wanted. hold: won, one for all
        alternatives or one each; merit: accelerator-seconds, -1 when it cannot be paid in them; either for all workers.
        workers_min: the fewest that will do. grace: the part of the limit that no speed changes; limits: on each alternative, as
        many as are known, 0 for that of all."""
        self._known(project)
        self.waiting.append({
            "id": id, "project": project, "class": PRIORITY[priority], "workers": workers, "cores_milli": int(cores * 1000),
            "memory": memory, "devices": devices, "accelerators": accelerators, "limit_ms": int(limit * 1000),
            "sites": tuple(sites), "hold": hold, "merit": merit, "preemptible": preemptible,
            "submitted_ms": self._at(-1000 + len(self.waiting) if submitted is None else submitted),
            "eligible_ms": self._at(eligible), "dependency": dependency, "share": share, "data": tuple(data), "block": block,
            "deadline_ms": int(FOREVER_MS) if deadline is None else self._at(deadline), "workers_min": workers_min % workers,
            "grace_ms": int(grace * 1000), "limits_ms": [int(each * 1000) for each in limits],
        })  # fmt: skip
        return self

    def award(
        self, project: str, amount: int, *, id: str = "", currency: Currency = Currency.KRW, expires: float = 30 * 24 * HOUR_S,
        sites: Sequence[str] = (), accelerators: Sequence[str] = (),
    ) -> World:  # fmt: skip
        self._known(project)
        self.awards.append({
            "id": id or f"award-{len(self.awards)}", "project": project, "currency": CURRENCIES.index(currency),
            "available": amount, "expires_ms": self._at(expires), "sites": tuple(sites), "accelerators": tuple(accelerators),
        })  # fmt: skip
        return self

    def quota(self, of: str, resource: str, nominal: float, *, borrow: float = NO_LIMIT, lend: float = NO_LIMIT) -> World:
        """of: "project:ID", "organisation:ID" or "*". In devices or cores; borrow, lend: NO_LIMIT for as much as there is."""
        limits = [NO_LIMIT if limit == NO_LIMIT else int(limit * 1000) for limit in (borrow, lend)]
        quota = Quota(
            of=of, resource=resource, nominal_milli=int(nominal * 1000), borrow_max_milli=limits[0], lend_max_milli=limits[1]
        )
        self.policy = replace(self.policy, quotas=(*self.policy.quotas, quota))
        return self

    def _at(self, seconds: float) -> int:
        return self.now_ms + int(seconds * 1000)

    def _known(self, project: str) -> None:
        if project not in self.projects:
            self.project(project)

    # -- columns ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        types = tuple(sorted({n["accelerator"] for n in self.nodes} - {""}))
        sites = tuple(self.sites)
        nodes, attempts, projects, shares = self._nodes(sites, types), self._attempts(), self._projects(), self._shares()
        used = use_of(attempts, nodes, projects, len(shares.ids), len(types))
        return freeze(
            Snapshot(
                now_ms=self.now_ms, epoch=1, sealed_seq=1, draining=self.draining, policy=self.policy, accelerators=types,
                domestic=np.array([t in self.domestic for t in types], np.bool_), data=self._data(),
                core_rate=np.array([*(self.core_rate.get(t, 16.0) for t in types), 0.0]),
                sites=Sites(sites, self._flags("reachable"), self._flags("drained"), *self._power(), *self._traits()),
                nodes=nodes, attempts=attempts, pending=self._pending(sites, types),
                alternatives=self._alternatives(types), projects=projects, shares=shares,
                awards=self._awards(sites, types), quotas=quotas_of(self.policy.quotas, shares, projects, types, used),
            )
        )  # fmt: skip

    def _flags(self, name: str) -> Any:
        return np.array([site[name] for site in self.sites.values()], np.bool_)

    def _power(self) -> tuple[Any, Any, Any, Any]:
        rows = self.sites.values()
        steps = [step for site in rows for step in site["power"]]
        pue, ptr = _i64(site["pue"] for site in rows), _ptr(len(site["power"]) for site in rows)
        return pue, ptr, _i64(at for at, _ in steps), _i64(mw for _, mw in steps)

    def _data(self) -> tuple[str, ...]:
        return tuple(sorted({name for site in self.sites.values() for name in site["data"]}))

    def _traits(self) -> tuple[Any, Any, Any]:
        rows, names = list(self.sites.values()), self._data()
        has = np.array([[name in site["data"] for name in names] for site in rows], np.bool_).reshape(len(rows), len(names))
        return _i64(site["carbon"] for site in rows), _i64(site["price"] for site in rows), has

    def _sorted_nodes(self) -> list[dict[str, Any]]:
        order = list(self.sites)
        return sorted(self.nodes, key=lambda n: (order.index(n["site"]), n["id"]))

    def _nodes(self, sites: tuple[str, ...], types: tuple[str, ...]) -> Nodes:
        rows = self._sorted_nodes()
        return Nodes(
            tuple(n["id"] for n in rows),
            np.array([sites.index(n["site"]) for n in rows], np.int32),
            np.array([types.index(n["accelerator"]) if n["accelerator"] else -1 for n in rows], np.int32),
            _i32(n["block"] for n in rows),
            _i64(n["cores_milli"] for n in rows),
            _i64(n["memory"] for n in rows),
            np.array([n["mask"] for n in rows], np.uint64),
            np.array([n["usable"] for n in rows], np.bool_),
            *(_i64(n[name] for n in rows) for name in ("idle_mw", "device_mw", "core_mw")),
            _ptr(len(n["closed"]) for n in rows),
            _i64(begin for n in rows for begin, _ in n["closed"]),
            _i64(end for n in rows for _, end in n["closed"]),
            np.array([n["shares"] for n in rows], np.bool_),
        )

    def _attempts(self) -> Attempts:
        rows = sorted(self.attempts, key=lambda a: a["id"])
        ids, nodes = [a["id"] for a in rows], [n["id"] for n in self._sorted_nodes()]
        projects = list(self.projects)
        return Attempts(
            tuple(ids),
            tuple(a["workload"] for a in rows),
            _i32(a["state"] for a in rows),
            _i32(-1 if a["follows"] else projects.index(a["project"]) for a in rows),
            _i64(a["priority"] for a in rows),
            np.array([a["preemptible"] for a in rows], np.bool_),
            np.array([a["yields"] for a in rows], np.bool_),
            *(_i64(a[name] for a in rows) for name in ("started_ms", "ends_ms", "checkpoint_ms", "cores_milli", "memory")),
            _i32(ids.index(a["beneficiary"]) if a["beneficiary"] else -1 for a in rows),
            _ptr(len(a["seats"]) for a in rows),
            _i32(nodes.index(node) for a in rows for node, _ in a["seats"]),
            np.array([mask for a in rows for _, mask in a["seats"]], np.uint64),
            _i64(a["share"] for a in rows),
            _i64(a["grace_ms"] for a in rows),
            _i64(a["rest_ms"] for a in rows),
            _i32(ids.index(a["follows"]) if a["follows"] else -1 for a in rows),
        )

    def _sorted_pending(self) -> list[dict[str, Any]]:
        return sorted(self.waiting, key=lambda p: (p["submitted_ms"], p["id"]))

    def _pending(self, sites: tuple[str, ...], types: tuple[str, ...]) -> Pending:
        rows, projects = self._sorted_pending(), list(self.projects)
        return Pending(
            tuple(p["id"] for p in rows),
            _i32(projects.index(p["project"]) for p in rows),
            _i64(p["class"].value for p in rows),
            np.array([p["class"].preempts for p in rows], np.bool_),
            np.array([p["preemptible"] for p in rows], np.bool_),
            _i64(p["submitted_ms"] for p in rows),
            _i64(p["eligible_ms"] for p in rows),
            _i32(p["dependency"] for p in rows),
            *(_i64(p[name] for p in rows) for name in ("workers", "cores_milli", "memory", "devices", "limit_ms")),
            np.array([p["block"] for p in rows], np.bool_),
            _i32(_numbered(_asks(p, types) for p in rows)),
            _ptr(len(p["sites"]) for p in rows),
            _i32(sites.index(s) if s in sites else -1 for p in rows for s in p["sites"]),
            _ptr(len(_types(p, types)) for p in rows),
            _i64(p["share"] for p in rows),
            _i64(p["deadline_ms"] for p in rows),
            _ptr(len(p["data"]) for p in rows),
            _i32(self._data().index(name) if name in self._data() else -1 for p in rows for name in p["data"]),
            _i64(p["workers_min"] for p in rows),
            _i64(p["grace_ms"] for p in rows),
        )

    def _alternatives(self, types: tuple[str, ...]) -> Alternatives:
        found, holds, limits = [], [], []
        for p in self._sorted_pending():
            wanted = _types(p, types)
            won = [p["hold"]] * len(wanted) if isinstance(p["hold"], int) else p["hold"]
            found += [types.index(t) if t in types else -1 for t in wanted]
            holds += [[amount, p["merit"]] for amount in won]
            limits += [*p["limits_ms"], *[0] * len(wanted)][: len(wanted)]
        return Alternatives(_i32(found), np.array(holds, np.int64).reshape(-1, len(CURRENCIES)), _i64(limits))

    def _projects(self) -> Projects:
        first = 1 + len(self.organisations)
        return Projects(tuple(self.projects), _i32(range(first, first + len(self.projects))))

    def _shares(self) -> Shares:
        names = ["", *self.organisations]
        parents = [-1, *(names.index(o["parent"]) for o in self.organisations.values())]
        parents += [names.index(p["organisation"]) for p in self.projects.values()]
        weights = [1, *(o["weight"] for o in self.organisations.values()), *(p["weight"] for p in self.projects.values())]
        use = [0.0] * len(names) + [p["use"] for p in self.projects.values()]
        return Shares((*names, *self.projects), _i32(parents), _i64(weights), np.array(use))

    def _awards(self, sites: tuple[str, ...], types: tuple[str, ...]) -> Awards:
        projects = list(self.projects)
        rows = sorted(self.awards, key=lambda a: (projects.index(a["project"]), a["currency"], a["expires_ms"], a["id"]))
        return Awards(
            tuple(a["id"] for a in rows),
            _i32(projects.index(a["project"]) for a in rows),
            _i32(a["currency"] for a in rows),
            _i64(a["available"] for a in rows),
            _i64(a["expires_ms"] for a in rows),
            _table([[not a["sites"] or s in a["sites"] for s in sites] for a in rows], len(sites)),
            _table([[not a["accelerators"] or t in a["accelerators"] for t in (*types, "")] for a in rows], len(types) + 1),
        )


def _types(pending: dict[str, Any], types: tuple[str, ...]) -> tuple[str, ...]:
    if pending["accelerators"] is not None:
        return tuple(pending["accelerators"])
    return (types or ("",)) if pending["devices"] or pending["share"] else ("",)


def _i32(values: Any) -> Any:
    return np.array(list(values), np.int32)


def _i64(values: Any) -> Any:
    return np.array(list(values), np.int64)


def _ptr(lengths: Any) -> Any:
    return np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int32)


def _table(rows: list[list[bool]], width: int) -> Any:
    return np.array(rows, np.bool_).reshape(len(rows), width)


def _asks(p: dict[str, Any], types: tuple[str, ...]) -> tuple[object, ...]:
    """What tells the shapes of two waiting workloads apart."""
    wanted = (p["workers"], p["workers_min"], p["cores_milli"], p["memory"], p["devices"], p["share"])
    return *wanted, p["data"], p["sites"], p["block"], tuple(_types(p, types))


def _numbered(values: Iterable[object]) -> Iterator[int]:
    """Equal values have equal numbers."""
    known: dict[object, int] = {}
    return (known.setdefault(value, len(known)) for value in values)
