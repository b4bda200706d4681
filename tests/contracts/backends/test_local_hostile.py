"""What a hostile job tries, and what becomes of it: outliving its end, taking the machine's processes or its memory."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dure.backends.local import isolation, processes
from dure.backends.local.isolation import Isolation
from dure.model.workload import Demand, Outcome

# Chains of processes that fork and exit without pause; they give up by themselves, so that a failing test harms nobody.
CHAINS_MAX_S = 9
CHAINS = f"""
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **words) {{
    long end = time(0) + {CHAINS_MAX_S};
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < atoi(words[1]); i++)
        if (fork() == 0) {{
            setsid();
            while (time(0) < end)
                if (fork() > 0) _exit(0);
            _exit(0);
        }}
    while (time(0) < end) pause();
}}
"""


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The program as bytes: each test puts it where its job may read it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler: an interpreter forks too slowly to evade anything")
    folder = tmp_path_factory.mktemp("chains")
    (folder / "chains.c").write_text(CHAINS)
    subprocess.run([compiler, "-O1", "-o", str(folder / "chains"), str(folder / "chains.c")], check=True, capture_output=True)
    return (folder / "chains").read_bytes()


def bundle(folder: Path, content: bytes) -> str:
    path = folder / "bundle.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("program")
        info.size, info.mode = len(content), 0o755
        archive.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.fixture
def open_local(am_root: bool, tmp_path: Path, make_rig: Any) -> Iterator[Any]:
    """A rig whose folders other users can reach, for the level without a namespace."""
    if not am_root or not Path("/usr/bin/python3").exists():
        pytest.skip("needs root and a Python that everybody may run")
    with tempfile.TemporaryDirectory(prefix="dure-test-") as name:
        Path(name).chmod(0o711)
        rig = make_rig(Path(name))
        rig.farm.chmod(0o711)
        rig.with_settings(python="/usr/bin/python3", uid_base=500_000 + os.getpid() * 10, uid_range=10)
        rig.driver._isolation = Isolation(isolation.UID)
        yield rig
        rig.close()


def ends_within_its_limit(rig: Any, chains: bytes) -> None:
    order = replace(rig.run("./program", "16", limit_ms=500, grace_ms=0), bundle_path=bundle(rig.farm, chains))
    rig.driver.launch(order)
    end = rig.ended(order.attempt)
    assert end.outcome is Outcome.TIMED_OUT, rig.log(order.attempt)
    assert end.evidence.run_ms < (CHAINS_MAX_S - 2) * 1000
    assert rig.processes_of(order.attempt) == []


def test_what_forks_and_exits_without_pause_does_not_outlive_its_limit(namespaced: Any, chains: bytes) -> None:
    ends_within_its_limit(namespaced, chains)


def test_nor_does_it_where_there_are_no_namespaces(open_local: Any, chains: bytes) -> None:
    ends_within_its_limit(open_local, chains)


def test_all_of_a_user_is_ended_by_the_last_resort_and_nothing_of_others(open_local: Any) -> None:
    """What a strike cannot catch in time is ended with its project's user, and only with that."""
    other = replace(open_local.run("sleep", "60"), project="prj_other")
    mine = open_local.run("sleep", "60")
    for order in (other, mine):
        open_local.driver.launch(order)
        open_local.running(order.attempt)
    uid = isolation.project_uid(open_local.settings, mine.project)
    pid = os.fork()
    if pid == 0:
        code = "import sys; from dure.backends.local.shim import kill_user; kill_user(int(sys.argv[1]))"
        os.execv(open_local.settings.python, [open_local.settings.python, "-c", code, str(uid)])
    os.waitpid(pid, 0)
    end = open_local.ended(mine.attempt)
    assert (end.outcome, end.evidence.signal) == (Outcome.FAILED, 9)
    assert open_local.driver.observe([other.attempt])[0].phase == "running"


def test_a_killed_shim_takes_also_what_has_dropped_its_environment(namespaced: Any) -> None:
    order = namespaced.shell("env -i setsid sleep 4242 & (env -i sleep 4243 &); echo ready; exec env -i sleep 4244")
    namespaced.driver.launch(order)
    namespaced.says(order.attempt, b"ready")
    (shim,) = namespaced.shims(order.attempt)
    for _ in namespaced.tries():
        below = [p for p in processes.descendants(shim.pid) if b"sleep" in Path(f"/proc/{p}/cmdline").read_bytes()]
        if len(below) == 3:
            break
    shim.kill()
    end = namespaced.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.LOST, "shim_died")
    assert [p for p in below if processes.start_ticks(p)] == []


def test_a_job_sees_and_reaches_its_own_processes_only(namespaced: Any) -> None:
    order = namespaced.shell("kill -9 1 && echo KILLED; for p in /proc/[0-9]*; do echo ${p#/proc/}; done")
    namespaced.driver.launch(order)
    assert namespaced.ended(order.attempt).outcome is Outcome.SUCCEEDED
    pids = [int(word) for word in namespaced.log(order.attempt).split() if word.isdigit()]
    assert len(pids) == 2 and pids[0] == 1 and "KILLED" not in namespaced.log(order.attempt)


def test_the_cpu_time_of_orphans_is_counted_when_they_are_killed(namespaced: Any) -> None:
    order = namespaced.shell("(sh -c 'while :; do :; done' &) ; exec sleep 60")
    namespaced.driver.launch(order)
    known = namespaced.until(order.attempt, lambda o: o.evidence.cpu_ms > 100)
    namespaced.driver.stop(order.attempt, Outcome.CANCELLED, 0)
    assert namespaced.ended(order.attempt).evidence.cpu_ms >= known.evidence.cpu_ms


FORKER = """
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        made += 1
except BlockingIOError:
    pass
print(made, flush=True)
"""


def test_a_project_has_a_bounded_number_of_processes(isolated: Any) -> None:
    isolated.with_settings(processes_max=50, uid_base=600_000 + os.getpid() * 10, uid_range=10)
    order = isolated.run("python", "-c", FORKER)
    isolated.driver.launch(order)
    assert isolated.ended(order.attempt).outcome is Outcome.SUCCEEDED
    assert int(isolated.log(order.attempt)) == 49  # and the one that forks them


# -- memory -------------------------------------------------------------------------------------------------------------------

MEMFD = """
import os, time
file = os.memfd_create("x")
for _ in range(300):
    os.write(file, b"x" * (1 << 20))
time.sleep(60)
"""
SEGMENT = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
part = libc.shmget(0, ctypes.c_size_t(300 << 20), 0o1600)
place = libc.shmat(part, None, 0)
ctypes.memset(place, 1, 300 << 20)
libc.shmdt(ctypes.c_void_p(place))
time.sleep(60)
"""


def hits_its_memory_limit(rig: Any, code: str) -> None:
    order = rig.run("python", "-c", code, demand=Demand(memory_mib=100))
    rig.driver.launch(order)
    end = rig.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.FAILED, "memory_limit"), rig.log(order.attempt)
    assert end.evidence.rss_max_mib >= 100


def test_a_file_in_memory_counts_although_nobody_maps_it(local: Any) -> None:
    hits_its_memory_limit(local, MEMFD)


def large_segments() -> list[str]:
    """Others of the machine come and go meanwhile, as PostgreSQL's does, which is a page."""
    header, *rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines())
    size, number = header.index("size"), header.index("shmid")
    return sorted(row[number] for row in rows if int(row[size]) >= 300 << 20)


def test_a_segment_counts_although_nobody_has_attached_it_and_goes_with_its_job(namespaced: Any) -> None:
    before = large_segments()
    hits_its_memory_limit(namespaced, SEGMENT)
    assert large_segments() == before


def test_memory_that_is_shared_and_mapped_counts_once(namespaced: Any) -> None:
    code = (
        "import mmap, os, time; f = open('/dev/shm/x', 'w+b'); f.truncate(60 << 20); m = mmap.mmap(f.fileno(), 60 << 20)\n"
        "for i in range(0, 60 << 20, 4096): m[i] = 1\n"
        "os.fork(); sum(m[i] for i in range(0, 60 << 20, 4096)); time.sleep(1.5)"
    )
    order = namespaced.run("python", "-c", code, demand=Demand(memory_mib=100))
    namespaced.driver.launch(order)
    assert namespaced.ended(order.attempt).outcome is Outcome.SUCCEEDED, namespaced.log(order.attempt)


def test_shared_memory_is_the_attempts_own_bounded_and_gone_with_it(namespaced: Any) -> None:
    script = "head -c 300000000 /dev/zero > /dev/shm/large; stat -c %s /dev/shm/large; exit 0"
    order = namespaced.shell(script, demand=Demand(memory_mib=64))
    namespaced.driver.launch(order)
    namespaced.ended(order.attempt)
    assert "No space left" in namespaced.log(order.attempt) and str(64 << 20) in namespaced.log(order.attempt)
    assert not Path("/dev/shm/large").exists()
    assert list((namespaced.settings.root / "shm" / order.attempt).iterdir()) == []
    namespaced.driver.forget(order.attempt)
    assert not (namespaced.settings.root / "shm" / order.attempt).exists()


def test_the_ranks_of_a_gang_share_memory_and_see_each_other(namespaced: Any) -> None:
    script = "echo $$ > /dev/shm/$RANK; o=/dev/shm/$((1 - RANK)); while ! [ -s $o ]; do sleep 0.01; done; test -d /proc/$(cat $o)"
    order = namespaced.shell(script + " || exit 5; sleep 0.2", workers=2)
    namespaced.driver.launch(order)
    assert namespaced.ended(order.attempt).outcome is Outcome.SUCCEEDED, namespaced.log(order.attempt)


# What is written into a private mapping is a copy of the job's own; its file stays as small as it was.
COPIED = """
import mmap, os, time
{file}
os.ftruncate(file, 1 << 20)
held = [mmap.mmap(file, 1 << 20, flags=mmap.MAP_PRIVATE) for _ in range(300)]
for part in held:
    part[:] = b"x" * (1 << 20)
time.sleep(60)
"""
OF_MEMFD = 'file = os.memfd_create("x"); os.write(file, b"x")'
OF_SHM = 'file = os.open("/dev/shm/x", os.O_RDWR | os.O_CREAT); os.write(file, b"x")'
NAMED = """
s = os.memfd_create("x"); os.write(s, b"x")
os.mkdir("a "); file = os.open("a /SYSVb", os.O_RDWR | os.O_CREAT); os.write(file, b"x")
"""


def test_private_copies_of_a_file_in_memory_count(local: Any) -> None:
    hits_its_memory_limit(local, COPIED.format(file=OF_MEMFD))


def test_private_copies_of_shared_memory_count(namespaced: Any) -> None:
    hits_its_memory_limit(namespaced, COPIED.format(file=OF_SHM))


def test_a_file_that_is_named_like_a_segment_counts(namespaced: Any) -> None:
    hits_its_memory_limit(namespaced, COPIED.format(file=NAMED))


SPLITS, SPLITTERS, SPLIT_S = 30_000, 10, 3
SPLIT_MIB = 110
SPLIT = f"""
import ctypes, mmap, os, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
file = os.memfd_create("x")
os.write(file, bytes({SPLIT_MIB} << 20))  # mapped by all: only a look at every mapping tells that they are within the limit
size = {SPLITS} * 4096
place = libc.mmap(None, size, 3, 2, file, 0)
for at in range(0, min({SPLIT_MIB} << 20, size), 4096):
    ctypes.c_char.from_address(place + at).value
for at in range(0, size, 8192):
    libc.mprotect(ctypes.c_void_p(place + at), 4096, 1)
for _ in range({SPLITTERS} - 1):
    if os.fork() == 0:
        for at in range(0, min({SPLIT_MIB} << 20, size), 4096):
            ctypes.c_char.from_address(place + at).value
        break
print("ready", flush=True)
time.sleep(60)
"""


def test_a_job_of_very_many_mappings_ends_at_its_limit_all_the_same(namespaced: Any) -> None:
    order = namespaced.run("python", "-c", SPLIT, demand=Demand(memory_mib=200), limit_ms=SPLIT_S * 1000)
    namespaced.driver.launch(order)
    end = namespaced.ended(order.attempt)
    assert end.outcome is Outcome.TIMED_OUT, (namespaced.log(order.attempt), end)
    assert end.evidence.run_ms < (SPLIT_S + 10) * 1000 + order.spec.grace_ms  # seconds of these are the kernel's own


def test_and_hears_a_stop_meanwhile(namespaced: Any) -> None:
    order = namespaced.run("python", "-c", SPLIT, demand=Demand(memory_mib=200))
    namespaced.driver.launch(order)
    for _ in namespaced.tries():
        if namespaced.log(order.attempt).count("ready") == SPLITTERS:
            break
        namespaced.let_pass()
    since = time.monotonic()
    namespaced.driver.stop(order.attempt, Outcome.CANCELLED, 0)
    assert namespaced.ended(order.attempt).outcome is Outcome.CANCELLED
    assert time.monotonic() - since < 15  # the kernel itself takes seconds to take so many mappings down


# -- bundles that are bombs -----------------------------------------------------------------------------------------------------


def is_a_bad_bundle(local: Any, path: Path) -> Any:
    order = replace(local.run("true"), bundle_path=str(path))
    local.driver.launch(order)
    end = local.ended(order.attempt)
    assert (end.outcome, end.evidence.detail) == (Outcome.REJECTED, "bad_bundle")
    return end


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.SOLARIS_XHDTYPE])
def test_a_bundle_with_a_large_header_is_refused_before_it_is_read(local: Any, kind: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 200 << 20
    path = local.farm / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(bytes(1 << 20))
        file.write(tarfile.TarInfo("a").tobuf() + bytes(1024))
    assert is_a_bad_bundle(local, path).evidence.rss_max_mib < 100


def test_unpacking_has_a_deadline(local: Any) -> None:
    local.with_settings(bundle_ms_max=1)
    path = local.farm / "slow"
    os.mkfifo(path, 0o644)  # nobody writes: the unpacker would read for ever
    held = os.open(path, os.O_RDWR)
    try:
        is_a_bad_bundle(local, path)
    finally:
        os.close(held)


def test_a_stop_ends_the_unpacking(local: Any) -> None:
    path = local.farm / "slow"
    os.mkfifo(path, 0o644)
    held = os.open(path, os.O_RDWR)
    order = replace(local.run("true"), bundle_path=str(path))
    try:
        local.driver.launch(order)
        local.driver.stop(order.attempt, Outcome.CANCELLED, 0)
        assert local.ended(order.attempt).outcome is Outcome.CANCELLED
    finally:
        os.close(held)
    assert local.processes_of(order.attempt) == []
