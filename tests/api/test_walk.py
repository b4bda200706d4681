"""Every operation, asked by those who may not: without a token, with a wrong one, an old one, and by the other tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dure.api.app import bare_app
from dure.model.event import Event
from tests.builders.api_plane import ApiPlane, api_plane, problem

OPERATIONS = [
    (method.upper(), path.removeprefix("/api/v1"))
    for path, operations in bare_app().openapi()["paths"].items()
    for method in operations
]
# What the other tenant may see although it is not its own: sites and nodes are public to those who use the farm.
PUBLIC = ("/sites/{id}", "/nodes/{site}/{name}")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiPlane]:
    """Something of alpha's of every kind; `known` says which."""
    with api_plane(tmp_path_factory.mktemp("walk"), credential_cache_ms=0) as made:
        workload, attempt, _ = made.run_one()
        made.known = {
            "workloads": workload, "attempts": attempt, "arrays": made.submit(array=2)["array_id"], "projects": "alpha",
            "organisations": "uni", "programmes": "voucher", "actors": made.actors["manager"], "sites": "pohang",
            "awards": made.get("alice", "/awards")["items"][0]["id"], "quarantine": "at_ghost",
            "tokens": made.get("manager", f"/actors/{made.actors['manager']}/tokens")["items"][0]["id"],
            "grants": f"{made.actors['alice']}:member:alpha",
        }  # fmt: skip
        made.post("admin", f"/actors/{made.actors['nobody']}/tokens", {"label": "old"})
        made.controller.step()
        yield made


def filled(plane: ApiPlane, method: str, path: str, invented: str = "") -> str:
    """The path with ids of alpha's things; or with ids of the same kind that nobody has."""
    id = plane.known.get(path.split("/")[1], "x")
    for name, value in (("{id}", id), ("{site}", "pohang"), ("{name}", "n1"), ("{project}", "alpha"), ("{sha256}", "0" * 64),
                        ("{window}", "mw_1")):  # fmt: skip
        path = path.replace(name, invented or value)
    return path + ("?actor=x" if method == "DELETE" and path.endswith("/members") else "")


@pytest.fixture
def unchanged(plane: ApiPlane) -> Iterator[ApiPlane]:
    before = plane.store.read(lambda reader: reader.count(Event))
    yield plane
    assert plane.store.read(lambda reader: reader.count(Event)) == before


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda v: v)
def test_nobody_gets_in_without_a_valid_token(unchanged: ApiPlane, method: str, path: str) -> None:
    own = unchanged.tokens["manager"]
    for wrong, what in (("", "missing"), ("Bearer x", "bad_format"), (f"Bearer {own[:-1]}~", "bad_format"),
                        (f"Bearer {own[:-4]}AAAA", "unknown"), (f"Bearer dure_0_{own[-32:]}", "unknown")):  # fmt: skip
        headers = {"idempotency-key": "k", **({"authorization": wrong} if wrong else {})}
        answer = unchanged.http.request(method, "/api/v1" + filled(unchanged, method, path), headers=headers)
        assert problem(answer, 401, "not_signed_in")["reason"]["facts"] == {"problem": what}
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda v: v)
def test_what_is_anothers_looks_like_what_is_not(unchanged: ApiPlane, method: str, path: str) -> None:
    if "{" not in path or path.startswith(PUBLIC):
        return
    real, invented = (
        unchanged.call("bob", method, filled(unchanged, method, path, id), None if method in ("GET", "DELETE") else {})
        for id in ("", "no-such")
    )
    assert real.status_code == invented.status_code in (403, 404), (path, real.text)
    assert kind(real) == kind(invented)
    for secret in ("manager", "Voucher", "University"):
        assert secret not in real.text or (secret == "manager" and "roles" in real.text)


def kind(answer: Any) -> str:
    return str(answer.json()["reason"]["kind"])


def test_a_token_ends_when_it_was_said_to(plane: ApiPlane) -> None:
    path, soon = f"/actors/{plane.actors['alice']}/tokens", plane.clock.now_ms() + 60_000
    short = plane.post("alice", path, {"label": "short", "expires": soon})
    plane.tokens["short"] = short["token"]
    assert plane.get("short", "/me")["actor"] == plane.actors["alice"]
    plane.clock.shift_ms += 120_000
    try:
        for method, address in OPERATIONS:
            answer = plane.call("short", method, filled(plane, method, address))
            assert problem(answer, 401, "not_signed_in")["reason"]["facts"] == {"problem": "expired"}, address
    finally:
        plane.clock.shift_ms -= 120_000


TYPES: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**400, "", "\u202e", "\x1b[2J", "x" * 5000, [], [[]], {}, {"a": {}})


def wrong_bodies(plane: ApiPlane, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A body for every member and every type: most are wrong, and none may break anything."""
    for name in schema["properties"]:
        for value in TYPES:
            yield {name: value}


@pytest.mark.parametrize(("method", "path"), [o for o in OPERATIONS if o[0] in ("POST", "PUT") and "/agent/" not in o[1]],
                         ids=lambda v: v)  # fmt: skip
def test_no_type_of_no_field_breaks_anything(plane: ApiPlane, method: str, path: str) -> None:
    document = bare_app().openapi()
    taken = document["paths"]["/api/v1" + path][method.lower()].get("requestBody", {}).get("content", {}).get("application/json")
    if not taken:
        return
    schema = document["components"]["schemas"][taken["schema"]["$ref"].rpartition("/")[2]]
    required = set(schema.get("required", ()))
    for body in wrong_bodies(plane, schema):
        answer = plane.call("admin", method, filled(plane, method, path), body)
        if not required <= body.keys():
            assert answer.status_code in (404, 422, 403), (body, answer.text)
        assert answer.status_code < 500, (path, body, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["detail"] and "‹" not in answer.json()["detail"]
