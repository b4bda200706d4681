"""What a scenario says before it begins: pools, prices, quotas, the policy, the cadence and who there is.

Reading alone: `scenario` sets up a plane with it, `retold` a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dure.model.calendar import HOUR_MS
from dure.model.money import NANO, round_half_up
from dure.model.policy import Policy, Price, Quota
from dure.simulator.story import Line, Options, time_of_day_ms
from dure.simulator.world import EVERY_EVENT

OWN = "own"  # the name of the policy that a scenario states
NATION = "nation"  # the organisation of those of whom no other is said
SETUP = frozenset({"pool", "price", "policy", "quota", "tenant", "every"})

CORE_MW, DEVICE_MW = 5_000, 700_000  # what one draws at work, in milliwatts


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """Equal nodes of a site, which has the name of the pool: `name-first`, and so on. block: nodes of one topology block; 0: all
    are one."""

    line: Line
    name: str
    first: int
    nodes: int
    cores_milli: int
    memory_mib: int
    devices: int
    accelerator: str
    block: int

    def names(self) -> list[str]:
        return [f"{self.name}-{n}" for n in range(self.first, self.first + self.nodes)]

    def inventory(self) -> list[dict[str, Any]]:
        """The nodes as a backend tells them."""
        return [
            {
                "name": name, "pool": self.name, "block": f"{self.name}-{(n - 1) // self.block}" if self.block else "",
                "cores_milli": self.cores_milli, "memory_mib": self.memory_mib, "accelerator": self.accelerator,
                "devices": self.devices, "core_mw": CORE_MW, "device_mw": DEVICE_MW, "up": True,
            }
            for n, name in enumerate(self.names(), self.first)
        ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLine:
    """A tenant: its weight in fair share, its organisation, its budget in won (0: none) and until when that may be spent (None:
    for ever), in ms since midnight."""

    line: Line
    name: str
    organisation: str
    share: int
    budget: int
    until_ms: int | None


@dataclass
class Setting:
    """every_ms: EVERY_EVENT where nothing is said of a cadence."""

    pools: list[PoolLine] = field(default_factory=list)
    tenants: list[TenantLine] = field(default_factory=list)
    quota_lines: list[Line] = field(default_factory=list)
    _prices: dict[str, Price] = field(default_factory=dict)
    _quotas: list[Quota] = field(default_factory=list)
    _every_ms: int | None = None
    _policy: dict[str, int] = field(default_factory=lambda: {"min_run_ms": 10 * 60_000})

    @property
    def every_ms(self) -> int:
        return self._every_ms or EVERY_EVENT

    @property
    def policy(self) -> Policy:
        return Policy(prices=tuple(self._prices.values()), quotas=tuple(self._quotas), **self._policy)  # type: ignore[arg-type]

    def sites(self) -> dict[str, list[PoolLine]]:
        """By site, in the order in which they are said."""
        found: dict[str, list[PoolLine]] = {}
        for pool in self.pools:
            found.setdefault(pool.name, []).append(pool)
        return found

    # -- a verb each -------------------------------------------------------------------------------------------------

    def pool(self, o: Options) -> None:
        """pool NAME N nodes x D TYPE [C cores] [M GiB] [block N]: so many nodes in a topology block"""
        name = o.next("the pool's name")
        count = o.whole(o.next("how many nodes"))
        o.drop("nodes", "node")
        cores, memory = _before(o, "cores", 64), _before(o, "GiB", 512)
        devices, kind, block = 0, "", o.number("block", 0)
        if o.drop("x"):
            devices, kind = o.whole(o.next("devices per node")), o.next("the type of device").lower()
        o.finish()
        if count < 1:
            raise o.line.fault("a pool has at least one node")
        first = 1 + sum(pool.nodes for pool in self.pools if pool.name == name)
        made = PoolLine(line=o.line, name=name, first=first, nodes=count, cores_milli=1000 * cores, memory_mib=1024 * memory,
                        devices=devices, accelerator=kind, block=block)  # fmt: skip
        self.pools.append(made)

    def every(self, o: Options) -> None:
        """every event | every N seconds | every DURATION: when the plane decides"""
        if self._every_ms is not None:
            raise o.line.fault("the cadence is already said")
        word = o.next("event, or how many seconds")
        if word == "event":
            self._every_ms = EVERY_EVENT
        else:
            every_ms = 1000 * o.whole(word) if o.drop("seconds", "second") else o.span(word)
            if not 0 < every_ms <= 24 * HOUR_MS:
                raise o.line.fault("a cadence is from a second to a day")
            self._every_ms = every_ms
        o.finish()

    def price(self, o: Options) -> None:
        """price RESOURCE AMOUNT won per hour"""
        resource, amount = o.next("core, memory_gib or a type of device"), o.whole(o.next("the price"))
        o.drop("won", "per", "hour", "GPU")
        o.finish()
        key = resource if resource in ("core", "memory_gib") else f"device:{resource.lower()}"
        self._prices[key] = Price(resource=key, nano=round_half_up(amount * NANO, 3600))

    def quota(self, o: Options) -> None:
        """quota TENANT N TYPE"""
        tenant, count, kind = o.next("the tenant's name"), o.whole(o.next("how many")), o.next("the type of device").lower()
        o.finish()
        self._quotas.append(Quota(of=f"project:{tenant}", resource=f"device:{kind}", nominal_milli=1000 * count))
        self.quota_lines.append(o.line)

    def set_policy(self, o: Options) -> None:
        """policy min_run 10m | pause 1m | refund ... | discount 200 (permille off for preemptible work) | reclaims | moves"""
        self._policy |= {name: True for name in ("reclaims", "moves") if o.drop(name)}
        for name, field_name in (("min_run", "min_run_ms"), ("pause", "retry_pause_ms"), ("half_life", "half_life_ms")):
            self._policy[field_name] = o.duration(name, self._policy.get(field_name, getattr(Policy(), field_name)))
        permille = self._policy.get("preemptible_permille", Policy().preemptible_permille)
        self._policy["preemptible_permille"] = 1000 - o.number("discount", 1000 - permille)
        o.finish()

    def tenant(self, o: Options) -> None:
        """tenant NAME [share N] [of ORGANISATION] [budget N won] [until HH:MM]"""
        name, organisation = o.next("the tenant's name"), o.take("of") or NATION
        share, budget, until = o.number("share", 1), o.number("budget", 0), o.take("until")
        o.drop("won")
        o.finish()
        until_ms = moment(o.line, until) if until else None
        self.tenants.append(
            TenantLine(line=o.line, name=name, organisation=organisation, share=share, budget=budget, until_ms=until_ms)
        )


_VERBS: Mapping[str, Callable[[Setting, Options], None]] = {
    "pool": Setting.pool, "price": Setting.price, "policy": Setting.set_policy, "quota": Setting.quota,
    "tenant": Setting.tenant, "every": Setting.every,
}  # fmt: skip


def setting_of(lines: Iterable[Line]) -> Setting:
    """Those lines of a story that set it up, wherever they stand. Raises ConfigError, naming the line."""
    made = Setting()
    for line in lines:
        if line.verb in SETUP:
            _VERBS[line.verb](made, Options.of(line))
    return made


def first_ms(lines: Iterable[Line]) -> int:
    """When the story begins, ms since midnight: at its first time, or at nine."""
    return next((line.at_ms for line in lines if line.at_ms >= 0), 9 * HOUR_MS)


def moment(line: Line, word: str) -> int:
    """A time of day, ms since midnight. Raises ConfigError."""
    at_ms = time_of_day_ms(word)
    if at_ms < 0:
        raise line.fault(f"{word!r} is no time such as 18:00")
    return at_ms


def _before(o: Options, unit: str, default: int) -> int:
    """The number that stands before a unit, as in "32 cores"."""
    if unit not in o.words:
        return default
    at = o.words.index(unit)
    if at == 0:
        raise o.line.fault(f"a number is missing before {unit!r}")
    value = o.whole(o.words[at - 1])
    del o.words[at - 1 : at + 1]
    return value
