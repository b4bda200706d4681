"""Playing a scenario on a World: one method for each verb, and the answers that the plane gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dure.controller.commands import envelopes, funding, sites, tenancy, workloads
from dure.controller.verify import verify_audit, verify_store_books
from dure.errors import require
from dure.model.calendar import DAY_MS, SEOUL, parse_moment
from dure.model.envelope import parse_watts
from dure.model.reason import Reason
from dure.model.render import render
from dure.simulator.setting import NATION, SETUP, Setting, TenantLine, first_ms, moment, setting_of
from dure.simulator.story import Block, Line, Options, apply_answers, blocks_of
from dure.simulator.submission import submission
from dure.simulator.telling import Teller
from dure.simulator.world import World

V = TypeVar("V")

DAY = "2026-01-05"  # the day on which every story is told; any would do
PROGRAMME = "programme"
FAR_MS = 400 * DAY_MS  # when awards end that name no end


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
        self._names: dict[str, str] = {}  # as the story calls it → workload or array id
        self._sites_of: dict[str, str] = {}  # node name → site

    # -- the story -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        lines = self.block.lines
        self._open(setting_of(lines), first_ms(lines))
        for line in lines:
            if line.verb not in SETUP:
                self._play(line)

    def _open(self, setting: Setting, first_ms: int) -> None:
        self.world = World(now_ms=self.midnight_ms + first_ms - 1000, policy=setting.policy)
        for name, pools in setting.sites().items():
            self.world.add_site(name, [node for pool in pools for node in pool.inventory()])
            self._sites_of |= {node: name for pool in pools for node in pool.names()}
        self._ask(tenancy.create_organisation, id=NATION, name=NATION, kind="public")
        now_ms = self.world.clock.ms
        self._ask(
            funding.create_programme, id=PROGRAMME, name=PROGRAMME, currency="KRW", budget=10**15, starts_ms=0,
            ends_ms=now_ms + 2 * FAR_MS,
        )  # fmt: skip
        self.world.settle()
        self.world.decide_every(setting.every_ms, self.midnight_ms)
        self.teller = Teller(self.world, self._names, self.midnight_ms)
        for tenant in setting.tenants:
            self._tenant(tenant)

    def _tenant(self, t: TenantLine) -> None:
        if t.organisation != NATION:
            self._ask(tenancy.create_organisation, id=t.organisation, name=t.organisation, kind="public", parent=NATION)
        self._must(t.line, tenancy.create_project, id=t.name, name=t.name, organisation=t.organisation, weight=t.share)
        if t.budget:
            self._award(t.line, t.name, t.budget, t.until_ms)

    def _play(self, line: Line) -> None:
        if line.at_ms >= 0:
            self._wait_until(line)
        answer = _verb(self, line)
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

    def _award(self, line: Line, project: str, amount: int, until_ms: int | None) -> None:
        """until_ms: since midnight; None: for ever."""
        now_ms = self.world.clock.ms
        ends_ms = now_ms + FAR_MS if until_ms is None else self.midnight_ms + until_ms
        self._must(
            line, funding.create_award, programme=PROGRAMME, project=project, amount=amount, starts_ms=now_ms,
            expires_ms=ends_ms,
        )  # fmt: skip

    # -- deeds ---------------------------------------------------------------------------------------------------

    def _do_submit(self, o: Options) -> Callable[[], str] | str:
        asked = submission(o)
        if asked.name in self._names:
            raise o.line.fault(f"there is already a workload called {asked.name}")
        for site in self.world.sites.values():
            site.driver.script(asked.name, asked.script)
        spec = asked.spec(tuple(self._id(o.line, name) for name in asked.after))
        made = self._ask(workloads.submit, project=asked.project, spec=spec, array=asked.array)
        if isinstance(made, Reason):
            return f"refused: {self.teller.plain(made)}"
        self._names[asked.name] = made.array_id or made.ids[0]
        return lambda: self.teller.submitted(asked.name)

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
        self._award(o.line, project, amount, moment(o.line, until) if until else None)
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
        site, nodes = (name, ()) if name in self.world.sites else (self._pool_of(o.line, name), (name,))
        self._must(o.line, envelopes.plan_maintenance, site=site, from_ms=begin, until_ms=end, nodes=nodes)
        return ""

    def _moment(self, line: Line, word: str | None) -> int | None:
        return self.midnight_ms + moment(line, word) if word else None

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


def _verb(play: Play, line: Line) -> Any:
    method = getattr(play, "_do_" + line.verb, None)
    if method is None:
        known = sorted({*SETUP, *(name.removeprefix("_do_") for name in dir(play) if name.startswith("_do_"))})
        raise line.fault(f"unknown verb {line.verb!r} (known: {', '.join(known)})")
    return method(Options.of(line))
