"""A farm whose database is taken away says so at once, founds no other one silently, and hides no job that still runs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.cli.demo.farm import processes_of
from dure.client import DureClient, Retries
from dure.errors import ApiError
from tests.demo.farms import PATIENCE_S, RealFarm, eventually, real_farm, set_up

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[RealFarm]:
    with real_farm(tmp_path) as made:
        yield made


def running(farm: RealFarm) -> str:
    """A farm that is up, with one job that runs: its attempt."""
    farm.up()
    with farm.client() as client:
        set_up(client)
        job = {"name": "long", "command": ["sleep", "300"], "limit": "10m", "grace": "1s"}
        workload = client.submit("steel", job)["ids"][0]
        eventually(lambda: client.workload(workload)["state"] == "running", "it runs", farm)
        return str(client.attempts(workload)[0]["id"])


def lose(farm: RealFarm) -> None:
    for file in farm.data.glob("dure.db*"):
        file.unlink()


def test_a_database_that_is_removed_under_a_farm_ends_its_answers_and_is_missed_at_the_next_start(farm: RealFarm) -> None:
    attempt = running(farm)
    with farm.client() as client:
        client._retries = Retries(times=0)
        lose(farm)
        with pytest.raises(ApiError) as refused:
            client.create_organisation("late", "Late")
    assert (refused.value.status, refused.value.problem["reason"]["kind"]) == (503, "store_unavailable")
    eventually(lambda: "dure.db was removed, moved or replaced" in farm.log(), "the log says so", farm)
    assert "dure restore FILE" in farm.log()
    farm.json("down")
    again = farm.dure("up", "--detach", "--port", "0")
    assert again.returncode == 1
    for word in ("a farm lived in", "signing.key", "admin.token", "site-local.token", "agent-local", attempt, "dure restore"):
        assert word in again.stderr, again.stderr


def test_a_job_of_which_the_plane_knows_nothing_is_named_before_anybody_thinks_that_none_runs(farm: RealFarm) -> None:
    attempt = running(farm)
    farm.json("down")
    lose(farm)
    for name in ("signing.key", "admin.token", "site-local.token", "agent-local"):
        shutil.move(farm.data / name, farm.data.parent / name)
    farm.json("up", "--detach", "--port", "0", "--no-agent")
    told: Any = farm.dure("down", "--jobs")
    assert told.returncode == 1
    assert "no job runs" not in told.stdout + told.stderr
    (line,) = [line for line in told.stderr.splitlines() if attempt in line]
    os.kill(int(line.rpartition("kill ")[2]), signal.SIGTERM)
    eventually(lambda: not list(processes_of(farm.data)), "its shim ends it", farm)
    farm.json("up", "--detach", "--port", "0", "--no-agent")
    assert "no job runs" in farm.dure("down", "--jobs").stdout


def test_a_token_that_lets_no_agent_in_is_told_at_once_and_the_remedy_works(farm: RealFarm) -> None:
    process = farm.up()
    with farm.client() as client:
        with DureClient(farm.url(), (farm.data / "site-local.token").read_text().strip()) as of_agent:
            (token,) = client.tokens(of_agent.me()["actor"])
        client.revoke_token(token["id"])
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)
    file = farm.data / "site-local.token"
    told = farm.dure("up", "--detach", "--port", "0")
    assert (told.returncode, f"rm {file} &&" in told.stderr) == (1, True), told.stderr
    farm.json("down")
    file.unlink()
    farm.json("up", "--detach", "--port", "0")
    assert farm.json("site", "show", "local")["reachable"]
    farm.json("down")
