"""The second program: it accepts what is right, and names each thing that was broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.scheduler import Snapshot, check, plan
from dure.scheduler.snapshot import CLAIMED, DEPENDENCY_WAITS, STOPPING
from tests.builders.world import World


def world() -> World:
    """pair starts on n0; urgent claims v's place on n1; wide is promised n0 and n1; poor waits for money."""
    farm = World().site("pohang", 2, cores=8, devices=4, accelerator="h100").site("busan", 1, cores=4)
    farm.award("lab", 100)
    farm.attempt("v", [("pohang/n1", 0b0111)], cores=6, ends=100).attempt(
        "own", [("pohang/n0", 0b1000)], cores=3, ends=200, preemptible=False
    )
    farm.pending("urgent", priority="urgent", devices=3, cores=6, workers=1, hold=10, limit=500)
    farm.pending("pair", priority="high", workers=2, devices=1, cores=1, hold=10, limit=300, sites=("pohang",))
    return farm.pending("wide", workers=2, devices=4, cores=1, hold=10, limit=900).pending("poor", hold=999)


S = world().snapshot()
P = plan(S)
ROW = {id: i for i, id in enumerate(S.pending.ids)}
START = {S.pending.ids[row]: i for i, row in enumerate(P.start_pending.tolist())}


def at(column: np.ndarray, index: object, value: object) -> np.ndarray:
    changed = column.copy()
    changed[index] = value
    return changed


def pending(**columns: np.ndarray) -> Snapshot:
    return replace(S, pending=replace(S.pending, **columns))


def attempts(**columns: np.ndarray) -> Snapshot:
    return replace(S, attempts=replace(S.attempts, **columns))


def test_the_plan_itself_is_fine_and_has_everything_that_is_to_be_broken() -> None:
    assert check(S, P) == ()
    assert sorted(START) == ["pair", "urgent"] and len(P.victim_attempt) == 1 and P.reserve_pending.tolist() == [ROW["wide"]]


PAIR, URGENT = START["pair"], START["urgent"]
WORKER = int(P.start_worker_ptr[PAIR])  # first worker of pair
CLAIM = int(P.start_worker_ptr[URGENT])
N0, N1, BUSAN = (S.nodes.ids.index(n) for n in ("pohang/n0", "pohang/n1", "busan/n0"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wait_code": P.wait_code[:-1], "wait_facts": P.wait_facts[:-1]}, "4 workloads wait, 3 were decided"),
        ({"wait_code": at(P.wait_code, ROW["pair"], 3)}, "pair must either start or have a reason to wait"),
        ({"wait_code": at(P.wait_code, ROW["wide"], -1)}, "wide must either start or have a reason to wait"),
        ({"wait_code": at(P.wait_code, ROW["wide"], 99)}, "wide has an unknown reason 99"),
        ({"start_pending": at(P.start_pending, URGENT, ROW["pair"])}, "pair is started 2 times"),
        ({"start_site": at(P.start_site, PAIR, 1)}, "pair starts at busan, which it does not allow"),
        ({"start_node": at(P.start_node, WORKER, BUSAN)}, "pair is split: busan/n0 is not at pohang"),
        ({"start_node": at(P.start_node, WORKER, BUSAN)}, "pair starts on busan/n0, which has another accelerator"),
        ({"start_alternative": at(P.start_alternative, PAIR, 0)}, "pair starts on an alternative that is not its own"),
        ({"start_mask": at(P.start_mask, WORKER, 0)}, "pair gets 0 devices on pohang/n0 instead of 1"),
        ({"start_mask": at(P.start_mask, WORKER, 1 << 40)}, "pair gets devices that pohang/n0 does not have"),
        ({"start_mask": at(P.start_mask, WORKER, int(P.start_mask[WORKER + 1]))}, "a device of pohang/n0 is given twice"),
        ({"start_mask": at(P.start_mask, WORKER, 0b1000)}, "a device of pohang/n0 is given twice"),
        ({"start_node": at(P.start_node, WORKER, N1), "start_mask": at(P.start_mask, WORKER, 1)},
         "a device of pohang/n1 is given twice"),
        ({"start_currency": at(P.start_currency, PAIR, 1)}, "pair cannot be paid in ACS"),
        ({"victim_attempt": at(P.victim_attempt, 0, S.attempts.ids.index("own"))}, "own makes no room for urgent"),
        ({"reserve_ms": at(P.reserve_ms, 0, S.now_ms)}, "wide is promised a moment that has passed"),
        ({"reserve_ms": at(P.reserve_ms, 0, S.now_ms + 150_000)}, "pohang/n0 cannot keep a promise: too few devices at"),
        ({"reserve_pending": at(P.reserve_pending, 0, ROW["pair"])}, "pair is promised what it has"),
        ({"reserve_site": at(P.reserve_site, 0, 1)}, "wide is promised places that do not hold it whole"),
        ({"reserve_alternative": at(P.reserve_alternative, 0, 0)}, "wide is promised an alternative that is not its own"),
        ({"reserve_alternative": P.reserve_alternative[:-1]}, "columns of promises or reasons differ in length"),
        ({"reserve_node": P.reserve_node[:1], "reserve_mask": P.reserve_mask[:1],
          "reserve_worker_ptr": np.array([0, 1], np.int32)},
         "wide is promised places that do not hold it whole"),
        ({"start_node": P.start_node[:-1]}, "column start_worker_ptr is no run over 2 rows and 2 entries"),
        ({"start_mask": P.start_mask[:-1]}, "columns of starts differ in length"),
        ({"reserve_ms": P.reserve_ms[:-1]}, "columns of promises or reasons differ in length"),
        ({"start_site": at(P.start_site, PAIR, 7)}, "column start_site names a row that does not exist"),
    ],
)  # fmt: skip
def test_a_broken_plan_is_named(change: dict[str, np.ndarray], said: str) -> None:
    assert [fault for fault in check(S, replace(P, **change)) if fault.startswith(said)]


def test_a_gang_that_lost_a_worker_is_named() -> None:
    """One worker moves from pair to urgent's run."""
    order = (PAIR, URGENT)
    ptr = np.array([0, 2, 3], np.int32) if order == (1, 0) else np.array([0, 1, 3], np.int32)
    faults = check(S, replace(P, start_worker_ptr=ptr))
    assert "pair is a gang of 2, but 1 are placed" in faults and "urgent is a gang of 1, but 2 are placed" in faults


def test_a_victim_twice_is_named() -> None:
    ptr, waits = P.start_victim_ptr * 2, np.zeros(2 * len(P.victim_attempt) + 1, np.int32)
    faults = check(S, replace(P, victim_attempt=np.repeat(P.victim_attempt, 2), start_victim_ptr=ptr, victim_place_ptr=waits))
    assert "v is a victim 2 times" in faults


def test_a_promise_given_twice_is_named() -> None:
    twice = replace(
        P, reserve_pending=np.repeat(P.reserve_pending, 2), reserve_ms=np.repeat(P.reserve_ms, 2),
        reserve_site=np.repeat(P.reserve_site, 2), reserve_node=np.tile(P.reserve_node, 2),
        reserve_mask=np.tile(P.reserve_mask, 2),
        reserve_worker_ptr=np.array([0, 2, 4], np.int32), reserve_alternative=np.repeat(P.reserve_alternative, 2),
    )  # fmt: skip
    faults = check(S, twice)
    assert "wide is promised what it has" in faults and any("cannot keep a promise" in f for f in faults)


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        (replace(S, draining=True), "pair starts although the plane drains"),
        (pending(dependency=at(S.pending.dependency, ROW["pair"], DEPENDENCY_WAITS)), "pair starts before it may"),
        (pending(eligible_ms=at(S.pending.eligible_ms, ROW["pair"], S.now_ms + 1)), "pair starts before it may"),
        (replace(S, sites=replace(S.sites, reachable=at(S.sites.reachable, 0, False))),
         "pair starts at pohang, which is unreachable or drained"),
        (replace(S, sites=replace(S.sites, drained=at(S.sites.drained, 0, True))),
         "wide is promised a place at pohang, where it cannot start"),
        (replace(S, nodes=replace(S.nodes, usable=at(S.nodes.usable, N0, False))),
         "pair starts on pohang/n0, which is not usable"),
        (replace(S, nodes=replace(S.nodes, cores_milli=at(S.nodes.cores_milli, N0, 2000))),
         "pohang/n0 has too few cores: 5000 of 2000"),
        (replace(S, nodes=replace(S.nodes, memory_mib=at(S.nodes.memory_mib, N1, 100))), "pohang/n1 has too few memory"),
        (replace(S, awards=replace(S.awards, available=at(S.awards.available, 0, 12))), "pair is short of 8 KRW"),
        (replace(S, awards=replace(S.awards, expires_ms=at(S.awards.expires_ms, 0, S.now_ms))), "pair is short of 10 KRW"),
        (replace(S, awards=replace(S.awards, site_ok=at(S.awards.site_ok, (0, 0), False))), "pair is short of 10 KRW"),
        (pending(preempts=at(S.pending.preempts, ROW["urgent"], False)), "urgent may not preempt, but has victims"),
        (attempts(state=at(S.attempts.state, S.attempts.ids.index("v"), STOPPING)), "v may not be preempted"),
        (attempts(preemptible=at(S.attempts.preemptible, S.attempts.ids.index("v"), False)), "v may not be preempted"),
        (attempts(priority=at(S.attempts.priority, S.attempts.ids.index("v"), 400)), "v has no lower priority than urgent"),
        (attempts(started_ms=at(S.attempts.started_ms, S.attempts.ids.index("v"), S.now_ms)),
         "v has not had its guaranteed run"),
        (attempts(state=at(S.attempts.state, S.attempts.ids.index("own"), CLAIMED),
                  worker_mask=at(S.attempts.worker_mask, 0, int(P.start_mask[WORKER]))),
         "a device of pohang/n0 is given twice"),
    ],
)  # fmt: skip
def test_a_plan_for_another_world_is_named(snapshot: Snapshot, said: str) -> None:
    assert [fault for fault in check(snapshot, P) if fault.startswith(said)]


def test_claims_that_are_there_already_are_kept() -> None:
    """A claim of 6 beside 2 held: whoever takes a third of the 8 cores takes from the claim."""
    farm = World().site("s", 1, cores=8).attempt("leaves", [("s/n0", 0)], cores=4, state=STOPPING, ends=20)
    farm.claim("claim", [("s/n0", 0)], ["leaves"], cores=6, started=0, ends=100).pending("job", cores=2)
    s = farm.snapshot()
    assert check(s, plan(s)) == ()
    greedy = replace(s, pending=replace(s.pending, cores_milli=np.array([3000])))
    assert check(greedy, plan(s)) == ("s/n0 has too few cores: 9000 of 8000",)
