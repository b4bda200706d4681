"""Answers are what openapi.json says they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from dure.api import openapi
from tests.builders.api_plane import GANG, ApiPlane

CHECKED_IN = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def test_openapi_json_is_the_one_that_is_checked_in() -> None:
    regenerate = "python -m dure.api.openapi > docs/reference/openapi.json"
    assert openapi.text() == CHECKED_IN.read_text(encoding="utf-8"), f"it changed; if that is meant: {regenerate}"


def test_the_plane_serves_the_same_document(plane: ApiPlane) -> None:
    served = plane.http.get("/api/v1/openapi.json").json()
    assert served["paths"].keys() == openapi.bare_app().openapi()["paths"].keys()


def test_every_operation_tells_its_right_its_refusals_and_its_key() -> None:
    document = openapi.bare_app().openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            named = {p["name"] for p in operation.get("parameters", [])}
            asks = path.endswith("/quotes") or "/agent/" in path
            assert ("Idempotency-Key" in named) == (method != "get" and not asks), (method, path)
            assert operation["x-dure-action"] and {"4XX", "5XX"} <= operation["responses"].keys()
            assert operation["operationId"].isidentifier()


def _validator(document: dict[str, Any], path: str) -> Any:
    answer = document["paths"]["/api/v1" + path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**answer, "components": document["components"]}, validate_formats=True)


@pytest.fixture
def busy(plane: ApiPlane) -> tuple[ApiPlane, dict[str, str]]:
    """Something of everything."""
    workload, attempt, epoch = plane.run_one()
    plane.report(epoch, "at_ghost", 1, "wl_ghost", "running")
    plane.submit(job=dict(GANG))
    array = plane.submit(array=2)["array_id"]
    plane.controller.step()
    return plane, {"workloads": workload, "arrays": array, "attempts": attempt, "projects": "alpha", "organisations": "uni",
                   "actors": plane.actors["alice"], "programmes": "voucher", "sites": "pohang"}  # fmt: skip


def test_every_answer_has_the_shape_that_it_is_said_to_have(busy: tuple[ApiPlane, dict[str, str]]) -> None:
    plane, ids = busy
    ids["awards"] = plane.get("admin", "/awards")["items"][0]["id"]
    document, seen = openapi.bare_app().openapi(), 0
    for full, operations in document["paths"].items():
        path = full.removeprefix("/api/v1")
        if "get" not in operations or "stream" in path or path.endswith("/logs") or path.startswith("/agent/"):
            continue
        answer = plane.get("admin", path.replace("{id}", ids.get(path.split("/")[1], "")))
        _validator(document, path).validate(answer)
        assert answer.get("items", True), f"{path}: nothing to look at"
        seen += 1
    assert seen > 25
