"""The parts of the local backend that can be asked by value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dure.backends.local import cgroups, environment, files, isolation, limits, machine, orders, processes, unpack, workers
from dure.backends.local.isolation import Isolation, Places
from dure.backends.local.machine import Accelerators
from dure.backends.local.settings import LocalSettings

EIGHT_H100 = "".join(f"{n}, NVIDIA H100 80GB HBM3, 700.00\n" for n in range(8))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (EIGHT_H100, Accelerators("h100", 8, 700_000)),
        ("0, Tesla T4, 70.00\n", Accelerators("t4", 1, 70_000)),
        ("0, NVIDIA GeForce RTX 4090, [N/A]\n", Accelerators("rtx-4090", 1, 0)),
        ("0, NVIDIA A100-SXM4-80GB, 400.00\n1, Tesla T4, 70.00\n", Accelerators("a100", 1, 400_000)),
        ("0, Tesla T4, 70.00\n2, Tesla T4, 70.00\n", Accelerators("t4", 1, 70_000)),
        ("No devices were found\n", Accelerators()),
        ("", Accelerators()),
    ],
)
def test_devices_are_read_from_nvidia_smi(text: str, found: Accelerators) -> None:
    assert machine.parse_smi(text) == found


def test_nvidia_smi_that_fails_means_no_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.find_accelerators() == Accelerators()
    tool.write_text(f"#!/bin/sh\ncat <<E\n{EIGHT_H100}E\n")
    assert machine.find_accelerators() == Accelerators("h100", 8, 700_000)


def test_settings_go_before_what_was_found(tmp_path: Path) -> None:
    found = Accelerators("h100", 8, 700_000)
    node = machine.inventory(LocalSettings(root=tmp_path, cores_milli=500, memory_mib=77), found)
    assert (node["cores_milli"], node["memory_mib"], node["accelerator"], node["devices"]) == (500, 77, "h100", 8)
    node = machine.inventory(LocalSettings(root=tmp_path, accelerator="atom", devices=2, device_mw=5), found)
    assert (node["accelerator"], node["devices"], node["device_mw"]) == ("atom", 2, 5)


@pytest.mark.parametrize(
    ("vendor", "name", "value"),
    [
        ("nvidia", "CUDA_VISIBLE_DEVICES", "0,2"),
        ("amd", "ROCR_VISIBLE_DEVICES", "0,2"),
        ("huawei", "ASCEND_RT_VISIBLE_DEVICES", "0,2"),
        ("rebellions", "RBLN_DEVICES", "0,2"),
        ("furiosa", "FURIOSA_DEVICES", "npu:0,npu:2"),
    ],
)
def test_the_vendors_variable_names_the_devices_and_all_others_are_empty(vendor: str, name: str, value: str) -> None:
    env = environment.visible_devices(vendor, (0, 2))
    assert env[name] == value
    assert {n for n, v in env.items() if v} == set(environment.VISIBLE_DEVICES[vendor])
    assert not any(environment.visible_devices(vendor, ()).values())


@pytest.mark.parametrize(
    ("name", "fine"),
    [("a_01HX", True), ("a.b-c", True), ("", False), ("..", False), ("a/b", False), (".x", False), ("a\n", False)],
)
def test_only_plain_names_become_folders(name: str, fine: bool) -> None:
    assert orders.is_name(name) is fine


# -- files ------------------------------------------------------------------------------------------------------------------


def test_a_record_is_whole_or_as_before(tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    assert files.read_record(path) is None
    files.write_record(path, {"long": "x" * 100})
    files.write_record(path, {"n": 1})
    assert files.read_record(path) == {"n": 1}
    (tmp_path / "run").write_text('{"n":')
    assert files.read_record(path) == {}


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    path = str(tmp_path / "stop")
    assert files.write_record_once(path, {"cause": "preempted"}) is True
    assert files.write_record_once(path, {"cause": "cancelled"}) is False
    assert files.read_record(path) == {"cause": "preempted"}
    assert [p.name for p in tmp_path.iterdir()] == ["stop"]


def test_the_space_for_an_exit_is_taken_before_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "exit"
    files.reserve(f"{path}.tmp")
    assert Path(f"{path}.tmp").stat().st_size == files.RESERVED_BYTES
    files.write_record(str(path), {"outcome": "succeeded"})
    assert json.loads(path.read_bytes()) == {"outcome": "succeeded"}


def test_the_space_for_a_stop_is_taken_too_and_used_once(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    files.reserve(f"{path}.kept")
    reserved = Path(f"{path}.kept").stat().st_ino
    assert files.write_record_once(str(path), {"cause": "cancelled"})
    assert path.stat().st_ino == reserved and [p.name for p in tmp_path.iterdir()] == ["stop"]
    assert not files.write_record_once(str(path), {"cause": "timed_out"})
    assert json.loads(path.read_bytes()) == {"cause": "cancelled"}


def test_a_lock_is_held_until_every_copy_of_its_file_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = files.try_lock(path)
    assert first is not None
    copy = os.dup(first)
    os.close(first)
    assert files.try_lock(path) is None
    os.close(copy)
    again = files.try_lock(path)
    assert again is not None
    os.close(again)


def test_nobody_is_woken_where_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "wake")
    assert files.wake(path) is False
    os.mkfifo(path)
    assert files.wake(path) is False
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    assert files.wake(path) is True and os.read(reader, 10) == b"!"
    os.close(reader)


# -- processes ----------------------------------------------------------------------------------------------------------------


def test_descendants_by_the_kernels_list_and_by_scanning_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "sh -c 'echo ready; read x; :' ; :"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        below = processes.descendants(child.pid)
        monkeypatch.setattr(processes, "_children", processes._children_by_scan)
        assert processes.descendants(child.pid) == below and len(below) == 1
        assert processes.rss_bytes(child.pid) >= 1 << 10 and processes.rss_bytes(2**30) == 0
        child.stdin.close()
    assert processes.start_ticks(child.pid) == 0


def test_only_processes_with_the_marker_are_killed() -> None:
    marker = f"DURE_ATTEMPT=a_unit_{os.getpid()}_"  # nobody else's who runs these tests now
    marked = subprocess.Popen(["sleep", "60"], env=dict([marker.split("=")]))
    other = subprocess.Popen(["sleep", "60"], env=dict([f"{marker}2".split("=")]))
    try:
        while not processes.kill_marked(marker.encode()):
            marked.poll()
        assert marked.wait(10) == -9 and other.poll() is None
    finally:
        other.kill()
        other.wait(10)


def test_limits_say_what_holds_at_each_level(tmp_path: Path) -> None:
    made = settings(tmp_path, processes_max=77)
    levels = (isolation.NAMESPACE, isolation.UID, isolation.NONE)
    said = {n: limits.describe(made, Isolation(n), cgroups.Place(why="switched off")) for n in levels}
    assert said["namespace+uid"]["kill"].startswith("complete") and said["none"]["kill"].startswith("best effort")
    assert said["namespace+uid"]["processes"] == said["uid"]["processes"] == "77 for each project on this machine"
    assert said["none"]["processes"].startswith("not bounded")
    assert said["uid"]["shared_memory"].startswith("the machine's") and "own" in said["namespace+uid"]["shared_memory"]
    assert said["uid"]["cgroup"] == "none: switched off" and said["uid"]["memory"].startswith("watchdog")
    place = cgroups.Place("/groups", "dure-", ("memory", "pids", "cpu"))
    grouped = {n: limits.describe(made, Isolation(n), place) for n in levels}
    assert grouped["uid"]["kill"].startswith("complete") and not grouped["none"]["kill"].startswith("complete")
    assert grouped["none"]["processes"] == "77 for each attempt, by cgroup"
    assert all(told["memory"].startswith("the kernel") and told["cores"].startswith("the kernel") for told in grouped.values())


def test_a_group_that_bounds_nothing_is_made_only_where_it_completes_the_kill() -> None:
    bare = cgroups.Place("/groups", "dure-")
    assert not cgroups.is_useful(bare, True) and cgroups.is_useful(bare, False)
    assert cgroups.is_useful(cgroups.Place("/groups", "dure-", ("pids",)), True) and not cgroups.is_useful(cgroups.Place(), False)


def test_commands_are_found_as_a_shell_would(tmp_path: Path) -> None:
    for name, mode in (("runs", 0o755), ("plain", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert workers._find("runs", f"/nowhere:{tmp_path}") == f"{tmp_path}/runs"
    assert workers._find("plain", f":{tmp_path}") == f"{tmp_path}/plain"
    assert workers._find("absent", str(tmp_path)) == "" == workers._find("/nowhere/x", "")


@pytest.mark.parametrize(
    ("name", "inside"),
    [("a", True), ("a/../b", True), ("./a", True), ("..", False), ("a/../../b", False), ("/a", False), ("", False)],
)
def test_names_that_lead_outside_are_known(name: str, inside: bool) -> None:
    assert unpack._is_inside(name) is inside


# -- isolation ------------------------------------------------------------------------------------------------------------------


def settings(tmp_path: Path, **more: Any) -> LocalSettings:
    return LocalSettings(root=tmp_path / "farm" / "local", farm_folder=tmp_path / "farm", **more)


def test_projects_keep_their_users_and_never_share_one(tmp_path: Path) -> None:
    made = settings(tmp_path, uid_base=5000, uid_range=3)
    made.root.mkdir(parents=True)
    first = {p: isolation.project_uid(made, p) for p in ("a", "b", "c")}
    assert sorted(first.values()) == [5000, 5001, 5002]
    assert {p: isolation.project_uid(made, p) for p in ("c", "b", "a")} == first
    with pytest.raises(OSError, match="no user number is left"):
        isolation.project_uid(made, "d")
    (made.root / "uids.json").write_text("{")
    with pytest.raises(OSError, match="damaged"):
        isolation.project_uid(made, "a")


def test_a_plan_covers_the_farm_and_shows_the_workload_inside_it(tmp_path: Path) -> None:
    made = settings(tmp_path)
    places = Places(made.root / "workloads" / "w", made.root / "tmp" / "a")
    isolation.make_places(places, None)
    tmp_path.chmod(0o755)
    plan = isolation.sandbox_plan(made, Isolation(isolation.NAMESPACE), 5001, places)
    covers, binds = dict(plan["covers"]), dict(plan["binds"])
    assert covers[str(tmp_path / "farm")] == "" and covers["/tmp"] == str(places.tmp)
    assert binds[str(places.workload)] is False
    assert all(read_only for path, read_only in binds.items() if path != str(places.workload))
    assert isolation.sandbox_plan(made, Isolation(isolation.NONE, "why"), None, places)["covers"] == []


def test_the_first_folder_that_others_may_not_enter_is_found() -> None:
    with tempfile.TemporaryDirectory(prefix="dure-test-") as name:
        outer = Path(name)
        if isolation._first_shut(name):
            pytest.skip("temporary files lie below a shut folder here")
        inner = outer / "shut" / "inner" / "python"
        inner.mkdir(parents=True)
        outer.chmod(0o755)
        (outer / "shut").chmod(0o700)
        (outer / "shut" / "inner").chmod(0o755)
        assert isolation._first_shut(str(inner)) == str(outer / "shut")
        (outer / "shut").chmod(0o755)
        assert isolation._first_shut(str(inner)) == ""


def test_levels_are_named_exactly() -> None:
    assert str(Isolation(isolation.NAMESPACE)) == "namespace+uid"
    assert str(Isolation(isolation.UID, "namespace+uid: unshare: Operation not permitted")) == "uid"
    assert str(Isolation(isolation.NONE, "the farm does not run as root")) == "none: the farm does not run as root"


def test_a_python_is_followed_through_its_links(tmp_path: Path) -> None:
    prefixes = isolation.python_prefixes(sys.executable)
    assert sys.prefix in prefixes and sys.base_prefix in prefixes
    (tmp_path / "home" / "bin").mkdir(parents=True)
    link = tmp_path / "home" / "bin" / "py"
    link.symlink_to(sys.executable)
    assert str(tmp_path / "home") not in isolation.python_prefixes(str(link))


def test_a_shim_loads_little(tmp_path: Path) -> None:
    """What each job pays for at its start: none of the modules that are slow to load."""
    code = "import sys; sys.path.append(sys.argv[1]); import dure.backends.local.shim; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, isolation.PACKAGE_ROOT]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"dataclasses", "pathlib", "tarfile", "shutil", "subprocess", "socket", "psutil", "numpy", "inspect"}
    assert not loaded & {"typing", "traceback", "logging", "threading", "random", "hashlib"}
    assert {m for m in loaded if m.startswith("dure.backends.local.")} == {
        f"dure.backends.local.{m}"
        for m in ("shim", "cgroups", "checkpoints", "files", "memory", "processes", "sandbox", "space", "workers")
    }
