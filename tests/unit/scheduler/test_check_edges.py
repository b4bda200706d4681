"""The second program at its edges: what is just right passes, one step further is named; what no plan has done is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.scheduler import Plan, Snapshot, check, plan
from dure.scheduler.plan import WAIT_CODES
from dure.scheduler.snapshot import RUNNING, STOPPING
from tests.builders.world import World
from tests.unit.scheduler.test_check import N1, PAIR, ROW, URGENT, P, S, at, attempts, pending, world

VICTIM = S.attempts.ids.index("v")


def named(s: Snapshot, p: Plan, said: str) -> bool:
    return any(fault.startswith(said) for fault in check(s, p))


def full_until(s: Snapshot, p: Plan, seconds: int, node: int = 0) -> tuple[str, ...]:
    """What is said when the first that waits is promised this node, so many seconds from now."""
    site = int(s.nodes.site[node])
    promised = replace(
        p, reserve_pending=np.zeros(1, np.int32), reserve_ms=np.array([s.now_ms + 1000 * seconds]),
        reserve_site=np.array([site], np.int32), reserve_node=np.array([node], np.int32), reserve_mask=np.zeros(1, np.uint64),
        reserve_worker_ptr=np.array([0, 1], np.int32), reserve_alternative=s.pending.alt_ptr[:1],
    )  # fmt: skip
    return check(s, promised)


# -- columns --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ptr", [[0, 1, 2, 3], [0, 3], [1, 2, 3], [0, 1, 2], [0, 4, 3]], ids=str)
def test_runs_that_do_not_cover_their_column_are_named(ptr: list[int]) -> None:
    broken = replace(P, start_worker_ptr=np.array(ptr, np.int32))
    assert check(S, broken) == ("column start_worker_ptr is no run over 2 rows and 3 entries",)


@pytest.mark.parametrize("column", ["start_site", "start_alternative", "start_currency"])
def test_starts_of_which_something_is_missing_are_named(column: str) -> None:
    assert named(S, replace(P, **{column: getattr(P, column)[:-1]}), "columns of starts differ in length")


@pytest.mark.parametrize(
    "change",
    [{"wait_facts": P.wait_facts[:-1]}, {"wait_facts": P.wait_facts[:, :3]}, {"reserve_site": np.zeros(2, np.int32)}],
    ids=["facts of one too few", "a fact too few", "a site too many"],
)
def test_promises_and_reasons_of_which_something_is_missing_are_named(change: dict[str, np.ndarray]) -> None:
    assert named(S, replace(P, **change), "columns of promises or reasons differ in length")


@pytest.mark.parametrize("row", [-1, len(S.sites.ids)])
def test_the_row_before_the_first_and_the_one_after_the_last_do_not_exist(row: int) -> None:
    broken = replace(P, start_site=at(P.start_site, PAIR, row))
    assert check(S, broken) == ("column start_site names a row that does not exist",)


def test_the_number_after_the_last_reason_is_unknown() -> None:
    last = len(WAIT_CODES)
    assert named(S, replace(P, wait_code=at(P.wait_code, ROW["wide"], last)), f"wide has an unknown reason {last}")
    assert check(S, replace(P, wait_code=at(P.wait_code, ROW["wide"], last - 1))) == ()


# -- starts ---------------------------------------------------------------------------------------------------------------


def test_a_workload_may_start_in_the_moment_in_which_its_pause_is_over() -> None:
    assert check(pending(eligible_ms=at(S.pending.eligible_ms, ROW["pair"], S.now_ms)), P) == ()


def test_nothing_starts_at_a_site_that_is_drained_and_nothing_is_promised_at_one_that_is_silent() -> None:
    drained = replace(S, sites=replace(S.sites, drained=at(S.sites.drained, 0, True)))
    silent = replace(S, sites=replace(S.sites, reachable=at(S.sites.reachable, 0, False)))
    assert named(drained, P, "pair starts at pohang, which is unreachable or drained")
    assert named(silent, P, "wide is promised a place at pohang, where it cannot start")


def test_the_first_alternative_of_the_next_workload_is_not_its_own() -> None:
    row = int(P.start_pending[URGENT])
    broken = replace(P, start_alternative=at(P.start_alternative, URGENT, int(S.pending.alt_ptr[row + 1])))
    assert named(S, broken, "urgent starts on an alternative that is not its own")


def one_without_devices() -> tuple[Snapshot, Plan]:
    """A job that wants no device sits on a node that has some, of the second type of two."""
    farm = World().site("north", 1, devices=4, accelerator="h100").site("south", 1, devices=4, accelerator="a100")
    farm.pending("job", devices=0, sites=("north",))
    s = farm.snapshot()
    assert s.accelerators == ("a100", "h100")
    return s, plan(s)


def test_who_wants_no_device_may_sit_beside_any() -> None:
    s, p = one_without_devices()
    assert len(p.start_pending) == 1 and check(s, p) == ()


@pytest.mark.parametrize(("devices", "accelerator"), [(0, 0), (1, -1)], ids=["a type and no device", "a device of no type"])
def test_what_was_asked_of_a_type_is_not_given_of_another(devices: int, accelerator: int) -> None:
    s, p = one_without_devices()
    other = replace(
        s,
        pending=replace(s.pending, devices=np.array([devices])),
        alternatives=replace(s.alternatives, accelerator=np.array([accelerator], np.int32)),
    )
    given = replace(p, start_mask=np.array([devices], np.uint64))
    assert check(other, given) == ("job starts on north/n0, which has another accelerator",)


# -- victims --------------------------------------------------------------------------------------------------------------


def test_who_makes_room_for_another_already_is_not_asked_again() -> None:
    assert named(attempts(beneficiary=at(S.attempts.beneficiary, VICTIM, 0)), P, "v may not be preempted")


def test_the_guaranteed_run_is_over_when_it_is_over() -> None:
    started = S.now_ms - S.policy.min_run_ms
    assert check(attempts(started_ms=at(S.attempts.started_ms, VICTIM, started)), P) == ()
    late = attempts(started_ms=at(S.attempts.started_ms, VICTIM, started + 1))
    assert named(late, P, "v has not had its guaranteed run")


@pytest.mark.parametrize(("state", "beneficiary"), [(STOPPING, -1), (RUNNING, 0)], ids=["stops for nobody", "does not stop"])
def test_a_claim_takes_only_what_its_victims_leave(state: int, beneficiary: int) -> None:
    farm = World().site("s", 1, cores=8, devices=4, accelerator="h100")
    farm.attempt("v", [("s/n0", 0b0011)], cores=1).attempt("w", [("s/n0", 0b1100)], cores=1, preemptible=False)
    farm.pending("urgent", priority="urgent", devices=2)
    s = farm.snapshot()
    p = plan(s)
    assert p.start_mask.tolist() == [0b0011] and check(s, p) == ()
    row = s.attempts.ids.index("w")
    columns = {"state": at(s.attempts.state, row, state), "beneficiary": at(s.attempts.beneficiary, row, beneficiary)}
    greedy = replace(p, start_mask=np.array([0b0110], np.uint64))
    assert check(replace(s, attempts=replace(s.attempts, **columns)), greedy) == ("a device of s/n0 is given twice",)


# -- funds ----------------------------------------------------------------------------------------------------------------


def test_an_award_pays_for_the_types_that_it_is_for() -> None:
    h100 = S.accelerators.index("h100")
    other = replace(S, awards=replace(S.awards, accelerator_ok=at(S.awards.accelerator_ok, (0, h100), False)))
    assert named(other, P, "pair is short of 10 KRW")


# -- room -----------------------------------------------------------------------------------------------------------------


def test_a_node_may_be_full_to_the_last_and_no_further() -> None:
    s = World().site("s", 1, cores=8).attempt("a", [("s/n0", 0)], cores=5).pending("job", cores=3).snapshot()
    p = plan(s)
    assert len(p.start_pending) == 1 and check(s, p) == ()
    more = replace(s, pending=replace(s.pending, cores_milli=np.array([3001])))
    assert check(more, p) == ("s/n0 has too few cores: 8001 of 8000",)


def test_a_claim_may_fill_a_node_to_the_last_and_no_further() -> None:
    farm = World().site("s", 1, cores=8).attempt("v", [("s/n0", 0)], cores=6)
    farm.attempt("w", [("s/n0", 0)], cores=2, preemptible=False)
    s = farm.pending("urgent", priority="urgent", cores=6).snapshot()
    p = plan(s)
    assert len(p.victim_attempt) == 1 and check(s, p) == ()
    more = replace(s, pending=replace(s.pending, cores_milli=np.array([6001])))
    assert check(more, p) == ("s/n0 has too few cores: 8001 of 8000",)


def test_what_starts_now_fits_beside_what_has_not_left_yet() -> None:
    """Six of eight are leaving for a claim of two. Two are free until then, and six from then on."""
    farm = World().site("s", 1, cores=8).attempt("leaves", [("s/n0", 0)], cores=6, state=STOPPING, ends=20)
    farm.claim("claim", [("s/n0", 0)], ["leaves"], cores=2, started=0, ends=100).pending("job", cores=2)
    s = farm.snapshot()
    p = plan(s)
    assert len(p.start_pending) == 1 and check(s, p) == ()
    assert check(replace(s, pending=replace(s.pending, cores_milli=np.array([4000]))), p) == (
        "s/n0 has too few cores: 10000 of 8000",
    )


def test_a_node_that_was_too_full_before_is_no_fault_of_who_adds_nothing_to_it() -> None:
    """Its memory was taken out. Who wants none may start, and may be promised a place; and so may who comes when all is gone."""
    farm = World().site("s", 1, cores=8, memory=2048).attempt("a", [("s/n0", 0)], cores=6, memory=2000, ends=None)
    s = farm.pending("job", cores=1, memory=0).pending("big", cores=4, memory=0).snapshot()
    p = plan(s)
    less = replace(s, nodes=replace(s.nodes, memory_mib=np.array([1000])))
    assert len(p.start_pending) == 1 and check(less, p) == ()
    nothing = plan(replace(s, draining=True))
    assert full_until(replace(less, draining=True), nothing, 60) == ()


def test_a_claim_on_a_node_that_was_too_full_before_is_right_when_it_fits_in_the_end() -> None:
    farm = World().site("s", 1, cores=8).attempt("v", [("s/n0", 0)], cores=8).pending("urgent", priority="urgent", cores=4)
    s = farm.snapshot()
    p = plan(s)
    assert len(p.victim_attempt) == 1
    assert check(replace(s, nodes=replace(s.nodes, cores_milli=np.array([5000]))), p) == ()


# -- promises -------------------------------------------------------------------------------------------------------------


def test_a_promise_is_for_a_site_that_is_allowed() -> None:
    def allowing(site: str) -> Snapshot:
        farm = world()
        next(w for w in farm.waiting if w["id"] == "wide")["sites"] = (site,)
        return farm.snapshot()

    assert check(allowing("pohang"), P) == ()
    assert named(allowing("busan"), P, "wide is promised a place at pohang, where it cannot start")


def test_no_place_is_promised_on_a_node_that_cannot_be_used() -> None:
    down = replace(S, nodes=replace(S.nodes, usable=at(S.nodes.usable, N1, False)))
    assert named(down, P, "wide is promised places that do not hold it whole")


def test_one_promise_may_begin_when_another_ends() -> None:
    farm = World().site("s", 1, cores=8).attempt("a", [("s/n0", 0)], cores=8, ends=100, preemptible=False)
    s = farm.pending("first", cores=8, limit=300).pending("second", cores=8, limit=300).snapshot()
    p = plan(s)
    assert [ms - s.now_ms for ms in p.reserve_ms.tolist()] == [100_000, 400_000] and check(s, p) == ()
    early = replace(p, reserve_ms=at(p.reserve_ms, 1, s.now_ms + 399_999))
    assert named(s, early, "s/n0 cannot keep a promise: too few cores at")


def test_a_claim_begins_when_its_victims_have_left_and_lasts_its_whole_limit() -> None:
    """Its limit is 100 s, and its victim stays for 20: until 120 nobody else can be promised its place."""
    farm = World().site("s", 1, cores=8).attempt("leaves", [("s/n0", 0)], cores=8, state=STOPPING, ends=20)
    s = farm.claim("claim", [("s/n0", 0)], ["leaves"], cores=8, started=0, ends=100).pending("job", cores=8).snapshot()
    p = plan(s)
    assert s.attempts.ids[0] == "claim"
    assert full_until(s, p, 120) == ()
    assert full_until(s, p, 119) == (f"s/n0 cannot keep a promise: too few cores at {s.now_ms + 119_000}",)


@pytest.mark.parametrize(("leaves", "claims", "free_after"), [(6, 2, 200), (2, 6, 700)])
def test_a_promise_counts_with_who_has_not_left_and_with_who_has_not_come(leaves: int, claims: int, free_after: int) -> None:
    """Four of eight are promised: not while six are being left, and not while six are claimed."""
    farm = World().site("s", 1, cores=8).attempt("leaves", [("s/n0", 0)], cores=leaves, state=STOPPING, ends=200)
    farm.claim("claim", [("s/n0", 0)], ["leaves"], cores=claims, started=0, ends=500)
    s = farm.pending("job", cores=4).snapshot()
    nothing = plan(replace(s, draining=True))
    for seconds in (50, 199, 200, 699, 700):
        assert bool(full_until(s, nothing, seconds)) == (seconds < free_after)


def test_a_promise_of_devices_counts_each_that_is_left_or_claimed_once() -> None:
    """Two are being left, and two are claimed, of which one is the same: one of four is free."""
    farm = World().site("s", 1, cores=8, devices=4, accelerator="h100")
    farm.attempt("leaves", [("s/n0", 0b0011)], state=STOPPING, ends=200)
    farm.claim("claim", [("s/n0", 0b0110)], ["leaves"], started=0, ends=500)
    two = farm.pending("job", devices=2).snapshot()
    one = replace(two, pending=replace(two.pending, devices=np.array([1])))
    nothing = plan(replace(two, draining=True))
    assert full_until(two, nothing, 50) == (f"s/n0 cannot keep a promise: too few devices at {two.now_ms + 50_000}",)
    assert full_until(one, nothing, 50) == full_until(two, nothing, 200) == ()
