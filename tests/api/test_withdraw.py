"""What was awarded and is neither held nor spent can be taken back."""

from __future__ import annotations

from typing import Any, get_args

from dure.api.bodies import WithdrawalWord
from dure.cli.texts import CATALOGUES
from dure.model.event import Event
from dure.model.funding import Transfer, WithdrawalReason
from dure.model.tenancy import Role
from tests.builders.api_plane import ApiPlane, problem


def award(plane: ApiPlane, project: str = "alpha") -> Any:
    (row,) = plane.get("officer", "/awards", project=project)["items"]
    return row


def withdraw(plane: ApiPlane, id: str, who: str = "officer", **body: Any) -> Any:
    return plane.call(who, "POST", f"/awards/{id}/withdraw", body)


def test_a_part_and_then_the_rest_of_an_award_go_back_to_their_programme(plane: ApiPlane) -> None:
    row, left = award(plane), plane.get("officer", "/programmes/voucher")["available"]
    part = withdraw(plane, row["id"], amount=400_000, reason="wrong_project").json()
    assert (part["amount"], part["withdrawn"], part["spent"], part["available"]) == (1_000_000, 400_000, 0, 600_000)
    assert plane.get("officer", "/programmes/voucher")["available"] == left + 400_000
    whole = withdraw(plane, row["id"]).json()
    assert (whole["amount"], whole["withdrawn"], whole["available"]) == (1_000_000, 1_000_000, 0)
    events = plane.store.read(lambda r: r.find(Event, {"subject": row["id"]}))
    told = [e.data for e in events if e.kind == "award.withdrawn"]
    assert sorted(d["amount"] for d in told) == [400_000, 600_000]
    assert {d["reason"] for d in told} == {"wrong_project", "other"}
    (line,) = plane.get("alice", "/projects/alpha/ledger")["awards"]
    assert (line["granted"], line["withdrawn"], line["spent"], line["available"]) == (1_000_000, 1_000_000, 0, 0)
    assert plane.get("officer", "/ledger/verify")["findings"] == []
    problem(withdraw(plane, row["id"]), 409, "award_in_use")


def test_what_is_held_or_spent_cannot_be_taken_back_and_the_refusal_says_how_much_can(plane: ApiPlane) -> None:
    workload, attempt, epoch = plane.run_one()
    row = award(plane)
    assert row["held"] > 0
    told = problem(withdraw(plane, row["id"], amount=1_000_000), 409, "award_in_use")
    assert told["reason"]["facts"]["available"] == row["available"] == 1_000_000 - row["held"]
    taken = withdraw(plane, row["id"]).json()
    assert (taken["available"], taken["held"], taken["withdrawn"]) == (0, row["held"], row["available"])
    plane.clock.shift_ms = 590_000
    evidence = {"started_ms": 1, "ended_ms": 5, "run_ms": 590_000, "exit_code": 0}
    plane.report(epoch, attempt, 1, workload, "ended", outcome="succeeded", evidence=evidence)
    after = award(plane)
    assert after["held"] == 0 and after["spent"] + after["available"] == row["held"]
    statement = plane.get("alice", "/projects/alpha/ledger")
    assert statement["findings"] == [] and plane.get("officer", "/ledger/verify")["findings"] == []


def test_the_same_request_takes_back_once(plane: ApiPlane) -> None:
    row, key = award(plane), {"idempotency-key": "back-1"}
    for _ in range(2):
        answer = plane.call("officer", "POST", f"/awards/{row['id']}/withdraw", {"amount": 10}, headers=key)
        assert answer.json()["withdrawn"] == 10
    assert award(plane)["withdrawn"] == 10


def test_every_word_for_why_is_taken_and_told(plane: ApiPlane) -> None:
    row = award(plane)
    for reason in WithdrawalReason:
        assert withdraw(plane, row["id"], amount=1, reason=reason.value).status_code == 200
        for lang in ("en", "ko"):
            assert reason.value in CATALOGUES[lang]["opt.reason"]
    assert set(get_args(WithdrawalWord)) == {reason.value for reason in WithdrawalReason}


def test_nothing_that_people_write_is_in_an_event_for_ever(plane: ApiPlane) -> None:
    """Neither the reason, which is one of a few words, nor the key that the caller chose."""
    row, key = award(plane), {"idempotency-key": "for:minji@example.org"}
    said = plane.call("officer", "POST", f"/awards/{row['id']}/withdraw", {"amount": 10, "reason": "other"}, headers=key)
    fund = plane.call("admin", "POST", "/programmes/voucher/funds", {"amount": 10}, headers=key)
    assert (said.status_code, fund.status_code) == (200, 201)
    told = problem(withdraw(plane, row["id"], amount=10, reason="meant for Kim Minji"), 422, "bad_field")
    assert "wrong_project" in told["reason"]["facts"]["allowed"]
    events, transfers = plane.store.read(lambda r: (r.find(Event), r.find(Transfer)))
    assert not [row for row in (*events, *transfers) if "minji" in str(row).lower()]


def test_only_an_officer_of_that_programme_takes_back(plane: ApiPlane) -> None:
    row = award(plane)
    grants = [{"role": Role.OFFICER.value, "scope": "call-2"}]
    span = {"starts": "2026-01-01", "ends": "2099-12-31"}
    plane.post("admin", "/programmes", {"id": "call-2", "name": "Call", "budget": 5, **span})
    other = plane.post("admin", "/actors", {"name": "other", "grants": grants})["id"]
    plane.tokens["other"] = plane.post("admin", f"/actors/{other}/tokens", {})["token"]
    for who, status in (("alice", 403), ("manager", 403), ("operator", 404), ("other", 404), ("bob", 404)):
        assert withdraw(plane, row["id"], who, amount=1).status_code in (403, 404), (who, status)
    for wrong in ({"amount": 0}, {"amount": -1}, {"amount": "7"}, {"reason": "meant for Kim Minji"}):
        assert withdraw(plane, row["id"], **wrong).status_code == 422
    assert award(plane)["withdrawn"] == 0
