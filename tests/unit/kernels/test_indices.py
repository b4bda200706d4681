"""No kernel reads or writes beyond its tables, nor before them: compiled, nobody would notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dure.scheduler.kernels.ground import I64
from dure.scheduler.kernels.jit import kernel

ROOT = Path(__file__).parents[3]
# What is there to test kernels, of plans and of trials; but for what looks at the machine code itself.
CALLERS = (
    "tests/unit/kernels", "tests/unit/scheduler", "tests/unit/trial", "tests/properties/kernels", "tests/properties/scheduler",
    "tests/simulation/test_trial.py", "tests/simulation/test_fast_trial.py", "tests/simulation/test_replay.py",
    "tests/simulation/test_whole_plane.py", "tests/simulation/test_openb.py", "tests/simulation/test_moving.py",
    "tests/properties/claims", "--ignore=tests/unit/kernels/test_jit.py", "--ignore=tests/unit/kernels/test_warm.py",
)  # fmt: skip


@kernel
def _at(column: I64, table: I64, i: int) -> int:
    return int(column[i] + table[i, 0])


BEFORE = """
import numpy as np
from tests.unit.kernels.test_indices import _at
print(_at(np.arange(3), np.arange(6).reshape(3, 2), 2))
try:
    _at(np.arange(3), np.arange(6).reshape(3, 2), -1)
except IndexError as refused:
    print(refused)
"""


def _checked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder), "NUMBA_DISABLE_JIT": "0"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_an_index_below_zero_is_refused_where_indices_are_checked(tmp_path: Path) -> None:
    told = _checked(tmp_path, "-c", BEFORE)
    assert told.stdout.splitlines() == ["6", "index is out of bounds"], told.stderr


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_wherever_kernels_are_tested_their_indices_are_within_their_tables(tmp_path: Path) -> None:
    told = _checked(tmp_path, "-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider", *CALLERS)
    assert told.returncode == 0, told.stdout[-4000:]
