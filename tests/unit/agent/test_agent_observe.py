"""What the agent sees and what the plane hears of it: every end arrives, nothing else is said without need."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.errors import ApiError, LinkError
from dure.model.workload import Evidence, Outcome
from dure.ports import Observation
from tests.unit.agent.fakes import Bench, launch, stop


def started(bench: Bench, *attempts: str) -> None:
    bench.plane.order(*[launch(a) for a in attempts])
    bench.agent.step_orders(0)


def test_an_end_is_reported_with_its_evidence_and_settled_once_recorded(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.end("a")
    bench.agent.step_observe()
    assert bench.plane.last("a").evidence.run_ms == 7_000
    assert bench.journal.open_rows() == []
    known = bench.journal.get("a")
    assert known is not None and known.recorded


def test_an_end_is_said_again_until_the_plane_has_recorded_it(bench: Bench) -> None:
    started(bench, "a")
    bench.plane.records = False
    bench.driver.end("a")
    bench.agent.step_observe()
    bench.agent.step_observe()
    assert bench.plane.phases("a") == ["running", "ended"]
    for pause_ms in (2_000, 4_000, 8_000):
        bench.clock.advance(pause_ms - 1)
        bench.agent.step_observe()
        said = len(bench.plane.phases("a"))
        bench.clock.advance(1)
        bench.agent.step_observe()
        assert len(bench.plane.phases("a")) == said + 1
    bench.plane.records = True
    bench.clock.advance(60_000)
    bench.agent.step_observe()
    assert bench.journal.open_rows() == []


def test_an_end_while_the_link_is_down_survives_a_kill_and_arrives_later(bench: Bench) -> None:
    started(bench, "a")
    bench.plane.down = True
    bench.driver.end("a")
    with pytest.raises(LinkError):
        bench.agent.step_observe()
    bench.driver.seen.clear()  # even when the backend has forgotten it
    bench.restart()
    bench.plane.down = False
    bench.agent.step_orders(0)
    assert (bench.plane.last("a").outcome, bench.plane.last("a").evidence.run_ms) == (Outcome.SUCCEEDED, 7_000)
    assert bench.journal.open_rows() == []


def test_an_end_whose_answer_was_lost_is_said_again(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.end("a")
    bench.plane.lose_replies = ["report"]
    with pytest.raises(LinkError):
        bench.agent.step_observe()
    bench.agent.step_observe()
    assert bench.plane.phases("a") == ["running", "ended", "ended"]
    assert bench.journal.open_rows() == []


def test_an_attempt_that_merely_goes_on_is_reported_now_and_then(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.progress("a", run_ms=100)
    bench.agent.step_observe()
    assert len(bench.plane.phases("a")) == 1
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    assert bench.plane.last("a").evidence.run_ms == 100
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    assert len(bench.plane.phases("a")) == 2  # nothing has changed since


def test_a_phase_never_goes_back(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.seen["a"] = Observation(attempt="a", epoch=1, workload="w-a", phase="launching")
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    assert bench.plane.phases("a") == ["running"]


def test_a_restarted_agent_adopts_what_runs_and_launches_nothing(bench: Bench) -> None:
    started(bench, "a")
    bench.restart()
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1
    assert [r.phase for r in bench.plane.hellos[-1].reports] == ["running"]
    bench.driver.end("a")
    bench.agent.step_observe()
    assert bench.plane.last("a").project == "p"


def test_an_agent_killed_between_journal_and_launch_waits_for_the_plane_to_mean_it(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.poll(0)  # journaled, not launched
    bench.restart()
    bench.plane.orders = []
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0
    assert bench.plane.hellos[-1].reports == ()
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1


def test_an_agent_killed_between_journal_and_launch_honours_a_stop(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.poll(0)
    bench.restart()
    bench.plane.orders = []
    bench.plane.order(stop("a"))
    bench.agent.step_orders(0)
    bench.agent.step_observe()
    assert bench.plane.last("a").evidence.detail == "never_launched"
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0


def test_an_agent_killed_in_the_middle_of_a_launch_finds_it_running(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.poll(0)
    bench.driver.late_faults = ["launch"]
    bench.agent.launch_next()  # the backend acted; the agent dies before it knows
    bench.restart()
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1
    assert bench.plane.hellos[-1].reports[0].phase == "running"


def test_a_stop_taken_before_a_kill_is_carried_out_after_it_without_the_plane(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.faults = ["stop"]
    bench.plane.order(stop("a"))
    bench.agent.poll(0)
    bench.restart()
    bench.plane.down = True
    with pytest.raises(LinkError):
        bench.agent.connect()
    assert [s[0] for s in bench.driver.stops] == ["a"]


def test_attempts_that_the_journal_does_not_know_are_reported_and_left_alone(bench: Bench) -> None:
    bench.driver.seen["x"] = Observation(attempt="x", epoch=3, workload="w-x", phase="running", evidence=Evidence(run_ms=5))
    bench.agent.connect()
    report = bench.plane.hellos[0].reports[0]
    assert (report.attempt, report.epoch, report.phase, report.evidence.run_ms) == ("x", 3, "running", 5)
    assert bench.driver.stops == []
    bench.plane.order(launch("x", epoch=3))
    bench.agent.step_orders(0)
    assert bench.driver.starts["x"] == 0
    bench.driver.end("x")
    bench.agent.step_observe()
    assert bench.plane.last("x").outcome is Outcome.SUCCEEDED


def test_what_its_backend_no_longer_lists_is_lost_but_not_at_the_first_look(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.progress("a", run_ms=400)
    bench.agent.step_observe()
    hidden = bench.driver.seen.pop("a")
    for _ in range(5):
        bench.clock.advance(1_999)
        bench.agent.step_observe()
    assert bench.plane.last("a").phase == "running"
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    report = bench.plane.last("a")
    assert (report.outcome, report.evidence.detail, report.evidence.run_ms) == (Outcome.LOST, "vanished", 400)
    assert report.evidence.ended_ms == 405
    bench.driver.seen["a"] = hidden  # it was alive after all: what the plane was told ended may not run
    bench.clock.advance(30_000)
    bench.agent.step_observe()
    assert bench.driver.stops[-1] == ("a", Outcome.LOST, 0)


def test_a_listing_that_was_cut_short_once_loses_nothing(bench: Bench) -> None:
    started(bench, "a")
    hidden = bench.driver.seen.pop("a")
    bench.agent.step_observe()
    bench.driver.seen["a"] = hidden
    bench.clock.advance(20_000)
    bench.agent.step_observe()
    del bench.driver.seen["a"]
    bench.agent.step_observe()
    assert bench.plane.last("a").phase == "running"


def test_a_backend_that_misses_a_limit_is_told_to_stop(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.progress("a", run_ms=60_000 + 5_000 + 5_000)
    bench.agent.step_observe()
    assert bench.driver.stops == []
    bench.driver.progress("a", run_ms=70_001)
    bench.agent.step_observe()
    assert bench.driver.stops == [("a", Outcome.TIMED_OUT, 5_000)]


def test_the_inventory_is_sent_again_when_it_changes(bench: Bench) -> None:
    bench.agent.connect()
    bench.agent.step_observe()
    assert bench.plane.nodes == []
    bench.driver.nodes[0]["up"] = False
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    assert bench.plane.nodes == [({"name": "n0", "cores_milli": 4000, "up": False},)]
    bench.clock.advance(10_000)
    bench.agent.step_observe()
    assert len(bench.plane.nodes) == 1


def test_one_report_that_the_plane_refuses_does_not_hold_up_the_others(bench: Bench) -> None:
    started(bench, "a", "b", "c", "d")
    bench.plane.poison = {"b"}
    for attempt in "abcd":
        bench.driver.end(attempt)
    bench.agent.step_observe()
    assert {r.attempt for r in bench.plane.reports if r.phase == "ended"} == {"a", "c", "d"}
    bench.plane.poison = set()
    bench.clock.advance(60_000)
    bench.agent.step_observe()
    assert bench.journal.open_rows() == []


def test_without_a_session_nothing_is_sent_but_ends_are_kept(bench: Bench) -> None:
    started(bench, "a")
    bench.plane.epoch += 1
    bench.driver.end("a")
    with pytest.raises(ApiError):
        bench.agent.step_observe()
    assert bench.agent.send_reports() == 0
    known = bench.journal.get("a")
    assert known is not None and known.report is not None and known.report.phase == "ended"


def test_a_settled_attempt_is_forgotten_by_the_backend_when_its_log_has_been_kept_long_enough(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_ended_ms=50_000, keep_ended_max=2)
    started(bench, "a", "b", "c")
    for attempt in "abc":
        bench.driver.end(attempt)
        bench.clock.advance(1)
        bench.agent.step_observe()
    bench.clock.advance(30_000)
    bench.agent.step_observe()
    assert bench.driver.forgotten == ["a"]  # beyond the newest two
    bench.clock.advance(30_000)
    bench.agent.step_observe()
    assert sorted(bench.driver.forgotten) == ["a", "b", "c"]
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1  # the journal still refuses
    assert bench.plane.last("a").outcome is Outcome.SUCCEEDED


def test_a_clock_that_is_set_back_stops_no_report(bench: Bench) -> None:
    started(bench, "a")
    bench.driver.progress("a", run_ms=100)
    bench.clock.advance(-500_000)
    bench.agent.step_observe()
    assert bench.plane.last("a").evidence.run_ms == 100


def test_more_reports_than_fit_in_one_go_in_several(tmp_path: Path) -> None:
    bench = Bench(tmp_path, report_batch=3)
    started(bench, *[f"a{i}" for i in range(8)])
    assert {r.attempt for r in bench.plane.reports} == {f"a{i}" for i in range(8)}
