"""What a plane is founded with so that it is asked what a trial of the same trace is asked: policy, sites, tenants, money, jobs.

Ids are made so that they sort as the rows of a trial do: among equals it is their order that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dure.controller import Deed, found
from dure.controller.commands.envelopes import set_power
from dure.controller.commands.funding import AMOUNT_MAX, create_award, create_programme
from dure.controller.commands.sites import create_site
from dure.controller.commands.tenancy import create_organisation, create_project
from dure.errors import ConfigError, require
from dure.model.policy import Policy
from dure.model.reason import Reason
from dure.model.workload import BLOCK, Demand, WorkloadSpec
from dure.ports import Tx
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.trace import UNKNOWN, Member, Trace
from dure.simulator.trial.charging import PRICES
from dure.simulator.trial.rules import Order, Rules
from dure.simulator.trial.state import Farm, urgent

YEAR_MS = 366 * 86_400_000
PROGRAMME = "trace"
NOWHERE = "nowhere"  # in place of a site that the fleet does not have: a plane takes no such job
POWER_STEPS = 400  # told at once of a site: a plane remembers 500
COMMAND = ("job",)  # nothing runs: a fake backend knows how long it takes
# Of how a trial may order work, those that a plane has. Order of submission is what one project in one class gets.
ORDERS = (Order.FAIR, Order.SUBMITTED)


def refusal(rules: Rules) -> ConfigError | None:
    """Why no plane has these rules, or None when one may."""
    if rules.preferences:
        return ConfigError(
            f"policy: {rules.name!r} prefers sites by what a plane of a trace is not told yet. Choose default, or run this one "
            "as a trial, without the whole plane."
        )
    if rules.order in ORDERS and not rules.resumes:
        return None
    return ConfigError(
        f"policy: {rules.name!r} orders work by {rules.order.value}, and a plane orders it by class, fair share and submission. "
        "Choose a policy such as default, fifo or easy, or run this one as a trial, without the whole plane."
    )


def site_id(site: int) -> str:
    return f"s{site:04d}"


def organisation_id(number: int) -> str:
    """Before all `project_id`s, as organisations stand before tenants in the tree of a trial."""
    return f"o{number:06d}"


def project_id(tenant: int) -> str:
    return f"t{tenant:06d}"


class Founded:
    """The farm of a trial in a plane's own terms."""

    def __init__(self, trace: Trace, fleet: Fleet, farm: Farm, rules: Rules) -> None:
        self.trace, self.fleet, self.farm, self.rules = trace, fleet, farm, rules
        self._class = {c.value: c.name for c in Policy().classes}
        longest = max(farm.limit_ms.max(initial=1), 2 * trace.duration_ms.max(initial=0))  # a learned one is that much
        self.ahead_ms = int(longest)  # how far a plan looks
        self.urgent = urgent(farm.asks.priority) & (rules.order == Order.FAIR)
        self.projects = tuple(project_id(t) for t in range(len(farm.projects.ids)))
        known = trace.members if rules.order == Order.FAIR else ()
        self._members = (*known, *[Member()] * (len(self.projects) - len(known)))
        self._organisations: dict[str, str] = {}  # ids by name
        self._sites = [tuple(site_id(s) if s != UNKNOWN else NOWHERE for s in each) for each in farm.asks.sites]
        self._kinds = [self._accepted(choice) for choice in range(len(farm.asks.kinds))]

    def _accepted(self, choice: int) -> tuple[str, ...]:
        """Types by name, best first; () for any, and for work without devices. Of what asks for none of the fleet's, its own."""
        if choice >= len(self.trace.accelerators):
            return ()
        known = tuple(self.fleet.accelerators[kind] for kind in self.farm.asks.kinds[choice] if kind != UNKNOWN)
        return known or self.trace.accelerators[choice]

    def policy(self) -> Policy:
        """The trial's, with prices, and bounds that every job of the trace is within."""
        made = self.farm.policy
        most = max(made.waiting_max, len(self.trace))
        return replace(made, prices=made.prices or PRICES, limit_ms_max=max(made.limit_ms_max, self.ahead_ms), waiting_max=most)

    def furnish(self, tx: Tx, deed: Deed, public_key: str) -> None:
        """Everything that stands before the first job: a plane, its sites, and a project with money for every tenant."""
        found(tx, deed, policy=self.policy(), public_key=public_key)
        for index, site in enumerate(self.fleet.sites):
            _made(create_site(tx, deed, id=site_id(index), name=site.name, region=site.region, pue_permille=site.pue_permille))
        start, end, each = deed.now_ms, deed.now_ms + 100 * YEAR_MS, AMOUNT_MAX // len(self.projects)
        _made(
            create_programme(
                tx, deed, id=PROGRAMME, name=PROGRAMME, currency="KRW", budget=AMOUNT_MAX, starts_ms=start, ends_ms=end
            )
        )
        for number, name in enumerate(sorted({member.organisation for member in self._members} - {""})):
            _made(create_organisation(tx, deed, id=organisation_id(number), name=name, kind="institute"))
            self._organisations[name] = organisation_id(number)
        for project, member in zip(self.projects, self._members, strict=True):
            owner = self._organisations.get(member.organisation, project)
            if owner == project:  # an organisation of its own, which has its weight
                _made(create_organisation(tx, deed, id=project, name=project, kind="institute", weight=member.weight))
            weight = 1 if owner == project else member.weight
            _made(create_project(tx, deed, id=project, name=project, organisation=owner, weight=weight))
            _made(create_award(tx, deed, programme=PROGRAMME, project=project, amount=each, starts_ms=start, expires_ms=end))

    def inventory(self, site: int) -> list[Mapping[str, Any]]:
        """The nodes of a site as its backend tells them."""
        nodes = self.farm.nodes
        types = (*self.fleet.accelerators, "")
        return [
            {
                "name": f"n{place:06d}", "pool": "default", "block": f"b{nodes.block[row]}",
                "cores_milli": int(nodes.cores_milli[row]),
                "memory_mib": int(nodes.memory_mib[row]), "accelerator": types[int(nodes.accelerator[row])],
                "devices": int(nodes.device_mask[row]).bit_length(), "idle_mw": int(nodes.idle_mw[row]),
                "device_mw": int(nodes.device_mw[row]), "core_mw": int(nodes.core_mw[row]), "shares": bool(nodes.shares[row]),
                "up": True,
            }
            for place, row in enumerate(np.flatnonzero(nodes.site == site).tolist())
        ]  # fmt: skip

    def project(self, job: int) -> str:
        return self.projects[int(self.farm.tenant[job])]

    def spec(self, job: int) -> WorkloadSpec:
        """What the owner of a job submits."""
        asks, trace = self.farm.asks, self.trace
        fair = self.rules.order == Order.FAIR
        demand = Demand(
            cores_milli=int(asks.cores_milli[job]), memory_mib=int(asks.memory_mib[job]), devices=int(asks.devices[job]),
            share_milli=int(asks.share_milli[job]),
            accelerators=self._kinds[int(asks.kind_choice[job])] if asks.devices_milli[job] else (),
        )  # fmt: skip
        return WorkloadSpec(
            name=str(job), command=COMMAND, demand=demand, workers=int(asks.workers[job]),
            limit_ms=int(self.farm.limit_ms[job]), priority=self._class[int(asks.priority[job])] if fair else "normal",
            preemptible=bool(trace.preemptible[job]), checkpoint_interval_ms=int(trace.checkpoint_ms[job]),
            sites=self._sites[int(asks.site_choice[job])], grace_ms=0, topology=BLOCK if asks.block[job] else "",
        )  # fmt: skip

    def tell_power(self, tx: Tx, deed: Deed, zero_ms: int, until_ms: int) -> int:
        """Envelopes as an operator says them, from now to a moment, or as far as a plane remembers; until when that is. zero_ms:
        the trace's zero by the plane's clock."""
        told = until_ms
        for site in self.farm.envelopes.capped:
            steps = self.fleet.envelope(site, deed.now_ms - zero_ms, until_ms - zero_ms)[:POWER_STEPS]
            for begin, end, watts in steps:
                until = zero_ms + end
                _made(set_power(tx, deed, site=site_id(site), watts=watts or None, from_ms=zero_ms + begin, until_ms=until))
            told = min(told, zero_ms + steps[-1][1])
        return told


def _made(answer: object) -> None:
    if isinstance(answer, Reason):  # said only then: a site with its envelope is long
        require(False, f"a plane could not be furnished for a trace: {answer}")
