"""cgroups: on a tree of plain files that stands for the kernel's, and on the machine's own where that may be divided."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dure.backends.local import cgroups
from dure.backends.local.cgroups import Group, Place

FILES = ("cgroup.procs", "cgroup.kill", "memory.max", "memory.oom.group", "pids.max", "cpu.weight", "cpu.max", "cpuset.cpus")


def fake(folder: Path, *names: str) -> Group:
    folder.mkdir()
    for name in names or FILES:
        (folder / name).touch()
    return Group(str(folder))


def proc(folder: Path, *, own: str, mount: str = "/cg") -> str:
    (folder / "mountinfo").write_text(
        "24 1 0:21 / /proc rw - proc proc rw\n32 24 0:28 / /v1 rw - cgroup cgroup rw,memory\n"
        f"33 24 0:29 / {mount} rw,nosuid - cgroup2 c rw\n"
    )
    (folder / "cgroup").write_text(f"4:memory:/elsewhere\n0::{own}\n")
    return str(folder)


def test_the_bounds_are_those_of_the_controllers_that_are_there() -> None:
    place = Place("/cg", "dure-x-", ("memory", "pids", "cpu", "cpuset"))
    plan = place.plan("a_1", memory_mib=512, processes_max=4096, cores_milli=2500, cpus=[0, 1, 5])
    assert plan == {
        "path": "/cg/dure-x-a_1",
        "bounds": [
            ["memory.max", str(512 << 20)],
            ["memory.swap.max", "0"],
            ["memory.oom.group", "1"],
            ["pids.max", "4096"],
            ["cpu.weight", "250"],
            ["cpu.max", "300000 100000"],
            ["cpuset.cpus", "0,1,5"],
        ],
    }
    assert Place("/cg", "d-").plan("a", memory_mib=1, processes_max=1, cores_milli=1, cpus=[]) == {
        "path": "/cg/d-a",
        "bounds": [],
    }
    assert Place().plan("a", memory_mib=1, processes_max=1, cores_milli=1, cpus=[]) is None


def test_a_group_is_made_bounded_entered_and_killed(tmp_path: Path) -> None:
    group = fake(tmp_path / "g")
    assert group.make([["memory.max", "1048576"], ["memory.swap.max", "0"], ["pids.max", "7"]]) == []  # a kernel without swap
    group.admit(4711)
    group.kill()
    said = {name: (tmp_path / "g" / name).read_text() for name in ("memory.max", "pids.max", "cgroup.procs", "cgroup.kill")}
    assert said == {"memory.max": "1048576", "pids.max": "7", "cgroup.procs": "4711", "cgroup.kill": "1"}
    assert group.bounds_memory


def test_a_bound_that_cannot_be_set_is_said_and_not_believed(tmp_path: Path) -> None:
    group = fake(tmp_path / "g", "cgroup.procs")
    (fault,) = group.make([["memory.max", "1"]])
    assert fault.startswith("memory.max is not in force") and group.door is not None and not group.bounds_memory
    nowhere = Group(str(tmp_path / "file" / "g"))
    (tmp_path / "file").touch()
    (fault,) = nowhere.make([["memory.max", "1"]])
    assert fault.startswith("no cgroup") and nowhere.door is None


@pytest.mark.parametrize(
    ("events", "who"),
    [
        ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n", "job"),
        ("max 0\noom 0\noom_kill 1\n", "machine"),
        ("max 9\noom 0\noom_kill 0\n", ""),
        (None, ""),
    ],
)
def test_who_ran_out_of_memory_is_told_apart(tmp_path: Path, events: str | None, who: str) -> None:
    group = fake(tmp_path / "g")
    if events is not None:
        (tmp_path / "g" / "memory.events").write_text(events)
    assert group.oom() == who


def test_memory_is_what_the_kernel_cannot_take_back(tmp_path: Path) -> None:
    group = fake(tmp_path / "g")
    (tmp_path / "g" / "memory.stat").write_text(f"anon {30 << 20}\nfile {900 << 20}\nkernel {2 << 20}\nshmem {8 << 20}\n")
    assert group.used_mib() == 40


def test_a_group_is_empty_when_nothing_populates_it_and_goes_with_what_a_job_made_inside(tmp_path: Path) -> None:
    group = fake(tmp_path / "g", "cgroup.procs")
    (tmp_path / "g" / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert not group.is_empty() and not group.remove()
    for name in ("cgroup.events", "cgroup.procs"):
        (tmp_path / "g" / name).unlink()  # the kernel's files go with their folder
    (tmp_path / "g" / "inner" / "most").mkdir(parents=True)
    assert group.is_empty() and group.remove() and not (tmp_path / "g").exists()
    assert group.remove()


def test_the_place_is_what_a_service_manager_gave_or_the_top_for_root(tmp_path: Path) -> None:
    ours = proc(tmp_path, own="/system.slice/dure.service/farm")
    assert cgroups._base(ours, False) == cgroups._base(ours, True) == "/cg/system.slice/dure.service"
    session = proc(tmp_path, own="/user.slice/session-1.scope")
    assert (cgroups._base(session, False), cgroups._base(session, True)) == ("", "/cg")
    (tmp_path / "mountinfo").write_text("")
    assert cgroups._base(str(tmp_path), True) == ""


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert cgroups.find("off", "d-").why == "switched off"
    assert cgroups.find("auto", "d-", proc=str(tmp_path)).why == cgroups.MISSING
    (tmp_path / "plain").mkdir()
    place = cgroups.find(str(tmp_path / "plain"), "d-")
    assert place.base == "" and "cgroup.procs" in place.why and list((tmp_path / "plain").iterdir()) == []


def test_controllers_are_asked_for_and_only_those_that_came_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    given = tmp_path / "cgroup.subtree_control"
    given.write_text("memory\n")
    asked: list[str] = []

    def kernel(path: str, value: str) -> None:
        asked.append(value)
        if value == "+cpu":
            raise OSError("processes of ours are in the way")
        given.write_text(f"{given.read_text().strip()} {value[1:]}\n")

    monkeypatch.setattr(cgroups, "_write", kernel)
    assert cgroups._hand_down(str(tmp_path)) == ("memory", "pids", "cpuset")
    assert sorted(asked) == ["+cpu", "+cpuset", "+pids"]


# -- the real thing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Place:
    found = cgroups.find("auto", f"dure-test-{os.getpid()}-")
    if not found.base:
        pytest.skip(f"needs a cgroup v2 that may be divided: {found.why}")
    return found


def admitted(group: Group, *command: str) -> subprocess.Popen[bytes]:
    """A member that goes on when its input ends."""
    made = subprocess.Popen(["sh", "-c", 'read go; exec "$@"', "sh", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    group.admit(made.pid)
    assert made.stdin is not None
    made.stdin.close()
    return made


def test_a_real_group_ends_all_its_members_at_one_stroke_and_is_removed(place: Place) -> None:
    group = Group(place.path("a_1"))
    try:
        assert group.make([]) == []
        with admitted(group, "sh", "-c", "setsid sleep 60 & echo ready; wait") as shell:
            assert shell.stdout is not None and shell.stdout.readline() == b"ready\n"
            assert len(Path(group.path, "cgroup.procs").read_text().split()) == 2
            assert not group.is_empty() and not group.remove() and place.attempts() == ["a_1"]
            group.kill()
            assert shell.wait() == -signal.SIGKILL
            assert shell.stdout.read() == b""  # read to its end: the last of them is gone
    finally:
        group.kill()
    assert any(group.remove() for _ in range(100_000))  # the last of them may be on its way out
    assert place.attempts() == []


def test_a_real_memory_bound_is_kept_and_told(place: Place) -> None:
    if "memory" not in place.controllers:
        pytest.skip(f"needs the memory controller: {place.why}")
    group = Group(place.path("a_2"))
    plan = place.plan("a_2", memory_mib=64, processes_max=100, cores_milli=1000, cpus=[])
    try:
        assert plan is not None and group.make(plan["bounds"]) == []
        with admitted(group, sys.executable, "-c", "import time; kept = bytearray(200 << 20); time.sleep(60)") as hog:
            assert hog.wait() == -signal.SIGKILL and group.oom() == "job"
    finally:
        group.kill()
    assert group.remove()
