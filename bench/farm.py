"""A real farm in a temporary folder, for the time of a measurement."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from dure.client import DureClient

START_S = 30.0
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Farm:
    url: str
    token: str
    data: Path
    plane: psutil.Process

    def client(self) -> DureClient:
        return DureClient(self.url, self.token)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_farm(**settings: str) -> Iterator[Farm]:
    """`dure up` in a process of its own; drained and gone at the end."""
    data = Path(tempfile.mkdtemp(prefix="dure-bench-"))
    port = free_port()
    environ = {**os.environ, "DURE_DATA": str(data / "data"), "DURE_PORT": str(port), **settings}
    with (data / "up.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "dure.cli", "up"], env=environ, stdout=log, stderr=log)
    try:
        farm = Farm(f"http://127.0.0.1:{port}", _token(data / "data"), data / "data", psutil.Process(process.pid))
        _wait_for_site(farm)
        yield farm
    finally:
        subprocess.run(
            [sys.executable, "-m", "dure.cli", "down", "--jobs", "--timeout", "5s", "--data", str(data / "data")],
            env=environ, check=False, capture_output=True,
        )  # fmt: skip
        process.terminate()
        process.wait(30)
        shutil.rmtree(data, ignore_errors=True)


def _token(data: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if (data / "farm.json").exists() and (data / "admin.token").exists():
            return (data / "admin.token").read_text().strip()
        time.sleep(0.05)
    raise TimeoutError(f"no farm after {START_S} s; see up.log beside {data}")


def _wait_for_site(farm: Farm) -> None:
    deadline = time.monotonic() + START_S
    with farm.client() as client:
        while time.monotonic() < deadline:
            if any(True for _ in client.nodes()):
                return
            time.sleep(0.05)
    raise TimeoutError("the farm's site did not join")


def furnish(farm: Farm, project: str = "bench") -> None:
    """An organisation, a project, and an award that pays for everything."""
    now_ms = int(time.time() * 1000)
    with farm.client() as client:
        client.create_organisation("bench", name="Bench", kind="institute")
        client.create_project(project, name="Bench", organisation="bench")
        client.create_programme(
            "bench", name="Bench", currency="KRW", budget=10**12, starts=now_ms - DAY_MS, ends=now_ms + 30 * DAY_MS
        )
        client.create_award("bench", project, 10**11, starts=now_ms, expires=now_ms + 20 * DAY_MS)


def describe_machine() -> str:
    return json.dumps(
        {"cpus": psutil.cpu_count(), "load": [round(x, 2) for x in os.getloadavg()], "python": sys.version.split()[0]}
    )
