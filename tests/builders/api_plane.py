"""A whole plane in one process, with people of every role and two tenants, for tests of the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from dure.api import ApiSettings, PlaneServices, create_app
from dure.bootstrap.machine import SystemEntropy
from dure.bootstrap.plane import default_policy, public_half
from dure.controller import Controller, ControllerSettings, Deed, found
from dure.controller.commands import funding, sites, tenancy
from dure.model.reason import Reason
from dure.model.tenancy import Role
from dure.ports import Store
from dure.store.memory import MemoryStore

DAY_MS = 86_400_000
JOB: Mapping[str, Any] = {"name": "tiny", "command": ["true"], "limit": "10m"}
GANG: Mapping[str, Any] = {"name": "large", "command": ["true"], "workers": 4, "resources": {"cores": 64}}
PEOPLE: Mapping[str, tuple[tuple[Role, str], ...]] = {
    "admin": ((Role.ADMIN, "*"),),
    "operator": ((Role.OPERATOR, "*"),),
    "officer": ((Role.OFFICER, "*"),),
    "auditor": ((Role.AUDITOR, "*"),),
    "manager": ((Role.MANAGER, "alpha"),),
    "alice": ((Role.MEMBER, "alpha"),),
    "bob": ((Role.MEMBER, "beta"),),
    "agent": ((Role.AGENT, "pohang"),),
    "nobody": (),
}


class ShiftedClock:
    """The machine's clock, which a test may set forward."""

    def __init__(self) -> None:
        self.shift_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.shift_ms


def done(answer: Any) -> Any:
    assert not isinstance(answer, Reason), answer
    return answer


class InProcess:
    """The app on an event loop of its own, spoken to without a socket. Streams come whole, once they end."""

    def __init__(self, portal: BlockingPortal, app: FastAPI) -> None:
        self._portal = portal
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://plane")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            return await self._client.request(method, path, **options)

        return self._portal.call(send)

    def together(self, requests: Sequence[Mapping[str, Any]]) -> list[httpx.Response]:
        """Send several at the same time."""

        async def send() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self._client.request(**request) for request in requests)))

        return self._portal.call(send)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@dataclass
class ApiPlane:
    store: Store
    clock: ShiftedClock
    controller: Controller
    app: FastAPI
    http: InProcess
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    actors: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # noun → the id of one that exists
    keys: Iterator[int] = field(default_factory=count)

    def headers(self, who: str, **more: str) -> dict[str, str]:
        named = {"authorization": f"Bearer {self.tokens[who]}", "idempotency-key": f"k{next(self.keys)}"}
        return {**named, **{name.replace("_", "-"): value for name, value in more.items()}}

    def call(self, who: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
        headers = {**self.headers(who), **options.pop("headers", {})}
        return self.http.request(method, "/api/v1" + path, json=body, headers=headers, **options)

    def get(self, who: str, path: str, **query: Any) -> Any:
        response = self.call(who, "GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, who: str, path: str, body: Any = None, status: int | None = None) -> Any:
        response = self.call(who, "POST", path, body)
        assert response.status_code in ((status,) if status else (200, 201)), response.text
        return response.json()

    def submit(self, who: str = "alice", project: str = "alpha", **more: Any) -> Any:
        return self.post(who, "/workloads", {"project": project, "job": dict(JOB), **more})

    def join(self) -> int:
        """The agent of pohang says hello with one node; its session's epoch."""
        node = {"name": "n1", "cores_milli": 4000, "memory_mib": 8192}
        hello = {"protocol": 1, "agent_version": "1", "boot_id": "b", "describe": {"name": "fake"}, "nodes": [node]}
        return int(self.post("agent", "/agent/hello", hello)["epoch"])

    def run_one(self, **more: Any) -> tuple[str, str, int]:
        """Submit a job and have it running at pohang: workload, attempt, the agent's epoch."""
        epoch = self.join()
        self.controller.step()
        workload = self.submit(**more)["ids"][0]
        self.controller.step()
        (order,) = self.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
        self.report(epoch, order["attempt"], order["epoch"], workload, "running")
        return workload, order["attempt"], epoch

    def report(self, epoch: int, attempt: str, attempt_epoch: int, workload: str, phase: str, **more: Any) -> Any:
        told = {"attempt": attempt, "epoch": attempt_epoch, "workload": workload, "phase": phase, **more}
        return self.post("agent", "/agent/report", {"epoch": epoch, "reports": [told]})


def problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """The problem document of a refusal, after checking that it is one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["reason"]["kind"] == kind, document
    assert document["reasons"][0] == document["reason"]
    assert document["title"] and document["detail"]
    assert "‹" not in document["detail"], f"a fact is missing: {document}"
    return document


def services_for(folder: Path, store: Store, clock: ShiftedClock, **settings: Any) -> PlaneServices:
    key, entropy = Ed25519PrivateKey.generate(), SystemEntropy()
    deed = Deed(actor="test", now_ms=clock.now_ms(), entropy=entropy)
    store.transact(lambda tx: found(tx, deed, policy=default_policy(), public_key=public_half(key)))
    controller = Controller(
        store, clock, entropy, lambda body: key.sign(body).hex(), public_half(key), ControllerSettings(answer_wait_ms=300)
    )
    bounds = ApiSettings(blobs=folder / "blobs", **settings)
    return PlaneServices(store=store, controller=controller, clock=clock, entropy=entropy, settings=bounds)


@contextmanager
def api_plane(folder: Path, store: Store | None = None, **settings: Any) -> Iterator[ApiPlane]:
    """A plane with two tenants (alpha: alice, manager; beta: bob), money for both, and the site pohang."""
    clock = ShiftedClock()
    services = services_for(folder, store or MemoryStore(), clock, **settings)
    app = create_app(services)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        plane = ApiPlane(services.store, clock, services.controller, app, InProcess(portal, app), folder)
        populate(plane)
        yield plane
    services.store.close()


def populate(plane: ApiPlane) -> None:
    deed = plane.controller.deed("test")
    now_ms = deed.now_ms

    def fill(tx: Any) -> None:
        done(sites.create_site(tx, deed, id="pohang", name="Pohang", region="KR-47"))
        done(tenancy.create_organisation(tx, deed, id="uni", name="University", kind="university"))
        done(tenancy.create_organisation(tx, deed, id="mill", name="Mill", kind="sme"))
        span = {"starts_ms": now_ms - DAY_MS, "ends_ms": now_ms + 90 * DAY_MS}
        done(funding.create_programme(tx, deed, id="voucher", name="Voucher", currency="KRW", budget=10_000_000, **span))
        for project, organisation in (("alpha", "uni"), ("beta", "mill")):
            done(tenancy.create_project(tx, deed, id=project, name=project, organisation=organisation))
            done(funding.create_award(
                tx, deed, programme="voucher", project=project, amount=1_000_000, starts_ms=now_ms - DAY_MS,
                expires_ms=now_ms + 30 * DAY_MS,
            ))  # fmt: skip
        for name, grants in PEOPLE.items():
            actor = done(tenancy.create_actor(tx, deed, name=name, grants=grants))
            plane.actors[name] = actor.id
            plane.tokens[name] = done(tenancy.create_token(tx, deed, actor=actor.id, label=name)).token

    plane.store.transact(fill)
