"""What a process holds, and how long it may take to find that out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dure.backends.local import memory, processes

MIB = 1 << 20
# A file in memory, mapped shared and private three times by the same process, all written: 40 and 60 MiB.
HOLDS = """
import mmap, os, sys
file = os.memfd_create("x")
os.ftruncate(file, 40 << 20)
shared = mmap.mmap(file, 40 << 20)
shared[:] = b"x" * (40 << 20)
copies = [mmap.mmap(file, 20 << 20, flags=mmap.MAP_PRIVATE) for _ in range(3)]
for copy in copies:
    copy[:] = b"y" * (20 << 20)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        yield child.pid
        child.stdin.close()


def finish(watch: memory.Watch, pids: list[int], limit_mib: int) -> int:
    for _ in range(1_000_000):
        if (used := watch.used_mib(lambda: pids, "", limit_mib)) is not None:
            return used
    raise AssertionError("the look never ends")


def walked(pid: int) -> tuple[int, memory._Look]:
    look = memory._Look([pid], "", 0)
    list(look._find_files())
    steps = look._walk(pid)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, look


def test_written_pages_of_private_mappings_are_the_processs_own(holder: int) -> None:
    own, look = walked(holder)
    assert 60 * MIB <= own < 90 * MIB
    assert sum(look.lasting.values()) == 40 * MIB and sum(look.mapped.values()) == 40 * MIB
    assert 100 <= finish(memory.Watch(), [holder], 1) < 130


def test_a_look_that_is_cut_short_goes_on_where_it_was(holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    least, most = memory._rollup(holder)
    limit = (40 * MIB + (least + most) // 2) // MIB  # sums do not tell: only a walk through all mappings does
    exact = finish(memory.Watch(), [holder], limit)
    monkeypatch.setattr(memory, "SLICE_NS", 0)
    watch = memory.Watch()
    asked: list[int] = []
    slices = 0
    while (used := watch.used_mib(lambda: asked.append(0) or [holder], "", limit)) is None:
        slices += 1
    assert slices > 3 and abs(used - exact) <= 1 and len(asked) == 1  # one list of members for all of it


def test_what_takes_too_long_counts_by_its_upper_estimate(holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOK_NS", 0)
    watch = memory.Watch()
    used = watch.used_mib(lambda: [holder], "", 1)
    assert used is not None and used >= processes.rss_bytes(holder) >> 20


def test_a_slice_ends_within_the_parsing_of_one_process(holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**12, memory.SLICE_NS // 4))
    monkeypatch.setattr(memory.time, "monotonic_ns", lambda: next(clock))
    look = memory._Look([holder], "", 0)
    assert len(list(look._walk(holder))) > 5
    watch = memory.Watch()
    assert watch.used_mib(lambda: [holder] * 50, "", 1) is None


@pytest.mark.parametrize(
    ("head", "key"),
    [
        (b"7f00-7f01 rw-s 00000000 00:01 7                          /SYSV00000000 (deleted)", (1, -8)),
        (b"7f00-7f01 rw-s 00000000 00:01 8                          /SYSV00000000 (deleted)", None),  # of another namespace
        (b"7f00-7f01 rw-s 00000000 00:01 9                          /SYSV00000000 (deleted)", None),  # a memory file's number
        (b"7f00-7f01 rw-s 00000000 00:01 9                          /memfd:x (deleted)", (1, 9)),
        (b"7f00-7f01 rw-s 00000000 00:01 7                          /memfd:/SYSV0 (deleted)", None),  # closed: nobody counts it
        (b"7f00-7f01 rw-p 00000000 fe:00 7                          /tmp/a /SYSVb", None),
        (b"7f00-7f01 rw-p 00000000 fe:00 7                          /SYSV00000000 (deleted)", None),
        (b"7f00-7f01 rw-s 00000000 00:1b 31                         /dev/shm/a /SYSVb", (27, 0)),
        (b"7f00-7f01 rw-p 00000000 00:00 0 ", None),
        (b"7f00-7f01 rw-p 00000000 00:00 0                          [anon:/SYSV]", None),
    ],
)
def test_a_mapping_is_known_by_its_device_not_by_its_name(head: bytes, key: Any) -> None:
    look = memory._Look([], "", 0)
    look.kernel, look.device, look.segments = 1, 27, frozenset({(1, -8)})
    look.lasting = {(1, -8): MIB, (1, 9): MIB, (27, 0): 0}
    assert look._key(head) == key


def test_what_is_left_out_of_the_processes_never_counts_for_less() -> None:
    look = memory._Look([], "", 0)
    look.lasting, look.mapped = {(1, 9): 1, (1, -8): 5}, {(1, 9): 100, (1, -8): 3}
    assert look.upper() == 105
