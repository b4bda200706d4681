"""Kernels are put together as numba would, and are never older than what they call. Each is compiled in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CALLED = """
import numpy as np
from dure.scheduler.kernels.jit import kernel

@kernel
def least(numbers):
    if len(numbers) == 0:
        raise ValueError("there is none")
    return numbers.min() + 1

@kernel
def both(numbers, more):
    return least(numbers) + least(more)

@kernel
def copied(numbers, into):
    into[:] = numbers
    return into

@kernel
def overlapping(numbers):
    for number in numbers:
        numbers[1:] = numbers[:-1]
        numbers[0] += number

@kernel
def first_and_sum(numbers):
    return numbers.reshape((2, 2))[:, len(numbers) - 4].sum() - numbers[2], np.cumsum(numbers)[-1]

@kernel
def marked(numbers, pair):
    numbers[0], numbers[1] = pair[1], pair[0]

@kernel
def moved(numbers):
    table, row = np.zeros((2, 3), np.int64), len(numbers) - 3
    table[row, -1] = 2  # a number that stands in the code counts from the end
    more = numbers * table[row, -1] + table[0].sum()
    overlapping(more)
    marked(more, first_and_sum(more))
    return copied(more, np.zeros_like(more))
"""
CALLER = """
import json
from pathlib import Path
import numpy as np
from dure.scheduler.kernels.jit import kernel
from called import both, least, moved

@kernel
def thrice(numbers):
    return both(numbers, numbers[:2]) + least(numbers[1:])

def refused(numbers):
    try:
        thrice(numbers)
    except ValueError as wrong:
        return str(wrong)

some = np.array([5, 7, 3, 9])
print(json.dumps({
    "compiled": int(thrice(some)), "kept": sum(thrice.whole.stats.cache_hits.values()), "refused": refused(some[:0]),
    "on_disk": sorted(path.name.split("-")[0] for path in Path("__pycache__").glob("*.nbi")),
    "moved": [moved(some).tolist(), moved.__wrapped__(some).tolist(), some.tolist()],
    "plain": int(thrice.__wrapped__(some)), "alone": int(least(some)),
}))
"""


def run(folder: Path) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    done = subprocess.run([sys.executable, "caller.py"], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_kernel_is_a_part_of_what_calls_it_and_is_kept_until_something_that_it_calls_has_changed(tmp_path: Path) -> None:
    (tmp_path / "called.py").write_text(CALLED)
    (tmp_path / "caller.py").write_text(CALLER)
    first = run(tmp_path)
    assert (first["plain"], first["compiled"], first["alone"], first["refused"]) == (14, 14, 4, "there is none")
    assert (first["kept"], first["on_disk"]) == (0, ["caller.thrice"]), "and nothing of what only kernels have called"
    assert first["moved"] == [[140, 50, 30, 20]] * 2 + [[5, 7, 3, 9]], "arrays that are made, moved and given back are right"
    again = run(tmp_path)
    assert again == {**first, "kept": 1, "on_disk": again["on_disk"]}
    (tmp_path / "called.py").write_text(CALLED.replace("+ 1", "+ 20"))
    changed = run(tmp_path)
    assert (changed["plain"], changed["compiled"], changed["kept"]) == (first["plain"] + 57, first["compiled"] + 57, 0)
    assert run(tmp_path)["kept"] == 1
