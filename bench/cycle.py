"""One cycle of the plan on the national workload (30 sites, 200 queues with quotas and borrowing, power caps, residency, 100,000
waiting of 5,000 shapes), beside the ceiling prototype, which decides a simpler question: no money, cores, memory, limits,
promises, victims, borrowing or power.

A cycle is from a frozen snapshot to the columns of a plan with all its reasons. A whole device stands for a share of one here, as
in the prototype."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.cycleworld import limited
from bench.philly import CEILING
from bench.results import Result, fill_page
from dure.scheduler import check, why
from dure.scheduler.kernels.board import PROMISES
from dure.scheduler.kernels.state import STARTS
from dure.scheduler.planning import Planning
from dure.scheduler.snapshot import Snapshot
from dure.simulator.traces.cycle import CycleShape, cycle_world

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "cycle.md"
SIZES = {50_000: 30, 260_000: 60}  # devices, and the aim in ms
WAITING = (10_000, 30_000, 100_000, 300_000, 1_000_000)
WARMING, RUNS, ASKED = 5, 31, 12
MEMORY_MIB = 2048  # aim: 260,000 devices, 1,000,000 waiting
COLD = "import time; t = time.process_time(); from dure.scheduler.warm import warm; warm(); print(time.process_time() - t)"
LARGEST = """
import numpy as np
from bench.cycleworld import limited
from dure.scheduler import plan
from dure.simulator.traces.cycle import CycleShape, cycle_world
s = limited(cycle_world(np.random.default_rng(1), CycleShape(devices=260_000, pending=1_000_000)))

def peak():  # of this program alone: `ru_maxrss` begins with that of the process that started it
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024

before = peak()
plan(s)
print(before, peak())
"""


def cycle() -> list[Result]:
    """Writes docs/benchmarks/cycle.md, too."""
    sizes = [_measure(devices, aim) for devices, aim in SIZES.items()]
    results = [*sizes, _checked(), _cold(), _asked(), _growth(), _memory()]
    lines = [f"| {r.name} | {r.value:g} {r.unit} | {r.aim} | {r.against} | {r.method} |\n" for r in results]
    fill_page(PAGE, {"rows": "| measurement | value | aim | against | method |\n|---|---|---|---|---|\n" + "".join(lines)})
    return results


def world(devices: int, pending: int = 100_000) -> Snapshot:
    return limited(cycle_world(np.random.default_rng(1), CycleShape(devices=devices, pending=pending)))


def _measure(devices: int, aim_ms: int) -> Result:
    snapshot = world(devices)
    for _ in range(WARMING):  # kernels are loaded, and the process has the memory that plans take in turns
        _once(snapshot)
    made = Planning(snapshot)
    made.run()
    took = [_once(snapshot) for _ in range(RUNS)]
    ready, turns, reasons = (statistics.median(part) for part in zip(*took, strict=True))
    starts, promises = int(made.cycle.found.used[STARTS]), int(made.cycle.board.used[PROMISES])
    return Result(
        name=f"cycle.{devices}", value=round(ready + turns + reasons, 1), unit="ms of CPU", aim=f"<= {aim_ms} ms",
        against=f"the ceiling prototype in the same run: {ceiling(devices // 8)}",
        method=f"{len(snapshot.pending.ids):,} waiting, {starts:,} start, {promises} promised; median of {RUNS}: {ready:.1f} ms "
        f"to make columns ready, {turns:.1f} ms for all turns, {reasons:.1f} ms to say why the others wait",
    )  # fmt: skip


def _once(snapshot: Snapshot) -> tuple[float, float, float]:
    begun = time.process_time()
    made = Planning(snapshot)
    turned = time.process_time()
    made.run()
    decided = time.process_time()
    made.plan()
    return 1000 * (turned - begun), 1000 * (decided - turned), 1000 * (time.process_time() - decided)


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return 1000 * (time.process_time() - begun)


def _checked() -> Result:
    snapshot = world(50_000)
    made = Planning(snapshot)
    made.run()
    plan = made.plan()
    faults = check(snapshot, plan)
    took = statistics.median(_spent(lambda: check(snapshot, plan)) for _ in range(3))
    return Result(name="cycle.check", value=round(took), unit="ms of CPU", aim="told apart", against="cycle.50000",
                  method=f"the second program, in plain Python, on the plan of cycle.50000; {len(faults)} faults")  # fmt: skip


def _cold() -> Result:
    took = [float(_printed(COLD)) for _ in range(3)]
    return Result(
        name="cycle.cold", value=round(statistics.median(took), 2), unit="s of CPU", aim="told apart", against="-",
        method="a new process: imports, kernels loaded from disk, one plan of an empty farm",
    )  # fmt: skip


def _asked() -> Result:
    """What asking costs beside planning: what is spent in plans, partial or whole, is taken off."""
    snapshot = world(50_000)
    made = Planning(snapshot)
    made.run()
    plan = made.plan()
    waiting = np.flatnonzero(plan.wait_code >= 0)
    rows = waiting[:: max(1, len(waiting) // ASKED)][:ASKED].tolist()
    why(snapshot, plan, rows[0], residual=made)
    took, proofs = [], []
    for row in rows:
        spent = [0.0]
        whole = _spent(lambda row=row, spent=spent: _told_apart(spent, lambda: why(snapshot, plan, row, residual=made)))  # type: ignore[misc]
        took.append(whole - spent[0])
        proofs.append(spent[0])
    return Result(
        name="cycle.why", value=round(statistics.median(took), 1), unit="ms of CPU", aim="<= 20 ms", against="-",
        method=f"why, each site's answer, next event and smallest change, median of {len(rows)} waiting workloads, the longest "
        f"{max(took):.1f} ms; plans up to a turn and proofs told apart: median {statistics.median(proofs):.0f} ms",
    )  # fmt: skip


def _told_apart(spent: list[float], work: Callable[[], object]) -> None:
    """Run something, and add up what it spends in plans."""
    build, run = Planning.__init__, Planning.run

    def timed(function: Callable[..., object]) -> Callable[..., object]:
        def called(*args: object, **more: object) -> object:
            begun = time.process_time()
            try:
                return function(*args, **more)
            finally:
                spent[0] += 1000 * (time.process_time() - begun)

        return called

    Planning.__init__, Planning.run = timed(build), timed(run)  # type: ignore[method-assign, assignment]
    try:
        work()
    finally:
        Planning.__init__, Planning.run = build, run  # type: ignore[method-assign]


def _growth() -> Result:
    took = []
    for pending in WAITING:
        snapshot = world(50_000, pending)
        _once(snapshot)
        took.append(statistics.median(sum(_once(snapshot)) for _ in range(3)))
    slope = np.polyfit(np.log(WAITING), np.log(took), 1)[0]
    told = ", ".join(f"{n:,}: {ms:.0f}" for n, ms in zip(WAITING, took, strict=True))
    return Result(name="cycle.growth", value=round(float(slope), 2), unit="power of the number that waits", aim="<= 1",
                  against="-", method=f"50,000 devices; ms of CPU for so many waiting: {told}")  # fmt: skip


def _memory() -> Result:
    before, after = _printed(LARGEST).split()
    return Result(
        name="cycle.memory", value=float(after), unit="MiB", aim=f"<= {MEMORY_MIB} MiB", against="-",
        method=f"peak of a process that makes the world of 260,000 devices and 1,000,000 waiting ({before} MiB) and plans it",
    )  # fmt: skip


def _printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def ceiling(nodes: int) -> str:
    """What the prototype takes for one cycle on so many nodes: where it tries every job, and where it remembers classes that
    failed, of which it has a tenth of ours."""
    script = CEILING.with_name("ceiling_cycle.py")
    told = subprocess.run([sys.executable, str(script), str(nodes)], check=True, capture_output=True, text=True).stdout
    took = dict(re.findall(r"memo=(True|False): .* numba ([0-9.]+) ms", told))
    return f"{took['False']} ms where it tries every job, {took['True']} ms where it remembers classes that failed"
