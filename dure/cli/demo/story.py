"""What an officer and a tenant do in the demo, over the public API alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from dure.cli.bundle import Archive, pack
from dure.cli.commands.waiting import ENDED
from dure.cli.demo.failure import DemoFailure
from dure.cli.demo.farm import DemoFarm
from dure.cli.demo.tailing import Tail
from dure.cli.demo.view import View
from dure.cli.why_words import changed_fields
from dure.client import DureClient
from dure.errors import require

PROJECT, PROGRAMME, ORGANISATION = "steel-ai", "voucher-2026", "steel-maker"
# Whose urgent job it is: of another organisation, since nobody is refunded for making room for work of its own.
RESCUE_PROJECT, RESCUE_ORGANISATION = "flood-alert", "flood-watch"
AWARD_WON, RESCUE_WON, BUDGET_WON = 5_000_000, 1_000_000, 100_000_000
# Declared, so that the story is the same on every machine: a farm with fewer cores shares them, and all takes longer.
CORES = 6
SETTINGS = {"DURE_CORES": str(CORES), "DURE_MEMORY": "12GiB", "DURE_LOG_LEVEL": "warning"}
PRICE_FACTOR = 10_000  # seconds of a few cores cost less than a won; multiplied, they can be seen
MIN_RUN_MS = 1_000  # the guaranteed minimum run; a minute by default, too long for a demo
LOOK_S = 0.4
ELEMENTS = 20

# Small matrices: more threads than one would only get in each other's way, the more so where cores are shared.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# Epochs take 30 to 100 ms on a core of its own, so that the training lasts long enough to be preempted in the middle.
TRAIN = {
    "name": "train",
    "command": ["python", "train.py"],
    "env": {"EPOCHS": "100", "CHECKPOINT_S": "1", **ONE_THREAD},
    "checkpoint": "1s",
    "resources": {"cores": 4, "memory": "1GiB"},
    "limit": "10m",
}
BIG = {
    "name": "too-big",
    "command": ["python", "train.py"],
    "env": {"EPOCHS": "5", **ONE_THREAD},
    "limit": "5m",
    "resources": {"cores": 2 * CORES, "memory": "1GiB"},
}
SWEEP = {
    "name": "sweep",
    "command": ["python", "sweep.py"],
    "resources": {"cores": 1, "memory": "512MiB"},
    "limit": "2m",
    "preemptible": False,
}
GANG = {
    "name": "gang",
    "command": ["python", "gang.py"],
    "resources": {"cores": 1, "memory": "512MiB"},
    "workers": 2,
    "limit": "2m",
    "preemptible": False,
}
# Three cores: with four taken by the training, only its place is large enough.
URGENT = {
    "name": "urgent",
    "command": ["python", "urgent.py"],
    "env": ONE_THREAD,
    "resources": {"cores": 3, "memory": "512MiB"},
    "limit": "1m",
    "priority": "urgent",
    "preemptible": False,
}


@dataclass
class Told:
    """What the story made, for the checks: ids by the role that they play."""

    ids: dict[str, str] = field(default_factory=dict)
    sweep: list[str] = field(default_factory=list)
    quote: Mapping[str, Any] = field(default_factory=dict)
    why: Mapping[str, Any] = field(default_factory=dict)
    train_lines: list[str] = field(default_factory=list)


class Story:
    """The parts of the demo, in order. deadline_s: of time.monotonic(); what is not done by then has failed."""

    def __init__(self, farm: DemoFarm, view: View, deadline_s: float) -> None:
        self._farm, self._view, self._deadline_s = farm, view, deadline_s
        self.admin = farm.client()
        self.tenant = self.rescue = self.admin
        self.told = Told()
        self._tail: Tail | None = None

    def close(self) -> None:
        self.admin.close()
        for client in (self.tenant, self.rescue):
            if client is not self.admin:
                client.close()

    def found(self) -> None:
        """The rules of the demo; an officer, a programme, a project; a voucher for it; a tenant."""
        self._view.step("demo.step.award")
        policy = self.admin.policy()
        prices = [{**p, "nano": p["nano"] * (PRICE_FACTOR if p["currency"] == "KRW" else 1)} for p in policy["prices"]]
        self.admin.write_policy({**policy, "prices": prices, "min_run_ms": MIN_RUN_MS}, based_on=policy["version"])
        self._view.say("demo.prices", factor=PRICE_FACTOR)
        today = datetime.now(UTC).date()
        first, last = today - timedelta(days=1), today + timedelta(days=90)
        with self._actor("Officer", "officer", "*") as officer:
            officer.create_organisation(ORGANISATION, "Steel maker", kind="sme")
            officer.create_project(PROJECT, "Fault detection", ORGANISATION)
            officer.create_programme(PROGRAMME, "AI voucher", BUDGET_WON, starts=str(first), ends=str(last))
            award = officer.create_award(PROGRAMME, PROJECT, AWARD_WON, starts=str(first), expires=str(last))
            officer.create_organisation(RESCUE_ORGANISATION, "Flood watch", kind="public")
            officer.create_project(RESCUE_PROJECT, "Flood alert", RESCUE_ORGANISATION)
            officer.create_award(PROGRAMME, RESCUE_PROJECT, RESCUE_WON, starts=str(first), expires=str(last))
        self.told.ids["award"] = award["id"]
        self._view.say("demo.awarded", amount=AWARD_WON, project=PROJECT, first=first, last=last)
        self.tenant = self._actor("Tenant", "manager", PROJECT)
        self.rescue = self._actor("Rescue", "manager", RESCUE_PROJECT)

    def _actor(self, name: str, role: str, scope: str) -> DureClient:
        actor = self.admin.create_actor(name, grants=[(role, scope)])
        return self._farm.client(str(self.admin.create_token(actor["id"], label="demo")["token"]))

    def submit(self) -> None:
        """A quote, then all jobs but the urgent one."""
        self._view.step("demo.step.submit")
        archive = job_archive()
        self.tenant.upload_bundle(PROJECT, archive.data)
        train, big, sweep, gang = ({**job, "bundle": archive.sha256} for job in (TRAIN, BIG, SWEEP, GANG))
        self.told.quote = self.tenant.quote(PROJECT, train)
        self._view.say("demo.quoted", amount=self.told.quote["hold"]["KRW"])
        self.told.ids["train"] = self.tenant.submit(PROJECT, train)["ids"][0]
        self.told.ids["big"] = self.tenant.submit(PROJECT, big)["ids"][0]
        array = self.tenant.submit(PROJECT, sweep, array=ELEMENTS)
        self.told.ids["array"], self.told.sweep = array["array_id"], array["ids"]
        self.told.ids["gang"] = self.tenant.submit(PROJECT, gang)["ids"][0]
        self._view.say("demo.submitted", elements=ELEMENTS, cores=2 * CORES, have=CORES)
        self._tail = Tail(self.tenant, self.told.ids["train"], "train", self._view)
        self._tail.start()

    def preempt(self) -> None:
        """An urgent job of others arrives while the training is between two checkpoints, and takes its place."""
        self._view.step("demo.step.run")
        tail = self._tail
        require(tail is not None, "nothing was submitted whose lines could be followed")
        assert tail is not None  # as just required; for the type checker
        self.until("demo.wait.checkpoint", lambda: tail.has("epoch", "checkpoint at", "epoch"))
        self._view.event("demo.event.urgent")
        archive = job_archive()
        self.rescue.upload_bundle(RESCUE_PROJECT, archive.data)
        urgent = self.rescue.submit(RESCUE_PROJECT, {**URGENT, "bundle": archive.sha256})
        self.told.ids["urgent"] = urgent["ids"][0]
        self.until("demo.wait.urgent", lambda: self._state("urgent") in ENDED)

    def finish(self) -> None:
        """Everything that fits ends; the training from where its checkpoint was."""
        mine = [self.told.ids["train"], self.told.ids["gang"], *self.told.sweep]
        self.until("demo.wait.all", lambda: all(self._states.get(id) in ENDED for id in mine))
        if self._tail is not None:
            while self._tail.runs and time.monotonic() < self._deadline_s:
                self._farm.pause(LOOK_S)
            self.told.train_lines = self._tail.lines

    def change(self) -> None:
        """Ask why the big one waits, and do what the answer says."""
        big = self.told.ids["big"]
        self.told.why = self.tenant.why(big)
        why = self.told.why.get("why") or {}
        if not why.get("change"):
            raise DemoFailure("demo.fail.no_change", answer=self.told.why)
        changes: dict[str, Any] = {}
        for name, value in changed_fields(self.told.why["workload"], why["change"]).items():
            _put(changes, name, value)
        self.told.ids["changed"] = self.tenant.resubmit(big, changes)["ids"][0]
        self.tenant.cancel(big)
        self.until("demo.wait.changed", lambda: self._state("changed") in ENDED)

    # -- waiting

    @property
    def _states(self) -> dict[str, str]:
        rows = list(self.tenant.workloads(project=PROJECT, limit=500))
        if self.rescue is not self.admin:
            rows += self.rescue.workloads(project=RESCUE_PROJECT, limit=500)
        self._view.jobs(rows)
        return {row["id"]: row["state"] for row in rows}

    def _state(self, role: str) -> str:
        return self._states.get(self.told.ids[role], "")

    def until(self, key: str, met: Callable[[], bool]) -> None:
        """Wait for something, looking at the jobs meanwhile. Raises DemoFailure when time is over."""
        while True:
            states = self._states
            if met():
                return
            if states.get(self.told.ids.get("train", "")) == "failed":
                raise DemoFailure("demo.fail.train", reason=self.tenant.workload(self.told.ids["train"])["reason"])
            if time.monotonic() > self._deadline_s:
                raise DemoFailure(key, states=", ".join(f"{n} {s}" for s, n in Counter(states.values()).items()))
            self._farm.pause(LOOK_S)


def _put(job: dict[str, Any], name: str, value: Any) -> None:
    head, _, tail = name.partition(".")
    if tail:
        job[head] = {**job.get(head, {}), tail: value}
    else:
        job[head] = value


def job_archive() -> Archive:
    """The demo's programs, as they ship with Dure, in one code archive."""
    folder = resources.files("dure.cli.demo").joinpath("jobs")
    with resources.as_file(folder) as path:
        return pack({file.name: file for file in sorted(Path(path).glob("*.py"))})
