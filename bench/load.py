"""A load client that costs little: HTTP/1.1 over plain sockets, one thread a connection, every answer read and checked."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """wall_s: from the first request to the last answer. latencies_ms: one a request."""

    wall_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def submit_many(url: str, token: str, body: dict[str, Any], count: int, connections: int) -> Outcome:
    """`count` submissions of the same job, each under a key of its own, over `connections` at once."""
    outcome, lock = Outcome(), threading.Lock()
    payload = json.dumps(body).encode()
    shares = [count // connections + (i < count % connections) for i in range(connections)]

    def work(share: int) -> None:
        mine = Outcome()
        post = poster(url, token)
        for _ in range(share):
            began = time.perf_counter()
            status, answer = post("/api/v1/workloads", payload)
            mine.latencies_ms.append((time.perf_counter() - began) * 1000)
            mine.answers.append(json.loads(answer)) if status == 201 else mine.refused.append((status, answer.decode()))
        with lock:
            outcome.latencies_ms += mine.latencies_ms
            outcome.answers += mine.answers
            outcome.refused += mine.refused

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.wall_s = time.perf_counter() - began
    return outcome


def poster(url: str, token: str) -> Callable[[str, bytes], tuple[int, bytes]]:
    """POST over one kept connection, with a fresh Idempotency-Key each."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(path: str, payload: bytes) -> tuple[int, bytes]:
        connection.request("POST", path, payload, {**headers, "Idempotency-Key": uuid.uuid4().hex})
        response = connection.getresponse()
        return response.status, response.read()

    return post
