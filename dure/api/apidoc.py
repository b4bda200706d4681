"""The OpenAPI document: FastAPI's, with what every route has in common: refusals with examples, keys, units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dure.access import ANYONE
from dure.api.fieldtexts import FIELDS, PARAMETERS
from dure.api.problems import problem_document
from dure.api.route import Access, DureRoute
from dure.api.shapes import Problem
from dure.model.reason import Reason, ReasonKind

K = ReasonKind
PROBLEM = {"$ref": "#/components/schemas/Problem"}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same key and request again give the same answer, with Idempotency-Replayed: true; kept for two days.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
}
WRITES = ("post", "put", "patch", "delete")

# What a request is refused with, by status: a name, what it is about, and reasons as they may come.
REFUSALS: Mapping[str, tuple[str, str, tuple[Reason, ...]]] = {
    "400": ("NotUnderstood", "The request cannot be understood. Nothing was changed.", (
        Reason.of(K.KEY_MISSING), Reason.of(K.BODY_NOT_JSON, problem="member 'name' stands twice"), Reason.of(K.BAD_CURSOR),
    )),
    "401": ("NotSignedIn", "No token, or one that is not valid (any more).", (Reason.of(K.NOT_SIGNED_IN, problem="expired"),)),
    "403": ("NotAllowed", "The token's roles do not allow it.", (
        Reason.of(K.NOT_ALLOWED, action="policy.write", roles=["admin"]),
    )),
    "404": ("NotFound", "There is no such thing, or none that the token may see: the two look alike.", (
        Reason.of(K.NOT_FOUND, what="workload", id="wl_01M80WND8YFVGDD7MYPQC5TM1Q"),
    )),
    "409": ("Contradicts", "The request is right, but not as things are. Nothing was changed.", (
        Reason.of(K.KEY_REUSED, key="k-17"),
        Reason.of(K.ALREADY_ENDED, what="workload", id="wl_01M80WND8YFVGDD7MYPQC5TM1Q", state="succeeded"),
        Reason.of(K.ALREADY_EXISTS, what="project", id="steel"),
        Reason.of(K.BUDGET_SHORT, asked=5_000_000, available=1_200_000, currency="KRW"),
    )),
    "413": ("TooLarge", "The body is too large.", (Reason.of(K.BODY_TOO_LARGE, limit_bytes=1 << 20),)),
    "422": ("Wrong", "Fields that are wrong, unknown or missing, each by its name. Nothing was changed.", (
        Reason.of(K.BAD_FIELD, field="resources.cores", problem="too_large", limit=10_000),
        Reason.of(K.UNKNOWN_FIELD, field="comand", known=["command", "name"], nearest="command"),
        Reason.of(K.MISSING_FIELD, field="name"),
    )),
    "503": ("NotNow", "Not now: try again after Retry-After seconds, a write under the same Idempotency-Key.", (
        Reason.of(K.PLANE_BUSY), Reason.of(K.STORE_UNAVAILABLE),
    )),
}  # fmt: skip


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app made by `create_app`."""
    made = get_openapi(title=app.title, version="1", summary=app.summary, routes=app.routes, openapi_version="3.1.0")
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _hoist(made["paths"], schemas)
    definitions = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definitions.pop("$defs", {}))
    schemas["Problem"] = definitions
    components["responses"] = {name: _refusal(status) for status, (name, _, _) in REFUSALS.items()}
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
            _complete(operation, path, method, accesses[path, method])
    for schema in objects(made):
        for name, member in schema["properties"].items():
            member.setdefault("description", FIELDS.get(name, ""))
    return made


def objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object within a document."""
    if isinstance(tree, dict):
        if isinstance(tree.get("properties"), dict) and "type" in tree:
            yield tree
        tree = list(tree.values())
    for inner in tree if isinstance(tree, list) else ():
        yield from objects(inner)


def _hoist(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Definitions that agents' bodies bring with them go where their references can find them."""
    for operations in paths.values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schemas.update(content["schema"].pop("$defs", {}))


def _complete(operation: dict[str, Any], path: str, method: str, access: Access) -> None:
    """Refusals, the key, words for parameters, and the right that it takes."""
    operation["x-dure-action"] = access.action.value
    if method in WRITES and access.keyed:
        operation.setdefault("parameters", []).append(KEY)
    for parameter in operation.get("parameters", ()):
        parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))
    answers = operation["responses"]
    answers.pop("422", None)
    for status in _statuses(operation, path, method, access):
        answers[status] = {"$ref": f"#/components/responses/{REFUSALS[status][0]}"}
    answers["4XX"] = _problem("Refused; `reason` says why. Nothing was changed.")
    answers["5XX"] = _problem("Broken, or not now (503 with Retry-After).")


def _statuses(operation: dict[str, Any], path: str, method: str, access: Access) -> list[str]:
    """Which refusals an operation may answer with, by what it takes."""
    body, keyed = "requestBody" in operation, method in WRITES and access.keyed
    queried = any(p["in"] == "query" for p in operation.get("parameters", ()))
    may = {
        "400": body or keyed or queried,
        "401": True,
        "403": access.action not in ANYONE,
        "404": "{" in path or access.in_body or queried,
        "409": keyed or "/agent/" in path,
        "413": body,
        "422": body or keyed or queried,
        "503": True,
    }
    return [status for status, does in may.items() if does]


def _refusal(status: str) -> dict[str, Any]:
    _, description, reasons = REFUSALS[status]
    made = _problem(description)
    examples = {r.kind.value: {"value": problem_document([r], "en", "/api/v1/…")} for r in reasons}
    made["content"]["application/problem+json"]["examples"] = examples
    return made


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}
