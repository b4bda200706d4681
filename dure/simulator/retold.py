"""A scenario as a trace on a fleet: what it submits and where it could run, to be run the quick way, and under other policies.

A trial knows jobs, nodes, tenants and their shares. Of everything else that a story may say it is told here, with its line, that
it cannot be left out without changing what is decided; it is never passed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dure.errors import ConfigError
from dure.ledger.rating import hold_amount
from dure.model.accelerators import ACCELERATORS
from dure.model.money import Currency
from dure.model.policy import Policy
from dure.model.workload import BLOCK, LIMIT_MS_MIN
from dure.simulator.report import Run
from dure.simulator.setting import NATION, OWN, SETUP, PoolLine, Setting, TenantLine, setting_of
from dure.simulator.story import Block, Line, Options, blocks_of
from dure.simulator.submission import TERM_MS, Submission, submission
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import UNKNOWN, Member, Trace, make_trace
from dure.simulator.trial.rules import Rules, rules_by

LOOKS = frozenset({"watch", "why", "ledger", "verify"})  # lines that change nothing
ZERO = "2026-01-05T00:00:00"  # midnight of the day on which stories are told
PRICE = "price core 36 won per hour"
PLAY = "play the scenario without --policy"  # the remedy that is always there
PUE_PERMILLE = 1300  # of a story's sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Retold:
    """every_ms: the cadence. funds: by tenant, what it may spend, in won; holds: the most that its jobs may cost, each once."""

    trace: Trace
    fleet: Fleet
    rules: Rules  # of the policy that the scenario states
    every_ms: int
    funds: tuple[int, ...]
    holds: tuple[int, ...]
    tenants: tuple[TenantLine, ...]

    def under(self, rules: Rules) -> Rules:
        """Another policy, at the prices of the scenario."""
        base = self.rules.base
        return replace(rules, base=replace(rules.base, prices=base.prices, preemptible_permille=base.preemptible_permille))

    def prove_funded(self, run: Run) -> None:
        """Money decides nothing in a trial, so nobody's may run out. What was spent at any time is at most what was spent in the
        end, and what was held at most the holds of all. Raises ConfigError, naming the line of the tenant."""
        owner, spent = run.tenant, np.zeros(len(self.funds), np.int64)
        np.add.at(spent, owner, np.maximum(run.won, 0))
        for tenant, (funds, holds) in enumerate(zip(self.funds, self.holds, strict=True)):
            if spent[tenant] + holds > funds and (owner == tenant).any():
                raise self.tenants[tenant].line.fault(
                    f"under {run.policy} the budget might decide what runs: of {funds:,} won {spent[tenant]:,} are spent, and "
                    f"up to {holds:,} may be held. Give it at least {spent[tenant] + holds:,} won, or {PLAY}"
                )


def retold_page(page: str, number: int = 0, name: str = "scenario") -> Retold:
    """The scenario of a Markdown page; number: which one, from 1; 0: the only one. Raises ConfigError."""
    blocks = list(blocks_of(page))
    if not blocks:
        raise ConfigError("the page has no ```scenario block")
    if not number and len(blocks) > 1:
        raise ConfigError(f"the page has {len(blocks)} scenarios. Say which one, from 1: --scenario N")
    if number > len(blocks):
        raise ConfigError(f"scenario: there is no scenario {number}; the page has {len(blocks)}")
    return retold(blocks[max(number - 1, 0)], name)


def retold(block: Block, name: str = "scenario") -> Retold:
    """Raises ConfigError for a scenario that cannot be understood, or that no trial can run; it names the line."""
    setting, asked = setting_of(block.lines), list(_submissions(block.lines))
    if not asked:
        raise ConfigError(f"line {block.first}: this scenario submits nothing")
    _check_setting(setting, block)
    tenants = tuple(sorted(setting.tenants, key=lambda tenant: tenant.name))
    for each, _ in asked:
        _check_asked(each, setting)
    policy = setting.policy
    return Retold(
        trace=_trace(asked, [tenant.name for tenant in tenants], setting), fleet=_fleet(setting, name),
        rules=rules_by(OWN, policy), every_ms=setting.every_ms, tenants=tenants, funds=tuple(tenant.budget for tenant in tenants),
        holds=tuple(_holds(asked, tenant.name, setting) for tenant in tenants),
    )  # fmt: skip


# -- what is submitted -----------------------------------------------------------------------------------------------------------


def _submissions(lines: Iterable[Line]) -> Iterator[tuple[Submission, int]]:
    """With the moment, ms since midnight. A line without a time is at that of the line before."""
    names: set[str] = set()
    at_ms = -1
    for line in lines:
        if line.verb in SETUP:
            continue
        if line.at_ms >= 0:
            if line.at_ms < at_ms:
                raise line.fault("this is earlier than the line before")
            at_ms = line.at_ms
        if line.verb == "submit":
            made = submission(Options.of(line))
            if made.name in names:
                raise line.fault(f"there is already a workload called {made.name}")
            if at_ms < 0:
                raise line.fault("say when it is submitted")
            names.add(made.name)
            yield made, at_ms
        elif line.verb not in LOOKS:
            raise line.fault(
                f"a trial does not know {line.verb}; it knows submit, and passes over {', '.join(sorted(LOOKS))}. "
                f"Leave the line out, or {PLAY}"
            )


def _check_asked(s: Submission, setting: Setting) -> None:
    """What no plane would take, and what no trial knows."""
    policy, tenants, sites = setting.policy, {t.name for t in setting.tenants}, setting.sites()
    klass = policy.priority_class(s.priority)
    if s.project not in tenants:
        raise s.line.fault(f"there is no tenant {s.project!r}. Tenants are: {', '.join(sorted(tenants))}")
    if klass is None:
        raise s.line.fault(f"there is no class {s.priority!r}. Classes are: {', '.join(c.name for c in policy.classes)}")
    least_ms = policy.min_run_ms if klass.preempts else LIMIT_MS_MIN
    if not least_ms <= s.limit_ms <= policy.limit_ms_max:
        raise s.line.fault(f"its limit is not from {least_ms / 1000:g} s to {policy.limit_ms_max / 1000:g} s")
    for site in s.sites:
        if site not in sites:
            raise s.line.fault(f"there is no pool {site!r}. Pools are: {', '.join(sites)}")
    small = [s.workers, s.demand.cores_milli, s.demand.memory_mib, s.demand.devices + 1]
    if min(small) < 1 or s.array < 0:
        raise s.line.fault("workers, cores and memory are at least 1, and no number is negative")
    if s.topology not in ("", BLOCK):
        raise s.line.fault(f"topology is {BLOCK}, or is left out")
    if s.demand.accelerators and not s.demand.devices:
        raise s.line.fault("it names types and no gpus")
    kinds = ACCELERATORS.keys() | {pool.accelerator for pool in setting.pools}
    for kind in s.demand.accelerators:
        if kind not in kinds:
            raise s.line.fault(f"there is no type {kind!r}. Types are: {', '.join(sorted(kinds - {''}))}")
    named = s.demand.accelerators
    most = max((p.devices for p in setting.pools if not named or p.accelerator in named), default=0)
    if s.demand.devices > most > 0:
        raise s.line.fault(f"no node has {s.demand.devices} such devices, so it never starts: the most is {most}")
    mixed = any(len(lines) > 1 for lines in sites.values()) or not all(pool.block for pool in setting.pools)
    unknown = {
        "after": s.after, "retries": s.retries, "least, an elastic gang": s.workers_min,
        "at several pools": len(set(s.sites)) > 1,
        "topology block where not every pool is of one line, with blocks": s.topology == BLOCK and mixed,
    }  # fmt: skip
    for what, there in unknown.items():
        if there:
            raise s.line.fault(f"a trial does not know: {what}. Leave it out, or {PLAY}")


def _trace(asked: Sequence[tuple[Submission, int]], tenants: Sequence[str], setting: Setting) -> Trace:
    """A row an element. Whoever is submitted by a line of their own come apart from those before them."""
    rows = [(s, at_ms, element) for s, at_ms in asked for element in range(max(s.array, 1))]
    each = [s for s, _, _ in rows]
    types = sorted({s.demand.accelerators for s in each} - {()})
    sites = sorted(setting.sites())
    classes = {c.name: c.value for c in setting.policy.classes}
    arrays = {s.name: number for number, (s, _) in enumerate(asked) if s.array}
    return make_trace(
        len(rows), submit_ms=[at_ms for _, at_ms, _ in rows], duration_ms=[_duration_ms(s) for s in each],
        workers=[s.workers for s in each], cores_milli=[s.demand.cores_milli for s in each],
        memory_mib=[s.demand.memory_mib for s in each], devices=[s.demand.devices for s in each],
        accelerator=[types.index(s.demand.accelerators) if s.demand.accelerators else UNKNOWN for s in each],
        accelerators=tuple(types), tenant=[tenants.index(s.project) for s in each], tenants=tuple(tenants),
        members=_members(setting, tenants), queue=[sites.index(s.sites[0]) if s.sites else UNKNOWN for s in each],
        queues=tuple(sites), array=[arrays.get(s.name, UNKNOWN) for s in each], limit_ms=[s.limit_ms for s in each],
        priority=[classes[s.priority] for s in each], preemptible=[s.preemptible for s in each],
        block=[s.topology == BLOCK for s in each], checkpoint_ms=[s.checkpoint_ms for s in each],
        origin=[s.line.number for s in each], zero=ZERO,
        ids=tuple(f"{s.name}.{element}" if s.array else s.name for s, _, element in rows),
        extra={"apart": np.array([element == 0 for _, _, element in rows], np.int64)},
    )  # fmt: skip


def _duration_ms(s: Submission) -> int:
    """Until it ends by itself, or, some time after it was told to, at its limit."""
    grace_ms = s.spec(()).grace_ms
    runs_ms = s.limit_ms if s.runs_ms is None else s.runs_ms
    return min(runs_ms, s.limit_ms + min(TERM_MS, grace_ms))


def _members(setting: Setting, tenants: Sequence[str]) -> tuple[Member, ...]:
    of = {t.name: Member(t.share, "" if t.organisation == NATION else t.organisation) for t in setting.tenants}
    return tuple(of[name] for name in tenants)


# -- where it could run ----------------------------------------------------------------------------------------------------------


def _check_setting(setting: Setting, block: Block) -> None:
    if not setting.policy.prices:
        raise ConfigError(f"line {block.first}: this scenario names no price, and what has none is not started. Say it: {PRICE}")
    if setting.quota_lines:
        raise setting.quota_lines[0].fault(f"a trial knows no quotas. Leave it out, or {PLAY}")
    names = [tenant.name for tenant in setting.tenants]
    for tenant in setting.tenants:
        if names.count(tenant.name) > 1:
            raise tenant.line.fault(f"there is already a tenant called {tenant.name}")
        if tenant.until_ms is not None:
            raise tenant.line.fault(f"in a trial money does not end. Leave `until` out, or {PLAY}")


def _fleet(setting: Setting, name: str) -> Fleet:
    sites = [Site(name=site, pue_permille=PUE_PERMILLE, pools=_pools(lines)) for site, lines in sorted(setting.sites().items())]
    kinds = sorted({pool.accelerator for pool in setting.pools if pool.accelerator} - ACCELERATORS.keys())
    return make_fleet(name, sites, kinds=tuple(Kind(id=kind) for kind in kinds), source="the scenario")


def _pools(lines: Sequence[PoolLine]) -> tuple[Pool, ...]:
    """Nodes stand by name, as a plane has them: the tenth before the second."""
    place = {name: number for number, name in enumerate(sorted(name for pool in lines for name in pool.names()))}
    return tuple(
        Pool(
            name=f"{pool.name}-{number}" if len(lines) > 1 else pool.name, nodes=pool.nodes, devices=pool.devices,
            accelerator=pool.accelerator, cores_milli=pool.cores_milli, memory_mib=pool.memory_mib, block=pool.block,
            ranks=tuple(place[name] for name in pool.names()),
        )
        for number, pool in enumerate(lines, 1)
    )  # fmt: skip


def _holds(asked: Sequence[tuple[Submission, int]], tenant: str, setting: Setting) -> int:
    """In won: what a tenant's jobs may cost at most, each at its limit on the dearest type that it may have."""
    policy = setting.policy
    types = sorted({pool.accelerator for pool in setting.pools if pool.devices})
    return sum(max(s.array, 1) * _hold(s, policy, types) for s, _ in asked if s.project == tenant)


def _hold(s: Submission, policy: Policy, types: Sequence[str]) -> int:
    demand, grace_ms = s.demand, s.spec(()).grace_ms
    kinds = (demand.accelerators or tuple(types)) if demand.devices else ("",)
    amounts = (
        hold_amount(
            policy, currency=Currency.KRW, accelerator=kind, workers=s.workers, cores_milli=demand.cores_milli,
            memory_mib=demand.memory_mib, devices=demand.devices, limit_ms=max(s.limit_ms, policy.min_run_ms),
            preemptible=s.preemptible, priority=s.priority, grace_ms=grace_ms,
        )
        for kind in kinds
    )  # fmt: skip
    found = dict(zip(kinds, amounts, strict=True))
    free = [kind for kind, amount in found.items() if amount is None]
    if free:
        raise s.line.fault(
            f"there is no price for {free[0] or 'it'}, so no plane starts it. Say it: price {free[0]} 4000 won per hour"
        )
    return max(amount for amount in found.values() if amount is not None)
