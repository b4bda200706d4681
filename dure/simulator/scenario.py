"""Playing a scenario on a World: one method for each verb, and the answers that the plane gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dure.backends.fake import Script
from dure.controller.commands import envelopes, funding, sites, tenancy, workloads
from dure.controller.verify import verify_audit, verify_store_books
from dure.errors import require
from dure.model.calendar import SEOUL, parse_moment
from dure.model.envelope import parse_watts
from dure.model.money import NANO, round_half_up
from dure.model.policy import Policy, Price, Quota
from dure.model.reason import Reason
from dure.model.render import render
from dure.model.workload import Demand, WorkloadSpec
from dure.simulator.story import Block, Line, Options, apply_answers, blocks_of, time_of_day_ms
from dure.simulator.telling import Teller
from dure.simulator.world import EVERY_EVENT, World

V = TypeVar("V")

DAY = "2026-01-05"  # the day on which every story is told; any would do
HOUR_MS = 3_600_000
PROGRAMME = "programme"
FAR_MS = 400 * 24 * HOUR_MS  # when awards end that name no end
SETUP = frozenset({"pool", "price", "policy", "quota", "tenant", "node", "every"})


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """text: the page as it should be. stale: the lines at which the given page says something else, with both texts."""

    text: str
    stale: tuple[str, ...]


def run_scenario(path: Path) -> ScenarioResult:
    """Play every scenario of a Markdown page."""
    return run_text(path.read_text(encoding="utf-8"))


def run_text(page: str) -> ScenarioResult:
    """As `run_scenario`. Raises ConfigError, naming the line, when a story cannot be understood or a deed was refused
    that the story does not say is refused."""
    answers: dict[int, str] = {}
    between: dict[int, list[str]] = {}
    for block in blocks_of(page):
        play = Play(block)
        play.run()
        answers |= play.answers
        between |= play.between
    told = apply_answers(page, answers, between)
    pairs = zip(page.split("\n"), told.split("\n"), strict=False)
    stale = [f"line {n}: {a!r} should be {b!r}" for n, (a, b) in enumerate(pairs, 1) if a != b]
    if not stale and page != told:
        stale = ["the page has more or fewer lines than what happened"]
    return ScenarioResult(told, tuple(stale))


@dataclass
class _Pool:
    nodes: list[dict[str, Any]] = field(default_factory=list)
    region: str = ""


class Play:
    """One story: set up first, then deed after deed, each followed by everything that it brings about."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.answers: dict[int, str] = {}
        self.between: dict[int, list[str]] = {}
        midnight = parse_moment(DAY, SEOUL)
        require(midnight is not None, f"{DAY} is no day")
        assert midnight is not None  # as just required; for the type checker
        self.midnight_ms = midnight
        self._prices: dict[str, Price] = {}
        self._quotas: list[Quota] = []
        self._every_ms: int | None = None  # not said: at every event
        self._policy: dict[str, int] = {"min_run_ms": 10 * 60_000}
        self._pools: dict[str, _Pool] = {}
        self._names: dict[str, str] = {}  # as the story calls it → workload or array id
        self._sites_of: dict[str, str] = {}  # node name → site

    # -- the story -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        lines = self.block.lines
        setup = [line for line in lines if line.verb in SETUP]
        for line in setup:
            if line.verb != "tenant":
                _verb(self, "_set_", line)
        self._open(next((line.at_ms for line in lines if line.at_ms >= 0), 9 * HOUR_MS))
        for line in setup:
            if line.verb == "tenant":
                _verb(self, "_set_", line)
        for line in lines:
            if line.verb not in SETUP:
                self._play(line)

    def _open(self, first_ms: int) -> None:
        policy = Policy(prices=tuple(self._prices.values()), quotas=tuple(self._quotas), **self._policy)  # type: ignore[arg-type]
        self.world = World(now_ms=self.midnight_ms + first_ms - 1000, policy=policy)
        for name, pool in self._pools.items():
            self.world.add_site(name, pool.nodes)
        self._ask(tenancy.create_organisation, id="nation", name="nation", kind="public")
        now_ms = self.world.clock.ms
        self._ask(
            funding.create_programme, id=PROGRAMME, name=PROGRAMME, currency="KRW", budget=10**15, starts_ms=0,
            ends_ms=now_ms + 2 * FAR_MS,
        )  # fmt: skip
        self.world.settle()
        self.world.decide_every(self._every_ms or EVERY_EVENT, self.midnight_ms)
        self.teller = Teller(self.world, self._names, self.midnight_ms)

    def _play(self, line: Line) -> None:
        if line.at_ms >= 0:
            self._wait_until(line)
        answer = _verb(self, "_do_", line)
        self.world.settle()
        self.answers[line.number] = answer() if callable(answer) else (answer or self.teller.news())

    def _wait_until(self, line: Line) -> None:
        """Let time pass; what happened on the way is told before this line."""
        at_ms = self.midnight_ms + line.at_ms
        if at_ms < self.world.clock.ms:
            raise line.fault("this is earlier than the line before")
        self.world.advance(at_ms)
        told = self.teller.between()
        if told:
            self.between[line.number] = told

    def _ask(self, command: Callable[..., V | Reason], **arguments: Any) -> V | Reason:
        deed = self.world.deed()
        return self.world.store.transact(lambda tx: command(tx, deed, **arguments))

    def _must(self, line: Line, command: Callable[..., V | Reason], **arguments: Any) -> V:
        value = self._ask(command, **arguments)
        if isinstance(value, Reason):
            raise line.fault(render(value, "en").detail)
        return value

    # -- setting up ----------------------------------------------------------------------------------------------

    def _set_pool(self, o: Options) -> None:
        """pool NAME N nodes x D TYPE [C cores] [M GiB] [block N]: so many nodes in a topology block"""
        name = o.next("the pool's name")
        count = o.whole(o.next("how many nodes"))
        o.drop("nodes", "node")
        cores, memory = _before(o, "cores", 64), _before(o, "GiB", 512)
        devices, kind, block = 0, "", o.number("block", 0)
        if o.drop("x"):
            devices, kind = o.whole(o.next("devices per node")), o.next("the type of device").lower()
        o.finish()
        pool = self._pools.setdefault(name, _Pool())
        for n in range(1, count + 1):
            node = f"{name}-{n}"
            self._sites_of[node] = name
            pool.nodes.append(
                {"name": node, "pool": name, "block": f"{name}-{(n - 1) // block}" if block else "",
                 "cores_milli": cores * 1000, "memory_mib": memory * 1024,
                 "accelerator": kind, "devices": devices, "core_mw": 5000,
                 "device_mw": 700_000, "up": True}
            )  # fmt: skip

    def _set_every(self, o: Options) -> None:
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

    def _set_price(self, o: Options) -> None:
        """price RESOURCE AMOUNT won per hour"""
        resource, amount = o.next("core, memory_gib or a type of device"), o.whole(o.next("the price"))
        o.drop("won", "per", "hour", "GPU")
        o.finish()
        key = resource if resource in ("core", "memory_gib") else f"device:{resource.lower()}"
        self._prices[key] = Price(resource=key, nano=round_half_up(amount * NANO, 3600))

    def _set_quota(self, o: Options) -> None:
        """quota TENANT N TYPE"""
        tenant, count, kind = o.next("the tenant's name"), o.whole(o.next("how many")), o.next("the type of device").lower()
        o.finish()
        self._quotas.append(Quota(of=f"project:{tenant}", resource=f"device:{kind}", nominal_milli=1000 * count))

    def _set_policy(self, o: Options) -> None:
        """policy min_run 10m | pause 1m | refund ... | discount 200 (permille off for preemptible work) | reclaims | moves"""
        self._policy |= {name: True for name in ("reclaims", "moves") if o.drop(name)}
        for name, field_name in (("min_run", "min_run_ms"), ("pause", "retry_pause_ms"), ("half_life", "half_life_ms")):
            self._policy[field_name] = o.duration(name, self._policy.get(field_name, _default(field_name)))
        self._policy["preemptible_permille"] = 1000 - o.number("discount", 1000 - self._permille())
        o.finish()

    def _permille(self) -> int:
        return self._policy.get("preemptible_permille", Policy().preemptible_permille)

    def _set_tenant(self, o: Options) -> None:
        """tenant NAME [share N] [of ORGANISATION] [budget N won] [until HH:MM]"""
        name, organisation = o.next("the tenant's name"), o.take("of") or "nation"
        share, budget, until = o.number("share", 1), o.number("budget", 0), o.take("until")
        o.drop("won")
        o.finish()
        if organisation != "nation":
            self._ask(tenancy.create_organisation, id=organisation, name=organisation, kind="public", parent="nation")
        self._must(o.line, tenancy.create_project, id=name, name=name, organisation=organisation, weight=share)
        if budget:
            self._award(o.line, name, budget, until)

    def _award(self, line: Line, project: str, amount: int, until: str | None) -> None:
        now_ms = self.world.clock.ms
        ends_ms = self.midnight_ms + _time(line, until) if until else now_ms + FAR_MS
        self._must(
            line, funding.create_award, programme=PROGRAMME, project=project, amount=amount, starts_ms=now_ms,
            expires_ms=ends_ms,
        )  # fmt: skip

    # -- deeds ---------------------------------------------------------------------------------------------------

    def _do_submit(self, o: Options) -> Callable[[], str] | str:
        """submit NAME TENANT [gpus N] [cores N] [memory N] [workers N [least N]] [on TYPE,TYPE] for LIMIT [runs TIME] [exits N]
        [priority CLASS] [checkpoint TIME] [after NAME,NAME] [array N] [retries N] [at SITE,SITE]
        [topology block] [fixed]"""
        name, project = o.next("the workload's name"), o.next("the tenant's name")
        if name in self._names:
            raise o.line.fault(f"there is already a workload called {name}")
        array = o.number("array", 0)
        spec = self._spec(o, name)
        o.finish()
        made = self._ask(workloads.submit, project=project, spec=spec, array=array)
        if isinstance(made, Reason):
            return f"refused: {self.teller.plain(made)}"
        self._names[name] = made.array_id or made.ids[0]
        return lambda: self.teller.submitted(name)

    def _spec(self, o: Options, name: str) -> WorkloadSpec:
        types = tuple(t.lower() for t in (o.take("on") or "").split(",") if t)
        demand = Demand(
            cores_milli=o.number("cores", 1) * 1000,
            memory_mib=o.number("memory", 1) * 1024,
            devices=o.number("gpus", 0),
            accelerators=types,
        )
        runs_ms = o.duration("runs", -1)
        script = Script(run_ms=None if runs_ms < 0 else runs_ms, exit_code=o.number("exits", 0), term_ms=1000)
        for site in self.world.sites.values():
            site.driver.script(name, script)
        return WorkloadSpec(
            name=name,
            command=("run",),
            demand=demand,
            workers=o.number("workers", 1),
            workers_min=o.number("least", 0),
            limit_ms=o.duration("for", HOUR_MS),
            priority=o.take("priority") or "normal",
            preemptible=not o.drop("fixed"),
            checkpoint_interval_ms=o.duration("checkpoint", 0),
            depends_on=tuple(self._id(o.line, n) for n in (o.take("after") or "").split(",") if n),
            retries=o.number("retries", 0),
            sites=tuple(s for s in (o.take("at") or "").split(",") if s),
            topology=o.take("topology") or "",
        )

    def _id(self, line: Line, name: str) -> str:
        if name not in self._names:
            raise line.fault(f"no workload is called {name!r}")
        return self._names[name]

    def _do_cancel(self, o: Options) -> str | None:
        id = self._id(o.line, o.next("the workload's name"))
        o.finish()
        answer = self._ask(workloads.cancel, id=id)
        return f"refused: {self.teller.plain(answer)}" if isinstance(answer, Reason) else None

    def _do_award(self, o: Options) -> str:
        """award TENANT AMOUNT [won] [until HH:MM]"""
        project, until = o.next("the tenant's name"), o.take("until")
        amount = o.whole(o.next("the amount"))
        o.drop("won")
        o.finish()
        self._award(o.line, project, amount, until)
        return ""

    def _do_drain(self, o: Options) -> str:
        site = o.next("the pool's name")
        o.finish()
        self._must(o.line, sites.drain_site, site=site, drained=True)
        return ""

    def _do_undrain(self, o: Options) -> str:
        site = o.next("the pool's name")
        o.finish()
        self._must(o.line, sites.drain_site, site=site, drained=False)
        return ""

    def _do_power(self, o: Options) -> str:
        """power POOL 60kW | none [from HH:MM] [until HH:MM]"""
        site, word = o.next("the pool's name"), o.next("the power")
        begin, end = (self._moment(o.line, o.take(name)) for name in ("from", "until"))
        o.finish()
        watts = None if word == "none" else parse_watts(word)
        if watts is None and word != "none":
            raise o.line.fault(f"{word!r} is no power, such as 60kW or none")
        self._must(o.line, envelopes.set_power, site=site, watts=watts, from_ms=begin, until_ms=end)
        return ""

    def _do_close(self, o: Options) -> str:
        """close POOL | NODE [from HH:MM] until HH:MM: maintenance"""
        name = o.next("the name of a pool or node")
        begin, end = (self._moment(o.line, o.take(word)) for word in ("from", "until"))
        o.finish()
        if end is None:
            raise o.line.fault("say until when it is closed")
        site, nodes = (name, ()) if name in self._pools else (self._pool_of(o.line, name), (name,))
        self._must(o.line, envelopes.plan_maintenance, site=site, from_ms=begin, until_ms=end, nodes=nodes)
        return ""

    def _moment(self, line: Line, word: str | None) -> int | None:
        return self.midnight_ms + _time(line, word) if word else None

    def _do_kill(self, o: Options) -> str:
        """kill NODE: it dies, with what runs on it"""
        node = o.next("the node's name")
        o.finish()
        self._site_of(o.line, node).driver.kill_node(node)
        return ""

    def _do_revive(self, o: Options) -> str:
        node = o.next("the node's name")
        o.finish()
        self._site_of(o.line, node).driver.revive_node(node)
        return ""

    def _site_of(self, line: Line, node: str) -> Any:
        return self.world.sites[self._pool_of(line, node)]

    def _pool_of(self, line: Line, node: str) -> str:
        if node not in self._sites_of:
            raise line.fault(f"no node is called {node!r}")
        return self._sites_of[node]

    def _do_cut(self, o: Options) -> str:
        """cut SITE: its link to the plane is down"""
        self._link(o, down=True)
        return ""

    def _do_heal(self, o: Options) -> str:
        self._link(o, down=False)
        return ""

    def _link(self, o: Options, *, down: bool) -> None:
        site = o.next("the pool's name")
        o.finish()
        if site not in self.world.sites:
            raise o.line.fault(f"no pool is called {site!r}")
        self.world.sites[site].link.down = down

    def _do_restart(self, o: Options) -> str:
        """restart: the controller's process ends and another one starts"""
        o.finish()
        self.world.restart_controller()
        return ""

    def _do_watch(self, o: Options) -> str:
        """watch: nothing is done; what has happened is told"""
        o.finish()
        return ""

    # -- looking -------------------------------------------------------------------------------------------------

    def _do_ledger(self, o: Options) -> Callable[[], str]:
        project = o.next("the tenant's name")
        o.finish()
        return lambda: self.teller.ledger(project)

    def _do_why(self, o: Options) -> Callable[[], str]:
        name = o.next("the workload's name")
        o.finish()
        return lambda: self.teller.why(self._id(o.line, name))

    def _do_verify(self, o: Options) -> Callable[[], str]:
        o.finish()
        return self._verify

    def _verify(self) -> str:
        audit, books = self.world.store.read(verify_audit), self.world.store.read(verify_store_books)
        faults = [audit.fault.fault] if audit.fault else []
        faults += [f"{f.kind} {f.subject}" for f in books.findings]
        return "; ".join(faults) or "the books balance and the chain holds"


def _verb(play: Play, prefix: str, line: Line) -> Any:
    method = getattr(play, prefix + line.verb, None)
    if method is None:
        known = sorted(n.removeprefix(p) for p in ("_set_", "_do_") for n in dir(play) if n.startswith(p))
        raise line.fault(f"unknown verb {line.verb!r} (known: {', '.join(known)})")
    return method(Options.of(line))


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


def _time(line: Line, word: str) -> int:
    at_ms = time_of_day_ms(word)
    if at_ms < 0:
        raise line.fault(f"{word!r} is no time such as 18:00")
    return at_ms


def _default(name: str) -> int:
    value: int = getattr(Policy(), name)
    return value
