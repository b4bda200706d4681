from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.simulator.traces.cycle import NOW_MS, CycleShape, CycleWorld, cycle_world
from dure.simulator.traces.fitted import LEVELS, distance, draw, pick, quantiles
from dure.simulator.traces.fleet import Fleet
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.fleets import FLEETS, national_fleet
from dure.simulator.traces.generate import national, offered_load, submitted
from dure.simulator.traces.national import ARRAY, BATCH, CPU, GANG, JOB_KINDS, LAB, SERVICE, TENANT_KINDS, Workload
from dure.simulator.traces.trace import COLUMNS, TIMEOUT, Trace, make_trace


def made(jobs: int = 20_000, seed: int = 7, fleet: Fleet | None = None) -> Trace:
    return national(np.random.default_rng(seed), fleet or national_fleet(50_000), Workload(jobs=jobs))


@pytest.fixture(scope="module")
def whole() -> Trace:
    return made(100_000)


@pytest.fixture(scope="module")
def trace(whole: Trace) -> Trace:
    return submitted(whole)


def test_one_seed_gives_one_workload_and_another_another() -> None:
    first, again, other = made(), made(), made(seed=8)
    assert all(getattr(first, name).tobytes() == getattr(again, name).tobytes() for name in COLUMNS)
    assert first.tenants == again.tenants and first.extra["kind"].tobytes() == again.extra["kind"].tobytes()
    assert first.submit_ms.tobytes() != other.submit_ms.tobytes()


@pytest.mark.parametrize("name", FLEETS)
def test_every_job_fits_the_empty_fleet_where_it_may_run(name: str) -> None:
    fleet = FLEETS[name]()
    trace = made(20_000, fleet=fleet)
    usable = [(fleet.sites[site].region, pool) for site, pool in fleet.pools()]
    shapes = np.unique(np.stack([trace.workers, trace.devices, trace.share_milli, trace.cores_milli, trace.memory_mib,
                                 trace.accelerator, trace.residency], axis=1), axis=0)  # fmt: skip
    for workers, devices, share, cores, memory, kind, place in shapes.tolist():
        fits = 0
        for region, pool in usable:
            if (place >= 0 and region not in trace.residencies[place]) or (
                kind >= 0 and pool.accelerator not in trace.accelerators[kind]
            ):
                continue
            milli = devices * 1000 + share
            each = [pool.devices * 1000 // milli if milli else 1 << 30]
            each += [pool.cores_milli // cores] if pool.cores_milli and cores else []
            each += [pool.memory_mib // memory] if pool.memory_mib and memory else []
            fits = max(fits, pool.nodes * min(each))
        assert fits >= workers, (workers, devices, share, cores, memory, kind, place)


@pytest.mark.parametrize("name", ["kr-15000", "kr-50000", "kr-260000"])
@pytest.mark.parametrize("jobs", [300, 1_500, 10_000, 40_000])
def test_what_is_asked_for_until_the_last_submission_is_the_load_whatever_the_fleet_and_the_jobs(name: str, jobs: int) -> None:
    """Without those in progress at the start it is nothing like it: jobs are longer than the time in which they come."""
    fleet = FLEETS[name]()
    for seed, load in enumerate((0.9, 0.9, 0.9, 0.5, 1.3)):
        trace = national(np.random.default_rng(seed), fleet, Workload(jobs=jobs, load=load))
        assert offered_load(trace, fleet.devices) == pytest.approx(load, rel=0.02)
        assert (trace.extra["in_progress"] == 0).sum() == jobs == len(submitted(trace))
        assert offered_load(submitted(trace), fleet.devices) < 0.75 * load


def test_load_is_asked_for_in_every_part_of_the_time(whole: Trace) -> None:
    """Not only in the mean: no tenth of the time asks for half or for twice as much."""
    last = int(whole.submit_ms[-1])
    edges = np.linspace(0, last, 11)
    end = whole.submit_ms + whole.duration_ms
    for since, until in pairwise(edges):
        inside = np.clip(np.minimum(end, until) - np.maximum(whole.submit_ms, since), 0, None)
        assert 0.5 < float(whole.devices_milli / 1000 @ inside) / (50_000 * (until - since)) < 1.5


def test_who_is_in_progress_at_the_start_comes_first_and_has_what_is_left(whole: Trace) -> None:
    begun = whole.extra["in_progress"] == 1
    count = int(begun.sum())
    assert bool(begun[:count].all()) and count > 1000 and bool((whole.submit_ms[begun] == 0).all())
    assert bool((np.diff(whole.submit_ms) >= 0).all()) and bool((whole.duration_ms >= 1000).all())
    limited = begun & (whole.limit_ms > 0)
    assert limited.sum() > 500 and bool((whole.duration_ms[limited] <= whole.limit_ms[limited]).all())
    due = begun & (whole.deadline_ms > 0)
    assert due.any() and bool((whole.deadline_ms[due] >= whole.duration_ms[due]).all()), "none is due before it can be over"
    gangs = (whole.extra["kind"] == GANG) & (whole.devices_milli > 0)
    assert gangs[begun].mean() > 3 * gangs[~begun].mean(), "long jobs are more often in progress than they are submitted"


def test_columns_are_what_a_trace_promises(trace: Trace) -> None:
    assert len(trace) == 100_000 and bool((np.diff(trace.submit_ms) >= 0).all()) and trace.timed
    assert bool((trace.workers_min <= trace.workers).all()) and bool((trace.workers_min >= 1).all())
    assert bool(((trace.devices == 0) | (trace.share_milli == 0)).all()) and bool((trace.duration_ms >= 1000).all())
    limited = trace.limit_ms > 0
    assert bool((trace.duration_ms[limited] <= trace.limit_ms[limited]).all())
    late = trace.status == TIMEOUT
    assert 0.01 < late.mean() < 0.05 and bool((trace.duration_ms[late] == trace.limit_ms[late]).all())
    due = trace.deadline_ms > 0
    assert 0.005 < due.mean() < 0.05 and bool((trace.deadline_ms[due] >= (trace.submit_ms + trace.duration_ms)[due]).all())
    assert 0.10 < (trace.limit_ms == 0).mean() < 0.2


def test_kinds_of_jobs_come_in_their_shares_and_with_their_nature(trace: Trace) -> None:
    kind = trace.extra["kind"]
    shares = np.bincount(kind, minlength=len(JOB_KINDS)) / len(trace)
    assert np.abs(shares - np.array(Workload().kinds) / sum(Workload().kinds)).max() < 0.05
    assert trace.devices_milli[kind == CPU].max() == 0 and trace.devices_milli[kind == LAB].max() == 1000
    assert trace.devices_milli[kind == GANG].min() == 16_000 and trace.devices_milli[kind == GANG].max() >= 4_096_000
    assert (trace.workers_min < trace.workers)[kind == SERVICE].mean() > 0.8, "services have replicas for their peak"
    assert bool((trace.checkpoint_ms[kind == GANG] > 0).all()) and bool((trace.array[kind == ARRAY] >= 0).all())
    assert bool((trace.array[kind != ARRAY] == -1).all())
    array = trace.take(kind == ARRAY)
    _numbers, first, counts = np.unique(array.array, return_index=True, return_counts=True)
    assert counts.max() > 20
    assert bool((array.submit_ms == array.submit_ms[first][np.searchsorted(_numbers, array.array)]).all()), "at once"


def test_the_widest_gang_is_of_16384_devices() -> None:
    def widest(fleet: Fleet) -> int:
        gangs = national(np.random.default_rng(1), fleet, Workload(jobs=40_000, kinds=(0, 1, 0, 0, 0, 0)))
        return int(gangs.devices_milli.max()) // 1000

    assert widest(national_fleet(260_000)) == 16_384
    assert widest(national_fleet(15_000)) == 2_048, "4,096 of its largest pool, of 4,968, would draw too much in the afternoon"
    free = [replace(site, power_watts=0, windows=()) for site in national_fleet(15_000).sites]
    assert widest(make_fleet("free", free)) == 4_096, "no wider than a pool"


def test_the_widest_gang_may_run_all_day() -> None:
    """With the rest of its site idle its draw is below every cap."""
    for name in ("kr-15000", "kr-50000", "kr-260000"):
        fleet = FLEETS[name]()
        trace = national(np.random.default_rng(2), fleet, Workload(jobs=3_000, kinds=(0, 1, 0, 0, 0, 0)))
        row = int(trace.devices_milli.argmax())
        kinds, found = trace.accelerators[trace.accelerator[row]], False
        for site, pool in fleet.pools():
            own = fleet.sites[site]
            idle = sum(each.nodes * each.idle_watts for each in own.pools)
            draw = (idle + int(trace.workers[row]) * (fleet.node_watts(pool) - pool.idle_watts)) * own.pue_permille / 1000
            fits = pool.accelerator in kinds and pool.nodes >= trace.workers[row]
            found |= fits and draw <= min(own.power_watts, *(window.watts for window in own.windows))
        assert found, name


def test_tenants_of_every_kind_and_region_take_part(trace: Trace) -> None:
    seen = {trace.tenants[index] for index in np.unique(trace.tenant)}
    assert {name.split("-")[0] for name in seen} == set(TENANT_KINDS) and len({name.split("-")[1] for name in seen}) == 17
    assert len(np.unique(trace.user)) > 1000 and len(np.unique(trace.queue)) > 60
    users = trace.user // Workload().users_per_tenant
    assert users.tolist() == trace.tenant.tolist(), "a user belongs to one tenant"
    assert 0.1 < (trace.residency >= 0).mean() < 0.5 and any(len(place) > 1 for place in trace.residencies)


def test_people_work_by_day_and_batch_jobs_come_at_all_hours(trace: Trace) -> None:
    kind, hour = trace.extra["kind"], trace.submit_ms // 3_600_000 % 24
    night = (hour >= 1) & (hour < 6)
    assert night[kind == LAB].mean() < 0.06 and night[kind == BATCH].mean() > 0.12


def test_small_fleets_and_workloads_are_no_exception() -> None:
    for jobs in (1, 2, 17):
        assert len(submitted(made(jobs, fleet=national_fleet(8 * 17)))) == jobs
    cpu = national(np.random.default_rng(0), national_fleet(15_000), Workload(jobs=50, kinds=(0, 0, 0, 0, 0, 1)))
    assert offered_load(cpu, 15_000) == 0 and len(submitted(cpu)) == 50, "nobody asks for a device"
    assert offered_load(make_trace(1, submit_ms=[0], duration_ms=[9], devices=[1]), 8) == 0, "no time has passed"
    with pytest.raises(InvariantViolated):
        national(np.random.default_rng(0), national_fleet(15_000), Workload(jobs=0))


def test_tables_of_quantiles_are_drawn_as_they_were_made() -> None:
    rng = np.random.default_rng(3)
    sample = rng.lognormal(6, 2, 50_000)
    table = quantiles(sample)
    assert len(table) == len(LEVELS) and distance(sample, draw(rng, table, 50_000)) < 0.02
    assert distance(np.array([1, 2, 3]), np.array([1, 2, 3])) == 0 and distance(np.array([1, 2]), np.array([3, 4])) == 1
    assert np.bincount(pick(rng, [1.0, 0.0, 3.0], 4000), minlength=3)[1] == 0


# -- the world of one cycle -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> CycleWorld:
    return cycle_world(np.random.default_rng(5), CycleShape(devices=15_000))


def test_a_cycle_has_the_queue_that_the_benchmark_names(world: CycleWorld) -> None:
    pending = world.pending
    columns = [pending.workers, pending.devices, pending.share_milli, pending.cores_milli, pending.memory_mib]
    shapes = np.unique(np.stack([*columns, pending.accelerator, pending.residency], axis=1), axis=0)
    assert len(pending) == 100_000 and len(shapes) >= 5000 and (pending.workers > 1).mean() == pytest.approx(0.1, abs=1e-4)
    assert len(world.fleet.sites) == 30 and len(world.fleet.accelerators) == 3 and world.fleet.devices == 15_000
    assert len(world.quotas.names) == 200 and len(np.unique(pending.queue)) == 200 and len(world.reservations.queue) == 100
    assert 0.2 < (pending.residency >= 0).mean() < 0.6 and pending.submit_ms.max() < NOW_MS


def test_a_cycles_fleet_is_busy_and_no_device_is_held_twice(world: CycleWorld) -> None:
    running, nodes = world.running, world.nodes
    held = np.zeros(len(nodes), np.uint64)
    for node, mask in zip(running.worker_node.tolist(), running.worker_mask.tolist(), strict=True):
        assert held[node] & np.uint64(mask) == 0
        held[node] |= np.uint64(mask)
    assert np.bitwise_count(held).sum() / 15_000 == pytest.approx(0.7, abs=0.02)
    counts = np.diff(running.worker_ptr)
    assert counts.min() >= 1 and (counts > 1).sum() > 10 and counts.sum() == len(running.worker_node)
    owner = np.repeat(np.arange(len(counts)), counts)
    assert np.bitwise_count(running.worker_mask).tolist() == running.devices[owner].tolist(), "workers are equal"
    cores, memory = (
        np.bincount(running.worker_node, weights=column[owner]) for column in (running.cores_milli, running.memory_mib)
    )
    assert bool((cores <= nodes.cores_milli[: len(cores)]).all()) and bool((memory <= nodes.memory_mib[: len(memory)]).all())
    assert bool((running.started_ms <= running.saved_ms).all()) and bool((running.ends_ms > world.now_ms).all())


def test_a_cycles_quotas_are_the_fleet_and_its_cohorts_a_tree(world: CycleWorld) -> None:
    quotas = world.quotas
    kinds = np.bincount(world.nodes.accelerator, weights=world.nodes.devices)
    assert quotas.nominal.sum(axis=0).tolist() == kinds.tolist() and bool((quotas.lend_most <= quotas.nominal).all())
    assert (
        quotas.parent[0] == -1 and bool((quotas.parent[1:] == 0).all()) and quotas.cohort.max() <= 20 and quotas.cohort.min() >= 1
    )
    assert (quotas.borrow_most == -1).any() and (quotas.borrow_most > 0).any()
    for first, last in zip(world.reservations.node_ptr[:-1], world.reservations.node_ptr[1:], strict=True):
        assert last > first and len(set(world.nodes.pool[world.reservations.node[first:last]].tolist())) == 1


def test_one_seed_gives_one_world(world: CycleWorld) -> None:
    again = cycle_world(np.random.default_rng(5), CycleShape(devices=15_000))
    assert again.fleet == world.fleet and again.running.worker_mask.tobytes() == world.running.worker_mask.tobytes()
    assert all(getattr(again.pending, name).tobytes() == getattr(world.pending, name).tobytes() for name in COLUMNS)
