"""From the first release on, /api/v1 only gains: a client that was written for a release goes on with every later one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dure import __version__
from dure.api import openapi
from tests.builders.api_breaks import breaks

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
RELEASED = REFERENCE / "released"  # VERSION.json: openapi.json as that version was released with it
NOTHING_RELEASED = "0.1.0"  # what is being worked on until the first release; the version after it has a released one before it


def released() -> list[Path]:
    return sorted(RELEASED.glob("*.json"), key=lambda path: [int(number) for number in path.stem.split(".")])


def test_nothing_is_missed_that_was_released() -> None:
    versions = released()
    if not versions:
        assert __version__ == NOTHING_RELEASED, "put the released openapi.json into docs/reference/released/VERSION.json"
    for path in versions:
        assert breaks(json.loads(path.read_text(encoding="utf-8")), openapi.bare_app().openapi()) == [], path.name


def test_the_document_breaks_nothing_of_itself_and_holds_nothing_that_is_not_weighed() -> None:
    document = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))
    assert breaks(document, document) == []


def test_a_route_that_goes_is_missed_in_the_real_document() -> None:
    document = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))
    less = copy.deepcopy(document)
    del less["paths"]["/api/v1/awards/{id}"]
    del less["components"]["schemas"]["SiteShape"]["properties"]["reachable"]
    found = breaks(document, less)
    assert "GET /api/v1/awards/{id}: gone" in found and "GET /api/v1/sites/{id} 200.reachable: gone" in found
    assert all(line.endswith((": gone", ".reachable: gone")) for line in found)


JOB: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "size": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}], "default": None},
        "kind": {"type": "string", "enum": ["batch", "gang"], "default": "batch"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/JobIn"}},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
ROW: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["waiting", "ended"]},
        "use": {"type": "number"},
        "parent": {"anyOf": [{"$ref": "#/components/schemas/Row"}, {"type": "null"}]},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}


def plane() -> dict[str, Any]:
    """One path, of which a job is sent and a row comes back; both refer to themselves."""
    row = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Row"}}}}
    post = {
        "parameters": [{"in": "query", "name": "limit", "required": False, "schema": {"type": "integer", "maximum": 500}}],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobIn"}}}, "required": True},
        "responses": {"201": row, "404": {"$ref": "#/components/responses/NotFound"}},
    }
    schemas = {"JobIn": copy.deepcopy(JOB), "Row": copy.deepcopy(ROW)}
    refusal = {
        "content": {"application/problem+json": {"schema": {"type": "object", "properties": {"title": {"type": "string"}}}}}
    }
    return {
        "paths": {"/jobs": {"post": post, "get": {"responses": {"200": row}}}},
        "components": {"schemas": schemas, "responses": {"NotFound": refusal}},
    }


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set what stands at a path of the document, its parts parted by spaces."""
    *way, last = path.split()

    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at[part]
        at[last] = value

    return change


def cut(path: str) -> Callable[[dict[str, Any]], None]:
    *way, last = path.split()

    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at[part]
        del at[int(last) if isinstance(at, list) else last]

    return change


SENT, TOLD = "components schemas JobIn ", "components schemas Row "
POST = "paths /jobs post "


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (cut("paths /jobs"), "GET /jobs: gone"),
        (cut("paths /jobs get"), "GET /jobs: gone"),
        (cut(POST + "responses 201"), "POST /jobs: no answer 201"),
        (cut(POST + "parameters 0"), "POST /jobs: parameter limit gone"),
        (put(POST + "parameters 0 required", True), "POST /jobs: parameter limit is required"),
        (put(POST + "parameters 0 schema maximum", 100), "POST /jobs limit: maximum 100"),
        (cut(POST + "requestBody"), "POST /jobs: no body of application/json"),
        (put("paths /jobs get requestBody", {"required": True, "content": {}}), "GET /jobs: a body is required"),
        (cut(TOLD + "properties use"), "GET /jobs 200.use: gone"),
        (put(TOLD + "required", ["id"]), "GET /jobs 200.state: may be absent"),
        (put(TOLD + "properties id type", "integer"), "GET /jobs 200.id: integer is not string"),
        (put(TOLD + "properties id", {"anyOf": [{"type": "string"}, {"type": "null"}]}), "GET /jobs 200.id: null is not string"),
        (cut(TOLD + "properties id type"), "GET /jobs 200.id: anything is not string"),
        (
            put(TOLD + "properties counts additionalProperties", {"type": "string"}),
            "GET /jobs 200.counts[]: string is not integer",
        ),
        (
            cut("components responses NotFound content application/problem+json schema properties title"),
            "POST /jobs 404.title: gone",
        ),
        (cut(SENT + "properties size"), "POST /jobs body.size: gone"),
        (put(SENT + "required", ["name", "kind"]), "POST /jobs body.kind: is required"),
        (put(SENT + "properties name maxLength", 9), "POST /jobs body.name: maxLength 9"),
        (put(SENT + "properties name minLength", 1), "POST /jobs body.name: minLength 1"),
        (put(SENT + "properties name pattern", "^a$"), "POST /jobs body.name: pattern '^a$'"),
        (put(SENT + "properties kind enum", ["batch"]), "POST /jobs body.kind: no longer ['gang']"),
        (put(SENT + "properties name const", "a"), "POST /jobs body.name: no longer any value"),
        (put(SENT + "properties kind default", "gang"), "POST /jobs body.kind: default 'gang'"),
        (cut(SENT + "properties kind default"), "POST /jobs body.kind: default 'gone'"),
        (put(SENT + "properties name type", "integer"), "POST /jobs body.name: string is not integer"),
        (put(SENT + "properties size anyOf", [{"type": "integer"}]), "POST /jobs body.size: null is not integer"),
        (put(SENT + "properties size anyOf 0 minimum", 2), "POST /jobs body.size: minimum 2"),
        (put(SENT + "properties env additionalProperties", False), "POST /jobs body.env: no further members"),
        (put(SENT + "properties env additionalProperties maxLength", 3), "POST /jobs body.env[]: maxLength 3"),
    ],
)
def test_what_a_client_would_miss_is_named(change: Callable[[dict[str, Any]], None], line: str) -> None:
    after = plane()
    change(after)
    assert line in breaks(plane(), after)


@pytest.mark.parametrize(
    "change",
    [
        put("paths /nodes", {"get": {"responses": {}}}),
        put(POST + "responses 202", {"content": {}}),
        put(TOLD + "properties more", {"type": "string"}),
        put(TOLD + "required", ["id", "state", "use"]),
        put(TOLD + "properties state enum", ["waiting", "ended", "held"]),
        put(TOLD + "properties use type", "integer"),
        put(TOLD + "properties id maxLength", 3),
        put(SENT + "properties more", {"type": "string"}),
        put(SENT + "required", []),
        put(SENT + "properties kind enum", ["batch", "gang", "array"]),
        put(SENT + "properties name", {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 11}]}),
        put(SENT + "properties size anyOf 0 minimum", 0),
        put(SENT + "properties size anyOf 0 type", "number"),
        put(SENT + "properties env additionalProperties", True),
        cut(SENT + "additionalProperties"),
    ],
)
def test_what_is_only_added_breaks_nothing(change: Callable[[dict[str, Any]], None]) -> None:
    after = plane()
    change(after)
    assert breaks(plane(), after) == []


def test_a_keyword_that_is_not_weighed_is_not_passed_over() -> None:
    after = plane()
    after["components"]["schemas"]["Row"]["not"] = {"type": "string"}
    with pytest.raises(ValueError, match="not weighed"):
        breaks(plane(), after)
