"""What a job finds around it on this machine: environment, folders, code, and what it cannot reach."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dure
from dure.backends.local import environment
from dure.backends.local.driver import LocalDriver
from dure.model.workload import Demand, Outcome, Worker

PRINT_ENV = "import json, os; print(json.dumps(dict(os.environ)))"
ALWAYS = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "PYTHONUNBUFFERED", "LC_CTYPE"),
    *environment.THREADS,
    *("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"),
    *("RBLN_VISIBLE_DEVICES", "RBLN_DEVICES", "FURIOSA_DEVICES"),
}


def env_of(local: Any, order: Any, worker: int = 0) -> dict[str, str]:
    local.driver.launch(order)
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED, local.log(order.attempt, worker)
    found: dict[str, str] = json.loads(local.log(order.attempt, worker))
    return found


def test_nothing_of_the_farms_environment_reaches_a_job(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_SECRET", "do not tell")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    order = replace(local.run("python", "-c", PRINT_ENV, env={"LR": "0.1"}), env={"DURE_SITE": "pohang"}, array_index=12)
    env = env_of(local, order)
    unknown = {name for name in env if name not in ALWAYS and not name.startswith("DURE_")}
    assert unknown == {"LR"} and env["DURE_SITE"] == "pohang"
    assert (env["DURE_ATTEMPT"], env["DURE_WORKLOAD"], env["DURE_PROJECT"]) == (order.attempt, order.workload, "prj_contract")
    assert (env["DURE_ARRAY_INDEX"], env["DURE_WORKER"], env["DURE_WORKERS"]) == ("12", "0", "1")
    assert env["DURE_LIMIT_MS"] == str(order.limit_ms) and env["CUDA_VISIBLE_DEVICES"] == ""
    assert env["HOME"] == str(local.workload_folder(order.workload) / "work")


def test_a_job_cannot_pretend_to_be_another_or_take_devices_by_its_environment(local: Any) -> None:
    order = local.run("python", "-c", PRINT_ENV, env={"DURE_ATTEMPT": "a_other", "CUDA_VISIBLE_DEVICES": "0,1", "HOME": "/tmp"})
    env = env_of(local, order)
    assert (env["DURE_ATTEMPT"], env["CUDA_VISIBLE_DEVICES"], env["HOME"]) == (order.attempt, "", "/tmp")


def test_every_rank_of_a_gang_knows_its_place_as_under_torchrun(local: Any) -> None:
    local.with_settings(accelerator="h100", devices=4)
    order = local.run("python", "-c", PRINT_ENV, workers=2, demand=Demand(cores_milli=1500, devices=2))
    order = replace(order, workers=(Worker(node="node", devices=(0, 1)), Worker(node="node", devices=(3,))))
    first = env_of(local, order)
    second = json.loads(local.log(order.attempt, 1))
    for rank, env in enumerate((first, second)):
        assert (env["RANK"], env["LOCAL_RANK"], env["WORLD_SIZE"], env["LOCAL_WORLD_SIZE"]) == (str(rank), str(rank), "2", "2")
        assert (env["DURE_WORKER"], env["DURE_WORKERS"], env["OMP_NUM_THREADS"]) == (
            str(rank),
            "2",
            str(min(2, len(os.sched_getaffinity(0)))),
        )
        assert env["MASTER_ADDR"] == "127.0.0.1" and env["MASTER_PORT"] == first["MASTER_PORT"]
    assert 1024 < int(first["MASTER_PORT"]) < 65536
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("0,1", "3")


def test_python_is_the_farms_interpreter_and_files_are_where_they_should_be(local: Any) -> None:
    script = (
        "import os, sys, tempfile; open('made', 'w').write('x'); open(os.environ['DURE_OUTPUT_DIR'] + '/result', 'w').write('y');"
        "tempfile.NamedTemporaryFile(); print(sys.prefix); print(os.getcwd()); os.stat(os.environ['DURE_CHECKPOINT_DIR'])"
    )
    order = local.run("python", "-c", script)
    local.driver.launch(order)
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED, local.log(order.attempt)
    folder = local.workload_folder(order.workload)
    import_prefix, cwd = local.log(order.attempt).split()
    assert Path(import_prefix).samefile(Path(local.settings.python).parent.parent) and cwd == str(folder / "work")
    assert (folder / "work" / "made").read_text() == "x"
    local.driver.forget(order.attempt)
    assert (folder / "out" / "result").read_text() == "y"
    assert not local.attempt_folder(order.attempt).exists()
    assert not (local.settings.root / "tmp" / order.attempt).exists()


def test_where_python_has_another_name_it_is_found_all_the_same(local: Any, tmp_path: Path) -> None:
    named = tmp_path / "odd" / "bin"
    named.mkdir(parents=True)
    for folder in (tmp_path, named.parent, named):
        folder.chmod(0o755)
    (named / "python-of-the-house").write_text(f'#!/bin/sh\nexec {local.settings.python} "$@"\n')
    (named / "python-of-the-house").chmod(0o755)
    local.with_settings(python=str(named / "python-of-the-house"), readable=(named,))
    order = local.run("python", "-c", "print('found')")
    local.driver.launch(order)
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED, local.log(order.attempt)
    assert local.log(order.attempt) == "found\n"


# -- bundles --------------------------------------------------------------------------------------------------------------


def bundle(folder: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> str:
    path = folder / "bundle.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return str(path)


def test_a_bundle_is_unpacked_once_for_all_attempts_of_a_workload(local: Any) -> None:
    path = bundle(local.farm, {"pkg/run.sh": b"cat data; echo more >> data\n", "data": b"first\n"}, {"pkg/link": "../data"})
    orders = [replace(local.run("sh", "pkg/run.sh", workload="w_code"), bundle_path=path) for _ in range(2)]
    for order in orders:
        local.driver.launch(order)
        assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED, local.log(order.attempt)
    assert [local.log(o.attempt) for o in orders] == ["first\n", "first\nmore\n"]
    assert (local.workload_folder("w_code") / "work" / "pkg" / "link").read_text().startswith("first")


@pytest.mark.parametrize(
    ("members", "links"),
    [
        ({"../out": b"x"}, {}),
        ({"/abs": b"x"}, {}),
        ({"fine": b"x"}, {"link": "/etc/passwd"}),
        ({"fine": b"x"}, {"link": "../../outside"}),
        ({"a/b/fine": b"x"}, {"a/b/c": "../..", "a/b/c/d": "../../../outside"}),
        ({"large": b"x" * 2000}, {}),
        ({f"f{n}": b"" for n in range(11)}, {}),
    ],
    ids=["parent", "absolute", "link-absolute", "link-parent", "link-through-link", "too-large", "too-many"],
)
def test_a_bundle_that_reaches_out_or_is_too_large_is_rejected(
    local: Any, members: dict[str, bytes], links: dict[str, str]
) -> None:
    local.with_settings(bundle_bytes_max=1000, bundle_files_max=10)
    order = replace(local.run("true"), bundle_path=bundle(local.farm, members, links))
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail, end.evidence.run_ms) == (Outcome.REJECTED, "bad_bundle", 0)
    assert not (local.workload_folder(order.workload) / "outside").exists()


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_bundle_is_rejected_and_a_whole_one_then_works(local: Any, content: bytes) -> None:
    path = local.farm / "broken"
    path.write_bytes(content)
    order = replace(local.run("sh", "run.sh", workload="w_code"), bundle_path=str(path))
    local.driver.launch(order)
    assert local.ended(order.attempt).evidence.detail == "bad_bundle"
    order = replace(local.run("sh", "run.sh", workload="w_code"), bundle_path=bundle(local.farm, {"run.sh": b"exit 0"}))
    local.driver.launch(order)
    assert local.ended(order.attempt).outcome is Outcome.SUCCEEDED


def test_a_bundle_that_is_not_there_is_rejected_at_once(local: Any) -> None:
    seen = local.driver.launch(replace(local.run("true"), bundle_path=str(local.farm / "nowhere")))
    assert (seen.outcome, seen.evidence.detail) == (Outcome.REJECTED, "bad_bundle")


# -- isolation --------------------------------------------------------------------------------------------------------------

LOOK = """
import os, sys
for path in sys.argv[1:]:
    try:
        names = os.listdir(path) if os.path.isdir(path) else open(path).read()
        print(path, 'SEEN' if 'secret' in names else 'open')
    except OSError as fault:
        print(path, 'shut')
"""


def test_a_job_cannot_read_the_farms_folder_nor_another_job(isolated: Any) -> None:
    secret = isolated.farm / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    other = isolated.shell("echo secret > secret; echo ready; sleep 60")
    isolated.driver.launch(other)
    isolated.says(other.attempt, b"ready")
    places = [secret, isolated.farm, isolated.attempt_folder(other.attempt) / "order.json",
              isolated.attempt_folder(other.attempt) / "log.0", isolated.workload_folder(other.workload) / "work"]  # fmt: skip
    order = replace(isolated.run("python", "-c", LOOK, *map(str, places)), project="prj_other")
    isolated.driver.launch(order)
    assert isolated.ended(order.attempt).outcome is Outcome.SUCCEEDED, isolated.log(order.attempt)
    assert "SEEN" not in isolated.log(order.attempt)


def test_jobs_run_as_an_unprivileged_user_of_their_project_that_stays_the_same(isolated: Any) -> None:
    script = "id -u; id -G; grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status | tr -d '\\n'; umask; ls /proc/self/fd | wc -l"
    orders = [replace(isolated.shell(script), project=p) for p in ("prj_a", "prj_b", "prj_a")]
    for order in orders:
        isolated.driver.launch(order)
        assert isolated.ended(order.attempt).outcome is Outcome.SUCCEEDED
        isolated.driver = LocalDriver(isolated.settings)  # also from another process's memory
    said = [isolated.log(o.attempt).split() for o in orders]
    base, count = isolated.settings.uid_base, isolated.settings.uid_range
    assert said[0] == said[2] and said[0][0] != said[1][0]
    assert base <= int(said[0][0]) < base + count and said[0][0] == said[0][1]
    text = isolated.log(orders[0].attempt)
    assert "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text and "0077" in text
    assert said[0][-1] == "4"  # 0, 1, 2, and the one that ls opens


def test_a_farm_behind_a_link_is_isolated_just_as_well(namespaced: Any, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(namespaced.farm)
    driver = namespaced.with_settings(root=tmp_path / "way" / "local", farm_folder=tmp_path / "way")
    assert driver.describe()["isolation"] == "namespace+uid"
    order = namespaced.shell("touch here")
    driver.launch(order)
    assert namespaced.ended(order.attempt).outcome is Outcome.SUCCEEDED, namespaced.log(order.attempt)


def test_a_job_cannot_change_what_it_runs_on_nor_see_other_temporary_files(namespaced: Any, tmp_path: Path) -> None:
    mine = Path("/tmp") / f"dure-test-{os.getpid()}"
    mine.write_text("secret")
    try:
        script = f"ls /tmp; touch {namespaced.settings.python}.x && echo WROTE; echo mine > /tmp/own; cat $TMPDIR/own; exit 0"
        order = namespaced.shell(script)
        namespaced.driver.launch(order)
        namespaced.ended(order.attempt)
    finally:
        mine.unlink()
    text = namespaced.log(order.attempt)
    assert mine.name not in text and "WROTE" not in text and text.endswith("mine\n")


def test_a_job_cannot_have_the_farm_change_owners_of_what_is_not_its_own(isolated: Any, tmp_path: Path) -> None:
    """The workload's folder is the farm's: `work` cannot be swapped for a link that the next attempt's chown would follow."""
    first = isolated.shell("cd .. && mv work away; ln -s /etc work; ls -ld work", workload="w_sly")
    isolated.driver.launch(first)
    isolated.ended(first.attempt)
    work = isolated.workload_folder("w_sly") / "work"
    assert work.is_dir() and not work.is_symlink() and Path("/etc").stat().st_uid == 0


def test_who_is_not_root_says_so(local: Any, am_root: bool) -> None:
    level = local.driver.describe()["isolation"]
    assert am_root or level == "none: the farm does not run as root"


def test_other_user_numbers_do_not_cost_the_isolation(isolated: Any) -> None:
    level = isolated.driver.describe()["isolation"]
    assert isolated.with_settings(uid_base=400_000, uid_range=10).describe()["isolation"] == level


def test_where_no_trial_succeeds_that_is_said(isolated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dure.backends.local.isolation.BOOT", "import sys; sys.exit('mounts are not allowed')")
    said = isolated.another().describe()
    assert said["isolation"] == "none: namespace+uid: mounts are not allowed; uid: mounts are not allowed"


# Root without the right to mount, with a Python that everybody may run.
WITHOUT_MOUNTS = """
import json, sys, time
from pathlib import Path
from dure.backends.local import environment
from dure.backends.local.driver import LocalDriver
from dure.backends.local.settings import LocalSettings
from dure.model.workload import Worker, WorkloadSpec
from dure.ports import LaunchOrder

farm = Path(sys.argv[1])
driver = LocalDriver(LocalSettings(root=farm / "local", farm_folder=farm, python="/usr/bin/python3"))
script = f"id -u; cat {farm}/secret; ls {farm} {farm}/local/attempts; echo $TMPDIR > $TMPDIR/x; cat $TMPDIR/x"
driver.launch(LaunchOrder(attempt="a_1", epoch=1, workload="w_1", project="p", array_index=-1, limit_ms=20000, accelerator="",
    spec=WorkloadSpec(name="x", command=("sh", "-c", script)), workers=(Worker(node="node"),)))
while driver.observe()[0].phase != "ended":
    time.sleep(0.01)
said = driver.describe()
print(json.dumps([said["isolation"], said["isolation_why"], driver.read_log("a_1", 0, 0, 9999).decode()]))
"""


def test_where_mounts_are_not_allowed_the_next_level_is_in_force_and_says_why(am_root: bool) -> None:
    if not am_root or shutil.which("setpriv") is None or not Path("/usr/bin/python3").exists():
        pytest.skip("needs root, setpriv and a Python that everybody may run")
    with tempfile.TemporaryDirectory(prefix="dure-test-") as name:
        farm = Path(name)
        farm.chmod(0o711)
        (farm / "secret").touch(mode=0o600)
        (farm / "secret").write_text("the secret")
        command = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", sys.executable, "-c", WITHOUT_MOUNTS]
        env = {"PYTHONPATH": str(Path(dure.__file__).parent.parent), "PATH": "/usr/bin:/bin:/usr/sbin"}
        done = subprocess.run([*command, name], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    level, why, text = json.loads(done.stdout)
    assert level == "uid" and why.startswith("namespace+uid: ") and "not permitted" in why
    assert int(text.split()[0]) >= 200_000 and "the secret" not in text
    assert text.count("Permission denied") == 3 and text.endswith("/local/tmp/a_1\n")
