"""A process that plans keeps the memory of a plan for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from dure.cli.memory import keep_memory

# Tables of a plan, made and let go of; how many pages the system had to clear for those of the tenth.
PROGRAM = """
import resource, sys
import numpy as np
from dure.cli.memory import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory({})
for _ in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tables = [np.ones(100_000 + 1_000 * n) for n in range(30)]
    del tables
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are")
def test_what_was_freed_is_used_again_without_asking_the_system() -> None:
    pages = [
        int(subprocess.run([sys.executable, "-c", PROGRAM, w], check=True, capture_output=True).stdout) for w in ("as is", "kept")
    ]
    assert pages[1] < 100 < pages[0]


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_who_tells_the_allocator_something_else_is_obeyed(name: str) -> None:
    assert not keep_memory({name: "2"})
