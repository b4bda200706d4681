"""Who runs and who waits in a trial, in columns, and the snapshot that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from dure.model.accelerators import core_rate
from dure.model.money import CURRENCIES
from dure.model.policy import Policy, Taste
from dure.model.site import UNTOLD
from dure.scheduler.quotas import no_quotas
from dure.scheduler.runs import gather
from dure.scheduler.snapshot import (
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
    uncapped,
    undrawn,
)
from dure.simulator.report.facts import facts_of
from dure.simulator.report.run import clock_of
from dure.simulator.traces.fleet import Fleet, FleetNodes
from dure.simulator.traces.trace import Member, Trace
from dure.simulator.trial.asks import Asks, runs_of
from dure.simulator.trial.envelopes import Envelopes, draws
from dure.simulator.trial.rules import Order, Rules

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

HOUR_MS, MWH_KWH = 3_600_000, 1000
PLENTY = np.int64(1 << 38)  # of cores in thousandths, or memory in MiB


@dataclass
class Live:
    """Who runs, in the order in which they started. `node` and `mask` have an entry a worker."""

    job: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    started_ms: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    finish_ms: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # when it is done, if it is left alone
    kind: I32 = field(default_factory=lambda: np.zeros(0, np.int32))  # accelerator; -1 none
    site: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    harms: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))  # it has the place of another tenant's guaranteed work
    limit_ms: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # of what is moved, the rest of it
    workers: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    node: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    mask: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))

    def keep(self, rows: Bool) -> None:
        seats = np.repeat(rows, self.workers)
        self.node, self.mask = self.node[seats], self.mask[seats]
        for name in ("job", "started_ms", "finish_ms", "kind", "site", "harms", "limit_ms", "workers"):
            setattr(self, name, getattr(self, name)[rows])

    def add(self, more: Live) -> None:
        """Others, who start behind them."""
        for each in fields(self):
            setattr(self, each.name, np.concatenate([getattr(self, each.name), getattr(more, each.name)]))

    def picked(self, rows: I64) -> Live:
        """These rows, in this order."""
        _, seats = gather(np.concatenate([[0], np.cumsum(self.workers)]), rows)
        whole = {each.name: getattr(self, each.name) for each in fields(self)}
        return Live(**{name: column[seats if name in ("node", "mask") else rows] for name, column in whole.items()})


def _known(nodes: FleetNodes, column: I64) -> I64:
    """0 is unknown in a fleet: on nodes with devices, which are what is counted there, it holds nobody up."""
    return np.where((column == 0) & (nodes.devices > 0), PLENTY, column)


def urgent(priority: I64) -> Bool:
    """Which of these are of a class that may take the place of others."""
    return np.isin(priority, [c.value for c in Policy().classes if c.preempts])


def _blocks(nodes: FleetNodes) -> I32:
    """The topology block of each node; a pool that names none is one."""
    return np.where(nodes.block < 0, nodes.block.max(initial=-1) + 1 + nodes.pool, nodes.block).astype(np.int32)


def tree_of(members: Sequence[Member], tenants: int) -> Shares:
    """The tree of shares: the root, organisations by name, then the tenants, of whom the last may be unknown; nothing is used."""
    names = sorted({member.organisation for member in members} - {""})
    row = {"": 0} | {name: number for number, name in enumerate(names, 1)}
    known = [*members, *[Member()] * (tenants - len(members))]
    parent = np.array([-1, *[0] * len(names), *(row[member.organisation] for member in known)], np.int32)
    weight = np.array([1, *[1] * len(names), *(member.weight for member in known)], np.int64)
    return Shares(("",) * len(parent), parent, weight, np.zeros(len(parent)))


class Farm:
    """What does not change in a trial: nodes, tenants, and what every job asks for."""

    def __init__(self, trace: Trace, fleet: Fleet, asks: Asks, rules: Rules) -> None:
        self.trace, self.fleet, self.asks, self.rules, self.policy = trace, fleet, asks, rules, rules.policy()
        fair = rules.order == Order.FAIR
        yielding = [c.value for c in self.policy.classes if c.yields]
        self.yields: Bool = np.isin(asks.priority, yielding) & fair  # by job; other orders make priorities of their own
        # By job; learned ones when it comes. What may preempt asks for the run that others are guaranteed, as a plane demands.
        self.limit_ms = np.maximum(asks.limit_ms, np.where(urgent(asks.priority) & fair, rules.min_run_ms, 0))
        tenant, names = trace.owners
        count = len(names) + 1 if fair else 1  # the last one: those of whom nothing is known
        self.tenant = (np.where(tenant < 0, count - 1, tenant) if fair else np.zeros(len(trace))).astype(np.int32)
        self.core_rate: F64 = np.array([core_rate(kind) for kind in (*fleet.accelerators, "")])
        home = any(p.taste == Taste.DOMESTIC for p in rules.preferences)
        kinds = tuple(self._ordered(each, home and number == asks.any_kind) for number, each in enumerate(asks.kinds))
        self._sites_of, self.kinds_of = runs_of(asks.sites), runs_of(kinds)
        worker = (asks.workers, asks.cores_milli, asks.memory_mib, asks.devices, asks.share_milli, asks.block)
        asked = (*worker, asks.site_choice, asks.kind_choice)
        self.shape = np.unique(np.array(asked, np.int64), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)
        nodes, sites = fleet.nodes(), len(fleet.sites)
        size = len(nodes)
        bits = (np.uint64(1) << nodes.devices.astype(np.uint64)) - np.uint64(1)
        bits[nodes.devices == np.iinfo(np.uint64).bits] = np.iinfo(np.uint64).max
        self.nodes = Nodes(
            ("",) * size,
            nodes.site,
            nodes.accelerator,
            _blocks(nodes),
            _known(nodes, nodes.cores_milli),
            _known(nodes, nodes.memory_mib),
            bits,
            np.ones(size, np.bool_),
            *draws(fleet),
            *undrawn(size)[3:-1],
            np.ones(size, np.bool_),
        )
        ids = tuple(s.name for s in fleet.sites)
        # a learned wall time is at most twice what something took
        self.envelopes = Envelopes(fleet, int(max(self.limit_ms.max(initial=1), 2 * trace.duration_ms.max(initial=0))))
        facts = facts_of(fleet)
        self._clock_ms = max(clock_of(trace.zero), 0)  # as reports have it
        self._carbon = np.where(facts.carbon_g_mwh > 0, facts.carbon_g_mwh // MWH_KWH, UNTOLD)  # by site and hour of the day
        self._price = np.where(facts.price_krw_mwh > 0, facts.price_krw_mwh, UNTOLD)
        self._domestic: Bool = np.array([fleet.domestic(kind) for kind in fleet.accelerators], np.bool_)
        self._sites = Sites(ids, np.ones(sites, np.bool_), np.zeros(sites, np.bool_), *uncapped(sites))
        self._tree = tree_of(trace.members if fair else (), count)
        inner = len(self._tree.ids) - count
        self.projects = Projects(("",) * count, np.arange(inner, inner + count, dtype=np.int32))
        none = np.zeros(0, np.int64)
        self._awards = Awards(  # nothing costs anything in a trial
            (), none.astype(np.int32), none.astype(np.int32), none, none.copy(), np.zeros((0, sites), np.bool_),
            np.zeros((0, len(fleet.accelerators) + 1), np.bool_),
        )  # fmt: skip

        self._quotas = no_quotas(inner + count, len(fleet.accelerators))

    @property
    def nested(self) -> bool:
        """Whether tenants are of organisations: then what each of them has used counts for the others."""
        return len(self._tree.ids) > len(self.projects.ids) + 1

    @property
    def yielding(self) -> bool:
        """Whether there is work that makes room for any other."""
        return bool(self.yields.any())

    def weight_of(self, job: I64, kind: I32) -> F64:
        """What jobs weigh in fair share while they run on a type, in normalised cores."""
        a = self.asks
        found: F64 = a.workers[job] * (a.cores_milli[job] / 1000 + a.devices_milli[job] / 1000 * self.core_rate[kind])
        return found

    def snapshot(self, now_ms: int, live: Live, saved_ms: I64, waiting: I64, priority: I64, preempts: Bool, use: F64) -> Snapshot:
        """waiting: jobs, in the order in which equals have their turn. saved_ms: by live one, from when work would be lost.
        priority, preempts: by job of the trace. use: by tenant, as the plane counts it."""
        inner = np.zeros(len(self._tree.ids) - len(use))
        return freeze(
            Snapshot(
                now_ms=now_ms, epoch=1, sealed_seq=1, draining=False, policy=self.policy, accelerators=self.fleet.accelerators,
                domestic=self._domestic, data=(),
                core_rate=self.core_rate.copy(), sites=self._sites_at(now_ms), nodes=self.nodes,
                attempts=self._attempts(live, saved_ms, priority), pending=self._pending(waiting, priority, preempts),
                alternatives=self._alternatives(waiting), projects=self.projects,
                shares=replace(self._tree, use=np.concatenate([inner, use])),
                awards=self._awards, quotas=self._quotas,
            )
        )  # fmt: skip

    def _sites_at(self, now_ms: int) -> Sites:
        pue, ptr, since, mw = self.envelopes.columns(now_ms)
        hour = (now_ms + self._clock_ms) // HOUR_MS % self._carbon.shape[1]
        return replace(
            self._sites, pue_permille=pue, power_ptr=ptr, power_from_ms=since, power_mw=mw,
            carbon_g_kwh=self._carbon[:, hour].copy(), power_krw_mwh=self._price[:, hour].copy(),
        )  # fmt: skip

    def _ordered(self, kinds: tuple[int, ...], home: bool) -> tuple[int, ...]:
        """Types, those of domestic makers first where that is preferred."""
        return tuple(sorted(kinds, key=lambda kind: not self.fleet.domestic(self.fleet.accelerators[kind]))) if home else kinds

    def _attempts(self, live: Live, saved_ms: I64, priority: I64) -> Attempts:
        job, count, a = live.job, len(live.job), self.asks
        return Attempts(
            ("",) * count, ("",) * count, np.full(count, RUNNING, np.int32), self.tenant[job], priority[job],
            self.trace.preemptible[job] | self.rules.preempts, self.yields[job], live.started_ms.copy(),
            live.started_ms + live.limit_ms, saved_ms, a.cores_milli[job], a.memory_mib[job], np.full(count, -1, np.int32),
            np.concatenate([[0], np.cumsum(live.workers)]).astype(np.int32), live.node.copy(), live.mask.copy(),
            a.share_milli[job], np.zeros(count, np.int64), self.rest_ms(live, saved_ms), np.full(count, -1, np.int32),
        )  # fmt: skip

    def rest_ms(self, live: Live, saved_ms: I64) -> I64:
        """By live one: how long it may run elsewhere, as a plane has it (`dure.controller.moved`); 0: it is not moved."""
        saved = saved_ms - live.started_ms
        may = self.rules.moves & self.trace.preemptible[live.job] & (self.trace.checkpoint_ms[live.job] > 0) & (saved > 0)
        return np.where(may, np.maximum(live.limit_ms - saved, self.policy.min_run_ms), 0)

    def _pending(self, job: I64, priority: I64, preempts: Bool) -> Pending:
        a, count, submit = self.asks, len(job), self.trace.submit_ms[job]
        site_ptr, site_row = self._sites_of(a.site_choice[job])
        alt_ptr, _ = self.kinds_of(a.kind_choice[job])
        return Pending(
            ("",) * count, self.tenant[job], priority[job], preempts[job], self.trace.preemptible[job], submit, submit.copy(),
            np.full(count, DEPENDENCY_MET, np.int32), a.workers[job], a.cores_milli[job], a.memory_mib[job], a.devices[job],
            self.limit_ms[job], a.block[job], self.shape[job], site_ptr, site_row, alt_ptr, a.share_milli[job],
            np.full(count, FOREVER_MS), np.zeros(count + 1, np.int32), np.zeros(0, np.int32), np.zeros(count, np.int64),
            np.zeros(count, np.int64),
        )  # fmt: skip

    def _alternatives(self, job: I64) -> Alternatives:
        _, kinds = self.kinds_of(self.asks.kind_choice[job])
        hold = np.full((len(kinds), len(CURRENCIES)), -1, np.int64)
        hold[:, 0] = 0
        return Alternatives(kinds, hold, np.zeros(len(kinds), np.int64))
