"""A farm may stop, be killed and come back; its jobs do not notice, and are billed once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dure.cli.demo.farm import processes_of
from dure.cli.farm import lock
from tests.demo.farms import PATIENCE_S, RealFarm, eventually, real_farm, set_up

# Runs until a file appears that the test writes, so that no test depends on how fast a machine is.
UNTIL = """
import pathlib, sys, time
print("begun", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.02)
"""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[RealFarm]:
    with real_farm(tmp_path) as made:
        yield made


def gate(farm: RealFarm, workload: str) -> Path:
    """The file that lets the job of this workload end: in its own folder, which is all that it sees of the farm's."""
    return farm.data / "local-local" / "workloads" / workload / "work" / "go"


def submit(farm: RealFarm, name: str = "waits") -> str:
    with farm.client() as client:
        job = {
            "name": name,
            "command": ["python", "-c", UNTIL, "go"],
            "limit": "5m",
            "resources": {"cores": 1, "memory": "128MiB"},
            "grace": "1s",
        }
        return str(client.submit("steel", job)["ids"][0])


def state(farm: RealFarm, workload: str) -> str:
    with farm.client() as client:
        return str(client.workload(workload)["state"])


def wait_state(farm: RealFarm, workload: str, wanted: str) -> None:
    eventually(lambda: state(farm, workload) == wanted, f"{workload} {wanted}", farm)


def let_go(farm: RealFarm, workload: str) -> None:
    gate(farm, workload).touch()


def running(farm: RealFarm) -> str:
    """A farm that is up, with one job that runs."""
    farm.up()
    with farm.client() as client:
        set_up(client)
    workload = submit(farm)
    wait_state(farm, workload, "running")
    return workload


def job_process(farm: RealFarm) -> psutil.Process:
    (found,) = [p for p in processes_of(farm.data) if UNTIL in p.cmdline()]
    return found


def billed_once(farm: RealFarm, workload: str) -> None:
    """One attempt, one settlement, and books that hold."""
    with farm.client() as client:
        (attempt,) = client.attempts(workload)
        kinds = sorted(t["kind"] for t in client.transfers(workload=workload))
        books, statement = client.verify_ledger(), client.statement("steel")
    assert attempt["outcome"] == "succeeded"
    assert attempt["evidence"]["run_ms"] > 0
    assert kinds == ["hold", "settle"]
    assert books["findings"] == []
    assert statement["findings"] == []


def test_a_farm_that_is_stopped_leaves_its_jobs_running_and_adopts_them(farm: RealFarm) -> None:
    workload = running(farm)
    process, job = farm.processes[-1], job_process(farm)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, farm.log()
    assert farm.agents() == []
    assert job.is_running()
    farm.up()
    wait_state(farm, workload, "running")
    assert job_process(farm).pid == job.pid
    let_go(farm, workload)
    wait_state(farm, workload, "succeeded")
    billed_once(farm, workload)


def test_a_farm_that_is_killed_takes_its_agent_along_but_not_its_jobs(farm: RealFarm) -> None:
    workload = running(farm)
    job = job_process(farm)
    farm.processes[-1].kill()
    farm.processes[-1].wait(PATIENCE_S)
    eventually(lambda: not farm.agents(), "the agent is gone")
    let_go(farm, workload)
    eventually(lambda: not job.is_running(), "the job ends while no farm is there")
    farm.up()
    wait_state(farm, workload, "succeeded")
    billed_once(farm, workload)


def test_an_agent_that_dies_is_started_again_and_adopts(farm: RealFarm) -> None:
    workload = running(farm)
    (first,) = farm.agents()
    first.kill()
    eventually(lambda: [p for p in farm.agents() if p.pid != first.pid], "another agent", farm)
    let_go(farm, workload)
    wait_state(farm, workload, "succeeded")
    billed_once(farm, workload)
    assert "started again" in farm.log()


def test_a_second_farm_on_the_folder_is_refused_and_told_who_holds_it(farm: RealFarm) -> None:
    process = farm.up()
    second = farm.dure("up", "--port", "0")
    assert second.returncode == 1
    assert str(process.pid) in second.stderr
    assert "dure down" in second.stderr
    assert lock.running(farm.data) is not None


def test_a_port_that_is_taken_is_told_with_its_remedy(farm: RealFarm, tmp_path: Path) -> None:
    farm.up()
    port = farm.url().rsplit(":", 1)[1]
    with real_farm(tmp_path / "other") as other:
        other.data.parent.mkdir()
        refused = other.dure("up", "--port", port)
    assert refused.returncode == 1
    assert "--port" in refused.stderr


def test_down_with_jobs_preempts_what_does_not_end_and_leaves_no_process(farm: RealFarm) -> None:
    workload = running(farm)
    waiting = submit(farm, "second")
    wait_state(farm, waiting, "running")
    let_go(farm, waiting)
    told: Any = farm.json("down", "--jobs", "--timeout", "2s")
    assert told["preempted"] == [workload]
    assert farm.processes[-1].wait(PATIENCE_S) == 0
    assert list(processes_of(farm.data)) == []
    farm.up()
    wait_state(farm, workload, "running")
    assert state(farm, waiting) == "succeeded"
    let_go(farm, workload)
    wait_state(farm, workload, "succeeded")
    with farm.client() as client:
        assert [a["outcome"] for a in client.attempts(workload)] == ["preempted", "succeeded"]
        assert client.verify_ledger()["findings"] == []


def test_work_that_a_restore_forgot_is_listed_and_stopped_before_the_farm_goes_down(farm: RealFarm, tmp_path: Path) -> None:
    farm.up()
    with farm.client() as client:
        set_up(client)
    backup = farm.json("backup", str(tmp_path / "backup"))
    workload = submit(farm)
    wait_state(farm, workload, "running")
    job = job_process(farm)
    assert farm.json("down")["stopped"]
    restored = farm.dure("restore", backup["file"], "--force")
    assert restored.returncode == 0
    assert "tokens revoked" in restored.stderr + restored.stdout  # since the backup, and what to do about it
    farm.up()
    (forgotten,) = eventually(lambda: farm.json("quarantine", "list")["items"], "it is set aside", farm)
    assert (forgotten["workload"], forgotten["observation"]["phase"]) == (workload, "running")
    refused = farm.dure("quarantine", "dismiss", forgotten["id"])
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    told = farm.json("down", "--jobs", "--timeout", "0s")
    assert (told["preempted"], told["quarantined"]) == ([], [forgotten["id"]])  # it waits for nothing: nobody knows of it
    assert not job.is_running()
    assert list(processes_of(farm.data)) == []


def test_a_farm_in_the_background_comes_up_backs_up_and_goes_down(farm: RealFarm, tmp_path: Path) -> None:
    started = farm.json("up", "--detach", "--port", "0")
    assert farm.json("status")["sites"] == 1
    assert farm.dure("restore", "nothing").returncode == 1
    backup = farm.json("backup", str(tmp_path / "backup"))
    assert farm.json("down") == {"stopped": True, "pid": started["pid"], "preempted": [], "quarantined": [], "left": []}
    assert farm.json("down") == {"stopped": False}
    with real_farm(tmp_path / "other") as other:
        other.data.parent.mkdir()
        assert other.json("restore", backup["file"])["incarnation"] == 2
        other.up()
        assert other.json("status")["incarnation"] == 2
        assert other.json("audit", "verify")["ok"]


def test_a_farm_whose_administrator_was_taken_back_says_how_to_get_another(farm: RealFarm) -> None:
    file = farm.data / "admin.token"
    farm.json("up", "--detach", "--port", "0")
    (own,) = farm.json("token", "list")["items"]
    refused = farm.dure("actor", "erase", own["actor"], "--yes")
    assert (refused.returncode, "only administrator" in refused.stderr) == (1, True)
    second = farm.json("actor", "create", "Second", "--role", "admin")["id"]
    farm.json("token", "create", "--actor", second)
    assert farm.dure("token", "revoke", own["id"]).returncode == 0
    farm.json("down")
    told = farm.dure("up", "--detach", "--port", "0")
    assert (told.returncode, f"rm {file}" in told.stderr) == (1, True)
    farm.json("down")
    file.unlink()
    farm.json("up", "--detach", "--port", "0")
    assert farm.json("actor", "list")["items"]
