"""The whole plane and the trial make the same decisions, and what a plane does besides is all there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.controller import verify_audit, verify_store_books
from dure.errors import ConfigError
from dure.model.event import Event
from dure.model.funding import Transfer, TransferKind
from dure.model.policy import Policy
from dure.model.workload import Attempt, Workload, WorkloadState
from dure.simulator.plane import whole_plane
from dure.simulator.plane.farm import Founded, project_id, site_id
from dure.simulator.plane.whole import ZERO_MS, WholePlane
from dure.simulator.report import Run
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial import POLICIES, Assumptions, Rules, rules_of, trial
from dure.simulator.trial.asks import asks_of
from dure.simulator.trial.rules import Order
from dure.simulator.trial.state import Farm, Live
from tests.builders.worlds import examples

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles: minutes on a busy machine
Seats = list[tuple[int, int, tuple[tuple[int, int], ...]]]  # job, moment, (node, devices) by worker


# -- worlds --------------------------------------------------------------------------------------------------------------------


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """A site or three, of pools of two types or none."""
    sites = []
    for number in range(draw(st.integers(1, 3))):
        pools = [
            Pool(
                name=f"p{n}", nodes=draw(st.integers(1, 2)), accelerator=kind, devices=draw(st.sampled_from((2, 4))) if kind else 0,
                cores_milli=draw(st.sampled_from((4000, 8000))), memory_mib=8192,
            )
            for n, kind in enumerate(draw(st.lists(st.sampled_from(("gpu-a", "gpu-b", "")), min_size=1, max_size=2)))
        ]  # fmt: skip
        sites.append(Site(name=f"site{number}", region=f"KR-{number + 11}", pools=tuple(pools)))
    return make_fleet("few", sites, kinds=(Kind(id="gpu-a"), Kind(id="gpu-b")))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Jobs of three tenants and of nobody: wide and narrow, urgent and background, some that save their work, some of no length."""
    count = draw(st.integers(1, 14))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    submit = sorted(column(st.integers(0, 200)))
    return make_trace(
        count, submit_ms=[1000 * s for s in submit], duration_ms=[1000 * d for d in column(st.sampled_from((0, 1, 7, 30, 90, 200)))],
        workers=column(st.sampled_from((1, 1, 1, 2, 3))), devices=column(st.sampled_from((0, 1, 2, 4))),
        cores_milli=column(st.sampled_from((-1, 0, 1000, 3000))), memory_mib=column(st.sampled_from((-1, 512, 4096))),
        tenant=column(st.integers(-1, 2)), tenants=("a", "b", "c"),
        priority=column(st.sampled_from((0, 200, 200, 400))), preemptible=column(st.booleans()),
        checkpoint_ms=column(st.sampled_from((0, 10_000, 45_000))), limit_ms=column(st.sampled_from((0, 20_000, 60_000, 300_000))),
        accelerator=column(st.sampled_from((-1, -1, 0, 1, 2))), accelerators=(("gpu-a",), ("gpu-b", "gpu-a"), ("gpu-none",)),
        residency=column(st.sampled_from((-1, -1, 0, 1))), residencies=(("KR-11",), ("KR-12", "KR-11")),
        user=column(st.integers(0, 1)), users=("u", "v"),
    )  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    given = rules_of(draw(st.sampled_from(("default", "default", "default", "fifo", "easy", "best-effort-fifo"))))
    if given.order != Order.FAIR:
        return given
    return replace(
        given, promises=draw(st.sampled_from((0, 1, 16))), depth=draw(st.sampled_from((0, 1, 1000))),
        min_run_ms=draw(st.sampled_from((0, 20_000, 60_000))),
    )  # fmt: skip


def decided(run: Run) -> dict[str, Any]:
    """All that two ways of running have to agree on."""
    part = run.stretches
    ran = np.array([part.job, part.from_ms, part.until_ms, part.site, part.accelerator, part.held_milli])
    columns = (run.start_ms, run.end_ms, run.preemptions, run.lost_ms)
    return {
        "columns": [column.tolist() for column in columns], "until": run.until_ms, "steps": run.notes["steps"],
        "ran": ran[:, np.lexsort(ran[::-1])].T.tolist(),
    }  # fmt: skip


# -- the same decisions --------------------------------------------------------------------------------------------------------


@given(traces(), fleets(), rules(), st.sampled_from((0, 0, 7_000)))
@examples(150)
def test_the_whole_plane_decides_as_a_trial(trace: Trace, fleet: Fleet, rules: Rules, every_ms: int) -> None:
    a, b = decided(whole_plane(trace, fleet, rules, every_ms=every_ms)), decided(trial(trace, fleet, rules, every_ms=every_ms))
    if a != b: _debug(trace, fleet, rules, every_ms)
    assert a == b



def _debug(*args):
    import pickle
    from dataclasses import asdict
    trace, fleet, rules, every_ms = args
    cols = {n: getattr(trace, n) for n in trace.__dataclass_fields__ if n != "extra"}
    pickle.dump((cols, fleet, rules, every_ms), open("/tmp/h2/scratch/fail.pkl", "wb"))
