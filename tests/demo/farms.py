"""Real farms in temporary folders, run as people run them, for tests of their lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from dure.cli.demo.farm import processes_of
from dure.cli.farm import lock
from dure.cli.farm.answering import answers
from dure.client import DureClient

T = TypeVar("T")

PATIENCE_S = 180.0  # far above what anything here takes; a farm on a loaded machine needs up to ten seconds to come up
_NEVER = threading.Event()


def eventually(look: Callable[[], T | None], what: str, farm: RealFarm | None = None) -> T:
    """What `look` gives once it gives something. Looks often, and gives up late."""
    for _ in range(int(PATIENCE_S / 0.05)):
        found = look()
        if found:
            return found
        _NEVER.wait(0.05)
    raise AssertionError(f"never: {what}\n{farm.log() if farm else ''}")


@dataclass
class RealFarm:
    data: Path
    environ: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def dure(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dure.cli", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.data.parent,
        )

    def json(self, *words: str) -> Any:
        done = self.dure(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return json.loads(done.stdout)

    def up(self) -> subprocess.Popen[bytes]:
        """Start the farm as a service manager would, and wait until it answers."""
        with (self.data.parent / "up.log").open("ab") as log:
            words = [sys.executable, "-m", "dure.cli", "up", "--port", "0"]
            process = subprocess.Popen(words, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        eventually(lambda: process.poll() is not None or self.url(), "the farm answers", self)
        assert process.poll() is None, self.log()
        return process

    def url(self) -> str:
        farm = lock.running(self.data)
        return farm.url if farm and farm.url and answers(farm.url) else ""

    def client(self) -> DureClient:
        return DureClient(self.url(), (self.data / "admin.token").read_text().strip())

    def log(self) -> str:
        path = self.data.parent / "up.log"
        return path.read_text() if path.exists() else ""

    def agents(self) -> list[psutil.Process]:
        return [p for p in processes_of(self.data) if "_agent" in p.cmdline()]


def set_up(client: DureClient) -> None:
    """A tenant with money, and prices at which a second of a core costs some hundred won."""
    policy = client.policy()
    prices = [{**p, "nano": p["nano"] * 100_000} for p in policy["prices"] if p["currency"] == "KRW"]
    client.write_policy({**policy, "prices": prices}, based_on=policy["version"])
    client.create_organisation("mill", "Mill")
    client.create_project("steel", "Steel", "mill")
    client.create_programme("voucher", "Voucher", 10**12, starts="2020-01-01", ends="2099-12-31")
    client.create_award("voucher", "steel", 10**11, starts="2020-01-01", expires="2099-12-31")


@contextmanager
def real_farm(folder: Path, **settings: str) -> Iterator[RealFarm]:
    """A farm that is not yet up. Whatever it left behind is ended when the block is left."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DURE_")}
    data = folder / "data"
    environ = {
        **kept,
        "DURE_DATA": str(data),
        "DURE_CORES": "4",
        "DURE_MEMORY": "4GiB",
        "DURE_PROJECT": "steel",
        "DURE_LANG": "en",
        **settings,
    }
    farm = RealFarm(data, environ)
    try:
        yield farm
    finally:
        for process in processes_of(data):
            process.kill()
        for child in farm.processes:
            child.wait(PATIENCE_S)
