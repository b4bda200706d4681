"""How a job stands to its neighbours: its CPUs, its rank before the kernel, its cgroup, and what it leaves on the disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

import dure
from dure.backends.local import cgroups, isolation, processes
from dure.backends.local.environment import THREADS
from dure.backends.local.isolation import Isolation
from dure.model.workload import Demand, Outcome
from dure.ports import Sweeper

LIBC_SIGNALS = 3 << 31  # 32 and 33 are the C library's own: no program can reset them
DAY_MS = 24 * 3600 * 1000
CPUS = sorted(os.sched_getaffinity(0))
SAY_CPUS = "import os, time; print(sorted(os.sched_getaffinity(0)), flush=True); time.sleep({seconds})"


def cpus_of(local: Any, cores_milli: int, *, stays: bool = False, **more: Any) -> tuple[Any, list[int]]:
    """Launch a job of so many cores: its order, and the CPUs that it finds it may use."""
    code = SAY_CPUS.format(seconds=60 if stays else 0)
    order = local.run("python", "-c", code, demand=Demand(cores_milli=cores_milli), **more)
    local.driver.launch(order)
    local.says(order.attempt, b"\n")
    return order, json.loads(local.log(order.attempt))


# -- CPUs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
def test_whole_cores_are_a_jobs_own_also_beside_those_that_an_earlier_agent_launched(local: Any) -> None:
    first, one = cpus_of(local, 1000, stays=True)
    local.driver = local.another()  # as after a restart of the agent
    second, other = cpus_of(local, 1000, stays=True)
    assert len(one) == len(other) == 1 and one != other
    local.driver.stop(first.attempt, Outcome.CANCELLED, 0)
    local.ended(first.attempt)
    assert cpus_of(local, 1000)[1] == one  # given back at its end, and free again
    local.driver.stop(second.attempt, Outcome.CANCELLED, 0)


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
def test_fractions_share_a_cpu_and_leave_whole_ones_free(local: Any) -> None:
    given = [cpus_of(local, 400, stays=True)[1] for _ in range(2)]
    assert given[0] == given[1] and len(given[0]) == 1
    assert cpus_of(local, 1000, stays=True)[1] != given[0]


def test_a_gang_shares_what_its_workers_asked_for_together_but_never_more_than_there_is(local: Any) -> None:
    _, given = cpus_of(local, 50_000, workers=2)
    assert given == CPUS


def test_the_agents_own_mask_is_respected(local: Any) -> None:
    os.sched_setaffinity(0, {CPUS[-1]})
    try:
        _, given = cpus_of(local, 4000)
    finally:
        os.sched_setaffinity(0, CPUS)
    assert given == [CPUS[-1]]


def test_cpus_can_be_left_to_the_kernel(local: Any) -> None:
    local.with_settings(cpu_affinity=False)
    assert cpus_of(local, 1000)[1] == CPUS


def test_no_job_is_bound_where_more_cores_are_declared_than_there_are(local: Any) -> None:
    local.with_settings(cores_milli=1000 * (len(CPUS) + 1))
    assert cpus_of(local, 1000)[1] == CPUS
    assert local.driver.describe()["limits"]["cores"].startswith("advisory")


def test_a_refused_launch_holds_no_cpu(local: Any) -> None:
    (local.settings.root / "uids.json").write_text("broken")
    driver = local.driver
    driver._isolation = Isolation(isolation.UID)  # which needs a user, who cannot be found
    refused = local.run("true")
    assert driver.launch(refused).outcome is Outcome.REJECTED
    assert driver._claims.take("next", 1000, CPUS) == [(CPUS[0], 1000)]
    (local.settings.root / "uids.json").unlink()


def test_numerical_libraries_are_told_how_many_threads_to_start_unless_the_job_says(local: Any) -> None:
    code = f"import os; print(*[os.environ[n] for n in {THREADS!r}])"
    many = str(min(3, len(CPUS)))  # never more than could run at once
    for asked, told in (({"MKL_NUM_THREADS": "7"}, [many, many, "7", many]), ({"OMP_NUM_THREADS": "1"}, ["1"] * 4)):
        order = local.run("python", "-c", code, demand=Demand(cores_milli=2500), env=asked)
        local.driver.launch(order)
        local.ended(order.attempt)
        assert local.log(order.attempt).split() == told


# -- its rank before the kernel ----------------------------------------------------------------------------------------------


def test_a_job_inherits_no_precedence_and_no_deafness_of_the_farms(local: Any, am_root: bool) -> None:
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    if am_root:
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    try:
        order = local.shell("cat /proc/self/oom_score_adj; grep SigIgn /proc/self/status; nice; cat /proc/self/limits")
        local.driver.launch(order)
        local.ended(order.attempt)
    finally:
        signal.signal(signal.SIGQUIT, before)
        if am_root:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
    score, ignored, nice, *bounds = local.log(order.attempt).splitlines()
    assert int(score) >= 500 and int(ignored.split()[1], 16) & ~LIBC_SIGNALS == 0 and nice == "0"
    said = {line[:26].strip(): line[26:].split()[:2] for line in bounds}
    assert said["Max realtime priority"] == said["Max nice priority"] == said["Max core file size"] == ["0", "0"]


def test_a_job_has_only_its_own_three_descriptors(local: Any) -> None:
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        code = "import os; print(*[n for n in range(256) if os.path.exists(f'/proc/self/fd/{n}')], oct(os.umask(0)))"
        order = local.run("python", "-c", code)
        local.driver.launch(order)
        local.ended(order.attempt)
    finally:
        os.close(leaked)
    assert local.log(order.attempt).split() == ["0", "1", "2", "0o77"]


# -- its log and its exit ------------------------------------------------------------------------------------------------------

TAKER = """
import array, os, socket, time
with socket.socket(socket.AF_UNIX) as door:
    door.bind("\\0dure-test-" + os.environ["NAME"])
    door.listen()
    print("ready", flush=True)
    with door.accept()[0] as peer:
        _, [(_, _, fd)], _, _ = peer.recvmsg(1, socket.CMSG_SPACE(4))
        log = array.array("i", fd)[0]
        while True:
            os.write(log, b"forged\\n")
            time.sleep(0.02)
"""
GIVER = """
import os, socket
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect("\\0dure-test-" + os.environ["NAME"])
    socket.send_fds(peer, [b"x"], [1])
os.write(1, b"mine\\n")  # in one call: an unbuffered print makes two, and the other's line may come between them
"""


def test_what_others_write_to_a_log_after_the_end_is_not_shown(local: Any) -> None:
    name = {"NAME": str(os.getpid())}
    taker, giver = local.run("python", "-c", TAKER, env=name), local.run("python", "-c", GIVER, env=name)
    local.driver.launch(taker)
    local.says(taker.attempt, b"ready")
    local.driver.launch(giver)
    local.ended(giver.attempt)
    shown = local.log(giver.attempt)
    file = local.attempt_folder(giver.attempt) / "log.0"
    for _ in local.tries():
        if file.stat().st_size > len(shown) + 50:
            break
        local.let_pass()
    assert "mine\n" in shown and local.log(giver.attempt) == shown
    assert local.driver.read_log(giver.attempt, 0, len(shown), 100) == b""
    local.driver.stop(taker.attempt, Outcome.CANCELLED, 0)


FULL = """
import os, sys, time
from pathlib import Path
from dure.backends.local.driver import LocalDriver
from dure.backends.local.settings import LocalSettings
from dure.model.workload import Outcome, Worker, WorkloadSpec
from dure.ports import LaunchOrder

farm = Path(sys.argv[1])
driver = LocalDriver(LocalSettings(root=farm / "local", farm_folder=farm))
spec = WorkloadSpec(name="x", command=("sh", "-c", "cat /dev/zero > $DURE_OUTPUT_DIR/fill; sleep 60"), grace_ms=0)
driver.launch(LaunchOrder(attempt="a", epoch=1, workload="w", project="p", array_index=-1, spec=spec,
                          workers=(Worker(node="node"),), accelerator="", limit_ms=60000))
until = time.monotonic() + 30
while time.monotonic() < until and os.statvfs(farm).f_bavail:
    time.sleep(0.01)
driver.stop("a", Outcome.CANCELLED, 0)
while time.monotonic() < until and driver.observe(["a"])[0].phase != "ended":
    time.sleep(0.01)
print(driver.observe(["a"])[0].outcome.value)
"""


def test_who_fills_the_disk_can_be_stopped_and_its_end_is_recorded(am_root: bool, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if not am_root or unshare is None:
        pytest.skip("needs root and unshare, for a small disk of its own")
    script = f'mount -t tmpfs -o size=600k,mode=700 none {tmp_path} && exec "$0" -c "$1" {tmp_path}'
    env = {"PYTHONPATH": str(Path(dure.__file__).parent.parent), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command = [unshare, "-m", "--propagation", "private", "sh", "-c", script, sys.executable, FULL]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    if "mount" in done.stderr:
        pytest.skip(f"needs the right to mount: {done.stderr}")
    assert done.stdout == "cancelled\n", done.stderr


# -- its cgroup ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def grouped(am_root: bool, make_rig: Any) -> Iterator[Any]:
    """A rig without namespaces, on a machine whose cgroups it may divide."""
    if not am_root or not Path("/usr/bin/python3").exists():
        pytest.skip("needs root and a Python that everybody may run")
    with tempfile.TemporaryDirectory(prefix="dure-test-") as name:
        Path(name).chmod(0o711)
        rig = make_rig(Path(name))
        rig.farm.chmod(0o711)
        rig.with_settings(python="/usr/bin/python3", uid_base=700_000 + os.getpid() * 10, uid_range=10)
        rig.driver._isolation = Isolation(isolation.UID)
        if not rig.driver._groups.base:
            pytest.skip(f"needs a cgroup v2 that may be divided: {rig.driver._groups.why}")
        yield rig
        rig.close()
        assert rig.driver._groups.attempts() == []


def group_of(rig: Any, order: Any) -> Path:
    return Path(rig.driver._groups.path(order.attempt))


def test_all_of_a_job_is_in_its_group_which_goes_with_it(grouped: Any) -> None:
    order = grouped.shell("(setsid sleep 4241 &); cat /proc/self/cgroup; exec sleep 4242", workers=2)
    grouped.driver.launch(order)
    for rank in (0, 1):
        grouped.says(order.attempt, group_of(grouped, order).name.encode(), rank)
    assert len((group_of(grouped, order) / "cgroup.procs").read_text().split()) >= 2
    grouped.driver.stop(order.attempt, Outcome.CANCELLED, 0)
    assert grouped.ended(order.attempt).outcome is Outcome.CANCELLED
    assert not group_of(grouped, order).exists() and grouped.processes_of(order.attempt) == []


def test_with_a_group_a_killed_shim_takes_also_what_has_dropped_its_environment(grouped: Any) -> None:
    order = grouped.shell("env -i setsid sleep 4243 & echo ready; exec env -i sleep 4244")
    grouped.driver.launch(order)
    grouped.says(order.attempt, b"ready")
    (shim,) = grouped.shims(order.attempt)
    for _ in grouped.tries():
        below = [p for p in processes.descendants(shim.pid) if b"sleep" in Path(f"/proc/{p}/cmdline").read_bytes()]
        if len(below) == 2:
            break
    shim.kill()
    end = grouped.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.LOST, "shim_died")
    assert [p for p in below if processes.start_ticks(p)] == [] and not group_of(grouped, order).exists()


def test_a_group_that_a_crash_left_is_removed_when_the_agent_starts(grouped: Any) -> None:
    order = grouped.run("true")
    grouped.driver.launch(order)
    grouped.ended(order.attempt)
    left = cgroups.Group(str(group_of(grouped, order)))
    left.make([])
    sleeper = subprocess.Popen(["sleep", "60"])
    left.admit(sleeper.pid)
    again = grouped.another()
    assert sleeper.wait(30) == -signal.SIGKILL
    for _ in grouped.tries():  # the last member may be on its way out
        if not (again := grouped.another())._groups.attempts():
            break
    assert again._groups.attempts() == []


def test_where_the_kernel_killed_for_want_of_memory_the_outcome_says_whose(local: Any, tmp_path: Path) -> None:
    """On plain files that stand for a cgroup; the real bound is in the unit tests, where a machine has the controller."""
    for attempt, oom, expected in (("a_1", 1, (Outcome.FAILED, "memory_limit")), ("a_2", 0, (Outcome.LOST, "machine_memory"))):
        folder = tmp_path / f"dure-{attempt}"
        folder.mkdir()
        for name in ("cgroup.procs", "cgroup.kill", "memory.max", "memory.oom.group"):
            (folder / name).touch()
        (folder / "memory.stat").write_text(f"anon {10 << 20}\n")
        (folder / "memory.events").write_text(f"oom {oom}\noom_kill 1\n")
        local.driver._groups = cgroups.Place(str(tmp_path), "dure-", ("memory",))
        order = local.shell("kill -9 $$", demand=Demand(memory_mib=64))
        assert order.attempt == attempt
        local.driver.launch(order)
        end = local.ended(attempt)
        assert (end.outcome, end.evidence.detail) == expected, (local.attempt_folder(attempt) / "shim.log").read_text()
        assert (folder / "memory.max").read_text() == str(64 << 20) and (folder / "cgroup.procs").read_text().isdigit()
        assert (end.evidence.rss_max_mib >= 64) is (oom == 1)


# -- what it leaves on the disk -------------------------------------------------------------------------------------


def everything(attempts: Collection[str]) -> Collection[str]:
    return attempts


def sweep(local: Any, days: float, billed: Any = everything) -> list[str]:
    assert isinstance(local.driver, Sweeper)
    gone: list[str] = []
    while True:
        swept = local.driver.sweep(billed, time.time_ns() // 1_000_000 + int(days * DAY_MS))
        gone += swept.attempts
        if not swept.more:
            return gone


def finished(local: Any, script: str, **more: Any) -> Any:
    order = local.shell(script, **more)
    local.driver.launch(order)
    local.ended(order.attempt)
    return order


def test_what_finished_work_left_goes_in_time_and_who_asks_is_told(local: Any) -> None:
    order = finished(local, "echo hello; echo result > $DURE_OUTPUT_DIR/result")
    result = local.workload_folder(order.workload) / "out" / "result"
    assert sweep(local, 6.9) == [] and result.exists() and local.log(order.attempt) == "hello\n"
    assert sweep(local, 7.1) == [order.attempt]
    assert not local.workload_folder(order.workload).exists() and not local.attempt_folder(order.attempt).exists()
    assert list((local.settings.root / "trash").iterdir()) == []
    said = local.log(order.attempt)
    assert said.startswith("[dure: this log is gone. It ended ") and said.endswith("logs are kept for 7 days after the end]\n")
    assert local.driver.read_log(order.attempt, 0, 5, 3) == said[5:8].encode()
    assert local.driver.observe([order.attempt]) == []
    assert local.driver.launch(order).evidence.detail == "forgotten"
    assert local.another().launch(order).evidence.detail == "forgotten"


def test_what_is_not_billed_or_runs_or_may_run_again_stays(local: Any) -> None:
    unbilled = finished(local, "true")
    lives = local.run("sleep", "60")
    local.driver.launch(lives)
    local.running(lives.attempt)
    preempted = local.run("sleep", "60")
    local.driver.launch(preempted)
    local.running(preempted.attempt)
    local.driver.stop(preempted.attempt, Outcome.PREEMPTED, 0)
    local.ended(preempted.attempt)
    again = finished(local, "exit 1", retries=1)
    assert sweep(local, 29, lambda some: [a for a in some if a != unbilled.attempt]) == []
    assert sorted(sweep(local, 31, lambda some: [a for a in some if a != unbilled.attempt])) == [preempted.attempt, again.attempt]
    assert local.driver.observe([lives.attempt])[0].phase == "running" and local.workload_folder(lives.workload).exists()


def test_a_size_bound_takes_the_oldest_of_who_takes_most(local: Any) -> None:
    local.with_settings(keep_bytes_max=6 << 20)
    fill = "head -c {} /dev/zero > $DURE_OUTPUT_DIR/fill"
    orders = [finished(local, fill.format(3 << 20)) for _ in range(3)]
    assert sweep(local, 0) == [orders[0].attempt, orders[1].attempt]
    assert local.workload_folder(orders[2].workload).exists()
    assert "may take 0 GiB" in local.log(orders[0].attempt)


def test_a_sweep_follows_no_link_and_is_stopped_by_no_tree_that_a_job_planted(local: Any, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    code = (
        "import os, sys\n"
        f"for name in ('work', 'checkpoint', 'out'):\n os.symlink({str(tmp_path / 'precious')!r}, '../' + name + '/link')\n"
        "for start in ('.', os.environ['TMPDIR']):\n"
        " os.chdir(start)\n"
        " for _ in range(1500):\n  os.mkdir('d' * 50); os.chdir('d' * 50)\n"
        " os.symlink('/', 'root'); os.chmod('.', 0)\n"
        " os.chdir(os.environ['HOME'])\n"
    )
    order = local.run("python", "-c", code)
    local.driver.launch(order)
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED, local.log(order.attempt)
    assert sweep(local, 8) == [order.attempt]
    assert (tmp_path / "precious" / "file").read_text() == "x"
    assert list((local.settings.root / "trash").iterdir()) == []


def test_temporary_files_go_at_the_end_not_with_the_log(local: Any) -> None:
    order = finished(local, "echo kept; touch $TMPDIR/file")
    assert (local.settings.root / "tmp" / order.attempt).exists()
    assert sweep(local, 0, lambda some: []) == []
    assert not (local.settings.root / "tmp" / order.attempt).exists() and local.log(order.attempt) == "kept\n"


def test_a_sweep_that_was_killed_half_way_is_finished_by_the_next(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    order = finished(local, "echo hello")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dure.backends.local.housekeeping.files.write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(local, 8)
    assert not local.workload_folder(order.workload).exists() and local.attempt_folder(order.attempt).exists()
    local.driver = local.another()
    assert local.log(order.attempt) == "hello\n"
    assert sweep(local, 8) == [order.attempt] and local.log(order.attempt).startswith("[dure: this log is gone")


def test_a_launch_that_is_being_prepared_keeps_its_folders(local: Any) -> None:
    first = finished(local, "true", workload="w_again")
    second = local.run("true", workload="w_again")
    with local.driver._house.preparing(second):
        assert sweep(local, 8) == []
    assert local.workload_folder("w_again").exists()
    assert sweep(local, 8) == [first.attempt]


def test_folders_that_no_attempt_names_go_too_but_late(local: Any) -> None:
    old = local.workload_folder("w_orphan")
    (old / "work").mkdir(parents=True)
    sweep(local, 29)
    assert old.exists()
    sweep(local, 31)
    assert not old.exists()


def test_what_was_refused_is_not_remembered_for_ever(local: Any) -> None:
    refused = local.run("true", workers=1, env={"": "x"})
    assert local.driver.launch(refused).evidence.detail == "bad_env"
    assert sweep(local, 0, lambda some: []) == []
    assert sweep(local, 0) == [refused.attempt] and local.driver.observe([refused.attempt]) == []
    assert local.driver.launch(refused).evidence.detail == "forgotten"


ALLOCATE = """
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
print("before", flush=True)
if libc.fallocate(1, 1, 0, {kib} << 10):  # FALLOC_FL_KEEP_SIZE: blocks, behind the end of the file
    print("unsupported", flush=True)
print("after", flush=True)
time.sleep({seconds})
"""


@pytest.mark.parametrize(("kib", "seconds"), [(32 << 10, 60), (1536, 0)], ids=["while it runs", "at its end"])
def test_what_a_job_reserves_behind_the_end_of_its_log_is_bounded_as_the_log_is(local: Any, kib: int, seconds: int) -> None:
    local.with_settings(log_bytes_max=1 << 20)
    order = local.run("python", "-c", ALLOCATE.format(kib=kib, seconds=seconds))
    local.driver.launch(order)
    local.says(order.attempt, b"after")
    log = local.attempt_folder(order.attempt) / "log.0"
    if "unsupported" in local.log(order.attempt):
        pytest.skip("the file system of the temporary folder reserves no blocks behind the end of a file")
    if not seconds:
        local.ended(order.attempt)
    for _ in local.tries():
        if log.stat().st_blocks * 512 <= 1 << 20:
            break
        local.let_pass()
    assert log.stat().st_blocks * 512 <= 1 << 20
    assert local.log(order.attempt).splitlines() == ["before", "after"]
    local.driver.stop(order.attempt, Outcome.CANCELLED, 0)
    local.ended(order.attempt)
