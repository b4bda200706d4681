"""Looking at a workload until it has ended, with what it prints in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dure.cli.run import Run
from dure.client import DureClient

ENDED = ("succeeded", "failed", "cancelled")
LOOK_S = 0.2  # a person does not notice a fifth of a second, and the plane does not notice five looks in one


@contextmanager
def watched(run: Run, id: str) -> Iterator[None]:
    """Around looking at a job that has not ended: who stops looking is told that the job itself goes on."""
    try:
        yield
    except KeyboardInterrupt:
        run.note("follow.left", id=id, command=f"dure cancel {id}")
        raise


def follow(client: DureClient, id: str) -> Iterator[bytes]:
    """What every attempt of a workload prints, one after the other, until the workload has ended."""
    seen: set[str] = set()
    while True:
        row = client.workload(id)
        attempt = row["attempt"]
        if attempt and attempt not in seen:
            seen.add(attempt)
            yield from (piece.data for piece in client.logs(id, attempt=attempt, follow=True))
        elif row["state"] in ENDED:
            yield from _missed(client, id, seen)
            return
        else:
            time.sleep(LOOK_S)


def _missed(client: DureClient, id: str, seen: set[str]) -> Iterator[bytes]:
    """What attempts printed that came and went between two looks."""
    for attempt in client.attempts(id):
        if attempt["id"] not in seen:
            yield from (piece.data for piece in client.logs(id, attempt=attempt["id"]))


def ended(client: DureClient, id: str) -> dict[str, Any]:
    """The workload, once it has ended."""
    row = client.workload(id)
    while row["state"] not in ENDED:
        time.sleep(LOOK_S)
        row = client.workload(id)
    return row
