"""The real traces, where they are: known counts and sums, and that the generator fits what it says it was fitted to."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from dure.simulator.traces.fit import Fit, generated, main, measure, peak_of_requests, refit
from dure.simulator.traces.fleetfile import read_fleet
from dure.simulator.traces.fleets import built_in
from dure.simulator.traces.national import Workload
from dure.simulator.traces.options import ReadOptions
from dure.simulator.traces.registry import read_trace

SHARED = Path(os.environ.get("DURE_SHARED", Path(__file__).parents[4] / "shared")) / "traces"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the public traces are not here: set DURE_SHARED to their folder")
DAY_MS = 86_400_000


def test_philly_has_its_jobs_and_its_hours() -> None:
    trace = read_trace(SHARED / "philly_jobs.parquet").trace
    assert len(trace) == 82_247 and len(trace.queues) == 15
    assert (trace.devices_milli * (trace.duration_ms // 1000)).sum() / 3_600_000 == pytest.approx(978_078, abs=1)
    assert set(trace.status.tolist()) == {0} and set(trace.user.tolist()) == {-1}


def test_the_rules_of_the_reference_replay_leave_68503_jobs() -> None:
    trace, fleet = read_trace(SHARED / "philly_jobs.parquet").trace, read_fleet(SHARED / "philly_queues.parquet")
    own = np.isin(np.array(trace.queues), [site.name for site in fleet.sites])[trace.queue]
    rest = trace.take(own & (trace.submit_ms >= 30 * DAY_MS)).rebased()
    kept = rest.take(rest.submit_ms <= 61 * DAY_MS - 60_000)
    assert len(kept) == 68_503
    with (SHARED / "philly_reference.csv").open(encoding="utf-8") as file:
        counts = {row["queue"]: int(row["jobs"]) for row in csv.DictReader(file)}
    assert {kept.queues[index]: count for index, count in enumerate(np.bincount(kept.queue).tolist()) if count} == counts


def test_openb_has_its_pods_in_every_variant() -> None:
    counts = {"default": 8152, "cpu300": 10_094, "multigpu50": 9061, "gpuspec33": 8152}
    for variant, count in counts.items():
        trace = read_trace(SHARED / "openb_pods.parquet", ReadOptions(variant=variant)).trace
        assert len(trace) == count and trace.timed == (variant != "multigpu50")
    default = read_trace(SHARED / "openb_pods.parquet").trace
    assert (default.share_milli > 0).sum() == 3078 and (default.devices_milli == 0).sum() == 1088
    assert (default.duration_ms < 0).sum() == 897 and default.devices.max() == 8


def test_built_in_fleets_are_those_of_the_files() -> None:
    assert [(s.name, s.pools[0].nodes) for s in built_in("philly").sites] == [
        (s.name, s.pools[0].nodes) for s in read_fleet(SHARED / "philly_queues.parquet").sites
    ]
    file, own = read_fleet(SHARED / "openb_nodes.parquet"), built_in("openb")
    assert sorted((p.name, p.nodes) for _s, p in file.pools()) == sorted((p.name, p.nodes) for _s, p in own.pools())


def test_the_generator_fits_what_it_was_fitted_to() -> None:
    fits = list(measure(SHARED, generated(100_000, "kr-15000")[1]))
    most = {fit.name: 0.12 if "more than 8" in fit.name else 0.06 for fit in fits}  # a hundred thousand jobs have few wide ones
    assert len(fits) == 16
    assert {fit.name: fit.distance for fit in fits if fit.distance > most[fit.name]} == {}


def test_the_tables_are_those_of_the_traces() -> None:
    """The constants were measured by `refit`: what it measures now is what they say, to the rounding of the tables."""
    now, then = refit(SHARED), Workload()
    assert now.batch_sizes == dict(sorted(then.batch_sizes.items()))
    assert np.allclose(now.batch_duration, then.batch_duration, atol=1) and np.allclose(
        now.lab_duration, then.lab_duration, atol=1
    )
    assert np.allclose(now.session_jobs, then.session_jobs, atol=1) and np.allclose(now.session_gap_s, then.session_gap_s, atol=1)
    assert np.allclose(now.service_peak, then.service_peak, atol=0.01)
    assert peak_of_requests(SHARED, "conv") < peak_of_requests(SHARED, "code")


def test_a_fit_knows_how_far_a_trace_is_from_itself() -> None:
    fit = Fit("x", "y", np.array([1, 1, 2, 2]), np.array([1, 2]))
    assert fit.distance == 0 and fit.halves == 1


def test_the_report_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2 and "FOLDER" in capsys.readouterr().err
