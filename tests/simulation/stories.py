"""The small story that is told once for every crash point: everything that moves money, once."""

from __future__ import annotations

from typing import Any

from dure.backends.fake import Script
from dure.controller.commands import funding, tenancy, workloads
from dure.model.policy import Policy, Price, PriorityClass
from dure.model.workload import Attempt, Demand, Workload, WorkloadSpec
from dure.ports import Store
from dure.simulator.crash import Teller
from dure.simulator.world import World

NOW_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
SECOND_NANO = 1_000_000_000 // 3600
POLICY = Policy(
    prices=(Price(resource="core", nano=15 * SECOND_NANO), Price(resource="device:*", nano=4000 * SECOND_NANO)),
    min_run_ms=2 * MINUTE_MS,
    classes=(
        PriorityClass(name="low", value=100),
        PriorityClass(name="normal", value=200),
        PriorityClass(name="urgent", value=400, preempts=True),
    ),
)


def node(name: str, devices: int = 4) -> dict[str, Any]:
    return {
        "name": name,
        "pool": "p",
        "cores_milli": 8000,
        "memory_mib": 65_536,
        "accelerator": "h100" if devices else "",
        "devices": devices,
        "core_mw": 5000,
        "device_mw": 700_000,
        "up": True,
    }


def spec(name: str, **changes: Any) -> WorkloadSpec:
    demand = Demand(devices=changes.pop("devices", 1))
    return WorkloadSpec(name=name, command=("run",), demand=demand, limit_ms=changes.pop("limit_ms", 30 * MINUTE_MS), **changes)


def open_world(store: Store) -> World:
    world = World(now_ms=NOW_MS, policy=POLICY, store=store)
    site = world.add_site("north", [node("n1"), node("n2")])
    scripts = {
        "train": Script(run_ms=20 * MINUTE_MS, term_ms=1000),
        "sweep": Script(run_ms=3 * MINUTE_MS),
        "gang": Script(run_ms=5 * MINUTE_MS),
        "urgent": Script(run_ms=4 * MINUTE_MS),
        "fails": Script(run_ms=MINUTE_MS, exit_code=3),
        "stopped": Script(run_ms=25 * MINUTE_MS, term_ms=500),
        "after": Script(run_ms=MINUTE_MS),
        "never": Script(run_ms=MINUTE_MS),
    }
    for name, script in scripts.items():
        site.driver.script(name, script)
    return world


def begin(tell: Teller) -> None:
    """A lab with two awards, of which one is small and ends a day earlier."""
    tell.ask(tenancy.create_organisation, id="uni", name="Uni", kind="university")
    tell.ask(tenancy.create_project, id="lab", name="Lab", organisation="uni")
    tell.ask(
        funding.create_programme, id="call", name="Call", currency="KRW", budget=10**9, starts_ms=NOW_MS,
        ends_ms=NOW_MS + 30 * DAY_MS,
    )  # fmt: skip
    for amount, days in ((3_000, 1), (500_000, 2)):
        tell.ask(
            funding.create_award, programme="call", project="lab", amount=amount, starts_ms=NOW_MS,
            expires_ms=NOW_MS + days * DAY_MS,
        )  # fmt: skip
    tell.ask(tenancy.create_organisation, id="rescue", name="Rescue", kind="public")
    tell.ask(tenancy.create_project, id="flood", name="Flood", organisation="rescue")
    tell.ask(
        funding.create_award, programme="call", project="flood", amount=500_000, starts_ms=NOW_MS,
        expires_ms=NOW_MS + 2 * DAY_MS,
    )  # fmt: skip
    tell.world.settle()


def everything_once(tell: Teller) -> None:
    """Two awards, an array, a gang, a failure with a retry, a preemption with its refund, a cancellation of a running and of a
    waiting job, dependencies that are met and that fail, and awards that end."""
    world = tell.world
    begin(tell)
    tell.submit(spec("train", devices=4, checkpoint_interval_ms=MINUTE_MS))
    world.settle()
    sweep = tell.submit(spec("sweep"), array=3)
    world.settle()
    fails = tell.submit(spec("fails", retries=1))
    world.settle()
    stopped = tell.submit(spec("stopped", devices=2))
    world.settle()
    tell.submit(spec("after", depends_on=(sweep,)))
    world.settle()
    tell.submit(spec("never", depends_on=(fails,)))
    world.settle()
    world.advance(NOW_MS + 5 * MINUTE_MS + 1)
    tell.submit(spec("urgent", devices=4, priority="urgent"), project="flood")
    world.settle()
    tell.submit(spec("gang", devices=4, workers=2))
    world.settle()
    waiting = tell.submit(spec("waiting", devices=4))
    world.settle()
    world.advance(NOW_MS + 7 * MINUTE_MS)
    tell.ask(workloads.cancel, id=waiting)
    tell.ask(workloads.cancel, id=stopped)
    world.settle()
    world.advance(NOW_MS + 3 * DAY_MS)


def attempts(world: World, id: str) -> list[Attempt]:
    return world.store.read(lambda reader: sorted(reader.find(Attempt, {"workload": id}), key=lambda a: a.placed_ms))


def workload(world: World, id: str) -> Workload:
    found = world.store.read(lambda reader: reader.get(Workload, id))
    assert found is not None
    return found
