"""A plane of real sockets on the loopback interface that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dure.client.link import HttpLink


@dataclass
class Answer:
    """What to answer. before: called when the request has been read, before anything is sent."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    before: Callable[[], Any] = lambda: None
    cut: int = -1  # close the connection after so many bytes of the body
    length: int = -1  # a Content-Length other than the true one


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class LoopbackPlane:
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, plain: Any = None, **how: Any) -> None:
        self.answers.append(Answer(**{"body": json.dumps(plain).encode(), **how}))


def _handler(plane: LoopbackPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            plane.asked.append(Asked(self.command, self.path, dict(self.headers), body, self.client_address[:2]))
            answer = plane.answers.pop(0)
            answer.before()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body) if answer.length < 0 else answer.length))
            self.end_headers()
            self.wfile.write(answer.body if answer.cut < 0 else answer.body[: answer.cut])
            self.close_connection = answer.cut >= 0

        do_GET = do_POST = _serve

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # clients that hang up are what is tested


@pytest.fixture
def plane() -> Iterator[LoopbackPlane]:
    plane = LoopbackPlane()
    server = _Server(("127.0.0.1", 0), _handler(plane))
    plane.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield plane
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def link(plane: LoopbackPlane) -> Iterator[HttpLink]:
    link = HttpLink(plane.url, "token-of-the-site", margin_ms=200)
    yield link
    link.close()
