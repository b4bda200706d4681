"""Who gets past the door of every operation, as one picture that is read and reviewed: all of them, asked by every role.

Writes are asked without an Idempotency-Key: who may do it is told that a key is missing, so that nothing is ever done."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from dure.model.site import Quarantine
from tests.api.test_walk import OPERATIONS, filled
from tests.builders.api_plane import DAY_MS, JOB, ApiPlane, api_plane

# Everybody's scope: "*" for admin, operator, officer and auditor; "site": an operator of pohang, where alpha's work runs;
# "call": an officer of the programme voucher, which funds alpha; manager and member: of alpha; "other": a member of beta.
PEOPLE = ("admin", "operator", "site", "officer", "call", "manager", "member", "auditor", "agent", "other")
PICTURE = """
POST   /workloads                             admin .        .    .       .    manager member .       .     .
GET    /workloads                             admin operator site officer call manager member auditor agent other
POST   /workloads/{id}/resubmit               admin .        .    .       .    manager member .       .     .
POST   /quotes                                admin .        .    .       .    manager member .       .     .
GET    /workloads/{id}                        admin operator site .       .    manager member auditor .     .
GET    /workloads/{id}/attempts               admin operator site .       .    manager member auditor .     .
GET    /workloads/{id}/why                    admin operator site .       .    manager member auditor .     .
POST   /workloads/{id}/why                    admin operator site .       .    manager member auditor .     .
POST   /workloads/{id}/cancel                 admin operator site .       .    manager member .       .     .
GET    /arrays/{id}                           admin operator .    .       .    manager member auditor .     .
POST   /agent/hello                           .     .        .    .       .    .       .      .       agent .
POST   /agent/report                          .     .        .    .       .    .       .      .       agent .
POST   /agent/poll                            .     .        .    .       .    .       .      .       agent .
POST   /agent/logs                            .     .        .    .       .    .       .      .       agent .
GET    /agent/bundles/{project}/{sha256}      .     .        .    .       .    .       .      .       agent .
GET    /workloads/{id}/logs                   admin .        .    .       .    manager member auditor .     .
GET    /events                                admin operator site officer call manager member auditor agent other
GET    /events/stream                         admin operator site officer call manager member auditor agent other
GET    /audit/head                            admin operator site officer call manager member auditor agent other
GET    /audit/verify                          admin operator .    .       .    .       .      auditor .     .
GET    /me                                    admin operator site officer call manager member auditor agent other
POST   /organisations                         admin .        .    officer .    .       .      .       .     .
GET    /organisations                         admin operator site officer call manager member auditor agent other
GET    /organisations/{id}                    admin operator .    officer call manager member auditor .     .
POST   /projects                              admin .        .    officer .    .       .      .       .     .
GET    /projects                              admin operator site officer call manager member auditor agent other
GET    /projects/{id}                         admin operator .    officer call manager member auditor .     .
POST   /projects/{id}/members                 admin .        .    .       .    manager .      .       .     .
DELETE /projects/{id}/members                 admin .        .    .       .    manager .      .       .     .
POST   /actors                                admin .        .    .       .    manager .      .       .     .
GET    /actors                                admin .        .    .       .    manager .      auditor .     .
GET    /actors/{id}                           admin .        .    .       .    manager .      auditor .     .
POST   /actors/{id}/erase                     admin .        .    .       .    .       .      .       .     .
POST   /actors/{id}/disable                   admin .        .    .       .    .       .      .       .     .
POST   /actors/{id}/tokens                    admin .        .    .       .    manager .      .       .     .
GET    /actors/{id}/tokens                    admin .        .    .       .    manager .      .       .     .
DELETE /tokens/{id}                           admin .        .    .       .    manager .      .       .     .
POST   /actors/{id}/grants                    admin .        .    .       .    manager .      .       .     .
DELETE /grants/{id}                           admin .        .    .       .    manager .      .       .     .
POST   /programmes                            admin .        .    officer .    .       .      .       .     .
GET    /programmes                            admin operator site officer call manager member auditor agent other
GET    /programmes/{id}                       admin .        .    officer call .       .      auditor .     .
POST   /programmes/{id}/funds                 admin .        .    officer .    .       .      .       .     .
POST   /awards                                admin .        .    officer call .       .      .       .     .
GET    /awards                                admin operator site officer call manager member auditor agent other
GET    /awards/{id}                           admin .        .    officer call manager member auditor .     .
POST   /awards/{id}/withdraw                  admin .        .    officer call .       .      .       .     .
GET    /projects/{id}/ledger                  admin .        .    officer call manager member auditor .     .
GET    /transfers                             admin operator site officer call manager member auditor agent other
GET    /accounts                              admin .        .    officer .    .       .      auditor .     .
GET    /ledger/verify                         admin operator .    officer .    .       .      auditor .     .
POST   /projects/{id}/bundles                 admin .        .    .       .    manager member .       .     .
POST   /sites                                 admin operator .    .       .    .       .      .       .     .
GET    /sites                                 admin operator site officer call manager member auditor agent other
GET    /sites/{id}                            admin operator site officer call manager member auditor agent other
POST   /sites/{id}/drain                      admin operator site .       .    .       .      .       .     .
POST   /sites/{id}/undrain                    admin operator site .       .    .       .      .       .     .
POST   /sites/{id}/tokens                     admin operator site .       .    .       .      .       .     .
GET    /nodes                                 admin operator site officer call manager member auditor agent other
POST   /nodes/{site}/{name}/drain             admin operator site .       .    .       .      .       .     .
POST   /nodes/{site}/{name}/undrain           admin operator site .       .    .       .      .       .     .
POST   /attempts/{id}/stop                    admin operator site .       .    .       .      .       .     .
POST   /attempts/{id}/attest-lost             admin operator site .       .    .       .      .       .     .
GET    /quarantine                            admin operator site officer call manager member auditor agent other
POST   /quarantine/{id}/dismiss               admin operator site .       .    .       .      .       .     .
POST   /quarantine/{id}/stop                  admin operator site .       .    .       .      .       .     .
POST   /sites/{id}/power                      admin operator site .       .    .       .      .       .     .
POST   /sites/{id}/maintenance                admin operator site .       .    .       .      .       .     .
DELETE /sites/{id}/maintenance/{window}       admin operator site .       .    .       .      .       .     .
POST   /sites/{id}/traits                     admin operator site .       .    .       .      .       .     .
GET    /farm                                  admin operator site officer call manager member auditor agent other
POST   /farm/drain                            admin operator .    .       .    .       .      .       .     .
POST   /farm/undrain                          admin operator .    .       .    .       .      .       .     .
GET    /policy                                admin operator site officer call manager member auditor agent other
PUT    /policy                                admin .        .    .       .    .       .      .       .     .
GET    /policies                              admin operator site officer call manager member auditor agent other
GET    /policy/{version}                      admin operator site officer call manager member auditor agent other
GET    /quotas                                admin operator site officer call manager member auditor agent other
GET    /snapshot                              admin operator .    .       .    .       .      auditor .     .
"""
TABLE = {tuple(line.split()[:2]): line.split()[2:] for line in PICTURE.strip().splitlines()}
NARROW = {"site": ("operator", "pohang"), "call": ("officer", "voucher")}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiPlane]:
    with api_plane(tmp_path_factory.mktemp("promises"), stream_ms_max=1, credential_cache_ms=0) as made:
        archive = gzip.compress(b"code", mtime=0)
        headers = made.headers("alice", content_type="application/gzip")
        stored = made.http.post("/api/v1/projects/alpha/bundles", content=archive, headers=headers)
        sha256 = stored.json()["sha256"]
        workload, attempt, _ = made.run_one(job={**JOB, "bundle": sha256})
        ghost = Quarantine(id="at_ghost", site="pohang", workload=workload, seen_ms=1)
        made.store.transact(lambda tx: tx.insert(ghost))
        actor = made.actors["alice"]
        made.known = {
            "workloads": workload, "attempts": attempt, "arrays": made.submit(array=2)["array_id"], "projects": "alpha",
            "organisations": "uni", "programmes": "voucher", "actors": actor, "sites": "pohang",
            "awards": made.get("alice", "/awards")["items"][0]["id"], "quarantine": "at_ghost",
            "tokens": made.get("alice", f"/actors/{actor}/tokens")["items"][0]["id"], "grants": f"{actor}:member:alpha",
            "sha256": sha256,
        }  # fmt: skip
        for name, (role, scope) in NARROW.items():
            actor = made.post("admin", "/actors", {"name": name, "grants": [{"role": role, "scope": scope}]})["id"]
            made.tokens[name] = made.post("admin", f"/actors/{actor}/tokens", {})["token"]
        colleague = made.post("admin", "/actors", {"name": "colleague", "grants": [{"role": "member", "scope": "alpha"}]})["id"]
        made.tokens["member"] = made.post("admin", f"/actors/{colleague}/tokens", {})["token"]
        made.tokens["other"] = made.tokens["bob"]
        made.controller.step()
        yield made


def body_of(plane: ApiPlane, method: str, path: str) -> Any:
    """What names the resource where the path does not."""
    now_ms = plane.clock.now_ms()
    bodies: dict[str, Any] = {
        "/workloads": {"project": "alpha", "job": dict(JOB)},
        "/quotes": {"project": "alpha", "job": dict(JOB)},
        "/awards": {"programme": "voucher", "project": "alpha", "amount": 1, "starts": now_ms, "expires": now_ms + DAY_MS},
        "/actors": {"name": "x", "grants": [{"role": "member", "scope": "alpha"}]},
        "/actors/{id}/grants": {"role": "member", "scope": "alpha"},
    }
    return bodies.get(path, {}) if method in ("POST", "PUT") else None


def passes(plane: ApiPlane, who: str, method: str, path: str) -> bool:
    headers = {"authorization": f"Bearer {plane.tokens[who]}"}
    address = "/api/v1" + filled(plane, method, path.replace("{sha256}", plane.known["sha256"]).replace("{version}", "1"))
    answer = plane.http.request(method, address, json=body_of(plane, method, path), headers=headers)
    assert answer.status_code < 500 and answer.status_code != 401, answer.text
    return answer.status_code not in (403, 404)


def test_the_picture_shows_every_operation() -> None:
    assert list(TABLE) == OPERATIONS


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda v: v)
def test_who_gets_past_the_door_is_who_the_picture_says(plane: ApiPlane, method: str, path: str) -> None:
    assert [who if passes(plane, who, method, path) else "." for who in PEOPLE] == TABLE[method, path]
