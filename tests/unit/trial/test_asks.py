"""What jobs ask of a fleet: nothing is guessed in silence, and what cannot be simulated says so."""

from __future__ import annotations

import numpy as np
import pytest

from dure.errors import ConfigError
from dure.simulator.traces.faults import FaultKind, TraceError
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import Trace, make_trace
from dure.simulator.trial.asks import Asks, Assumptions, asks_of, strays
from dure.simulator.trial.rules import ALL, POLICIES, Order, rules_of
from dure.simulator.trial.state import Farm

WEEK_MS = 7 * 86_400_000


def fleet() -> Fleet:
    pools = {"a": "one", "b": "two"}
    sites = [
        Site(name=name, region=f"KR-{n}", pools=(Pool(name="p", nodes=2, accelerator=kind, devices=8, cores_milli=64_000),))
        for n, (name, kind) in enumerate(pools.items(), 11)
    ]
    return make_fleet("small", sites, kinds=(Kind(id="one"), Kind(id="two")))


def asked(trace: Trace, **given: bool | int) -> Asks:
    return asks_of(trace, fleet(), Assumptions(**given), "log.csv")  # type: ignore[arg-type]


def jobs(**columns: object) -> Trace:
    rows = max((len(c) for c in columns.values() if isinstance(c, list)), default=1)
    return make_trace(rows, **{"submit_ms": [0] * rows, "duration_ms": [1000] * rows, **columns})


def test_a_job_of_more_devices_than_a_node_has_becomes_as_few_equal_workers_as_fit() -> None:
    made = asked(jobs(devices=[8, 12, 9, 20, 11, 3], cores_milli=[8000, 12_000, 9000, 20_000, 11_000, 0]))
    assert list(zip(made.workers.tolist(), made.devices.tolist(), strict=True)) == [
        (1, 8),
        (2, 6),
        (3, 3),
        (4, 5),
        (11, 1),
        (1, 3),
    ]
    assert made.cores_milli.tolist() == [8000, 6000, 3000, 5000, 1000, 1]  # as a plane, which takes no less
    assert made.assumed["equal_workers"] == 4


def test_a_gang_that_asks_for_a_block_sits_in_one_and_a_pool_that_names_none_is_one() -> None:
    pools = (
        Pool(name="p", nodes=4, accelerator="one", devices=8, block=2), Pool(name="q", nodes=3, accelerator="one", devices=8)
    )  # fmt: skip
    two = make_fleet("two", [Site(name="s", pools=pools)], kinds=(Kind(id="one"),))
    trace = jobs(devices=[8, 8, 8], workers=[3, 2, 2], block=[True, True, False], duration_ms=[9000, 8000, 7000])
    assert asks_of(trace, two, Assumptions(), "log.csv").block.tolist() == [True, True, False]
    farm = Farm(trace, two, asks_of(trace, two, Assumptions(), "log.csv"), rules_of("default"))
    assert farm.nodes.block.tolist() == [0, 0, 1, 1, 3, 3, 3]


def test_a_gang_with_a_smaller_last_worker_becomes_equal_workers_of_the_same_sum() -> None:
    made = asked(jobs(workers=[2, 1], devices=[8, 8], rest=[4, 1]))
    assert list(zip(made.workers.tolist(), made.devices.tolist(), strict=True)) == [(4, 5), (3, 3)]


@pytest.mark.parametrize(
    ("told", "made"),
    [((2, 12, 0, 96), (3, 8, 64)), ((4, 2, 1, 16), (3, 3, 24)), ((1, 8, 6, 64), (2, 7, 56)), ((3, 8, 4, 64), (4, 7, 56))],
)
def test_cores_go_with_the_devices_of_a_worker(told: tuple[int, ...], made: tuple[int, ...]) -> None:
    workers, devices, rest, cores = told
    asks = asked(jobs(workers=[workers], devices=[devices], rest=[rest], cores_milli=[cores * 1000]))
    assert (asks.workers[0], asks.devices[0], asks.cores_milli[0] / 1000) == made
    assert asks.assumed["equal_workers"] == 1


def test_a_job_is_split_by_the_largest_node_of_the_types_that_it_names() -> None:
    pools = (Pool(name="p", nodes=4, accelerator="one", devices=4), Pool(name="q", nodes=1, accelerator="two", devices=8))
    mixed = make_fleet("mixed", [Site(name="s", pools=pools)], kinds=(Kind(id="one"), Kind(id="two")))
    trace = jobs(devices=[8, 16, 8, 8], accelerator=[0, 0, 1, -1], accelerators=(("one",), ("two",)))
    made = asks_of(trace, mixed, Assumptions())
    assert list(zip(made.workers.tolist(), made.devices.tolist(), strict=True)) == [(2, 4), (4, 4), (1, 8), (1, 8)]


def test_priorities_of_another_system_are_not_read_as_classes() -> None:
    made = asked(jobs(priority=[200, 400, 0]))
    assert (made.priority.tolist(), "priority_ignored" in made.assumed) == ([200, 400, 0], False)
    slurm = asked(jobs(priority=[4_294_901, 200, 0]))
    assert (slurm.priority.tolist(), slurm.assumed["priority_ignored"]) == ([200, 200, 200], 2)


def test_jobs_that_follow_others_are_counted_as_they_do_not_wait_for_them() -> None:
    made = asked(jobs(submit_ms=[0, 0, 0], duration_ms=[1, 1, 1], extra={"after": np.array([-1, 0, 1])}))
    assert made.assumed["after_ignored"] == 2


def test_a_job_without_a_wall_time_gets_the_assumed_one_and_is_counted() -> None:
    made = asked(jobs(limit_ms=[0, 500, 5000]))
    assert made.limit_ms.tolist() == [WEEK_MS, 1000, 5000]  # a second at least, as on a plane
    assert (made.assumed["limit_unknown"], made.assumed["longer_than_limit"]) == (1, 1)


def test_everybody_may_know_how_long_their_jobs_run() -> None:
    made = asked(jobs(limit_ms=[0, 500], duration_ms=[7000, 0]), exact_limits=True)
    assert made.limit_ms.tolist() == [7000, 1000]  # a limit is never nothing
    assert not {"limit_unknown", "longer_than_limit"} & set(made.assumed)


def test_what_is_unknown_is_not_asked_for_and_is_counted() -> None:
    made = asked(jobs(cores_milli=[-1, 100], memory_mib=[-1, -1]))
    assert (made.cores_milli.tolist(), made.memory_mib.tolist()) == ([1, 100], [1, 1])
    assert (made.assumed["cores_unknown"], made.assumed["memory_unknown"]) == (1, 2)


def test_types_are_taken_in_the_order_in_which_they_are_named() -> None:
    made = asked(jobs(devices=[1, 1, 1, 0], accelerator=[0, 1, -1, -1], accelerators=(("two", "one"), ("unheard-of",))))
    assert [made.kinds[choice] for choice in made.kind_choice.tolist()] == [(1, 0), (-1,), (0, 1), (-1,)]


def test_who_names_regions_runs_in_them_alone() -> None:
    made = asked(jobs(residency=[0, 1, -1], residencies=(("KR-12",), ("KR-99",))))
    assert [made.sites[choice] for choice in made.site_choice.tolist()] == [(1,), (-1,), ()]


def test_queues_that_have_the_names_of_sites_run_there() -> None:
    made = asked(jobs(queue=[1, 0, -1], queues=("a", "b")))
    assert [made.sites[choice] for choice in made.site_choice.tolist()] == [(1,), (0,), ()]
    assert (made.assumed["queues_are_sites"], made.assumed["queue_unknown"]) == (2, 1)


def test_where_queues_are_sites_a_job_of_another_queue_is_a_fault_that_says_all_that_is_to_be_known() -> None:
    """It was let run anywhere once, and everybody else with it, without a word."""
    trace = jobs(queue=[1, 0, 2, 0, 3, 2], queues=("a", "b", "elsewhere", "nowhere"), ids=tuple("uvwxyz"))
    with pytest.raises(TraceError) as caught:
        asked(trace)
    fault = caught.value.fault
    assert (fault.kind, fault.place, fault.field) == (FaultKind.UNKNOWN_QUEUE, "job w", "queue")
    said = str(fault)
    assert "3 of 6 jobs are of such queues (elsewhere, nowhere)" in said and "The fleet has the sites a, b." in said
    assert "add the site to the fleet" in said and "with --ignore-queues" in said
    assert strays(trace, fleet(), Assumptions()).tolist() == [2, 4, 5]
    mine = trace.take(np.array([0, 1, 3]))  # the table of names stays whole, and who is not there is no fault
    assert [asked(mine).sites[choice] for choice in asked(mine).site_choice.tolist()] == [(1,), (0,), (0,)]


def test_queues_do_not_bind_where_they_are_ignored_or_none_is_a_site() -> None:
    trace = jobs(queue=[1, 0, -1], queues=("a", "elsewhere"))
    free = asked(trace, ignore_queues=True)
    assert [free.sites[choice] for choice in free.site_choice.tolist()] == [(), (), ()]
    assert free.assumed["queues_ignored"] == 2
    others = asked(jobs(queue=[1, 0, -1], queues=("x", "y")))
    assert [others.sites[choice] for choice in others.site_choice.tolist()] == [(), (), ()]
    assert others.assumed["queues_are_no_sites"] == 2
    assert not {word for word in asked(jobs()).assumed if word.startswith("queue")}


def test_of_many_names_a_message_tells_the_first() -> None:
    names = ("a", *(f"q{n}" for n in range(12)))
    with pytest.raises(TraceError, match="q5 and 4 more") as caught:
        asked(jobs(queue=list(range(13)), queues=names))
    assert "q6" not in str(caught.value)


def test_a_part_of_a_device_is_asked_for_as_it_is_unless_it_is_taken_as_a_whole_one() -> None:
    shared = jobs(devices=[1, 0], share_milli=[0, 250])
    found = asked(shared)
    assert (found.devices.tolist(), found.share_milli.tolist()) == ([1, 0], [0, 250])
    assert "whole_shares" not in found.assumed
    made = asked(shared, whole_shares=True)
    assert (made.devices.tolist(), made.assumed["whole_shares"]) == ([1, 1], 1)


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"duration_ms": [5, -1]}, "job 2: duration_s is unknown"), ({"submit_ms": [-1, -1]}, "job 1: submit_s is unknown")],
)
def test_what_cannot_be_simulated_names_the_job_and_the_field(columns: dict[str, list[int]], said: str) -> None:
    with pytest.raises(TraceError, match=said):
        asked(jobs(**columns))


def test_every_policy_has_its_own_name_and_is_a_policy_of_the_plan() -> None:
    for name, rules in POLICIES.items():
        assert rules_of(name) is rules
        assert rules.name == name
        assert (rules.policy().reservations_max, rules.policy().backfill_depth) == (rules.promises, rules.depth)
        assert rules.preempts == (rules.order in (Order.REMAINING, Order.ATTAINED))
        assert bool(rules.steps_s) == (rules.order == Order.ATTAINED)
        assert rules.depth in (0, ALL) or rules.order == Order.FAIR


def test_an_unknown_policy_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no policy 'best'\. Policies are: default, domestic-first, "):
        rules_of("best")
