"""Every write of the API has to be named, so that whoever got no answer can send it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dure.api.app import bare_app
from dure.model.event import Event
from dure.model.site import Quarantine
from tests.builders.api_plane import PEOPLE, ApiPlane, api_plane, problem

PATHS = bare_app().openapi()["paths"]
WRITES = sorted((method.upper(), path) for path, methods in PATHS.items() for method in methods if method != "get")
# Questions that change nothing, and what agents say: that is told again until it is recorded, and then changes nothing either.
_OPEN = ("agent/hello", "agent/logs", "agent/poll", "agent/report", "quotes", "workloads/{id}/why")
UNNAMED = [("POST", f"/api/v1/{path}") for path in _OPEN]
NAMED = [write for write in WRITES if write not in UNNAMED]
NAMES = {"project": "alpha", "programme": "voucher"}  # where the body says what is to be decided on


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiPlane]:
    """Something of every kind that can be written to; `known` says which."""
    with api_plane(tmp_path_factory.mktemp("keys")) as made:
        workload, attempt, _ = made.run_one()
        ghost = Quarantine(id="at_ghost", site="pohang", workload="wl_ghost", seen_ms=1, observation={"phase": "running"})
        made.store.transact(lambda tx: tx.insert(ghost))
        manager = made.actors["manager"]
        made.known = {
            "workloads": workload, "attempts": attempt, "projects": "alpha", "programmes": "voucher", "actors": manager,
            "sites": "pohang", "quarantine": ghost.id, "grants": f"{made.actors['alice']}:member:alpha",
            "awards": made.get("alice", "/awards")["items"][0]["id"],
            "tokens": made.get("manager", f"/actors/{manager}/tokens")["items"][0]["id"],
        }  # fmt: skip
        made.controller.step()
        yield made


def address(plane: ApiPlane, path: str) -> str:
    known = plane.known.get(path.removeprefix("/api/v1/").split("/")[0], "")
    for name, value in (("{id}", known), ("{site}", "pohang"), ("{name}", "n1"), ("{window}", "mw_1")):
        path = path.replace(name, value)
    return path


def test_the_document_asks_for_a_key_wherever_the_plane_does() -> None:
    asked = {
        (method.upper(), path)
        for path, methods in PATHS.items()
        for method, operation in methods.items()
        if any(p["name"] == "Idempotency-Key" and p["required"] for p in operation.get("parameters", ()))
    }
    assert sorted(asked) == NAMED
    assert len(NAMED) > 30


@pytest.mark.parametrize(("method", "path"), NAMED, ids=lambda v: v.removeprefix("/api/v1"))
def test_a_write_without_a_key_is_refused_and_changes_nothing(plane: ApiPlane, method: str, path: str) -> None:
    """Whoever may do it hears that it lacks a key; nobody gets through without."""
    before = plane.store.read(lambda reader: reader.count(Event))
    query = {"actor": plane.actors["alice"]} if path.endswith("/members") and method == "DELETE" else None
    heard = set()
    for who in PEOPLE:
        headers = {"authorization": f"Bearer {plane.tokens[who]}"}
        for body in ({"json": NAMES}, {}):
            answer = plane.http.request(method, address(plane, path), headers=headers, params=query, **body)
            assert answer.status_code >= 400, (who, answer.text)
            heard.add(answer.json()["reason"]["kind"])
            if answer.status_code == 400:
                problem(answer, 400, "key_missing")
    assert "key_missing" in heard
    assert plane.store.read(lambda reader: reader.count(Event)) == before


@pytest.mark.parametrize(("method", "path"), UNNAMED, ids=lambda v: v.removeprefix("/api/v1"))
def test_what_may_be_said_again_anyway_needs_no_key(plane: ApiPlane, method: str, path: str) -> None:
    who = "agent" if "/agent/" in path else "alice"
    headers = {"authorization": f"Bearer {plane.tokens[who]}"}
    answer = plane.http.request(method, address(plane, path), json={"project": "alpha"}, headers=headers)
    assert (answer.status_code, answer.json()["reason"]["kind"]) in ((422, "missing_field"), (422, "bad_field"))
