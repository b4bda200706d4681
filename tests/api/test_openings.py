"""Money that comes later: who waits for it is told which award opens, when, and whether waiting for it is enough."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_plane import DAY_MS, JOB, ApiPlane

DEAR = {**JOB, "name": "dear", "limit": "1h", "resources": {"cores": 4}}  # of what pohang has


def award(plane: ApiPlane, amount: int, days: int, **more: Any) -> dict[str, Any]:
    now_ms = plane.clock.now_ms()
    body = {"programme": "voucher", "project": "lab", "amount": amount, "starts": now_ms + days * DAY_MS,
            "expires": now_ms + (days + 20) * DAY_MS, **more}  # fmt: skip
    made: dict[str, Any] = plane.post("admin", "/awards", body)
    return made


def why(plane: ApiPlane, who: str = "admin") -> dict[str, Any]:
    plane.join()
    job = plane.post("admin", "/workloads", {"project": "lab", "job": DEAR})["ids"][0]
    plane.controller.step()
    answer: dict[str, Any] = plane.get(who, f"/workloads/{job}/why")
    return answer


@pytest.fixture
def lab(plane: ApiPlane) -> ApiPlane:
    plane.post("admin", "/projects", {"id": "lab", "name": "Lab", "organisation": "uni"})
    return plane


def test_who_has_no_open_award_is_told_of_the_one_that_opens_later(lab: ApiPlane) -> None:
    later = award(lab, 500_000, days=9)
    answer = why(lab)
    assert answer["reason"]["kind"] == "no_award"
    assert answer["reason"]["facts"] == {"opens": later["id"], "starts_ms": later["starts_ms"], "until_ms": later["starts_ms"]}
    assert later["id"] in answer["reason"]["text"]["detail"] and "paid from" in answer["reason"]["text"]["remedy"]
    event = answer["why"]["next_event"]
    assert (event["kind"], event["subject"], event["at_ms"], event["basis"]) == (
        "award_opens", later["id"], later["starts_ms"], "award",
    )  # fmt: skip


def test_who_has_too_little_now_is_told_of_the_award_with_which_it_is_enough(lab: ApiPlane) -> None:
    award(lab, 3, days=-1)
    award(lab, 1, days=2)
    enough = award(lab, 300_000, days=5)
    facts = why(lab)["reason"]["facts"]
    assert (facts["available"], facts["opens"], facts["until_ms"]) == (3, enough["id"], enough["starts_ms"])


def test_an_award_that_will_not_be_enough_is_told_and_not_promised(lab: ApiPlane) -> None:
    small = award(lab, 1, days=2)
    reason = why(lab)["reason"]
    assert reason["facts"]["opens"] == small["id"] and "until_ms" not in reason["facts"]
    assert "paid from" not in reason["text"]["remedy"]


def test_an_award_that_may_not_pay_for_this_job_is_not_told(lab: ApiPlane) -> None:
    lab.post("admin", "/sites", {"id": "busan", "name": "Busan"})
    award(lab, 500_000, days=2, sites=["busan"])
    job = {**DEAR, "sites": ["pohang"]}
    lab.join()
    id = lab.post("admin", "/workloads", {"project": "lab", "job": job})["ids"][0]
    lab.controller.step()
    assert lab.get("admin", f"/workloads/{id}/why")["reason"]["facts"] == {}


def test_who_may_not_see_awards_is_told_of_none(lab: ApiPlane) -> None:
    award(lab, 500_000, days=9)
    answer = why(lab, who="operator")
    assert answer["reason"]["facts"] == {}
    assert (answer["why"]["next_event"] or {}).get("kind") != "award_opens"


def test_lists_tell_an_award_that_is_not_open(lab: ApiPlane) -> None:
    later, now = award(lab, 500_000, days=9), award(lab, 7, days=-1)
    assert (later["standing"], now["standing"]) == ("later", "open")
    listed = {a["id"]: a["standing"] for a in lab.get("admin", "/awards", project="lab")["items"]}
    assert listed == {later["id"]: "later", now["id"]: "open"}
    lines = {a["account"]: a for a in lab.get("admin", "/projects/lab/ledger")["awards"]}
    assert lines[f"award:{later['id']}"]["standing"] == "later"
    assert lines[f"award:{later['id']}"]["starts_ms"] == later["starts_ms"]
    lab.clock.shift_ms += 60 * DAY_MS
    assert lab.get("admin", f"/awards/{now['id']}")["standing"] == "ended"
