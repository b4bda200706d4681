"""The plane of `api_plane`, served by uvicorn on a loopback port, for what needs a real connection: streams and the client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from dure.api import create_app
from dure.api.app import end_streams
from dure.client import DureClient, Retries
from dure.store.memory import MemoryStore
from tests.builders.api_plane import ApiPlane, InProcess, ShiftedClock, populate, services_for


@dataclass
class Served:
    plane: ApiPlane
    url: str
    stop: Any
    clients: list[DureClient] = field(default_factory=list)

    def client(self, who: str, **options: Any) -> DureClient:
        made = DureClient(self.url, self.plane.tokens.get(who, who), retries=Retries(3, 0.01, 0.02), **options)
        self.clients.append(made)
        return made


class _Direct(InProcess):
    """The same words over the socket, so that the builders' helpers work here too."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, **options)

    def close(self) -> None:
        self._http.close()


@contextmanager
def served_plane(folder: Path, **settings: Any) -> Iterator[Served]:
    clock = ShiftedClock()
    services = services_for(folder, MemoryStore(), clock, **settings)
    app = create_app(services)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(64)  # a client may connect at once: it waits here until the server is up
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        end_streams(app)
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop: a stream held it"

    http = _Direct(url)
    plane = ApiPlane(services.store, clock, services.controller, app, http, folder)
    populate(plane)
    served = Served(plane, url, stop)
    try:
        yield served
    finally:
        stop()
        for client in served.clients:
            client.close()
        http.close()
        services.store.close()
