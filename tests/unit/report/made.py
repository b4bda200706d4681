"""Small runs for the tests of reports: by hand, and drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dure.simulator.report import FleetFacts, Run, Stretches, facts_of, make_run
from dure.simulator.traces import Kind, Pool, Site, make_fleet

HOUR_MS = 3_600_000
TENANTS = ("ant", "bee", "cat")


def two_sites(nodes: int = 4) -> FleetFacts:
    """h200 and rngd at one site, h200 at another; nodes of 8; everything known."""
    h200 = Pool(name="h200", nodes=nodes, accelerator="h200", devices=8, idle_watts=1_000, node_watts=9_000)
    rngd = Pool(name="rngd", nodes=nodes, accelerator="rngd", devices=8, node_watts=3_000)
    north = Site(name="north", pue_permille=1_200, price_krw_mwh=100_000, carbon_g_mwh=400_000, pools=(h200, rngd))
    by_hour = tuple(100_000 + 1_000 * hour for hour in range(24))
    south = Site(name="south", price_krw_mwh=200_000, carbon_by_hour=by_hour, pools=(h200,))
    return facts_of(make_fleet("two", [north, south]))


def one_site(devices: int = 8) -> FleetFacts:
    """So many devices of which nothing else is known."""
    return facts_of(make_fleet("one", [Site(name="a", pools=(Pool(name="gpu", nodes=1, accelerator="gpu", devices=devices),))],
                               kinds=(Kind(id="gpu"),)))  # fmt: skip


def run_of_rows(rows: Sequence[tuple[int, int, int, int]], fleet: FleetFacts | None = None, **given: Any) -> Run:
    """Rows of (submit s, duration s, start s or -1, devices)."""
    submit, duration, start, devices = (np.array(c, np.int64) for c in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 4
    named = {"policy": "FIFO", "trace": "made", "fleet": fleet or one_site(64), **given}
    return make_run(submit_ms=submit * 1000, duration_ms=duration * 1000, start_ms=np.where(start < 0, -1, start * 1000),
                    devices_milli=devices * 1000, **named)  # fmt: skip


def empty() -> Run:
    return run_of_rows([])


Drawn = tuple[int, int, int, int, int, int, int, int]
JOBS = st.lists(
    st.tuples(
        st.integers(0, 9 * HOUR_MS), st.integers(0, 4 * HOUR_MS), st.integers(-1, HOUR_MS), st.integers(0, 700_000),
        st.integers(-1, 2), st.integers(0, 2), st.integers(0, HOUR_MS), st.integers(-1, 10**6),
    ),
    max_size=12,
)  # fmt: skip
WHERE = ((0, 0), (0, 1), (1, 0))  # (site, accelerator) of `two_sites`


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Jobs on a fleet with room for all: some never start, some are stopped once and go on later, some have not ended."""
    jobs: list[Drawn] = draw(JOBS)
    return run_from(jobs, draw(st.integers(0, len(jobs))))


def run_from(jobs: Sequence[Drawn], stopped: int, **given: Any) -> Run:
    """(submission, duration, wait or -1, milli, tenant, place, pause, won), all ms; the first `stopped` pause half way."""
    columns = np.array(jobs, np.int64).reshape(len(jobs), 8)
    submit, duration, wait, milli, tenant, place, pause, won = columns.T
    start = np.where(wait < 0, -1, submit + wait)
    halts = (np.arange(len(jobs)) < stopped) & (start >= 0)
    end = np.where(start < 0, -1, start + duration + np.where(halts, pause, 0))
    rows = []
    for job in np.flatnonzero(start >= 0).tolist():
        half = int(start[job] + duration[job] // 2) if halts[job] else int(end[job])
        rows += [(job, int(start[job]), half, int(milli[job]), *WHERE[int(place[job])])]
        rows += [(job, half + int(pause[job]), int(end[job]), int(milli[job]), *WHERE[int(place[job])])] if halts[job] else []
    table = np.array(rows, np.int64).reshape(len(rows), 6)
    kinds = dict(zip(("job", "from_ms", "until_ms", "held_milli", "site", "accelerator"), table.T, strict=True))
    part = Stretches(**{k: v.astype(np.int32 if k in ("site", "accelerator") else np.int64) for k, v in kinds.items()})
    named = {"policy": "P", "trace": "drawn", "fleet": two_sites(nodes=1100), "clock_ms": 5 * HOUR_MS, **given}
    return make_run(submit_ms=submit, duration_ms=duration, start_ms=start, end_ms=end, devices_milli=milli, tenant=tenant,
                    tenants=TENANTS, won=won, preemptions=halts, stretches=part, **named)  # fmt: skip
