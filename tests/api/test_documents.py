"""Answers are what openapi.json says they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from dure.api import openapi
from dure.api.apidoc import REFUSALS, objects
from dure.api.forms import BY_PATTERN
from dure.model.reason_words import FORMS
from tests.api.test_policy import put, rules
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
            asks = path.endswith(("/quotes", "/why")) or "/agent/" in path
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
    quota = {"of": "organisation:uni", "resource": "core", "nominal_milli": 4000}
    put(plane, rules(plane, quotas=[quota]))
    plane.controller.step()
    return plane, {"workloads": workload, "arrays": array, "attempts": attempt, "projects": "alpha", "organisations": "uni",
                   "actors": plane.actors["alice"], "programmes": "voucher", "sites": "pohang"}  # fmt: skip


def test_every_answer_has_the_shape_that_it_is_said_to_have(busy: tuple[ApiPlane, dict[str, str]]) -> None:
    plane, ids = busy
    ids["awards"] = plane.get("admin", "/awards")["items"][0]["id"]
    document, seen = openapi.bare_app().openapi(), 0
    for full, operations in document["paths"].items():
        path = full.removeprefix("/api/v1")
        if "get" not in operations or "stream" in path or path.endswith(("/logs", "/snapshot")) or path.startswith("/agent/"):
            continue
        answer = plane.get("admin", path.replace("{id}", ids.get(path.split("/")[1], "")).replace("{version}", "1"))
        _validator(document, path).validate(answer)
        assert answer.get("items", True), f"{path}: nothing to look at"
        seen += 1
    assert seen > 25


def test_every_operation_and_member_is_told_in_words() -> None:
    document = openapi.bare_app().openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["description"], (method, path)
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (method, path, parameter["name"])
    wordless = {
        name for schema in objects(document) for name, member in schema["properties"].items() if not member["description"]
    }
    assert wordless == set(), "tell of them in dure/api/fieldtexts.py"


UNITS = {"_krw_mwh": "megawatt-hour", "_ms": "milliseconds", "_mib": "MiB", "_milli": "thousandths", "_mwh": "milliwatt",
         "_mw": "milliwatt", "_permille": "thousandths", "_nano": "billionths", "nano": "billionths",
         "_won": "in won"}  # fmt: skip


def test_members_with_a_unit_say_it() -> None:
    seen = 0
    for schema in objects(openapi.bare_app().openapi()):
        for name, member in schema["properties"].items():
            unit = next((word for end, word in UNITS.items() if name.endswith(end)), "")
            seen += bool(unit)
            assert unit in member["description"], (schema.get("title"), name)
    assert seen > 80


def test_every_operation_shows_how_it_refuses() -> None:
    document = openapi.bare_app().openapi()
    told = document["components"]["responses"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = {status: a["$ref"].rpartition("/")[2] for status, a in operation["responses"].items() if "$ref" in a}
            assert {"401", "503"} <= answers.keys(), (method, path)
            assert set(answers.values()) <= told.keys()
    for name, answer in told.items():
        content = answer["content"]["application/problem+json"]
        schema = {**content["schema"], "components": document["components"]}
        for example in content["examples"].values():
            jsonschema_rs.validator_for(schema).validate(example["value"])
            assert REFUSALS[str(example["value"]["status"])][0] == name


def test_no_reference_of_the_document_leads_nowhere() -> None:
    document = openapi.bare_app().openapi()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        at: Any = document
        for part in reference.split("/"):
            at = at[part]


def test_every_form_that_is_asked_for_has_words() -> None:
    document = openapi.bare_app().openapi()
    people = [
        json.dumps(schema) for name, schema in document["components"]["schemas"].items() if name.endswith("In") or name == "Job"
    ]
    for text in people:
        for pattern in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text):
            known = json.loads(pattern)
            assert known in BY_PATTERN or "[0-9]" in known, known  # sizes, durations and days have validators of their own
    for form in BY_PATTERN.values():
        assert all(FORMS[form.code])
        assert not form.example or form.fits(form.example)
