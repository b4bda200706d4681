"""The OpenAPI document: FastAPI's, with what every route has in common."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dure.api.route import Access, DureRoute
from dure.api.shapes import Problem

PROBLEM = {"$ref": "#/components/schemas/Problem"}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same key and request again give the same answer, with Idempotency-Replayed: true; kept for two days.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
}
WRITES = ("post", "put", "patch", "delete")


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app made by `create_app`."""
    made = get_openapi(title=app.title, version="1", summary=app.summary, routes=app.routes, openapi_version="3.1.0")
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    definitions = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definitions.pop("$defs", {}))
    schemas["Problem"] = definitions
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "dure_ID_SECRET"}}
    made["security"] = [{"token": []}]
    accesses = {
        (route.path, method.lower()): route.access
        for route in app.routes
        if isinstance(route, DureRoute)
        for method in route.methods or ()
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, accesses[path, method])
    return made


def _complete(operation: dict[str, Any], method: str, access: Access) -> None:
    """Problem documents, the key, and the right that it takes."""
    operation["responses"].pop("422", None)
    operation["responses"]["4XX"] = _problem("Refused; `reason` says why. Nothing was changed.")
    operation["responses"]["5XX"] = _problem("Broken, or not now (503 with Retry-After).")
    operation["x-dure-action"] = access.action.value
    if method in WRITES and access.keyed:
        operation.setdefault("parameters", []).append(KEY)


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}
