"""The nouns: their trip through JSON, the chain of events, rounding, prices, reasons."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from dure.model import link, records, site, tenancy
from dure.model.codec import from_plain, to_plain
from dure.model.event import GENESIS, Event, canonical, digest, event_hash, head_bytes, seal, verify_chain
from dure.model.funding import Transfer, TransferKind, TransferState
from dure.model.money import round_half_up, round_up
from dure.model.policy import Policy, Price, price_table
from dure.model.reason import Reason, ReasonKind
from dure.model.workload import (
    ATTEMPT_NEXT,
    TERMINAL,
    WORKLOAD_NEXT,
    Attempt,
    AttemptState,
    Demand,
    Evidence,
    Outcome,
    Worker,
    Workload,
    WorkloadSpec,
    WorkloadState,
)

DEMAND = Demand(devices=2, accelerators=("h100", "rngd"))
SPEC = WorkloadSpec(name="train", command=("python", "t.py"), env={"A": "1"}, demand=DEMAND)
EXAMPLES = (
    Workload(id="w", project="p", owner="o", spec=SPEC, state=WorkloadState.RUNNING, reason={"kind": "internal", "facts": {}}),
    Attempt(id="a", workload="w", project="p", site="s", epoch=4, workers=(Worker(node="n", devices=(0, 1)), Worker(node="m")),
            outcome=Outcome.FAILED, evidence=Evidence(exit_code=3)),
    Transfer(id="t", kind=TransferKind.HOLD, debit="d", credit="c", amount=5, currency="KRW", state=TransferState.PENDING),
    Policy(prices=(Price(resource="core", nano=1),)),
    link.Hello(protocol=1, agent_version="1", boot_id="b", describe={"name": "fake"}, nodes=({"name": "n"},),
               reports=(link.AttemptReport(attempt="a", epoch=1, workload="w", phase="running"),)),
    link.Order(verb="launch", attempt="a", epoch=1, spec=SPEC),
    link.Order(verb="stop", attempt="a", epoch=1, cause=Outcome.PREEMPTED),
    records.WaitNote(id="w", project="p", reason={"kind": "no_award"}),
    site.Node(id="s/n", site="s", name="n"),
    tenancy.Grant(id="g", actor="x", role=tenancy.Role.MEMBER),
)  # fmt: skip


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda r: type(r).__name__)
def test_a_record_comes_back_from_json_as_it_went(record: object) -> None:
    assert from_plain(type(record), json.loads(json.dumps(to_plain(record)))) == record


def test_an_older_reader_ignores_what_a_newer_writer_adds_and_takes_defaults_for_what_is_missing() -> None:
    assert from_plain(Demand, {"devices": 1, "hologram": True}) == Demand(devices=1)
    with pytest.raises(TypeError):
        from_plain(Worker, {"devices": []})


def test_plain_values_pass_and_containers_are_copied() -> None:
    @dataclass(frozen=True)
    class Holder:
        maybe: int | None = None
        parts: tuple[Demand, ...] = ()
        more: dict[str, int] = field(default_factory=dict)

    holder = Holder(maybe=3, parts=(Demand(),), more={"a": 1})
    assert to_plain([None, 1, 1.5, "x", True, (Outcome.LOST,)]) == [None, 1, 1.5, "x", True, ["lost"]]
    assert to_plain(holder)["parts"][0]["cores_milli"] == 1000


def events(n: int) -> tuple[Event, ...]:
    loose = [Event(id=f"e{i}", at_ms=i, actor="x", kind="job.submitted", subject="w", data={"n": i}) for i in range(n)]
    return seal(0, GENESIS, loose)


def test_a_sealed_chain_holds_and_goes_on() -> None:
    first, second, third = events(3)
    assert [e.seq for e in (first, second, third)] == [1, 2, 3] and first.version == 2
    assert verify_chain([first, second, third]) is None
    assert verify_chain([third], 2, second.hash) is None
    assert seal(2, second.hash, [replace(third, seq=0, hash="", version=1)]) == (third,)


def test_the_first_event_that_does_not_hold_is_named() -> None:
    first, second, third = events(3)
    gap, altered = verify_chain([first, third]), verify_chain([first, replace(second, subject="other"), third])
    assert gap is not None and (gap.seq, gap.event, gap.fault) == (2, "e2", "gap")
    assert altered is not None and (altered.seq, altered.event, altered.fault) == (2, "e1", "altered")


WORDS = dict.fromkeys(("actor", "kind", "subject", "project", "site", "id"), "other")
NUMBERS = dict.fromkeys(("at_ms", "seq", "format"), 77)


@pytest.mark.parametrize(
    ("change", "value"), [*WORDS.items(), *NUMBERS.items(), ("data", {"n": 9}), ("touched", ("Workload:w",))]
)
def test_every_fact_of_an_event_is_in_its_hash(change: str, value: object) -> None:
    event = events(1)[0]
    assert event_hash(GENESIS, replace(event, **{change: value})) != event.hash  # type: ignore[arg-type]
    assert event_hash("1" * 64, event) != event.hash


def test_canonical_bytes_do_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": "둘"}) == '{"a":"둘","b":1}'.encode() == canonical({"a": "둘", "b": 1})
    assert digest({"a": 1}) == digest({"a": 1}) != digest({"a": 2}) and len(digest(0)) == 32
    assert head_bytes(1, "h", 2, 3) == b'["dure-head",1,"h",2,3]'


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 7, 10, 10**40 + 5])
@pytest.mark.parametrize("divisor", [1, 2, 3, 10, 10**20])
def test_rounding_is_exact(number: int, divisor: int) -> None:
    exact = Fraction(number, divisor)
    assert round_half_up(number, divisor) == int(exact + Fraction(1, 2))
    assert exact <= round_up(number, divisor) < exact + 1


def test_a_policy_answers_by_name_and_currency() -> None:
    policy = Policy(prices=(Price(resource="core", nano=5), Price(resource="core", nano=7, currency="ACS")))
    urgent = policy.priority_class("urgent")
    assert urgent is not None and urgent.preempts and policy.priority_class("whenever") is None
    assert price_table(policy, "KRW") == {"core": 5} and price_table(policy, "ACS") == {"core": 7}


def test_a_reason_comes_back_from_json_as_it_went() -> None:
    reason = Reason.of(ReasonKind.NOT_FOUND, what="site", id="x")
    assert Reason.from_json(json.loads(json.dumps(reason.to_json()))) == reason
    assert Reason.from_json({"kind": "no_award"}) == Reason(ReasonKind.NO_AWARD)
    with pytest.raises(ValueError, match="from_the_future"):
        Reason.from_json({"kind": "from_the_future"})


def test_what_has_ended_stays_ended() -> None:
    assert set(WORKLOAD_NEXT) == set(WorkloadState) and set(ATTEMPT_NEXT) == set(AttemptState)
    assert {s for s, after in WORKLOAD_NEXT.items() if not after} == TERMINAL
    assert {s for s, after in ATTEMPT_NEXT.items() if not after} == {AttemptState.ENDED}


def test_an_empty_inventory_is_news_only_when_it_is_said_to_be_one() -> None:
    """An agent that knows no `inventory` sends an empty list with every report that has no news of nodes."""
    node = {"name": "n"}
    assert link.Report(epoch=1).told_nodes() is None
    assert link.Report(epoch=1, nodes=(node,)).told_nodes() == (node,)
    assert link.Report(epoch=1, inventory=True).told_nodes() == ()


@pytest.mark.parametrize(("phase", "may"), [("launching", True), ("running", True), ("ended", False), ("", False)])
def test_a_quarantined_attempt_may_run_until_its_end_was_told(phase: str, may: bool) -> None:
    row = site.Quarantine(id="at_1", site="pohang", workload="wl_1", seen_ms=1, observation={"phase": phase} if phase else {})
    assert row.may_run is may


@pytest.mark.parametrize(
    ("phase", "resolved", "stopping", "holds"),
    [
        ("running", "", False, True),
        ("ended", "", True, False),
        ("running", "dismissed", False, False),
        ("", "attested", True, True),
        ("running", "attested", False, False),
    ],
)
def test_what_is_set_aside_holds_its_place_until_its_end_is_told(phase: str, resolved: str, stopping: bool, holds: bool) -> None:
    row = site.Quarantine(
        id="a", site="s", workload="", observation={"phase": phase}, resolved=resolved, stopping=stopping, seen_ms=1
    )
    assert row.holds_place is holds
