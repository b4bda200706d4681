"""Logs of the demo's jobs: followed in a thread while they run, read whole afterwards."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

from dure.cli.commands.waiting import follow
from dure.cli.demo.view import View
from dure.client import DureClient
from dure.errors import ApiError, LinkError


class Tail:
    """Shows what a job prints over all its attempts, and remembers it."""

    def __init__(self, client: DureClient, workload: str, name: str, view: View) -> None:
        self.lines: list[str] = []
        self._client, self._workload, self._name, self._view = client, workload, name, view
        self._thread = threading.Thread(target=self._run, name=f"demo-log-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether more lines may come."""
        return self._thread.is_alive()

    def has(self, *starts: str) -> bool:
        """Whether lines with these beginnings were printed, in this order."""
        wanted = list(starts)
        for line in list(self.lines):
            if wanted and line.startswith(wanted[0]):
                wanted.pop(0)
        return not wanted

    def _run(self) -> None:
        with contextlib.suppress(ApiError, LinkError, RuntimeError):  # the last: of httpx, when the client was closed meanwhile
            for line in _lines(follow(self._client, self._workload)):
                self.lines.append(line)
                self._view.log(self._name, line)


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


def result_of(client: DureClient, workload: str, worker: int = 0) -> dict[str, Any] | None:
    """What a job gave in its line "result {...}", None when it printed none."""
    text = b"".join(piece.data for piece in client.logs(workload, worker=worker)).decode("utf-8", "replace")
    found = [line.removeprefix("result ") for line in text.splitlines() if line.startswith("result {")]
    return dict(json.loads(found[-1])) if found else None
