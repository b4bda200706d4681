"""What only real processes can show: adoption, crashes at every point of a launch, trees of processes, lost shims."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import dure
from dure.model.workload import Demand, Outcome

PACKAGE_ROOT = str(Path(dure.__file__).parent.parent)

# A process with a driver of its own, which launches one attempt and dies where the test says.
CALLER = """
import os, signal, sys
from pathlib import Path
from dure.backends.local import driver, files
from dure.backends.local.settings import LocalSettings
from dure.model.workload import Worker, WorkloadSpec
from dure.ports import LaunchOrder

root, attempt, where = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

made = driver.LocalDriver(LocalSettings(root=Path(root), farm_folder=Path(root).parent, evidence_ms=200))
if where == "before the claim":
    Path.rename = die
if where == "behind the claim":
    files.sync_folder, kept = (lambda p: die() if p.endswith("attempts") else kept(p)), files.sync_folder
if where == "before the spawn":
    os.posix_spawn = die
if where == "behind the spawn":
    spawn = os.posix_spawn
    os.posix_spawn = lambda *a, **k: (spawn(*a, **k), die())
command = ("sh", "-c", "echo ran >> $DURE_OUTPUT_DIR/runs; while [ ! -e $DURE_OUTPUT_DIR/go ]; do sleep 0.02; done; exit 4")
made.launch(LaunchOrder(attempt=attempt, epoch=7, workload="w_crash", project="prj_contract", array_index=-1,
    spec=WorkloadSpec(name="x", command=command, grace_ms=200), workers=(Worker(node="node"),), accelerator="", limit_ms=60000))
die()
"""


def crash(local: Any, attempt: str, where: str) -> None:
    env = {"PYTHONPATH": PACKAGE_ROOT, "PATH": os.defpath}
    done = subprocess.run([sys.executable, "-c", CALLER, str(local.settings.root), attempt, where], env=env, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def runs(local: Any) -> int:
    file = local.workload_folder("w_crash") / "out" / "runs"
    return file.read_text().count("ran") if file.exists() else 0


def test_a_job_outlives_its_caller_and_is_adopted(local: Any) -> None:
    crash(local, "a_1", "when launched")
    assert local.running("a_1").epoch == 7
    (local.workload_folder("w_crash") / "out" / "go").touch()
    end = local.ended("a_1")
    assert (end.outcome, end.evidence.exit_code, runs(local)) == (Outcome.FAILED, 4, 1)


@pytest.mark.parametrize(
    ("where", "becomes"),
    [
        ("before the claim", "runs now"),
        ("behind the claim", "never ran"),
        ("before the spawn", "never ran"),
        ("behind the spawn", "runs"),
    ],
)
def test_a_caller_killed_while_launching_leaves_a_definite_answer_and_never_two_runs(
    local: Any, where: str, becomes: str
) -> None:
    crash(local, "a_1", where)
    assert bool(local.driver.observe(["a_1"])) == (becomes != "runs now")
    crash(local, "a_1", "when launched")  # the next caller launches again
    (local.workload_folder("w_crash") / "out" / "go").touch()
    end = local.ended("a_1")
    expected = (Outcome.REJECTED, None, 0) if becomes == "never ran" else (Outcome.FAILED, 4, 1)
    assert (end.outcome, end.evidence.exit_code, runs(local)) == expected
    assert end.evidence.detail == ("never_started" if becomes == "never ran" else "")


def test_callers_that_launch_at_the_same_moment_start_one_run(local: Any) -> None:
    env = {"PYTHONPATH": PACKAGE_ROOT, "PATH": os.defpath}
    command = [sys.executable, "-c", CALLER, str(local.settings.root), "a_1", "when launched"]
    callers = [subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [c.wait(60) for c in callers] == [-signal.SIGKILL] * 3
    (local.workload_folder("w_crash") / "out" / "go").touch()
    end = local.ended("a_1")
    assert (end.outcome, end.evidence.exit_code, runs(local)) == (Outcome.FAILED, 4, 1)


def test_what_a_killed_caller_prepared_is_swept_away(local: Any) -> None:
    crash(local, "a_1", "before the claim")
    attempts = local.settings.root / "attempts"
    assert [p.name.startswith(".new-") for p in attempts.iterdir()] == [True]
    local.another()
    assert list(attempts.iterdir()) == []


def test_a_shim_that_dies_before_it_ran_anything_is_a_rejection(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = os.posix_spawn

    def spawn_and_kill(*args: Any, **more: Any) -> int:
        pid = spawn(*args, **more)
        os.kill(pid, signal.SIGKILL)
        return pid

    monkeypatch.setattr(os, "posix_spawn", spawn_and_kill)
    order = local.run("touch", "ran")
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail, end.evidence.run_ms) == (Outcome.REJECTED, "never_started", 0)
    assert not (local.workload_folder(order.workload) / "work" / "ran").exists()


def test_a_killed_shim_is_lost_its_tree_is_killed_and_it_is_billed_up_to_the_last_evidence(local: Any) -> None:
    order = local.shell("setsid sleep 60 & (setsid sleep 61 &) ; echo ready; sleep 62")
    local.driver.launch(order)
    local.says(order.attempt, b"ready")
    known = local.until(order.attempt, lambda o: o.evidence.run_ms >= 200)
    assert len(local.processes_of(order.attempt)) >= 3
    local.shims(order.attempt)[0].kill()
    end = local.until(order.attempt, lambda o: o.phase == "ended", local.another())
    assert (end.outcome, end.evidence.detail) == (Outcome.LOST, "shim_died")
    assert end.evidence.run_ms >= known.evidence.run_ms
    assert end.evidence.ended_ms == end.evidence.started_ms + end.evidence.run_ms
    assert local.processes_of(order.attempt) == []


def test_a_machine_that_was_started_anew_has_lost_its_jobs(local: Any) -> None:
    order = local.run("sleep", "60")
    local.driver.launch(order)
    local.running(order.attempt)
    (shim,) = local.shims(order.attempt)
    shim.kill()
    local.until_gone(shim)
    run = local.attempt_folder(order.attempt) / "run"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    run.write_text(run.read_text().replace(boot, "another-boot"))
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.LOST, "machine_rebooted")


def test_a_shutdown_of_the_machine_ends_a_job_as_lost_with_its_evidence(local: Any) -> None:
    order = local.shell("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    local.driver.launch(order)
    local.says(order.attempt, b"ready")
    local.shims(order.attempt)[0].terminate()
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.LOST, "shim_terminated")
    assert "saved" in local.log(order.attempt)


def test_a_shim_ignores_what_ends_a_terminal_session(local: Any) -> None:
    order = local.shell("while [ ! -e $DURE_OUTPUT_DIR/go ]; do sleep 0.02; done")
    local.driver.launch(order)
    local.running(order.attempt)
    (shim,) = local.shims(order.attempt)
    assert os.getsid(shim.pid) == shim.pid
    for number in (signal.SIGHUP, signal.SIGINT):
        shim.send_signal(number)
    (local.workload_folder(order.workload) / "out" / "go").touch()
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("grace_ms", [0, 300])
def test_a_stop_reaches_the_whole_tree_also_what_left_its_session(local: Any, grace_ms: int) -> None:
    ignore = "trap '' TERM; "
    order = local.shell(f'{ignore} setsid sh -c "{ignore} sleep 60" & (setsid sleep 61 &) ; echo ready; sleep 62')
    local.driver.launch(order)
    local.says(order.attempt, b"ready")
    local.driver.stop(order.attempt, Outcome.CANCELLED, grace_ms)
    assert local.ended(order.attempt).outcome is Outcome.CANCELLED
    assert local.processes_of(order.attempt) == []


def test_what_saves_in_the_background_has_its_grace_although_its_shell_has_gone(local: Any) -> None:
    order = local.run(
        "sh", "-c", "sh -c \"trap 'sleep 0.3; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done\"; true"
    )
    local.driver.launch(order)
    local.says(order.attempt, b"ready")
    local.driver.stop(order.attempt, Outcome.PREEMPTED, 30_000)
    assert local.ended(order.attempt).outcome is Outcome.PREEMPTED
    assert "saved" in local.log(order.attempt)


def test_what_a_finished_command_leaves_behind_is_ended_with_it(local: Any) -> None:
    order = local.shell("setsid sleep 60 & sleep 61 & exit 0")
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert end.outcome is Outcome.SUCCEEDED and end.evidence.run_ms < 30_000
    assert local.processes_of(order.attempt) == []


def test_when_one_rank_fails_the_others_are_stopped_and_it_names_the_outcome(local: Any) -> None:
    order = local.shell('test $RANK = 1 && exit 9; trap "echo told; exit 0" TERM; while :; do sleep 0.02; done', workers=3)
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.exit_code) == (Outcome.FAILED, 9)
    assert local.processes_of(order.attempt) == []


def test_when_one_rank_cannot_be_launched_none_runs(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    order = local.shell("echo ran", workers=2)
    spawn = os.posix_spawn

    def spawn_with_a_blocked_log(*args: Any, **more: Any) -> int:
        (local.attempt_folder(order.attempt) / "log.1").mkdir()  # rank 1 cannot open its log
        return spawn(*args, **more)

    monkeypatch.setattr(os, "posix_spawn", spawn_with_a_blocked_log)
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.REJECTED, "isolation_failed")
    assert (end.evidence.run_ms, end.evidence.started_ms) == (0, 0)
    assert local.log(order.attempt, 0) == ""


def test_callers_do_not_gather_zombies(local: Any) -> None:
    orders = [local.run("true") for _ in range(5)]
    for order in orders:
        local.driver.launch(order)
    for order in orders:
        local.ended(order.attempt)
    for _ in local.tries():
        local.driver.observe([])
        if not psutil.Process().children():
            break
        local.let_pass()
    assert psutil.Process().children() == []


def test_a_folder_that_cannot_be_written_is_a_rejection_not_an_exception(local: Any) -> None:
    broken = local.farm / "file"
    broken.touch()
    driver = local.with_settings(root=broken / "local")
    order = local.run("true")
    seen = driver.launch(order)
    assert (seen.phase, seen.outcome, seen.evidence.detail) == ("ended", Outcome.REJECTED, "root_unwritable")
    assert driver.observe() == [seen]
    assert driver.describe()["isolation"].startswith("none: ")
    driver.stop(order.attempt, Outcome.CANCELLED, 0)
    local.with_settings()


def test_a_folder_that_broke_later_is_a_rejection_too(local: Any) -> None:
    attempts = local.settings.root / "attempts"
    attempts.rmdir()
    attempts.touch()
    seen = local.driver.launch(local.run("true"))
    assert (seen.outcome, seen.evidence.detail) == (Outcome.REJECTED, "root_unwritable")
    attempts.unlink()
    attempts.mkdir(mode=0o700)


def test_memory_beyond_the_demand_ends_a_job_and_says_so(local: Any) -> None:
    hog = "import time\nkept = bytearray(300 << 20)\ntime.sleep(60)"
    order = local.run("python", "-c", hog, demand=Demand(memory_mib=100))
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail, end.evidence.signal) == (Outcome.FAILED, "memory_limit", 9)
    assert end.evidence.rss_max_mib >= 100


def test_a_runaway_log_is_cut_back_and_the_job_goes_on(local: Any) -> None:
    local.with_settings(log_bytes_max=10_000)
    order = local.shell("head -c 3000000 /dev/zero | tr '\\0' x; sleep 1; echo after; exit 6")
    local.driver.launch(order)
    end = local.ended(order.attempt)
    text = local.log(order.attempt)
    assert (end.outcome, end.evidence.exit_code) == (Outcome.FAILED, 6)
    assert text.startswith("x" * 10_000 + "\n[dure: the log has reached its bound") and len(text) < 10_200


def test_a_job_that_sets_back_the_times_of_its_checkpoints_has_saved_when_it_did(local: Any) -> None:
    order = local.shell(
        "cd $DURE_CHECKPOINT_DIR; echo 1 > one; touch -d 2001-01-01 one; mkdir -p deep; mv one deep/; touch -d 2001-01-01 deep"
    )
    local.driver.launch(order)
    evidence = local.ended(order.attempt).evidence
    assert evidence.started_ms <= evidence.checkpoint_ms <= evidence.ended_ms


def test_cpu_time_and_checkpoints_are_known_while_it_runs(local: Any) -> None:
    order = local.shell("touch $DURE_CHECKPOINT_DIR/one; while :; do :; done")
    local.driver.launch(order)
    seen = local.until(order.attempt, lambda o: o.evidence.cpu_ms > 50 and o.evidence.checkpoint_ms > 0)
    assert seen.phase == "running" and seen.evidence.checkpoint_ms >= seen.evidence.started_ms - 1000
