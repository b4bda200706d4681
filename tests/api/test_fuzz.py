"""Schemathesis over the whole API: no 5xx, nothing that openapi.json does not tell, every error a problem with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from dure.api import openapi
from dure.model.reason import ReasonKind
from tests.builders.api_plane import ApiPlane, api_plane

EXAMPLES = 5  # of each operation and person; more would not end within the minute on a busy machine
SCHEMA = schemathesis.openapi.from_dict(openapi.bare_app().openapi())


@schemathesis.serializer("application/gzip")
def as_archive(_: Any, value: Any) -> bytes:
    """Bytes that begin as an archive does, whatever follows."""
    return b"\x1f\x8b" + repr(value).encode()


KINDS = {kind.value for kind in ReasonKind}
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiPlane]:
    folder = tmp_path_factory.mktemp("fuzz")
    with api_plane(folder, stream_ms_max=1, stream_keep_alive_ms=1, poll_wait_ms_max=1, log_room_wait_ms=1) as made:
        workload, attempt, _ = made.run_one()
        array = made.submit(array=2)["array_id"]
        made.controller.step()
        (award,) = made.get("alice", "/awards")["items"]
        made.known = {"workloads": workload, "attempts": attempt, "arrays": array, "awards": award["id"], "programmes": "voucher",
                      "organisations": "uni", "sites": "pohang", "actors": made.actors["bob"]}  # fmt: skip
        yield made


def problems_carry_reasons(response: Any) -> None:
    """Our own check: every error is a problem document whose reason is one that we know."""
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json", response.text
        document = response.json()
        assert document["status"] == response.status_code
        assert document["reason"]["kind"] in KINDS
        assert document["title"] and document["detail"]


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_no_request_breaks_the_plane(case: schemathesis.Case, plane: ApiPlane) -> None:
    meet_something(case, plane)
    sent = case.as_transport_kwargs(base_url="http://plane")
    theirs = {name: value for name, value in sent["headers"].items() if name.lower() != "idempotency-key" and value.isascii()}
    for who in ("agent", "alice") if "/agent/" in case.path else ("alice", "admin"):
        sent["headers"] = {**theirs, **plane.headers(who)}
        response = plane.http.request(sent["method"], sent["url"], **translated(sent))
        problems_carry_reasons(response)
        case.validate_response(response, checks=list(CHECKS))


def meet_something(case: schemathesis.Case, plane: ApiPlane) -> None:
    """Every other id is one that exists: invented ones alone would only ever find nothing."""
    if "id" in case.path_parameters and len(str(case.path_parameters["id"])) % 2 == 0:
        case.path_parameters["id"] = plane.known.get(case.path.split("/")[3], "alpha")


def translated(sent: dict[str, Any]) -> dict[str, Any]:
    """requests' words as httpx's."""
    data = sent.get("data")
    kept = {name: value for name, value in sent.items() if name in ("headers", "params", "json") and value is not None}
    return {**kept, **({"content": data} if data is not None else {})}
