"""What is compiled once after each installation is what plans and questions call, so that nobody waits for a compiler."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dure.model.policy import Policy, Preference, Taste
from dure.model.reason import ReasonKind
from dure.scheduler import plan, why
from dure.scheduler.kernels.jit import _Compiled
from dure.scheduler.snapshot import Snapshot
from dure.scheduler.warm import nowhere, questions, warm
from tests.builders.world import World

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine


def busy() -> World:
    """Work that may be preempted, quotas that are used up and others that are not, little money, and somebody for each."""
    world = World().site("a", 2, cores=8, memory=8000, devices=4, accelerator="h100").site("b", 1, cores=8, memory=8000)
    world.node("c/n", "a", cores=64, closed=[(60, 600)])
    for node in range(2):
        world.attempt(f"r{node}", [(f"a/n{node}", 15)], cores=8, priority="low", started=-30, ends=600)
    world.attempt("r2", [("b/n0", 0)], cores=8, project="over", started=-900, ends=900)
    world.quota("project:over", "core", 4, borrow=0).quota("project:lab", "core", 100)
    world.award("lab", 50)
    for i, priority in enumerate(("normal", "urgent")):
        world.pending(f"gang{i}", workers=2, devices=4, cores=1, memory=64, priority=priority, hold=10 * i)
        world.pending(f"dear{i}", cores=1, memory=64, priority=priority, hold=10_000)
        world.pending(f"over{i}", project="over", cores=1, memory=64, priority=priority)
        world.pending(f"long{i}", cores=32, memory=64, priority=priority)
    return world


def various() -> World:
    """Of what is rarer: envelopes, work that is moved or yields, elastic gangs, blocks, shares of devices, deadlines, data, two
    types with limits of their own, and sites that are preferred for each reason that there is."""
    tastes = tuple(Preference(taste=taste, weight=100) for taste in Taste)
    world = World(policy=Policy(reclaims=True, moves=True, preferences=tastes))
    watts: dict[str, Any] = {"idle_mw": 1000, "device_mw": 400_000, "core_mw": 10_000, "carbon": 400, "price": 120}
    steps = [(-10, 5_000_000), (600, 2_000_000), (1200, -1)]
    world.site("a", 3, cores=16, devices=8, accelerator="h100", block=0, power=steps, data=("set",), shares=True, **watts)
    world.site("b", 2, cores=16, devices=4, accelerator="npu", carbon=100, price=80, power=[(-10, 3_000_000)])
    for i in range(2):
        world.attempt(f"moves{i}", [(f"a/n{i}", 3)], rest=900, started=-900, ends=3000, checkpoint=-5)
    world.attempt("yields", [("b/n0", 3)], priority="background", yields=True, started=-900, ends=3000)
    world.attempt("share", [("a/n2", 1)], share=300)
    world.award("lab", 10**6).quota("project:lab", "core", 20).quota("project:other", "core", 4, borrow=2)
    for priority in ("normal", "urgent"):
        rest: dict[str, Any] = {"priority": priority, "memory": 64}
        world.pending(f"gang-{priority}", workers=3, devices=7, **rest)
        world.pending(f"block-{priority}", workers=2, devices=6, block=True, **rest)
        world.pending(f"share-{priority}", devices=1, share=500, **rest)
        world.pending(f"data-{priority}", devices=8, deadline=5000, data=("set",), **rest)
        world.pending(f"other-{priority}", project="other", devices=8, grace=30, **rest)
        types: dict[str, Any] = {"accelerators": ("h100", "npu"), "limits": (3600, 7200), "hold": (10, 5)}
        world.pending(f"elastic-{priority}", workers=4, workers_min=2, devices=4, **types, **rest)
    return world.pending("background", devices=1, priority="background", memory=64)


def columns(s: Snapshot) -> dict[str, object]:
    groups = {f.name: getattr(s, f.name) for f in fields(s)}
    held = {
        f"{name}.{f.name}": getattr(group, f.name) for name, group in groups.items() if is_dataclass(group) for f in fields(group)
    }
    return {name: (c.dtype, c.ndim, c.flags.writeable) for name, c in held.items() if isinstance(c, np.ndarray)}


def compiled() -> dict[str, int]:
    """Kernels that Python has called → for how many types each. None where they run uncompiled."""
    made = [each for each in gc.get_objects() if isinstance(each, _Compiled) and "whole" in vars(each)]
    return {f"{each.__module__}.{each.__name__}": len(each.whole.signatures) for each in made}


def test_the_types_of_the_columns_are_those_of_any_world() -> None:
    """They are all that it depends on."""
    wanted = columns(busy().snapshot())
    assert [columns(s) for s in (nowhere(), *questions(), various().snapshot())] == [wanted] * 8


def test_questions_are_about_all_that_somebody_may_wait_for() -> None:
    told = [[reason.kind for reason in why(s, plan(s), 0).reasons] for s in questions()]
    assert told == [
        [ReasonKind.WAITS_CORES],
        [ReasonKind.POWER_SHORT],
        [ReasonKind.FUNDS_SHORT, ReasonKind.WAITS_CORES],
        [ReasonKind.MAINTENANCE],
        [ReasonKind.QUOTA_REACHED, ReasonKind.WAITS_CORES],
        [ReasonKind.WAITS_CORES],
    ]


def ask() -> None:
    """In a process in which nobody has called a kernel before."""
    warm()
    before = compiled()
    snapshot = busy().snapshot()
    for s in (snapshot, replace(snapshot, draining=True)):
        made = plan(s)
        kinds = {reason.kind for row in range(len(s.pending.ids)) for reason in why(s, made, row).reasons}
        assert kinds > ({ReasonKind.WAITS_DRAINING} if s.draining else {ReasonKind.QUOTA_REACHED, ReasonKind.FUNDS_SHORT})
    rarer = various().snapshot()
    made = plan(rarer)
    for row in range(len(rarer.pending.ids)):
        why(rarer, made, row)
    assert before and compiled() == before, "each for one kind of columns"


def test_whoever_asks_why_waits_for_no_compiler() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    program = "from tests.unit.kernels.test_warm import ask; ask()"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
