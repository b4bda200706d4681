"""What is compiled once after each installation is what plans and questions call, so that nobody waits for a compiler."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

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
    assert [columns(s) for s in (nowhere(), *questions())] == [wanted] * 6


def test_questions_are_about_all_that_somebody_may_wait_for() -> None:
    told = [[reason.kind for reason in why(s, plan(s), 0).reasons] for s in questions()]
    assert told == [
        [ReasonKind.WAITS_CORES],
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
    assert before and compiled() == before, "each for one kind of columns"


def test_whoever_asks_why_waits_for_no_compiler() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    program = "from tests.unit.kernels.test_warm import ask; ask()"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
