"""The same write, sent twice, is done once."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dure.controller.commands.idempotency import KEPT_BYTES_MAX, KEPT_MS
from dure.controller.housekeeping import prune_answers
from dure.model.event import canonical
from dure.model.funding import Transfer, TransferKind
from dure.model.records import Idempotency
from dure.model.workload import Workload
from tests.builders.api_plane import JOB, ApiPlane, problem

BODY: Mapping[str, Any] = {"project": "alpha", "job": dict(JOB)}


def test_a_write_without_a_key_is_refused(plane: ApiPlane) -> None:
    headers = plane.headers("alice")
    del headers["idempotency-key"]
    problem(plane.http.post("/api/v1/workloads", json=BODY, headers=headers), 400, "key_missing")
    for key in ("x" * 129, "with space", "é".encode("latin-1")):
        wrong = plane.http.post("/api/v1/workloads", json=BODY, headers={**headers, "idempotency-key": key})
        problem(wrong, 422, "bad_field")
    quote = plane.http.post("/api/v1/quotes", json={**BODY, "project": "beta"}, headers=headers)
    problem(quote, 404, "not_found")  # a question needs no key: this is refused for another reason
    assert plane.store.read(lambda reader: reader.count(Workload)) == 0


def test_the_same_key_and_body_get_the_same_answer(plane: ApiPlane) -> None:
    headers = plane.headers("alice")
    first, again = (plane.http.post("/api/v1/workloads", json=BODY, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert plane.store.read(lambda reader: reader.count(Workload)) == 1


def test_the_same_key_for_something_else_is_refused(plane: ApiPlane) -> None:
    headers = plane.headers("alice")
    plane.http.post("/api/v1/workloads", json=BODY, headers=headers)
    other = {**BODY, "array": 3}
    problem(plane.http.post("/api/v1/workloads", json=other, headers=headers), 409, "key_reused")
    id = plane.submit()["ids"][0]
    problem(plane.http.post(f"/api/v1/workloads/{id}/cancel", headers=headers), 409, "key_reused")
    assert plane.get("alice", f"/workloads/{id}")["state"] == "waiting"


def test_a_key_belongs_to_who_sent_it(plane: ApiPlane) -> None:
    headers = {**plane.headers("alice"), "idempotency-key": "same"}
    theirs = {**plane.headers("bob"), "idempotency-key": "same"}
    first = plane.http.post("/api/v1/workloads", json=BODY, headers=headers)
    second = plane.http.post("/api/v1/workloads", json={**BODY, "project": "beta"}, headers=theirs)
    assert first.json()["ids"] != second.json()["ids"]
    assert second.status_code == 201


def test_funds_that_were_posted_before_are_told_so_when_the_answer_is_kept_no_more(plane: ApiPlane) -> None:
    path, headers = "/api/v1/programmes/voucher/funds", plane.headers("officer")
    first = plane.http.post(path, json={"amount": 700}, headers=headers)
    assert plane.http.post(path, json={"amount": 700}, headers=headers).json() == first.json()
    later = replace(plane.controller.deed("controller"), now_ms=plane.clock.now_ms() + KEPT_MS + 1)
    plane.controller.step()
    prune_answers(plane.store, later, plane.controller.epoch)
    told = problem(plane.http.post(path, json={"amount": 700}, headers=headers), 409, "already_exists")["reason"]["facts"]
    assert told["what"] == "transfer"
    posted = plane.store.read(lambda reader: reader.get(Transfer, told["id"]))
    assert posted is not None and (posted.kind, posted.amount) == (TransferKind.FUND, 700)
    problem(plane.http.post(path, json={"amount": 900}, headers=headers), 409, "exists_different")
    assert plane.get("officer", "/programmes/voucher")["budget"] == first.json()["budget"] == 10_000_700


def test_a_refusal_is_not_kept(plane: ApiPlane) -> None:
    headers = plane.headers("officer")
    body = {"id": "late", "name": "Late", "organisation": "soon"}
    problem(plane.http.post("/api/v1/projects", json=body, headers=headers), 404, "not_found")
    plane.post("officer", "/organisations", {"id": "soon", "name": "Soon"})
    assert plane.http.post("/api/v1/projects", json=body, headers=headers).status_code == 201


def test_a_key_covers_the_bytes_of_an_archive(plane: ApiPlane) -> None:
    headers = plane.headers("alice", content_type="application/gzip")
    one, two = (gzip.compress(text, mtime=0) for text in (b"one", b"two"))
    assert plane.http.post("/api/v1/projects/alpha/bundles", content=one, headers=headers).status_code == 201
    problem(plane.http.post("/api/v1/projects/alpha/bundles", content=two, headers=headers), 409, "key_reused")


def test_many_at_once_under_one_key_are_one(plane: ApiPlane) -> None:
    headers = plane.headers("alice")
    answers = plane.http.together([{"method": "POST", "url": "/api/v1/workloads", "json": BODY, "headers": headers}] * 20)
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["ids"][0] for a in answers}) == 1
    assert plane.store.read(lambda reader: reader.count(Workload)) == 1


def rows(plane: ApiPlane) -> list[Idempotency]:
    return plane.store.read(lambda reader: reader.find(Idempotency, order="at_ms"))


def test_cancelling_a_large_array_again_keeps_next_to_nothing(plane: ApiPlane) -> None:
    job = {**JOB, "env": {"NOTE": "x" * 2000}}
    array = plane.submit(job=job, array=500)["array_id"]
    for _ in range(3):
        answer = plane.post("alice", f"/workloads/{array}/cancel")
        assert answer == {"array_id": array, "states": {"cancelled": 500}, "elements": 500}
        assert len(canonical(rows(plane)[-1].answer)) < 200


def test_a_long_answer_is_kept_short_and_told_again_whole(plane: ApiPlane) -> None:
    headers, body = plane.headers("alice"), {**BODY, "array": 3000}
    first, again = (plane.http.post("/api/v1/workloads", json=body, headers=headers) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() and len(first.json()["ids"]) == 3000
    assert max(len(canonical(row.answer)) for row in rows(plane)) < KEPT_BYTES_MAX


def test_an_answer_is_forgotten_after_its_time_and_not_before(plane: ApiPlane) -> None:
    for _ in range(3):
        plane.submit()
    plane.controller.step()
    deed, kept = plane.controller.deed("controller"), len(rows(plane))
    oldest = rows(plane)[0].at_ms
    assert prune_answers(plane.store, replace(deed, now_ms=oldest + KEPT_MS), plane.controller.epoch) == 0
    assert prune_answers(plane.store, replace(deed, now_ms=deed.now_ms + KEPT_MS + 1), plane.controller.epoch) == kept
    assert rows(plane) == []
