"""A rig for each backend: the same behaviours, as a real command on one machine and as a script on the fake."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dure.backends.fake import FakeDriver, Script
from dure.backends.local.driver import LocalDriver
from dure.backends.local.settings import LocalSettings
from dure.model.workload import Outcome, Worker, WorkloadSpec
from dure.ports import LaunchOrder, Observation

DEADLINE_S = 30  # far above what anything here takes: a loaded machine is no failure
POLL_S = 0.005
FAKE_STEP_MS = 100
FAKE_STEPS_MAX = 10_000
LONG_MS = 60_000

# behaviour → (the real command, its script on the fake)
BEHAVIOURS: dict[str, tuple[tuple[str, ...], Script]] = {
    "succeeds": (("sh", "-c", "echo hello; sleep 0.05"), Script(run_ms=50, log=b"hello\n")),
    "exits_3": (("sh", "-c", "exit 3"), Script(run_ms=10, exit_code=3)),
    "dies_of_9": (("sh", "-c", "kill -9 $$"), Script(run_ms=10, signal=9)),
    "missing": (("no-such-command-here",), Script(run_ms=0, exit_code=127, detail="no_such_command")),
    "runs": (("sleep", "60"), Script(run_ms=LONG_MS)),
    "stubborn": (
        ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"),
        Script(run_ms=LONG_MS, term_ms=None, log=b"ready\n"),
    ),
    "saves_when_told": (
        ("sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done"),
        Script(run_ms=LONG_MS, log=b"ready\n"),
    ),
    "checkpoints": (
        ("sh", "-c", "f=$DURE_CHECKPOINT_DIR/saved; test -e $f && exit 0; touch $f; echo ready; exec sleep 60"),
        Script(run_ms=LONG_MS, log=b"ready\n"),
    ),
    "prints_digits": (("printf", "0123456789"), Script(run_ms=10, log=b"0123456789")),
}


@dataclass
class ManualClock:
    ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms


class Rig:
    """What the contract needs besides the driver. Subclasses know how time passes."""

    name: str
    driver: Any

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def another(self) -> Any:
        """A second driver that shares what the first remembers."""
        raise NotImplementedError

    def let_pass(self) -> None:
        raise NotImplementedError

    def tries(self) -> Iterator[None]:
        raise NotImplementedError

    def order(self, behaviour: str, *, workers: int = 1, limit_ms: int = LONG_MS, workload: str = "", **spec: Any) -> LaunchOrder:
        number = next(self.numbers)
        return self.order_for(BEHAVIOURS[behaviour][0], behaviour, number, workers, limit_ms, workload or f"w_{number}", spec)

    def order_for(
        self, command: tuple[str, ...], name: str, number: int, workers: int, limit_ms: int, workload: str, spec: dict[str, Any]
    ) -> LaunchOrder:
        return LaunchOrder(
            attempt=f"a_{number}",
            epoch=7,
            workload=workload,
            project="prj_contract",
            array_index=-1,
            spec=WorkloadSpec(**{"name": name, "command": command, "workers": workers, "grace_ms": 200, **spec}),
            workers=(Worker(node="site/node"),) * workers,
            accelerator="",
            limit_ms=limit_ms,
        )

    def until(self, attempt: str, holds: Callable[[Observation], bool], driver: Any = None) -> Observation:
        last: Observation | None = None
        for _ in self.tries():
            for last in (driver or self.driver).observe([attempt]):
                if holds(last):
                    return last
            self.let_pass()
        raise AssertionError(f"{attempt} did not get there; last seen: {last}")

    def ended(self, attempt: str, driver: Any = None) -> Observation:
        return self.until(attempt, lambda o: o.phase == "ended", driver)

    def running(self, attempt: str) -> Observation:
        return self.until(attempt, lambda o: o.phase == "running")

    def says(self, attempt: str, text: bytes, worker: int = 0) -> None:
        for _ in self.tries():
            if text in self.driver.read_log(attempt, worker, 0, 1 << 20):
                return
            self.driver.observe([attempt])
            self.let_pass()
        raise AssertionError(f"{attempt} never printed {text!r}: {self.driver.read_log(attempt, worker, 0, 4096)!r}")


class FakeRig(Rig):
    name = "fake"

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.driver = FakeDriver(self.clock, scripts={name: script for name, (_, script) in BEHAVIOURS.items()})

    def another(self) -> FakeDriver:
        return self.driver

    def let_pass(self) -> None:
        self.clock.ms += FAKE_STEP_MS

    def tries(self) -> Iterator[None]:
        return iter([None] * FAKE_STEPS_MAX)


class LocalRig(Rig):
    name = "local"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.farm = folder / "farm"
        self.farm.mkdir(mode=0o700)
        self.settings = LocalSettings(root=self.farm / "local", farm_folder=self.farm, evidence_ms=200)
        self.driver = LocalDriver(self.settings)

    def another(self) -> LocalDriver:
        return LocalDriver(self.settings)

    def with_settings(self, **changes: Any) -> LocalDriver:
        self.driver = LocalDriver(replace(self.settings, **changes))
        return self.driver

    def let_pass(self) -> None:
        time.sleep(POLL_S)

    def tries(self) -> Iterator[None]:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            yield

    def run(self, *command: str, workers: int = 1, limit_ms: int = LONG_MS, workload: str = "", **spec: Any) -> LaunchOrder:
        number = next(self.numbers)
        return self.order_for(command, "run", number, workers, limit_ms, workload or f"w_{number}", spec)

    def shell(self, script: str, **more: Any) -> LaunchOrder:
        return self.run("sh", "-c", script, **more)

    def log(self, attempt: str, worker: int = 0) -> str:
        return bytes(self.driver.read_log(attempt, worker, 0, 1 << 20)).decode()

    def attempt_folder(self, attempt: str) -> Path:
        return self.settings.root / "attempts" / attempt

    def workload_folder(self, workload: str) -> Path:
        return self.settings.root / "workloads" / workload

    def shims(self, attempt: str) -> list[psutil.Process]:
        """The living shim of an attempt, by its command line; a rank that has not executed its command yet leads no session."""
        found = []
        for process in psutil.process_iter():
            try:
                line = process.cmdline()
                mine = line[-3:] == [str(self.attempt_folder(attempt)), "dure-shim", attempt]
                if mine and os.getsid(process.pid) == process.pid:
                    found.append(process)
            except (psutil.Error, ProcessLookupError):
                continue
        return found

    def until_gone(self, process: psutil.Process) -> None:
        for _ in self.tries():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return
            self.let_pass()
        raise AssertionError(f"{process} lives on")

    def processes_of(self, attempt: str) -> list[int]:
        """Living processes that were started with this attempt's marker, below this rig's folder."""
        marker = f"DURE_ATTEMPT={attempt}".encode()
        home = f"HOME={self.settings.root}/".encode()
        found = []
        for pid in psutil.pids():
            try:
                words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker in words and any(w.startswith(home) for w in words):
                found.append(pid)
        return found

    def close(self) -> None:
        """End what a test left running, and see that nothing is left: the promise behind every test here."""
        attempts = self.settings.root / "attempts"
        names = [p.name for p in attempts.iterdir() if not p.name.startswith(".")] if attempts.is_dir() else []
        driver = self.another()
        for name in names:
            driver.stop(name, Outcome.CANCELLED, 0)
        for name in names:
            self.ended(name, driver)
        for _ in self.tries():
            self.driver.observe([])
            if not any(self.shims(n) for n in names):
                break
            self.let_pass()
        assert [p for n in names for p in self.processes_of(n)] == []


@pytest.fixture(params=["fake", "local"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
        return
    made = LocalRig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalRig]:
    made = LocalRig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_rig() -> Callable[[Path], LocalRig]:
    return LocalRig


@pytest.fixture
def isolated(local: LocalRig) -> LocalRig:
    level = local.driver.describe()["isolation"]
    if level.startswith("none"):
        pytest.skip(f"needs a user of its own for jobs; here it is {level}")
    return local


@pytest.fixture
def namespaced(isolated: LocalRig) -> LocalRig:
    level = isolated.driver.describe()["isolation"]
    if level != "namespace+uid":
        pytest.skip(f"needs a mount namespace; here it is {level}")
    return isolated


@pytest.fixture
def am_root() -> bool:
    return os.geteuid() == 0
