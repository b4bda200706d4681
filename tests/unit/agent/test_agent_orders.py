"""Orders are carried out once, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dure.errors import ApiError, BackendError, LinkError, StoreError
from dure.model.codec import from_plain, to_plain
from dure.model.link import Order, PollAnswer
from dure.model.workload import Outcome
from tests.unit.agent.fakes import Bench, launch, stop


def test_an_order_is_launched_and_reported_in_one_step(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    assert bench.agent.step_orders(0) == 1
    assert bench.driver.starts["a"] == 1
    report = bench.plane.last("a")
    assert (report.phase, report.epoch, report.workload, report.project, report.limit_ms) == ("running", 1, "w-a", "p", 60_000)


def test_the_backend_gets_everything_that_the_order_says(bench: Bench) -> None:
    bench.plane.order(replace(launch("a"), array_index=3, accelerator="h100", owner="actor_1"))
    bench.agent.step_orders(0)
    asked = bench.driver.orders["a"]
    assert asked.owner == "actor_1"
    assert (asked.array_index, asked.accelerator, asked.limit_ms, asked.spec.command) == (3, "h100", 60_000, ("true",))
    assert asked.env == {"DURE_ATTEMPT": "a", "DURE_WORKLOAD": "w-a", "DURE_PROJECT": "p", "DURE_ARRAY_INDEX": "3"}


def test_a_duplicated_order_launches_once_and_is_answered_with_what_is_known(bench: Bench) -> None:
    bench.plane.order(launch("a"), launch("a"))
    bench.agent.step_orders(0)
    bench.plane.order(launch("a"))
    assert bench.agent.step_orders(0) == 0
    assert bench.driver.starts["a"] == 1
    assert bench.plane.phases("a") == ["running", "running"]


def test_a_plane_that_forgets_nothing_and_heeds_nothing_still_gets_one_launch(bench: Bench) -> None:
    bench.plane.heeds_busy = False
    bench.plane.lose_replies = ["report", "poll"]
    bench.plane.order(launch("a"))
    for _ in range(4):
        try:
            bench.agent.step_orders(0)
        except LinkError:
            bench.plane.order(launch("a"))
    assert bench.driver.starts["a"] == 1


def test_a_poll_whose_answer_was_lost_is_simply_asked_again(bench: Bench) -> None:
    bench.plane.lose_replies = ["poll"]
    bench.plane.order(launch("a"))
    with pytest.raises(LinkError):
        bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1


def test_while_an_order_is_carried_out_the_poll_says_so(bench: Bench) -> None:
    bench.driver.phase = "launching"
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.agent.step_orders(0)
    assert bench.plane.polls[-1].busy == ("a:launch",)
    bench.driver.progress("a", started_ms=9)
    bench.agent.step_observe()
    bench.agent.step_orders(0)
    assert len(bench.plane.polls[-1].busy) == 0


def test_stops_go_before_launches(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.plane.order(*[launch(f"n{i}") for i in range(5)], stop("a", cause=Outcome.PREEMPTED))
    bench.driver.calls.clear()
    bench.agent.step_orders(0)
    deeds = [verb for verb, _ in bench.driver.calls if verb in ("launch", "stop")]
    assert deeds == ["stop"] + ["launch"] * 5
    assert bench.driver.stops == [("a", Outcome.PREEMPTED, 1_000)]


def test_a_stop_is_reported_with_its_cause_and_settled(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.plane.order(stop("a"))
    bench.agent.step_orders(0)
    bench.agent.step_observe()
    assert bench.plane.last("a").outcome is Outcome.CANCELLED
    assert bench.journal.open_rows() == []


def test_a_stop_of_an_attempt_never_seen_releases_it(bench: Bench) -> None:
    bench.plane.order(stop("a"))
    bench.agent.step_orders(0)
    report = bench.plane.last("a")
    assert (report.phase, report.outcome, report.evidence.detail) == ("ended", Outcome.REJECTED, "never_launched")
    assert bench.driver.stops == []


def test_a_launch_that_comes_after_its_stop_is_refused(bench: Bench) -> None:
    bench.plane.order(stop("a", epoch=5))
    bench.agent.step_orders(0)
    for epoch in (5, 4):
        bench.plane.order(launch("a", epoch=epoch))
        bench.agent.step_orders(0)
        assert bench.plane.last("a").evidence.detail == "never_launched"
    bench.restart()
    bench.plane.order(launch("a", epoch=5))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0


def test_a_later_epoch_may_launch_what_was_never_launched(bench: Bench) -> None:
    bench.plane.order(stop("a", epoch=5))
    bench.agent.step_orders(0)
    bench.plane.order(launch("a", epoch=6))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1
    assert bench.plane.last("a").phase == "running"


def test_a_later_epoch_never_launches_twice_what_ran(bench: Bench) -> None:
    bench.plane.order(launch("a", epoch=5))
    bench.agent.step_orders(0)
    bench.plane.order(launch("a", epoch=6))
    bench.agent.step_orders(0)
    bench.driver.end("a")
    bench.agent.step_observe()
    bench.plane.order(launch("a", epoch=7))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1
    assert bench.plane.last("a").outcome is Outcome.SUCCEEDED


def test_launch_and_stop_in_one_answer_launch_nothing(bench: Bench) -> None:
    bench.plane.order(launch("a"), stop("a"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0
    assert bench.plane.last("a").evidence.detail == "never_launched"
    assert bench.plane.last("a").project == ""


def test_an_order_with_an_older_epoch_changes_nothing(bench: Bench) -> None:
    bench.plane.order(launch("a", epoch=5))
    bench.agent.step_orders(0)
    bench.plane.order(stop("a", epoch=4))
    assert bench.agent.step_orders(0) == 0
    assert bench.driver.stops == []
    assert bench.plane.last("a").phase == "running"


def test_a_stop_that_comes_in_the_middle_of_a_launch_is_told_after_it(bench: Bench) -> None:
    def interrupt() -> None:
        bench.driver.in_launch = None
        bench.plane.order(stop("a"))
        bench.agent.poll(0)
        assert bench.driver.stops == []  # not while the launch is under way

    bench.driver.in_launch = interrupt
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.driver.stops == [("a", Outcome.CANCELLED, 1_000)]
    bench.agent.step_observe()
    assert bench.plane.last("a").outcome is Outcome.CANCELLED


def test_a_stop_that_comes_while_the_bundle_is_fetched_prevents_the_launch(bench: Bench) -> None:
    sha = "ab" * 32

    class Plane(type(bench.plane)):  # type: ignore[misc]
        def fetch_bundle(self, *given):  # type: ignore[no-untyped-def]
            self.order(stop("a"))
            bench.agent.poll(0)
            return super().fetch_bundle(*given)

    bench.plane.__class__ = Plane
    bench.plane.bundles[sha] = b"code"
    bench.plane.order(launch("a", bundle=sha))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0
    assert bench.plane.last("a").evidence.detail == "never_launched"


def test_a_backend_out_of_reach_is_asked_again_until_it_launches(bench: Bench) -> None:
    bench.agent.connect()
    bench.driver.faults = ["launch", "launch"]
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.plane.phases("a") == [] and bench.agent.launch_pause_ms() == 1_000
    bench.clock.advance(1_000)
    bench.agent.launch_next()
    assert bench.agent.launch_pause_ms() == 2_000
    bench.clock.advance(2_000)
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1 and bench.plane.last("a").phase == "running"


def test_a_launch_whose_answer_was_lost_is_not_launched_twice(bench: Bench) -> None:
    bench.driver.late_faults = ["launch"]
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.agent.step_observe()
    assert bench.driver.starts["a"] == 1
    assert bench.plane.last("a").phase == "running"
    assert bench.agent.launch_pause_ms() is None


def test_a_stop_after_a_launch_of_unknown_fate_is_settled_by_what_the_backend_lists(bench: Bench) -> None:
    bench.agent.connect()
    bench.driver.faults = ["launch"]
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.plane.order(stop("a"))
    bench.agent.step_orders(0)
    bench.agent.step_observe()
    assert bench.driver.starts["a"] == 0
    assert bench.plane.last("a").evidence.detail == "never_launched"
    assert bench.plane.last("a").project == "p"


def test_a_stop_that_the_backend_did_not_take_is_told_again(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.driver.faults = ["stop"]
    bench.plane.order(stop("a"))
    bench.agent.step_orders(0)
    assert bench.driver.stops == []
    bench.agent.step_observe()
    assert bench.driver.stops == [("a", Outcome.CANCELLED, 1_000)]


def test_what_the_backend_refuses_is_reported_as_rejected(bench: Bench) -> None:
    bench.driver.reject = "no_such_command"
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert (bench.plane.last("a").outcome, bench.plane.last("a").evidence.detail) == (Outcome.REJECTED, "no_such_command")


@pytest.mark.parametrize(
    "broken", [replace(launch("a"), spec=None), replace(launch("a"), workers=()), launch("a", bundle="../x")]
)
def test_an_order_that_makes_no_sense_is_rejected_without_asking_the_backend(bench: Bench, broken: Order) -> None:
    bench.plane.order(broken)
    bench.agent.step_orders(0)
    assert bench.plane.last("a").evidence.detail == "bad_order"
    assert ("launch", "a") not in bench.driver.calls


def test_an_order_of_a_newer_plane_that_cannot_be_read_is_refused_and_a_stop_is_carried_out(bench: Bench) -> None:
    """As the link hands them over: `PollAnswer` reads its orders one by one."""
    strange = {**to_plain(launch("a")), "spec": {"name": "n", "argv": ["true"]}}
    answer = from_plain(PollAnswer, {"incarnation": 1, "orders": [strange, to_plain(launch("b"))]})
    bench.plane.order(*answer.orders)
    bench.agent.step_orders(0)
    assert (bench.plane.last("a").outcome, bench.plane.last("a").evidence.detail) == (Outcome.REJECTED, "bad_order")
    assert bench.driver.starts == {"b": 1}
    halt = {**to_plain(stop("b")), "cause": "evicted_by_weather", "workers": 7}
    bench.plane.order(*from_plain(PollAnswer, {"incarnation": 1, "orders": [halt]}).orders)
    bench.agent.step_orders(0)
    bench.agent.step_observe()
    assert [s[:2] for s in bench.driver.stops] == [("b", Outcome.CANCELLED)]
    assert bench.plane.last("b").phase == "ended"


def test_a_verb_of_a_newer_plane_is_ignored(bench: Bench) -> None:
    bench.plane.orders = [replace(launch("a"), verb="migrate"), launch("b")]
    bench.agent.step_orders(0)
    assert bench.driver.starts == {"b": 1}


def test_a_fault_in_the_code_of_a_backend_does_not_hold_up_the_others(bench: Bench) -> None:
    def burst() -> None:
        bench.driver.in_launch = None
        raise ZeroDivisionError

    bench.driver.in_launch = burst
    bench.plane.order(launch("a"), launch("b"))
    bench.agent.step_orders(0)
    assert bench.driver.starts == {"b": 1}
    bench.clock.advance(1_000)
    bench.agent.step_orders(0)
    assert bench.driver.starts == {"a": 1, "b": 1}


def test_nothing_is_launched_when_the_journal_cannot_be_written(bench: Bench) -> None:
    bench.agent.connect()
    bench.plane.order(launch("a"))
    bench.journal.close()
    with pytest.raises(StoreError):
        bench.agent.step_orders(0)
    assert not bench.agent.launch_next()
    assert bench.driver.starts["a"] == 0


# -- bundles


def test_a_bundle_is_fetched_once_and_handed_to_the_backend(bench: Bench) -> None:
    sha = "cd" * 32
    bench.plane.bundles[sha] = b"code"
    bench.plane.order(launch("a", bundle=sha), launch("b", bundle=sha))
    bench.agent.step_orders(0)
    assert bench.plane.fetched == [sha]
    assert Path(bench.driver.orders["b"].bundle_path).read_bytes() == b"code"


@pytest.mark.parametrize("fault", ["bundle_missing", "bundle_too_large", "bundle_corrupt"])
def test_a_bundle_that_never_will_be_rejects_the_attempt(bench: Bench, fault: str) -> None:
    bench.plane.bundle_fault = fault
    bench.plane.order(launch("a", bundle="cd" * 32))
    bench.agent.step_orders(0)
    assert (bench.plane.last("a").outcome, bench.plane.last("a").evidence.detail) == (Outcome.REJECTED, fault)
    assert bench.driver.starts["a"] == 0


def test_a_link_that_breaks_under_a_bundle_is_tried_again(bench: Bench) -> None:
    sha = "cd" * 32
    bench.plane.bundles[sha] = b"code"
    bench.plane.lose_requests = ["bundle"]
    bench.plane.order(launch("a", bundle=sha))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 0 and bench.plane.phases("a") == []
    bench.clock.advance(1_000)
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1


# -- sessions


def test_a_stale_session_says_hello_again_with_everything(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.plane.epoch += 1
    with pytest.raises(ApiError):
        bench.agent.step_orders(0)
    assert not bench.agent.connected
    bench.agent.step_orders(0)
    assert [r.attempt for r in bench.plane.hellos[-1].reports] == ["a"]


def test_a_restored_plane_hears_of_live_and_of_settled_attempts(bench: Bench) -> None:
    bench.plane.order(launch("a"), launch("b"))
    bench.agent.step_orders(0)
    bench.driver.end("a")
    bench.agent.step_observe()
    bench.plane.incarnation = 2
    bench.plane.order(launch("c"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["c"] == 0  # what an unconfirmed plane says is not carried out
    told = {r.attempt: r.phase for r in bench.plane.hellos[-1].reports}
    assert told == {"a": "ended", "b": "running"}


def test_a_restored_plane_cannot_launch_again_what_was_settled(bench: Bench) -> None:
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.driver.end("a")
    bench.agent.step_observe()
    bench.driver.forget("a")
    bench.restart()
    bench.plane.incarnation = 2
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert bench.driver.starts["a"] == 1
    assert bench.plane.last("a").evidence.run_ms == 7_000


def test_a_hello_says_who_speaks_and_what_stands_here(bench: Bench) -> None:
    bench.agent.connect()
    hello = bench.plane.hellos[0]
    assert (hello.protocol, hello.boot_id, hello.describe["name"], hello.nodes[0]["name"]) == (1, "boot", "strict", "n0")


def test_a_backend_out_of_reach_at_the_start_is_no_hello(bench: Bench) -> None:
    bench.driver.faults = ["observe"]
    with pytest.raises(BackendError):
        bench.agent.connect()
    assert bench.plane.hellos == []


def test_signed_heads_are_kept_and_unreadable_ones_hold_up_nothing(bench: Bench) -> None:
    head = {"seq": 7, "hash": "h", "at_ms": 1, "incarnation": 1, "signature": "s", "key": "k"}
    bench.plane.head = head
    bench.agent.step_orders(0)
    for unreadable in ({"seq": 8}, {**head, "seq": 1 << 70}, {**head, "hash": 5}):
        bench.plane.head = unreadable
        bench.agent.step_orders(0)
    bench.plane.order(launch("a"))
    bench.agent.step_orders(0)
    assert [h.seq for h in bench.journal.heads()] == [7]
    assert bench.driver.starts["a"] == 1
